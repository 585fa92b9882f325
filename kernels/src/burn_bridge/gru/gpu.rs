//! A recurrent layer on a GPU: all sequences that still run at a step are one product and one
//! kernel, one unit for each number of a state.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::{Gru, SAVED};
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, indices, zeros};
use crate::gpu::cubes::{sigmoid, tanh};
use crate::gpu::tile::{Lying, deep_product, product};
use crate::gpu::{Gpu, cubes_for, launch};

/// What the backward pass needs.
#[derive(Debug)]
pub struct Kept {
    /// [`SAVED`] numbers of each unit at each position.
    pub(super) saved: Buffer<f32>,
    /// The state before each position.
    pub(super) before: Buffer<f32>,
    /// The first row of each sequence, the longest sequence first.
    pub(super) firsts: Buffer<u32>,
}

/// One position of the sequences that have it: see [`super::cell_body`].
#[cube(launch_unchecked)]
pub(super) fn cell_kernel(
    x: &Array<f32>,
    u: &Array<f32>,
    firsts: &Array<u32>,
    current: &mut Array<f32>,
    states: &mut Array<f32>,
    before: &mut Array<f32>,
    saved: &mut Array<f32>,
    step: u32,
    running: u32,
    width: u32,
) {
    let at = ABSOLUTE_POS;
    let width = width as usize;
    if at < running as usize * width {
        let (sequence, j) = (at / width, at % width);
        let row = (firsts[sequence] + step) as usize;
        let (x_at, u_at, kept) = (row * 3 * width + j, sequence * 3 * width + j, row * SAVED * width + j);
        let from_state = u[u_at + 2 * width];
        let r = sigmoid(x[x_at] + u[u_at]);
        let z = sigmoid(x[x_at + width] + u[u_at + width]);
        let n = tanh(x[x_at + 2 * width] + r * from_state);
        let h = current[at];
        saved[kept] = r;
        saved[kept + width] = z;
        saved[kept + 2 * width] = n;
        saved[kept + 3 * width] = from_state;
        before[row * width + j] = h;
        let state = (f32::new(1.0) - z) * n + z * h;
        states[row * width + j] = state;
        current[at] = state;
    }
}

/// One position backward: see [`super::cell_gradient_body`]. `carried` is what the position after
/// leaves to the state here, and becomes what this one leaves to the state before, apart from what
/// goes through the weights: `through`, of the sequences that have a position after this.
#[cube(launch_unchecked)]
pub(super) fn cell_gradient_kernel(
    gradient: &Array<f32>,
    saved: &Array<f32>,
    before: &Array<f32>,
    through: &Array<f32>,
    firsts: &Array<u32>,
    carried: &mut Array<f32>,
    d_x: &mut Array<f32>,
    d_u: &mut Array<f32>,
    d_step: &mut Array<f32>,
    step: u32,
    running: u32,
    later: u32,
    width: u32,
) {
    let at = ABSOLUTE_POS;
    let width = width as usize;
    if at < running as usize * width {
        let (sequence, j) = (at / width, at % width);
        let row = (firsts[sequence] + step) as usize;
        let mut d = gradient[row * width + j];
        if sequence < later as usize {
            d += carried[at] + through[at];
        }
        let (kept, to, own) = (row * SAVED * width + j, row * 3 * width + j, sequence * 3 * width + j);
        let (r, z, n, u) = (saved[kept], saved[kept + width], saved[kept + 2 * width], saved[kept + 3 * width]);
        let one = f32::new(1.0);
        let d_n = d * (one - z) * (one - n * n);
        let d_z = d * (before[row * width + j] - n) * z * (one - z);
        let d_r = d_n * u * r * (one - r);
        d_x[to] = d_r;
        d_x[to + width] = d_z;
        d_x[to + 2 * width] = d_n;
        d_u[to] = d_r;
        d_u[to + width] = d_z;
        d_u[to + 2 * width] = d_n * r;
        d_step[own] = d_r;
        d_step[own + width] = d_z;
        d_step[own + 2 * width] = d_n * r;
        carried[at] = d * z;
    }
}

