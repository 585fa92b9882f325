//! Layer normalisation of a sum: `y = g (z - mean z) / sqrt(var z + epsilon) + b` over each row of
//! `z = residual + dropout(x)`.
//!
//! Backward, with `n = (z - mean z) r`, `r = 1 / sqrt(var z + epsilon)` and `u = dy g`:
//! `dz = r (u - mean u - n mean(u n))`.
//!
//! # Source
//! Ba et al., *Layer Normalization*, 2016; the sum and the dropout before it are those of Vaswani
//! et al., NIPS 2017.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::drop::{Drop, drop_all};
use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};
use crate::simd::block_sum;

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct ResidualNorm {
    drop: Drop,
    epsilon: f32,
}

/// The sum of `f` over the places of a row: 16 lanes, then one tree.
#[inline(always)]
fn sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0; 16];
    for block in 0..n / 16 {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(block * 16 + lane);
        }
    }
    for (lane, at) in (n / 16 * 16..n).enumerate() {
        lanes[lane] += f(at);
    }
    block_sum(&lanes)
}

/// Turns rows of `z` into normalised rows; answers `r` for each.
#[inline(always)]
fn normalize_body<const FUSED: bool>(z: &mut [f32], columns: usize, epsilon: f32, roots: &mut [f32]) {
    let n = columns as f32;
    for (row, root) in z.chunks_exact_mut(columns).zip(roots) {
        let mean = sum(columns, |at| row[at]) / n;
        row.iter_mut().for_each(|z| *z -= mean);
        *root = 1.0 / (sum(columns, |at| row[at] * row[at]) / n + epsilon).sqrt();
        row.iter_mut().for_each(|z| *z *= *root);
    }
}

/// From normalised rows and `dy` (in `d`) to `dz` (in `d`), the gradients of `g` and `b` being
/// added up.
#[inline(always)]
fn backward_body<const FUSED: bool>(
    normal: &[f32],
    roots: &[f32],
    gain: &[f32],
    d: &mut [f32],
    d_gain: &mut [f32],
    d_bias: &mut [f32],
) {
    let columns = gain.len();
    for ((normal, d), root) in normal.chunks_exact(columns).zip(d.chunks_exact_mut(columns)).zip(roots) {
        for at in 0..columns {
            d_bias[at] += d[at];
            d_gain[at] += d[at] * normal[at];
            d[at] *= gain[at];
        }
        let mean = sum(columns, |at| d[at]) / columns as f32;
        let along = sum(columns, |at| d[at] * normal[at]) / columns as f32;
        for at in 0..columns {
            d[at] = root * (d[at] - mean - normal[at] * along);
        }
    }
}

crate::dispatch! { fn normalize(z: &mut [f32], columns: usize, epsilon: f32, roots: &mut [f32]) = normalize_body }
crate::dispatch! {
    fn backward(normal: &[f32], roots: &[f32], gain: &[f32], d: &mut [f32], d_gain: &mut [f32], d_bias: &mut [f32]) = backward_body
}

impl ResidualNorm {
    /// `z` for the rows of a task.
    fn summed(&self, x: Matrix<'_>, residual: Option<Matrix<'_>>, first: usize, z: &mut [f32]) {
        z.copy_from_slice(&x.values[first..first + z.len()]);
        if !self.drop.is_nothing() {
            drop_all(self.drop, first, z);
        }
        if let Some(residual) = residual {
            z.iter_mut().zip(&residual.values[first..]).for_each(|(z, r)| *z += r);
        }
    }

    fn forward(&self, x: Matrix<'_>, residual: Option<Matrix<'_>>, gain: &[f32], bias: &[f32]) -> Output<()> {
        let columns = x.columns;
        let mut values = vec![0.0; x.values.len()];
        values.par_chunks_mut(ROWS_PER_TASK * columns).enumerate().for_each(|(task, z)| {
            self.summed(x, residual, task * ROWS_PER_TASK * columns, z);
            normalize(z, columns, self.epsilon, &mut [0.0; ROWS_PER_TASK][..z.len() / columns]);
            for row in z.chunks_exact_mut(columns) {
                row.iter_mut().zip(gain.iter().zip(bias)).for_each(|(y, (g, b))| *y = *y * g + b);
            }
        });
        Output { values, columns, saved: () }
    }

    /// The gradients of `z`, `g` and `b`.
    fn backward(
        &self,
        x: Matrix<'_>,
        residual: Option<Matrix<'_>>,
        gain: &[f32],
        gradient: Matrix<'_>,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let columns = x.columns;
        let mut d_z = gradient.values.to_vec();
        let parts: Vec<[Vec<f32>; 2]> = d_z
            .par_chunks_mut(ROWS_PER_TASK * columns)
            .enumerate()
            .map_init(Vec::new, |normal, (task, d)| {
                normal.resize(d.len(), 0.0);
                let (mut roots, n) = ([0.0; ROWS_PER_TASK], d.len() / columns);
                self.summed(x, residual, task * ROWS_PER_TASK * columns, normal);
                normalize(normal, columns, self.epsilon, &mut roots[..n]);
                let mut part = [vec![0.0; columns], vec![0.0; columns]];
                let [d_gain, d_bias] = &mut part;
                backward(normal, &roots[..n], gain, d, d_gain, d_bias);
                part
            })
            .collect();
        let (mut d_gain, mut d_bias) = (vec![0.0; columns], vec![0.0; columns]);
        for [gain, bias] in parts {
            d_gain.iter_mut().zip(gain).for_each(|(sum, part)| *sum += part);
            d_bias.iter_mut().zip(bias).for_each(|(sum, part)| *sum += part);
        }
        (d_z, d_gain, d_bias)
    }

