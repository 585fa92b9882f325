//! A learned filter over the frequencies of each sequence: `y = irfft(w * rfft(x))` along the
//! positions, for each column by itself.
//!
//! All sequences have one length `n`, so both transforms are products with constant matrices:
//! `X = D x`, `y = G Y`, the real parts of the `n / 2 + 1` frequencies above their imaginary parts.
//! Transforms are orthonormal. With `Y = w X` (complex) the gradients are `dX = conj(w) dY`,
//! `dw = conj(X) dY`, and those of the products.
//!
//! # Source
//! Zhou et al., *Filter-enhanced MLP is All You Need for Sequential Recommendation*, WWW 2022, eq.
//! 3-5.

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use crate::tile::{Left, Panels, ROW_BLOCK, Store, product};

#[cfg(feature = "gpu")]
mod gpu;

/// Sequences that one task takes; what they add to the gradient of the filter is one partial sum.
const SEQUENCES_PER_TASK: usize = 16;

#[derive(Debug, Clone)]
struct SpectralFilter {
    /// Positions of a sequence.
    n: usize,
    /// `[2 frequencies, n]`
    forward: Arc<Vec<f32>>,
    /// `[n, 2 frequencies]`
    inverse: Arc<Vec<f32>>,
}

#[derive(Default)]
struct Scratch {
    panels: Panels,
    x: Vec<f32>,
    d_y: Vec<f32>,
}

impl SpectralFilter {
    fn new(n: usize) -> Self {
        let n_frequencies = n / 2 + 1;
        let root = (n as f64).sqrt();
        // Reducing the product modulo n before the angle keeps the angle exact.
        let angle = |k: usize, t: usize| std::f64::consts::TAU * (k * t % n) as f64 / n as f64;
        let cell = |row: usize, t: usize| match row.checked_sub(n_frequencies) {
            None => angle(row, t).cos() / root,
            Some(k) => -angle(k, t).sin() / root,
        };
        // All frequencies but the first and (for an even length) the last stand for themselves and
        // their mirror images.
        let weight =
            |row: usize| if row.is_multiple_of(n_frequencies) || 2 * (row % n_frequencies) == n { 1.0 } else { 2.0 };
        let rows = 2 * n_frequencies;
        let forward = (0..rows * n).map(|at| cell(at / n, at % n) as f32).collect();
        let inverse = (0..rows * n).map(|at| (cell(at % rows, at / rows) * weight(at % rows)) as f32).collect();
        SpectralFilter { n, forward: Arc::new(forward), inverse: Arc::new(inverse) }
    }

    fn rows(&self) -> usize {
        2 * (self.n / 2 + 1)
    }

    /// `X` of one sequence.
    fn transform(&self, x: &[f32], columns: usize, panels: &mut Panels, out: &mut Vec<f32>) {
        panels.pack_rows(x, self.n, columns);
        out.resize(self.rows() * columns, 0.0);
        let left = Left::rows(&self.forward, self.rows(), self.n);
        product(left, panels.part(0, self.n), ROW_BLOCK, Store::Overwrite, out, columns);
    }
}

impl Op<2> for SpectralFilter {
    type Saved = ();

