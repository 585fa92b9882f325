//! Attention with a small network on a GPU: one unit for each pair of positions, or for each number
//! of a result. The sigmoids are computed again backward.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::LocalAttention;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, sum_of_rows};
use crate::burn_bridge::pairs::PairWeights;
use crate::gpu::cubes::sigmoid;
use crate::gpu::{Gpu, cubes_for, launch};

/// The logit of each row and each position up to it.
#[cube(launch_unchecked)]
fn logits_kernel(
    p: &Array<f32>,
    q: &Array<f32>,
    v: &Array<f32>,
    places: &Array<u32>,
    weights: &mut Array<f32>,
    rows: u32,
    longest: u32,
) {
    let at = ABSOLUTE_POS;
    let longest = longest as usize;
    if at < rows as usize * longest {
        let (row, j) = (at / longest, at % longest);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        if first + j <= row {
            let width = v.len();
            let mut sum = f32::new(0.0);
            for c in 0..width {
                sum += v[c] * sigmoid(p[(first + j) * width + c] + q[row * width + c]);
            }
            let own = places[row * 3 + 2] as usize + (row - first) * n;
            weights[own + j] = sum;
        }
    }
}

/// Logits to their softmax, row by row.
#[cube(launch_unchecked)]
fn softmax_kernel(places: &Array<u32>, weights: &mut Array<f32>, rows: u32) {
    let row = ABSOLUTE_POS;
    if row < rows as usize {
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (row - first) * n;
        let end = row - first + 1;
        let mut largest = f32::new(-3.0e38);
        for j in 0..end {
            largest = f32::max(largest, weights[own + j]);
        }
        let mut sum = f32::new(0.0);
        for j in 0..end {
            let share = f32::exp(weights[own + j] - largest);
            weights[own + j] = share;
            sum += share;
        }
        for j in 0..end {
            weights[own + j] /= sum;
        }
    }
}

/// `y_t`, number by number.
#[cube(launch_unchecked)]
fn means_kernel(h: &Array<f32>, places: &Array<u32>, weights: &Array<f32>, y: &mut Array<f32>, columns: u32) {
    let at = ABSOLUTE_POS;
    let columns = columns as usize;
    if at < y.len() {
        let (row, column) = (at / columns, at % columns);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (row - first) * n;
        let mut sum = f32::new(0.0);
        for j in 0..row - first + 1 {
            sum += weights[own + j] * h[(first + j) * columns + column];
        }
        y[at] = sum;
    }
}

/// `da` of each row and each position up to it.
#[cube(launch_unchecked)]
fn d_weights_kernel(
    h: &Array<f32>,
    places: &Array<u32>,
    gradient: &Array<f32>,
    d: &mut Array<f32>,
    rows: u32,
    longest: u32,
    columns: u32,
) {
    let at = ABSOLUTE_POS;
    let (longest, columns) = (longest as usize, columns as usize);
    if at < rows as usize * longest {
        let (row, j) = (at / longest, at % longest);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        if first + j <= row {
            let mut sum = f32::new(0.0);
            for c in 0..columns {
                sum += gradient[row * columns + c] * h[(first + j) * columns + c];
            }
            let own = places[row * 3 + 2] as usize + (row - first) * n;
            d[own + j] = sum;
        }
    }
}

/// `da` to the gradient of the logits of a softmax, row by row.
#[cube(launch_unchecked)]
fn d_softmax_kernel(places: &Array<u32>, weights: &Array<f32>, d: &mut Array<f32>, rows: u32) {
    let row = ABSOLUTE_POS;
    if row < rows as usize {
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (row - first) * n;
        let end = row - first + 1;
        let mut mean = f32::new(0.0);
        for j in 0..end {
            mean += weights[own + j] * d[own + j];
        }
        for j in 0..end {
            d[own + j] = weights[own + j] * (d[own + j] - mean);
        }
    }
}