    /// The gradient of `x` from that of `z`.
    fn through_dropout(&self, d_z: &[f32], columns: usize) -> Vec<f32> {
        let mut d_x = d_z.to_vec();
        if !self.drop.is_nothing() {
            let chunk = ROWS_PER_TASK * columns;
            d_x.par_chunks_mut(chunk).enumerate().for_each(|(task, d)| drop_all(self.drop, task * chunk, d));
        }
        d_x
    }
}

/// Without a residual.
impl Op<3> for ResidualNorm {
    type Saved = ();

    fn forward(&self, [x, gain, bias]: [Matrix<'_>; 3]) -> Output<()> {
        ResidualNorm::forward(self, x, None, gain.values, bias.values)
    }

    fn backward(&self, [x, gain, _]: [Matrix<'_>; 3], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 3] {
        let (d_z, d_gain, d_bias) = ResidualNorm::backward(self, x, None, gain.values, gradient);
        [self.through_dropout(&d_z, x.columns), d_gain, d_bias]
    }
}

/// With a residual.
impl Op<4> for ResidualNorm {
    type Saved = ();

    fn forward(&self, [x, residual, gain, bias]: [Matrix<'_>; 4]) -> Output<()> {
        ResidualNorm::forward(self, x, Some(residual), gain.values, bias.values)
    }

    fn backward(&self, [x, residual, gain, _]: [Matrix<'_>; 4], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 4] {
        let (d_z, d_gain, d_bias) = ResidualNorm::backward(self, x, Some(residual), gain.values, gradient);
        [self.through_dropout(&d_z, x.columns), d_z, d_gain, d_bias]
    }
}

/// Layer normalisation of `residual + dropout(x)`, or of `dropout(x)` alone.
///
/// # Shapes
/// - `x`, `residual`: `[rows, columns]`; `gain`, `bias`: `[1, columns]`; returns `[rows, columns]`
pub fn residual_norm<B: OpBackend>(
    x: Tensor<B, 2>,
    residual: Option<Tensor<B, 2>>,
    [gain, bias]: [Tensor<B, 2>; 2],
    epsilon: f32,
    drop: Drop,
) -> Tensor<B, 2> {
    let columns = x.dims()[1];
    assert!(columns > 0 && gain.dims() == [1, columns] && bias.dims() == [1, columns], "residual_norm: shapes differ");
    let op = ResidualNorm { drop, epsilon };
    match residual {
        Some(residual) => {
            assert_eq!(residual.dims(), x.dims(), "residual_norm: shapes differ");
            apply(&op, [x, residual, gain, bias])
        }
        None => apply(&op, [x, gain, bias]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads};

    fn plain(x: &[f64], residual: &[f64], gain: &[f64], bias: &[f64], op: &ResidualNorm) -> Vec<f64> {
        let n = gain.len();
        let mut out = Vec::new();
        for row in 0..x.len() / n {
            let z: Vec<f64> = (row * n..(row + 1) * n)
                .map(|at| x[at] * f64::from(op.drop.factor(at)) + residual.get(at).copied().unwrap_or(0.0))
                .collect();
            let mean = z.iter().sum::<f64>() / n as f64;
            let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n as f64;
            let root = (variance + f64::from(op.epsilon)).sqrt();
            out.extend(z.iter().zip(gain.iter().zip(bias)).map(|(z, (g, b))| g * (z - mean) / root + b));
        }
        out
    }

    /// Rows of spread about .6, so that `r` is near 2: rounding of 6e-8 grows to about 1e-6 at
    /// most.
    #[test]
    fn value_and_gradient_match_the_formula() {
        for drop in [Drop::NOTHING, Drop::new(0.3, 77)] {
            let op = ResidualNorm { drop, epsilon: 1e-3 };
            for columns in [2, 17, 64] {
                let rows = (5, columns);
                check_against(&op, [rows, rows, (1, columns), (1, columns)], 1e-4, |inputs| {
                    plain(&inputs[0], &inputs[1], &inputs[2], &inputs[3], &op)
                });
                if columns > 2 {
                    check_against(&op, [rows, (1, columns), (1, columns)], 1e-4, |inputs| {
                        plain(&inputs[0], &[], &inputs[1], &inputs[2], &op)
                    });
                }
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        let op = ResidualNorm { drop: Drop::new(0.5, 7), epsilon: 1e-12 };
        check_threads(&op, [(1030, 37), (1030, 37), (1, 37), (1, 37)]);
    }
}