    fn forward(&self, [x, w]: [Matrix<'_>; 2]) -> Output<()> {
        let (columns, size) = (x.columns, self.n * x.columns);
        let (w_re, w_im) = w.values.split_at(w.values.len() / 2);
        let mut values = vec![0.0; x.values.len()];
        let tasks = values.par_chunks_mut(size).zip(x.values.par_chunks(size));
        tasks.for_each_init(Scratch::default, |Scratch { panels, x: spectrum, .. }, (y, x)| {
            self.transform(x, columns, panels, spectrum);
            let (re, im) = spectrum.split_at_mut(w_re.len());
            for (((re, im), a), b) in re.iter_mut().zip(im).zip(w_re).zip(w_im) {
                (*re, *im) = (*re * a - *im * b, *re * b + *im * a);
            }
            panels.pack_rows(spectrum, self.rows(), columns);
            let left = Left::rows(&self.inverse, self.n, self.rows());
            product(left, panels.part(0, self.rows()), ROW_BLOCK, Store::Overwrite, y, columns);
        });
        Output { values, columns, saved: () }
    }

    fn backward(&self, [x, w]: [Matrix<'_>; 2], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        let (columns, size) = (x.columns, self.n * x.columns);
        let half = w.values.len() / 2;
        let (w_re, w_im) = w.values.split_at(half);
        let mut d_x = vec![0.0; x.values.len()];
        let chunk = size * SEQUENCES_PER_TASK;
        let tasks = d_x.par_chunks_mut(chunk).zip(x.values.par_chunks(chunk)).zip(gradient.values.par_chunks(chunk));
        let parts: Vec<Vec<f32>> = tasks
            .map_init(Scratch::default, |Scratch { panels, x: spectrum, d_y: d }, ((d_x, x), d_y)| {
                let mut part = vec![0.0; 2 * half];
                let (d_a, d_b) = part.split_at_mut(half);
                for ((d_x, x), d_y) in d_x.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(d_y.chunks_exact(size))
                {
                    self.transform(x, columns, panels, spectrum);
                    // dY = G^T dy
                    panels.pack_rows(d_y, self.n, columns);
                    d.resize(2 * half, 0.0);
                    let left = Left::transposed(&self.inverse, self.rows(), self.rows());
                    product(left, panels.part(0, self.n), ROW_BLOCK, Store::Overwrite, d, columns);
                    let ((x_re, x_im), (d_re, d_im)) = (spectrum.split_at(half), d.split_at_mut(half));
                    for at in 0..half {
                        let (a, b, re, im) = (w_re[at], w_im[at], d_re[at], d_im[at]);
                        d_a[at] += re * x_re[at] + im * x_im[at];
                        d_b[at] += im * x_re[at] - re * x_im[at];
                        (d_re[at], d_im[at]) = (re * a + im * b, im * a - re * b);
                    }
                    // dx = D^T dX
                    panels.pack_rows(d, self.rows(), columns);
                    let left = Left::transposed(&self.forward, self.n, self.n);
                    product(left, panels.part(0, self.rows()), ROW_BLOCK, Store::Overwrite, d_x, columns);
                }
                part
            })
            .collect();
        let mut d_w = vec![0.0; 2 * half];
        for part in parts {
            d_w.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        [d_x, d_w]
    }
}

/// A learned filter over the frequencies of sequences that all have `n` positions.
///
/// # Shapes
/// - `x`: `[sequences * n, dim]`; `filter`: `[2 (n / 2 + 1), dim]`, real parts first; returns
///   `[sequences * n, dim]`
pub fn spectral_filter<B: OpBackend>(x: Tensor<B, 2>, filter: Tensor<B, 2>, n: usize) -> Tensor<B, 2> {
    let [rows, dim] = x.dims();
    assert!(n > 0 && rows % n == 0 && dim > 0, "spectral_filter: rows should be whole sequences");
    assert_eq!(filter.dims(), [2 * (n / 2 + 1), dim], "spectral_filter: the filter should have the frequencies of n");
    apply(&SpectralFilter::new(n), [x, filter])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads};

    /// The filter as what it is in the positions: a circular convolution with
    /// `c_t = sum_k weight_k (a_k cos(2 pi k t / n) - b_k sin(..)) / n`.
    fn plain(x: &[f64], w: &[f64], n: usize, columns: usize) -> Vec<f64> {
        let n_frequencies = n / 2 + 1;
        let kernel = |column: usize, t: usize| -> f64 {
            let term = |k: usize| {
                let angle = std::f64::consts::TAU * (k * t) as f64 / n as f64;
                let (a, b) = (w[k * columns + column], w[(n_frequencies + k) * columns + column]);
                // What has no mirror image must be real: its imaginary part is dropped.
                if k == 0 || 2 * k == n { a * angle.cos() } else { 2.0 * (a * angle.cos() - b * angle.sin()) }
            };
            (0..n_frequencies).map(term).sum::<f64>() / n as f64
        };
        let mut out = Vec::new();
        for sequence in x.chunks(n * columns) {
            for t in 0..n {
                for column in 0..columns {
                    let term = |s: usize| sequence[s * columns + column] * kernel(column, (n + t - s) % n);
                    out.push((0..n).map(term).sum());
                }
            }
        }
        out
    }

    /// Sums of at most 13 products below 1, through two transforms.
    #[test]
    fn value_and_gradient_are_those_of_a_circular_convolution() {
        for n in [1, 2, 6, 7, 13] {
            let (shapes, op) = ([(3 * n, 5), (2 * (n / 2 + 1), 5)], SpectralFilter::new(n));
            check_against(&op, shapes, 2e-5, |inputs| plain(&inputs[0], &inputs[1], n, 5));
        }
    }

    #[test]
    fn threads_change_nothing() {
        check_threads(&SpectralFilter::new(50), [(37 * 50, 33), (52, 33)]);
    }
}
