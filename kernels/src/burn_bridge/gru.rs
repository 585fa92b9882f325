//! A recurrent layer of gated units over each sequence, from a state of zeros:
//! `r = s(x_r + U_r h)`, `z = s(x_z + U_z h)`, `n = tanh(x_n + r (U_n h))`, `h' = (1 - z) n + z h`,
//! `s` being the sigmoid; `x` is what the layer below makes of the inputs, all positions at once.
//!
//! Sequences are taken in groups, the longest first: the ones that still run at a step are one
//! matrix, so that a step is one product. Backward from the last step, `d` being the gradient of
//! `h'`: `dn = d (1 - z) (1 - n^2)`, `dz = d (h - n) z (1 - z)`, `dr = dn (U_n h) r (1 - r)`; the
//! state before gets `d z + [dr, dz, r dn] U^T`, and `U` gets `h^T [dr, dz, r dn]`.
//!
//! # Source
//! Cho et al., *Learning Phrase Representations using RNN Encoder-Decoder*, EMNLP 2014, in the form
//! of PyTorch's `GRU` (the reset gate is applied after the product, the gates stand in the order
//! reset, update, new), without its biases.

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};
use super::sequences::Sequences;
use crate::elementary::{softplus_sigmoid, tanh};
use crate::tile::{Left, Panels, ROW_BLOCK, Store, product};

mod cell;
#[cfg(feature = "gpu")]
pub(super) mod gpu;

pub use cell::gru_cell;

/// Sequences that run side by side.
const GROUP: usize = 32;
/// Numbers that the backward pass needs of each unit at each position: both gates, the new state,
/// and what the state before made of it.
const SAVED: usize = 4;

#[derive(Debug, Clone)]
struct Gru {
    sequences: Sequences,
}

/// Some sequences, and their rows in the arrays of a call.
struct Group<'a> {
    /// Rows of each sequence, the longest first.
    ranges: Vec<std::ops::Range<usize>>,
    /// The first row of the group.
    first: usize,
    /// What is written for each row, and more of it.
    rows: &'a mut [f32],
    more: &'a mut [f32],
}

impl Group<'_> {
    /// Number of sequences that have a step `t`.
    fn n_running(&self, t: usize) -> usize {
        self.ranges.partition_point(|range| range.len() > t)
    }

    fn n_steps(&self) -> usize {
        self.ranges.first().map_or(0, ExactSizeIterator::len)
    }
}

/// One position: `x` and `u` are `[r, z, n]` from below and from the state before; `state` becomes
/// the new state.
#[inline(always)]
fn cell_body<const FUSED: bool>(x: &[f32], u: &[f32], state: &mut [f32], saved: &mut [f32]) {
    let width = state.len();
    let ([x_r, x_z, x_n], [u_r, u_z, u_n]) = (thirds(x, width), thirds(u, width));
    let (gates, rest) = saved.split_at_mut(2 * width);
    let ((s_r, s_z), (s_n, s_u)) = (gates.split_at_mut(width), rest.split_at_mut(width));
    for j in 0..width {
        let r = softplus_sigmoid::<FUSED>(x_r[j] + u_r[j]).1;
        let z = softplus_sigmoid::<FUSED>(x_z[j] + u_z[j]).1;
        let n = tanh::<FUSED>(x_n[j] + r * u_n[j]);
        (s_r[j], s_z[j], s_n[j], s_u[j]) = (r, z, n, u_n[j]);
        state[j] = (1.0 - z) * n + z * state[j];
    }
}

/// One position backward. `d` is the gradient of the new state and becomes the part of the gradient
/// of the one before that passes the update gate; `d_u` and `d_x` become the gradients of
/// `[r, z, n]` from the state before and from below.
#[inline(always)]
fn cell_gradient_body<const FUSED: bool>(
    saved: &[f32],
    before: &[f32],
    d: &mut [f32],
    d_x: &mut [f32],
    d_u: &mut [f32],
) {
    let width = d.len();
    let (gates, rest) = saved.split_at(2 * width);
    let ((s_r, s_z), (s_n, s_u)) = (gates.split_at(width), rest.split_at(width));
    for j in 0..width {
        let (r, z, n, u) = (s_r[j], s_z[j], s_n[j], s_u[j]);
        let d_n = d[j] * (1.0 - z) * (1.0 - n * n);
        let d_z = d[j] * (before[j] - n) * z * (1.0 - z);
        let d_r = d_n * u * r * (1.0 - r);
        (d_x[j], d_x[width + j], d_x[2 * width + j]) = (d_r, d_z, d_n);
        (d_u[j], d_u[width + j], d_u[2 * width + j]) = (d_r, d_z, d_n * r);
        d[j] *= z;
    }
}

fn thirds(values: &[f32], width: usize) -> [&[f32]; 3] {
    [&values[..width], &values[width..2 * width], &values[2 * width..3 * width]]
}

