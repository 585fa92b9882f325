//! Shares of a total on a GPU: one cube sums, then divides.

use cubecl::prelude::*;

use crate::Buffer;
use crate::gpu::cubes::cube_sum;
use crate::gpu::{Gpu, UNITS, launch};

/// What of a number counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Parts {
    /// `max(-x, 0)`.
    BelowZero,
    /// `x`, none of which is negative; their sum counts as no less than this.
    All {
        /// Above 0.
        least: f32,
    },
}

#[cube]
fn part(x: f32, #[comptime] below_zero: bool) -> f32 {
    let mut value = x;
    if comptime!(below_zero) {
        value = f32::max(-x, f32::new(0.0));
    }
    value
}

#[cube(launch_unchecked)]
fn share_kernel(x: &Array<f32>, y: &mut Array<f32>, total: f32, least: f32, #[comptime] below_zero: bool) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let mut sum = f32::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < x.len() {
        sum += part(x[at], below_zero);
        at += UNITS as usize;
    }
    let sum = f32::max(cube_sum(&mut shared, sum), least);
    at = UNIT_POS as usize;
    while at < x.len() {
        y[at] = part(x[at], below_zero) / sum * total;
        at += UNITS as usize;
    }
}

/// `y = total * part / sum of the parts`; `y` is as long as `x`.
pub(crate) fn share(gpu: &Gpu, parts: Parts, total: f64, x: &Buffer<f32>, y: &mut Buffer<f32>) {
    assert!(x.len() == y.len());
    // A sum of nothing divides nothing: any number above zero will do.
    let (below_zero, least) = match parts {
        Parts::BelowZero => (true, f32::MIN_POSITIVE),
        Parts::All { least } => (false, least),
    };
    let cubes = usize::from(!x.is_empty());
    // SAFETY: the kernel stays below the length of `x`, and `y` was just asserted to be as long.
    unsafe { launch!(gpu, cubes, share_kernel, x.argument(), y.argument(), total as f32, least, below_zero) };
}
