//! Dropout: a random part of the numbers becomes 0, and the rest is scaled so that the mean stays.
//!
//! Whether number `i` is dropped is a function of a key and `i` alone, so the mask is never kept,
//! and the backward pass finds the same one.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use crate::parallel::ELEMENTS_PER_TASK;

#[cfg(feature = "gpu")]
pub(super) mod gpu;

/// Which numbers are dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drop {
    key: [u32; 2],
    /// A number is kept when its 24 random bits are below this; `1 << 24` keeps all.
    kept_below: u32,
    /// What a kept number is multiplied by.
    scale: f32,
}

impl Drop {
    /// Drops nothing.
    pub const NOTHING: Drop = Drop { key: [0; 2], kept_below: 1 << 24, scale: 1.0 };

    /// Drops each number with probability `rate` (0 or more, below 1), as the key says.
    pub fn new(rate: f32, key: u64) -> Self {
        assert!(
            (0.0..1.0).contains(&rate),
            "a rate of dropout should be at least 0 and below 1: checked in the settings"
        );
        let kept_below = ((1.0 - f64::from(rate)) * f64::from(1 << 24)).round() as u32;
        let scale = (f64::from(1 << 24) / f64::from(kept_below.max(1))) as f32;
        Drop { key: [key as u32, (key >> 32) as u32], kept_below, scale }
    }

    /// True when nothing is dropped.
    pub fn is_nothing(&self) -> bool {
        self.kept_below == 1 << 24
    }

    /// What a kernel takes of it: both keys, the threshold, the scale.
    #[cfg(feature = "gpu")]
    pub(super) fn parts(&self) -> (u32, u32, u32, f32) {
        (self.key[0], self.key[1], self.kept_below, self.scale)
    }

    /// What number `i` is multiplied by: 0 or the scale.
    #[inline(always)]
    pub(super) fn factor(&self, i: usize) -> f32 {
        // Two rounds of the finaliser of MurmurHash3 around the two halves of the key; wrapping
        // products of 32 bits become vector code.
        let mut z = (i as u32).wrapping_mul(0x9e37_79b9) ^ self.key[0];
        z = (z ^ (z >> 16)).wrapping_mul(0x85eb_ca6b);
        z = (z ^ (z >> 13)).wrapping_mul(0xc2b2_ae35);
        z = (z ^ (z >> 16)).wrapping_add(self.key[1]);
        z = (z ^ (z >> 16)).wrapping_mul(0x85eb_ca6b);
        z = (z ^ (z >> 13)).wrapping_mul(0xc2b2_ae35);
        z ^= z >> 16;
        if z >> 8 < self.kept_below { self.scale } else { 0.0 }
    }
}

crate::dispatch! { pub(super) fn drop_all(drop: Drop, first: usize, values: &mut [f32]) = drop_all_body }

#[inline(always)]
fn drop_all_body<const FUSED: bool>(drop: Drop, first: usize, values: &mut [f32]) {
    for (at, value) in values.iter_mut().enumerate() {
        *value *= drop.factor(first + at);
    }
}

/// `y_i = x_i m_i`, `m` being the mask.
#[derive(Debug, Clone)]
struct Dropout(Drop);

impl Dropout {
    fn masked(&self, values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        let tasks = values.par_chunks_mut(ELEMENTS_PER_TASK).enumerate();
        tasks.for_each(|(task, values)| drop_all(self.0, task * ELEMENTS_PER_TASK, values));
        values
    }
}

impl Op<1> for Dropout {
    type Saved = ();

    fn forward(&self, [x]: [Matrix<'_>; 1]) -> Output<()> {
        Output { values: self.masked(x.values), columns: x.columns, saved: () }
    }

    fn backward(&self, _: [Matrix<'_>; 1], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 1] {
        [self.masked(gradient.values)]
    }
}

/// Drops numbers of a matrix.
pub fn dropout<B: OpBackend>(x: Tensor<B, 2>, drop: Drop) -> Tensor<B, 2> {
    if drop.is_nothing() { x } else { apply(&Dropout(drop), [x]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_kept_and_the_mean_are_right_and_keys_differ() {
        let n = 200_000;
        let drop = Drop::new(0.3, 0x1234_5678_9abc_def0);
        let kept = (0..n).filter(|&i| drop.factor(i) > 0.0).count() as f64;
        // Standard deviation sqrt(.3 .7 200000) = 205: four of them.
        assert!((kept - 140_000.0).abs() < 820.0, "{kept}");
        assert!((f64::from(drop.scale) - 1.0 / 0.7).abs() < 1e-6);
        // Independent masks agree on .7 .7 + .3 .3 = .58 of the places: standard deviation 221.
        let other = Drop::new(0.3, 0x1234_5679_9abc_def0);
        let same = (0..n).filter(|&i| drop.factor(i) == other.factor(i)).count() as f64;
        assert!((same - 116_000.0).abs() < 884.0, "{same}");
        // Neighbours are independent: both kept in .49.
        let pairs = (0..n).filter(|&i| drop.factor(i) > 0.0 && drop.factor(i + 1) > 0.0).count() as f64;
        assert!((pairs - 98_000.0).abs() < 1200.0, "{pairs}");
        assert!(Drop::new(0.0, 7).is_nothing() && (0..100).all(|i| Drop::NOTHING.factor(i) == 1.0));
    }
}