crate::dispatch! { fn cell(x: &[f32], u: &[f32], state: &mut [f32], saved: &mut [f32]) = cell_body }
crate::dispatch! {
    fn cell_gradient(saved: &[f32], before: &[f32], d: &mut [f32], d_x: &mut [f32], d_u: &mut [f32]) = cell_gradient_body
}

impl Gru {
    /// The groups, each with its rows of two arrays whose rows are `widths` wide.
    fn groups<'a>(&self, mut rows: &'a mut [f32], mut more: &'a mut [f32], widths: [usize; 2]) -> Vec<Group<'a>> {
        let all: Vec<_> = self.sequences.ranges().collect();
        let group = |ranges: &[std::ops::Range<usize>]| {
            let (first, end) = (ranges[0].start, ranges[ranges.len() - 1].end);
            let (own, later) = std::mem::take(&mut rows).split_at_mut((end - first) * widths[0]);
            rows = later;
            let (own_more, later) = std::mem::take(&mut more).split_at_mut((end - first) * widths[1]);
            more = later;
            let mut ranges = ranges.to_vec();
            ranges.sort_by_key(|range| std::cmp::Reverse(range.len()));
            Group { ranges, first, rows: own, more: own_more }
        };
        all.chunks(GROUP).map(group).collect()
    }
}

impl Op<2> for Gru {
    type Saved = Arc<Vec<f32>>;