impl Gru {
    /// The first row of each sequence and its length, the longest first.
    fn by_length(&self) -> (Vec<u32>, Vec<usize>) {
        let mut ranges: Vec<_> = self.sequences.ranges().filter(|range| !range.is_empty()).collect();
        ranges.sort_by_key(|range| std::cmp::Reverse(range.len()));
        ranges.into_iter().map(|range| (range.start as u32, range.len())).unzip()
    }
}

/// Number of sequences that have a step `t`, of lengths that fall.
fn running(lengths: &[usize], t: usize) -> usize {
    lengths.partition_point(|&length| length > t)
}

impl Passes<2> for Gru {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [x, u]: [Rows<'_>; 2]) -> Made<Kept> {
        let (rows, width) = (x.rows, u.rows);
        let (firsts, lengths) = self.by_length();
        let kept = Kept {
            saved: empty(gpu, rows * SAVED * width),
            before: empty(gpu, rows * width),
            firsts: indices(gpu, &firsts),
        };
        let (states, current) = (empty(gpu, rows * width), zeros(gpu, firsts.len() * width));
        let mut from_state = empty(gpu, firsts.len() * 3 * width);
        for t in 0..lengths.first().copied().unwrap_or(0) {
            let n = running(&lengths, t);
            let (left, right) = ((&current, Lying::rows(0, width)), (u.values, Lying::columns(0, 3 * width)));
            product(gpu, (n, 3 * width, width), left, right, None, &mut from_state);
            // SAFETY: the kernel stays below the numbers of the states that run; such a sequence
            // has a row `t` after its first one, which is a row of `x` and of the results, and a
            // row in `from_state` and `current`.
            unsafe {
                launch!(
                    gpu,
                    cubes_for(n * width),
                    cell_kernel,
                    x.values.argument(),
                    from_state.argument(),
                    kept.firsts.argument(),
                    current.argument(),
                    states.argument(),
                    kept.before.argument(),
                    kept.saved.argument(),
                    t as u32,
                    n as u32,
                    width as u32
                );
            }
        }
        Made { values: states, columns: width, kept }
    }

    fn backward_on(&self, gpu: &Gpu, [x, u]: [Rows<'_>; 2], kept: &Kept, gradient: Rows<'_>) -> [Buffer<f32>; 2] {
        let (rows, width) = (x.rows, u.rows);
        let (firsts, lengths) = self.by_length();
        let [d_x, d_u] = [0; 2].map(|_| empty(gpu, rows * 3 * width));
        let (carried, d_step) = (empty(gpu, firsts.len() * width), empty(gpu, firsts.len() * 3 * width));
        let mut through = empty(gpu, firsts.len() * width);
        for t in (0..lengths.first().copied().unwrap_or(0)).rev() {
            let (n, later) = (running(&lengths, t), running(&lengths, t + 1));
            // SAFETY: as in the forward pass; `through` and `carried` hold the sequences that have
            // a position after this one.
            unsafe {
                launch!(
                    gpu,
                    cubes_for(n * width),
                    cell_gradient_kernel,
                    gradient.values.argument(),
                    kept.saved.argument(),
                    kept.before.argument(),
                    through.argument(),
                    kept.firsts.argument(),
                    carried.argument(),
                    d_x.argument(),
                    d_u.argument(),
                    d_step.argument(),
                    t as u32,
                    n as u32,
                    later as u32,
                    width as u32
                );
            }
            let (left, right) = ((&d_step, Lying::rows(0, 3 * width)), (u.values, Lying::rows(0, 3 * width)));
            product(gpu, (n, width, 3 * width), left, right, None, &mut through);
        }
        let mut d_weights = empty(gpu, width * 3 * width);
        let (left, right) = ((&kept.before, Lying::columns(0, width)), (&d_u, Lying::columns(0, 3 * width)));
        deep_product(gpu, (width, 3 * width, rows), left, right, &mut Buffer::default(), (&mut d_weights, 0));
        [d_x, d_weights]
    }
}
