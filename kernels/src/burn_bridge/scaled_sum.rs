//! A sum of two matrices, the first one times a number: `y = factor a + b`.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, apply};
use crate::parallel::ELEMENTS_PER_TASK;

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct ScaledSum(f32);

/// `to = factor to + from`, number by number.
pub(super) fn scale_and_add(to: &mut [f32], factor: f32, from: &[f32]) {
    let tasks = to.par_chunks_mut(ELEMENTS_PER_TASK).zip(from.par_chunks(ELEMENTS_PER_TASK));
    tasks.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, from)| *to = factor * *to + from));
}

impl Op<2> for ScaledSum {
    type Saved = ();

    fn forward(&self, [a, b]: [Matrix<'_>; 2]) -> Output<()> {
        let mut values = a.values.to_vec();
        scale_and_add(&mut values, self.0, b.values);
        Output { values, columns: a.columns, saved: () }
    }

    fn backward(&self, _: [Matrix<'_>; 2], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        let d_b = gradient.values.to_vec();
        let d_a = if self.0 == 1.0 { d_b.clone() } else { d_b.iter().map(|d| self.0 * d).collect() };
        [d_a, d_b]
    }
}

/// `factor a + b`.
///
/// # Shapes
/// - `a` and `b` have the same
pub fn scaled_sum<B: OpBackend>(factor: f32, a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    assert_eq!(a.dims(), b.dims(), "scaled_sum: shapes differ");
    apply(&ScaledSum(factor), [a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_gradients, check_threads, check_value};

    #[test]
    fn the_value_is_the_sum_and_the_gradient_matches_differences() {
        for factor in [1.0, -2.5] {
            let (op, shapes) = (ScaledSum(factor), [(7, 13), (7, 13)]);
            check_value(&op, shapes, 1e-6, |inputs| {
                inputs[0].iter().zip(&inputs[1]).map(|(a, b)| f64::from(factor) * a + b).collect()
            });
            check_gradients(&op, shapes, 1e-5);
            check_threads(&op, [(331, 67), (331, 67)]);
        }
    }
}