    fn forward(&self, [x, u]: [Matrix<'_>; 2]) -> Output<Self::Saved> {
        let width = u.rows;
        let mut panels = Panels::default();
        panels.pack_rows(u.values, width, 3 * width);
        let (mut states, mut saved) = (vec![0.0; x.rows * width], vec![0.0; x.rows * SAVED * width]);
        let groups = self.groups(&mut states, &mut saved, [width, SAVED * width]);
        groups.into_par_iter().for_each(|group| {
            let mut current = vec![0.0; group.ranges.len() * width];
            let mut from_states = vec![0.0; group.ranges.len() * 3 * width];
            for t in 0..group.n_steps() {
                let n = group.n_running(t);
                let (left, out) = (Left::rows(&current[..n * width], n, width), &mut from_states[..n * 3 * width]);
                product(left, panels.part(0, width), ROW_BLOCK, Store::Overwrite, out, 3 * width);
                for (s, range) in group.ranges[..n].iter().enumerate() {
                    let (row, own) = (range.start + t, range.start + t - group.first);
                    let state = &mut current[s * width..(s + 1) * width];
                    let saved = &mut group.more[own * SAVED * width..(own + 1) * SAVED * width];
                    let x = &x.values[row * 3 * width..(row + 1) * 3 * width];
                    cell(x, &from_states[s * 3 * width..(s + 1) * 3 * width], state, saved);
                    group.rows[own * width..(own + 1) * width].copy_from_slice(state);
                }
            }
        });
        // The backward pass reads the states too.
        saved.extend_from_slice(&states);
        Output { values: states, columns: width, saved: Arc::new(saved) }
    }

    fn backward(&self, [x, u]: [Matrix<'_>; 2], saved: &Self::Saved, gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        let width = u.rows;
        let (saved, states) = saved.split_at(x.rows * SAVED * width);
        let mut panels = Panels::default();
        panels.pack_columns(u.values, 3 * width, width);
        let (mut d_x, mut d_u) = (vec![0.0; x.values.len()], vec![0.0; x.values.len()]);
        let zeros = vec![0.0; width];
        let groups = self.groups(&mut d_x, &mut d_u, [3 * width; 2]);
        groups.into_par_iter().for_each(|group| {
            let mut d = vec![0.0; group.ranges.len() * width];
            let mut d_from = vec![0.0; group.ranges.len() * 3 * width];
            for t in (0..group.n_steps()).rev() {
                let n = group.n_running(t);
                for (s, range) in group.ranges[..n].iter().enumerate() {
                    let (row, own) = (range.start + t, range.start + t - group.first);
                    let d = &mut d[s * width..(s + 1) * width];
                    d.iter_mut().zip(&gradient.values[row * width..]).for_each(|(d, g)| *d += g);
                    let before = if t == 0 { &zeros[..] } else { &states[(row - 1) * width..row * width] };
                    let saved = &saved[row * SAVED * width..(row + 1) * SAVED * width];
                    let d_x = &mut group.rows[own * 3 * width..(own + 1) * 3 * width];
                    let d_u = &mut d_from[s * 3 * width..(s + 1) * 3 * width];
                    cell_gradient(saved, before, d, d_x, d_u);
                    group.more[own * 3 * width..(own + 1) * 3 * width].copy_from_slice(d_u);
                }
                if t > 0 {
                    let left = Left::rows(&d_from[..n * 3 * width], n, 3 * width);
                    product(left, panels.part(0, 3 * width), ROW_BLOCK, Store::Add, &mut d[..n * width], width);
                }
            }
        });
        [d_x, self.weight_gradient(states, &d_u, width)]
    }
}

impl Gru {
    /// `sum over rows of (state before)^T d_u`, over chunks of rows in their order.
    fn weight_gradient(&self, states: &[f32], d_u: &[f32], width: usize) -> Vec<f32> {
        // The states one row later; a first row has none before it.
        let mut before = vec![0.0; states.len()];
        for range in self.sequences.ranges().filter(|range| range.len() > 1) {
            let (from, to) = (range.start * width, (range.end - 1) * width);
            before[from + width..to + width].copy_from_slice(&states[from..to]);
        }
        let chunks = before.par_chunks(ROWS_PER_TASK * width).zip(d_u.par_chunks(ROWS_PER_TASK * 3 * width));
        let parts: Vec<Vec<f32>> = chunks
            .map_init(Panels::default, |right, (before, d_u)| {
                let n = before.len() / width;
                right.pack_rows(d_u, n, 3 * width);
                let mut part = vec![0.0; width * 3 * width];
                let left = Left::transposed(before, width, width);
                product(left, right.part(0, n), ROW_BLOCK, Store::Overwrite, &mut part, 3 * width);
                part
            })
            .collect();
        let mut sum = vec![0.0; width * 3 * width];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }
}

/// The state after each position of each sequence.
///
/// # Shapes
/// - `x`: `[rows, 3 width]`, reset, update, new; `u`: `[width, 3 width]`; returns `[rows, width]`
pub fn gru<B: OpBackend>(x: Tensor<B, 2>, u: Tensor<B, 2>, sequences: &Sequences) -> Tensor<B, 2> {
    let ([rows, columns], [width, gates]) = (x.dims(), u.dims());
    assert!(width > 0 && columns == 3 * width && gates == columns, "gru: each unit should have three columns");
    assert_eq!(rows, sequences.n_rows(), "gru: rows should be those of the sequences");
    apply(&Gru { sequences: sequences.clone() }, [x, u])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads, run};
    use crate::testing::numbers;

    fn plain(op: &Gru, x: &[f64], u: &[f64], width: usize) -> Vec<f64> {
        let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
        let mut states = vec![0.0; x.len() / 3];
        for range in op.sequences.ranges() {
            let mut state = vec![0.0; width];
            for row in range {
                let from_state = |column: usize| -> f64 {
                    state.iter().enumerate().map(|(k, h)| h * u[k * 3 * width + column]).sum()
                };
                let next = (0..width).map(|j| {
                    let x = |gate: usize| x[row * 3 * width + gate * width + j];
                    let r = sigmoid(x(0) + from_state(j));
                    let z = sigmoid(x(1) + from_state(width + j));
                    let n = (x(2) + r * from_state(2 * width + j)).tanh();
                    (1.0 - z) * n + z * state[j]
                });
                state = next.collect();
                states[row * width..(row + 1) * width].copy_from_slice(&state);
            }
        }
        states
    }

    /// Nine steps of smooth functions of sums of 7 products below 1.
    #[test]
    fn value_and_gradient_match_the_formula() {
        for (starts, width) in [(vec![0, 3, 3, 4, 13, 17], 5), (vec![0, 2], 1), ((0..40).map(|s| 2 * s).collect(), 7)] {
            let op = Gru { sequences: Sequences::new(starts) };
            let shapes = [(op.sequences.n_rows(), 3 * width), (width, 3 * width)];
            check_against(&op, shapes, 2e-5, |inputs| plain(&op, &inputs[0], &inputs[1], width));
        }
    }

    #[test]
    fn a_sequence_is_answered_as_it_is_alone_and_threads_change_nothing() {
        let mut starts = vec![0];
        (0..70).for_each(|s| starts.push(starts[s] + (s as u32 * 7) % 12));
        let op = Gru { sequences: Sequences::new(starts.clone()) };
        let (rows, width) = (op.sequences.n_rows(), 17);
        check_threads(&op, [(rows, 3 * width), (width, 3 * width)]);
        let (x, u) = (numbers(1, rows * 3 * width), numbers(2, width * 3 * width));
        let together = run(&op, &[x.clone(), u.clone()], [(rows, 3 * width), (width, 3 * width)]);
        for range in op.sequences.ranges().filter(|range| !range.is_empty()) {
            let alone = Gru { sequences: Sequences::new(vec![0, range.len() as u32]) };
            let own = x[range.start * 3 * width..range.end * 3 * width].to_vec();
            let one = run(&alone, &[own, u.clone()], [(range.len(), 3 * width), (width, 3 * width)]);
            assert_eq!(one[0], together[0][range.start * width..range.end * width]);
        }
    }
}
