//! Attention on a GPU: one unit per row and head for the weights, one per number for what they are
//! multiplied with. The weights lie as on the processor.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::Attention;
use crate::Buffer;
use crate::burn_bridge::drop::gpu::factor;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty};
use crate::burn_bridge::pairs::PairWeights;
use crate::gpu::{Gpu, cubes_for, launch};

/// `a_i` of a row and a head.
#[cube(launch_unchecked)]
fn weights_kernel(
    qkv: &Array<f32>,
    places: &Array<u32>,
    weights: &mut Array<f32>,
    rows: u32,
    heads: u32,
    width: u32,
    scale: f32,
    #[comptime] causal: bool,
) {
    let at = ABSOLUTE_POS;
    let (heads, width) = (heads as usize, width as usize);
    if at < rows as usize * heads {
        let (row, head) = (at / heads, at % heads);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (head * n + row - first) * n;
        let dim = heads * width;
        let mut end = n;
        if comptime!(causal) {
            end = row - first + 1;
        }
        let mut largest = f32::new(-3.0e38);
        for j in 0..end {
            let (q, k) = (row * 3 * dim + head * width, ((first + j) * 3 + 1) * dim + head * width);
            let mut score = f32::new(0.0);
            for c in 0..width {
                score += qkv[q + c] * qkv[k + c];
            }
            weights[own + j] = score;
            largest = f32::max(largest, score);
        }
        let mut sum = f32::new(0.0);
        for j in 0..end {
            let share = f32::exp((weights[own + j] - largest) * scale);
            weights[own + j] = share;
            sum += share;
        }
        for j in 0..end {
            weights[own + j] /= sum;
        }
        for j in end..n {
            weights[own + j] = f32::new(0.0);
        }
    }
}

/// `y_i`, number by number.
#[cube(launch_unchecked)]
fn means_kernel(
    qkv: &Array<f32>,
    places: &Array<u32>,
    weights: &Array<f32>,
    y: &mut Array<f32>,
    heads: u32,
    width: u32,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] causal: bool,
    #[comptime] dropped: bool,
) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        let width = width as usize;
        let dim = heads as usize * width;
        let (row, column) = (at / dim, at % dim);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (column / width * n + row - first) * n;
        let mut end = n;
        if comptime!(causal) {
            end = row - first + 1;
        }
        let mut sum = f32::new(0.0);
        for j in 0..end {
            let mut weight = weights[own + j];
            if comptime!(dropped) {
                weight *= factor((own + j) as u32, first_key, second_key, kept_below, scale);
            }
            sum += weight * qkv[((first + j) * 3 + 2) * dim + column];
        }
        y[at] = sum;
    }
}

/// `dS` of a row and a head.
#[cube(launch_unchecked)]
fn d_weights_kernel(
    qkv: &Array<f32>,
    places: &Array<u32>,
    weights: &Array<f32>,
    gradient: &Array<f32>,
    d_scores: &mut Array<f32>,
    rows: u32,
    heads: u32,
    width: u32,
    root: f32,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] dropped: bool,
) {
    let at = ABSOLUTE_POS;
    let (heads, width) = (heads as usize, width as usize);
    if at < rows as usize * heads {
        let (row, head) = (at / heads, at % heads);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let own = places[row * 3 + 2] as usize + (head * n + row - first) * n;
        let dim = heads * width;
        let mut mean = f32::new(0.0);
        for j in 0..n {
            let (y, v) = (row * dim + head * width, ((first + j) * 3 + 2) * dim + head * width);
            let mut d = f32::new(0.0);
            for c in 0..width {
                d += gradient[y + c] * qkv[v + c];
            }
            if comptime!(dropped) {
                d *= factor((own + j) as u32, first_key, second_key, kept_below, scale);
            }
            d_scores[own + j] = d;
            mean += weights[own + j] * d;
        }
        for j in 0..n {
            d_scores[own + j] = weights[own + j] * (d_scores[own + j] - mean) * root;
        }
    }
}