/// The gradients of `p` and `q`, number by number, and in `d_v` what each row gives to that of `v`.
#[cube(launch_unchecked)]
fn d_network_kernel(
    p: &Array<f32>,
    q: &Array<f32>,
    v: &Array<f32>,
    places: &Array<u32>,
    d: &Array<f32>,
    d_p: &mut Array<f32>,
    d_q: &mut Array<f32>,
    d_v: &mut Array<f32>,
) {
    let at = ABSOLUTE_POS;
    if at < d_p.len() {
        let width = v.len();
        let (row, c) = (at / width, at % width);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let of_sequence = places[row * 3 + 2] as usize;
        let place = row - first;
        let one = f32::new(1.0);
        let mut along = f32::new(0.0);
        let mut asked = f32::new(0.0);
        for j in 0..place + 1 {
            let s = sigmoid(p[(first + j) * width + c] + q[at]);
            let d_logit = d[of_sequence + place * n + j];
            along += d_logit * s;
            asked += d_logit * v[c] * s * (one - s);
        }
        let mut met = f32::new(0.0);
        for t in place..n {
            let s = sigmoid(p[at] + q[(first + t) * width + c]);
            met += d[of_sequence + t * n + place] * v[c] * s * (one - s);
        }
        d_p[at] = met;
        d_q[at] = asked;
        d_v[at] = along;
    }
}

/// `dh_j`, number by number.
#[cube(launch_unchecked)]
fn d_rows_kernel(gradient: &Array<f32>, places: &Array<u32>, weights: &Array<f32>, d_h: &mut Array<f32>, columns: u32) {
    let at = ABSOLUTE_POS;
    let columns = columns as usize;
    if at < d_h.len() {
        let (row, column) = (at / columns, at % columns);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let of_sequence = places[row * 3 + 2] as usize;
        let place = row - first;
        let mut sum = f32::new(0.0);
        for t in place..n {
            sum += weights[of_sequence + t * n + place] * gradient[(first + t) * columns + column];
        }
        d_h[at] = sum;
    }
}

impl LocalAttention {
    fn longest(&self) -> usize {
        self.sequences.ranges().map(|range| range.len()).max().unwrap_or(0)
    }
}

impl Passes<4> for LocalAttention {
    type Kept = PairWeights;

    fn forward_on(&self, gpu: &Gpu, [p, q, v, h]: [Rows<'_>; 4]) -> Made<PairWeights> {
        let (rows, longest) = (h.rows, self.longest());
        let kept = PairWeights::empty(gpu, &self.sequences, 1);
        let y = empty(gpu, h.values.len());
        // SAFETY: the kernels stay below the numbers of pairs, rows and results; `places` has three
        // numbers for each row, all within the rows of its own sequence and its weights;
        // `local_attention` checked the shapes.
        unsafe {
            launch!(
                gpu,
                cubes_for(rows * longest),
                logits_kernel,
                p.values.argument(),
                q.values.argument(),
                v.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                rows as u32,
                longest as u32
            );
            if self.normalised {
                launch!(
                    gpu,
                    cubes_for(rows),
                    softmax_kernel,
                    kept.places.argument(),
                    kept.weights.argument(),
                    rows as u32
                );
            }
            launch!(
                gpu,
                cubes_for(y.len()),
                means_kernel,
                h.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                y.argument(),
                h.columns as u32
            );
        }
        Made { values: y, columns: h.columns, kept }
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [p, q, v, h]: [Rows<'_>; 4],
        kept: &PairWeights,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 4] {
        let (rows, longest) = (h.rows, self.longest());
        let (d, d_h) = (empty(gpu, kept.weights.len()), empty(gpu, h.values.len()));
        let [d_p, d_q, d_v] = [0; 3].map(|_| empty(gpu, p.values.len()));
        // SAFETY: as in the forward pass; the gradient is as large as `h`, and the three results of
        // the network as large as `p`.
        unsafe {
            launch!(
                gpu,
                cubes_for(rows * longest),
                d_weights_kernel,
                h.values.argument(),
                kept.places.argument(),
                gradient.values.argument(),
                d.argument(),
                rows as u32,
                longest as u32,
                h.columns as u32
            );
            if self.normalised {
                launch!(
                    gpu,
                    cubes_for(rows),
                    d_softmax_kernel,
                    kept.places.argument(),
                    kept.weights.argument(),
                    d.argument(),
                    rows as u32
                );
            }
            launch!(
                gpu,
                cubes_for(p.values.len()),
                d_network_kernel,
                p.values.argument(),
                q.values.argument(),
                v.values.argument(),
                kept.places.argument(),
                d.argument(),
                d_p.argument(),
                d_q.argument(),
                d_v.argument()
            );
            launch!(
                gpu,
                cubes_for(d_h.len()),
                d_rows_kernel,
                gradient.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                d_h.argument(),
                h.columns as u32
            );
        }
        let d_v = sum_of_rows(gpu, &d_v, rows, p.columns);
        [d_p, d_q, d_v, d_h]
    }
}
