//! Inner products of the rows of two matrices: `y_i = a_i . b_i`.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};
use crate::simd::dot_blocks;

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct RowDots;

#[inline(always)]
fn dot_body<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    dot_blocks::<FUSED>(a, b)
}
crate::dispatch! {
    /// The inner product of two rows.
    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body
}

impl Op<2> for RowDots {
    type Saved = ();

    fn forward(&self, [a, b]: [Matrix<'_>; 2]) -> Output<()> {
        let rows = a.values.par_chunks_exact(a.columns).zip(b.values.par_chunks_exact(a.columns));
        let values = rows.with_min_len(ROWS_PER_TASK).map(|(a, b)| dot(a, b)).collect();
        Output { values, columns: 1, saved: () }
    }

    fn backward(&self, inputs: [Matrix<'_>; 2], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        let mut gradients = inputs.map(|input| input.values.to_vec());
        // Each gets the rows of the other.
        gradients.reverse();
        for values in &mut gradients {
            let rows = values.par_chunks_exact_mut(inputs[0].columns).zip(gradient.values);
            rows.with_min_len(ROWS_PER_TASK).for_each(|(row, d)| row.iter_mut().for_each(|value| *value *= d));
        }
        gradients
    }
}

/// The inner product of each row of `a` with that of `b`.
///
/// # Shapes
/// - `a` and `b` have the same, `[rows, columns]`; returns `[rows, 1]`
pub fn row_dots<B: OpBackend>(a: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    assert_eq!(a.dims(), b.dims(), "row_dots: shapes differ");
    apply(&RowDots, [a, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_gradients, check_threads, check_value};

    #[test]
    fn the_value_is_the_inner_product_and_the_gradient_matches_differences() {
        for (rows, columns) in [(1, 1), (7, 13), (300, 33)] {
            let shapes = [(rows, columns); 2];
            check_value(&RowDots, shapes, 1e-5, |inputs| {
                let rows = inputs[0].chunks(columns).zip(inputs[1].chunks(columns));
                rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum()).collect()
            });
            check_gradients(&RowDots, shapes, 1e-4);
        }
        check_threads(&RowDots, [(1030, 37); 2]);
    }
}