/// `dQ`, `dK` and `dV`, number by number. Weights of what a row does not see are 0, and so are
/// their gradients.
#[cube(launch_unchecked)]
fn d_qkv_kernel(
    qkv: &Array<f32>,
    places: &Array<u32>,
    weights: &Array<f32>,
    d_scores: &Array<f32>,
    gradient: &Array<f32>,
    d_qkv: &mut Array<f32>,
    heads: u32,
    width: u32,
    first_key: u32,
    second_key: u32,
    kept_below: u32,
    scale: f32,
    #[comptime] dropped: bool,
) {
    let at = ABSOLUTE_POS;
    if at < d_qkv.len() {
        let width = width as usize;
        let dim = heads as usize * width;
        let (row, part, column) = (at / (3 * dim), at / dim % 3, at % dim);
        let (first, n) = (places[row * 3] as usize, places[row * 3 + 1] as usize);
        let of_head = places[row * 3 + 2] as usize + column / width * n * n;
        let mut sum = f32::new(0.0);
        for other in 0..n {
            let (from, to) = (of_head + (row - first) * n + other, of_head + other * n + row - first);
            if part == 0 {
                sum += d_scores[from] * qkv[((first + other) * 3 + 1) * dim + column];
            } else if part == 1 {
                sum += d_scores[to] * qkv[(first + other) * 3 * dim + column];
            } else {
                let mut weight = weights[to];
                if comptime!(dropped) {
                    weight *= factor(to as u32, first_key, second_key, kept_below, scale);
                }
                sum += weight * gradient[(first + other) * dim + column];
            }
        }
        d_qkv[at] = sum;
    }
}

impl Attention {
    fn root(&self, columns: usize) -> f32 {
        1.0 / ((columns / 3 / self.heads) as f32).sqrt()
    }
}

impl Passes<1> for Attention {
    type Kept = PairWeights;

    fn forward_on(&self, gpu: &Gpu, [qkv]: [Rows<'_>; 1]) -> Made<PairWeights> {
        let (rows, dim, heads) = (qkv.rows, qkv.columns / 3, self.heads);
        let kept = PairWeights::empty(gpu, &self.sequences, heads);
        let y = empty(gpu, rows * dim);
        let (first_key, second_key, kept_below, scale) = self.drop.parts();
        // SAFETY: the kernels stay below the numbers of rows and results; `places` has three
        // numbers for each row, all within the rows of its own sequence and its weights.
        unsafe {
            launch!(
                gpu,
                cubes_for(rows * heads),
                weights_kernel,
                qkv.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                rows as u32,
                heads as u32,
                (dim / heads) as u32,
                self.root(qkv.columns),
                self.causal
            );
            launch!(
                gpu,
                cubes_for(y.len()),
                means_kernel,
                qkv.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                y.argument(),
                heads as u32,
                (dim / heads) as u32,
                first_key,
                second_key,
                kept_below,
                scale,
                self.causal,
                !self.drop.is_nothing()
            );
        }
        Made { values: y, columns: dim, kept }
    }

    fn backward_on(&self, gpu: &Gpu, [qkv]: [Rows<'_>; 1], kept: &PairWeights, gradient: Rows<'_>) -> [Buffer<f32>; 1] {
        let (rows, dim, heads) = (qkv.rows, qkv.columns / 3, self.heads);
        let (d_scores, d_qkv) = (empty(gpu, kept.weights.len()), empty(gpu, qkv.values.len()));
        let (first_key, second_key, kept_below, scale) = self.drop.parts();
        // SAFETY: as in the forward pass; the gradient has as many numbers as the result.
        unsafe {
            launch!(
                gpu,
                cubes_for(rows * heads),
                d_weights_kernel,
                qkv.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                gradient.values.argument(),
                d_scores.argument(),
                rows as u32,
                heads as u32,
                (dim / heads) as u32,
                self.root(qkv.columns),
                first_key,
                second_key,
                kept_below,
                scale,
                !self.drop.is_nothing()
            );
            launch!(
                gpu,
                cubes_for(d_qkv.len()),
                d_qkv_kernel,
                qkv.values.argument(),
                kept.places.argument(),
                kept.weights.argument(),
                d_scores.argument(),
                gradient.values.argument(),
                d_qkv.argument(),
                heads as u32,
                (dim / heads) as u32,
                first_key,
                second_key,
                kept_below,
                scale,
                !self.drop.is_nothing()
            );
        }
        [d_qkv]
    }
}
