//! What kernels share: sums within a cube in a fixed order, and functions that hold for every
//! argument.

use cubecl::prelude::*;

use super::UNITS;

/// Units that share a row in ops that sum over the columns of a row.
pub(crate) const LANES: usize = 16;
/// Rows that a cube treats at once in those ops.
pub(crate) const ROWS: usize = UNITS as usize / LANES;

/// Cubes for an op that gives [`LANES`] units to each of `n` rows.
pub(crate) fn cubes_for_rows(n: usize) -> usize {
    n.div_ceil(ROWS)
}

/// The widest vectors that rows of `dim` columns can be read in.
pub(crate) fn vector_width(dim: usize) -> usize {
    match dim {
        _ if dim.is_multiple_of(4) => 4,
        _ if dim.is_multiple_of(2) => 2,
        _ => 1,
    }
}

/// The sum of the values of the lanes of each row, lane 0 first; every lane of the row gets it. All
/// units of the cube must take part.
#[cube]
pub(crate) fn lane_sum(shared: &mut SharedMemory<f32>, value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let first = unit - unit % LANES;
    let mut sum = f32::new(0.0);
    for lane in 0..LANES {
        sum += shared[first + lane];
    }
    // The next sum must not overwrite what a slower unit still reads.
    sync_cube();
    sum
}

/// The largest value of the lanes of each row; every lane of the row gets it. All units of the cube
/// must take part.
#[cube]
pub(crate) fn lane_max(shared: &mut SharedMemory<f32>, value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let first = unit - unit % LANES;
    let mut most = value;
    for lane in 0..LANES {
        most = f32::max(most, shared[first + lane]);
    }
    sync_cube();
    most
}

/// `<a[a_at..], b[b_at..]>` over `width` numbers, which the lanes of a row share; every lane of the
/// row gets it, and 0 where the row is not `inside`. All units of the cube must take part.
#[cube]
pub(crate) fn lane_dot(
    shared: &mut SharedMemory<f32>,
    a: &Array<f32>,
    a_at: usize,
    b: &Array<f32>,
    b_at: usize,
    width: usize,
    inside: bool,
) -> f32 {
    let mut sum = f32::new(0.0);
    if inside {
        let mut column = UNIT_POS as usize % LANES;
        while column < width {
            sum += a[a_at + column] * b[b_at + column];
            column += LANES;
        }
    }
    lane_sum(shared, sum)
}

/// The sum of the values of all units, halves onto each other; every unit gets it. All units of the
/// cube must take part.
#[cube]
pub(crate) fn cube_sum(shared: &mut SharedMemory<f32>, value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let steps = comptime!(UNITS.ilog2());
    #[unroll]
    for step in 0..steps {
        let half = comptime!(UNITS as usize >> (step + 1));
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
    }
    let sum = shared[0];
    sync_cube();
    sum
}

/// `tanh x` that saturates instead of dividing infinities.
#[cube]
pub(crate) fn tanh(x: f32) -> f32 {
    f32::new(1.0) - f32::new(2.0) / (f32::exp(f32::new(2.0) * x) + f32::new(1.0))
}

/// `ln(1 + e^x)`: the exponential's argument is never positive.
#[cube]
pub(crate) fn softplus(x: f32) -> f32 {
    let t = f32::exp(-f32::abs(x));
    f32::max(x, f32::new(0.0)) + f32::log1p(t)
}

/// `1 / (1 + e^-x)`: the exponential's argument is never positive.
#[cube]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let t = f32::exp(-f32::abs(x));
    let mut top = t;
    if x >= f32::new(0.0) {
        top = f32::new(1.0);
    }
    top / (f32::new(1.0) + t)
}

/// Copies elements from one place to another.
#[cube(launch_unchecked)]
pub(crate) fn copy_kernel(from: &Array<f32>, to: &mut Array<f32>, from_at: u32, to_at: u32, n: u32) {
    let at = ABSOLUTE_POS;
    if at < n as usize {
        to[to_at as usize + at] = from[from_at as usize + at];
    }
}

/// Copies words, whatever they mean.
#[cube(launch_unchecked)]
pub(crate) fn copy_words_kernel(from: &Array<u32>, to: &mut Array<u32>) {
    let at = ABSOLUTE_POS;
    if at < to.len() {
        to[at] = from[at];
    }
}

/// Adds partial results in their order: `to[to_at + i] = sum over p of partials[p * width + i]`.
#[cube(launch_unchecked)]
pub(crate) fn sum_partials_kernel(partials: &Array<f32>, to: &mut Array<f32>, to_at: u32, width: u32, n_partials: u32) {
    let at = ABSOLUTE_POS;
    let width = width as usize;
    if at < width {
        let mut sum = f32::new(0.0);
        for partial in 0..n_partials as usize {
            sum += partials[partial * width + at];
        }
        to[to_at as usize + at] = sum;
    }
}
