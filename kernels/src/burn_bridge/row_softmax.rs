//! The softmax of each row at a temperature: `y_j = exp(x_j / t) / sum_k exp(x_k / t)`; backward
//! `dx_j = y_j (dy_j - y . dy) / t`.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use super::row_dots::dot;
use crate::elementary::exp;
use crate::simd::{largest, replace_and_sum};

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct RowSoftmax {
    temperature: f32,
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(row: &mut [f32], temperature: f32) {
    replace_and_sum(row, |_, x| (x / temperature, 0.0));
    let most = largest(row);
    let total = replace_and_sum(row, |_, x| {
        let share = exp::<FUSED>(x - most);
        (share, share)
    });
    row.iter_mut().for_each(|share| *share /= total);
}
crate::dispatch! { fn softmax(row: &mut [f32], temperature: f32) = softmax_body }

impl Op<1> for RowSoftmax {
    type Saved = Vec<f32>;

    fn forward(&self, [x]: [Matrix<'_>; 1]) -> Output<Vec<f32>> {
        let mut values = x.values.to_vec();
        values.par_chunks_exact_mut(x.columns).for_each(|row| softmax(row, self.temperature));
        Output { saved: values.clone(), values, columns: x.columns }
    }

    fn backward(&self, [x]: [Matrix<'_>; 1], y: &Vec<f32>, gradient: Matrix<'_>) -> [Vec<f32>; 1] {
        let mut d_x = gradient.values.to_vec();
        let rows = d_x.par_chunks_exact_mut(x.columns).zip(y.par_chunks_exact(x.columns));
        rows.for_each(|(d, y)| {
            let mean = dot(d, y);
            d.iter_mut().zip(y).for_each(|(d, y)| *d = y * (*d - mean) / self.temperature);
        });
        [d_x]
    }
}

/// The softmax of each row of `x / temperature`.
pub fn row_softmax<B: OpBackend>(x: Tensor<B, 2>, temperature: f32) -> Tensor<B, 2> {
    apply(&RowSoftmax { temperature }, [x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads};

    #[test]
    fn value_and_gradient_match_the_formula() {
        for (columns, temperature) in [(1, 1.0), (13, 0.5), (35, 2.0)] {
            let op = RowSoftmax { temperature };
            check_against(&op, [(7, columns)], 1e-6, |inputs| {
                let softmax = |row: &[f64]| {
                    let shares: Vec<f64> = row.iter().map(|x| (x / f64::from(temperature)).exp()).collect();
                    let total: f64 = shares.iter().sum();
                    shares.into_iter().map(move |share| share / total).collect::<Vec<_>>()
                };
                inputs[0].chunks(columns).flat_map(softmax).collect()
            });
        }
        check_threads(&RowSoftmax { temperature: 0.7 }, [(331, 67)]);
    }
}
