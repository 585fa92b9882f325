//! A linear layer: `y = x w + b`.
//!
//! Every number is a sum of blocks of at most 256 terms, in order; the gradient of `w` is added
//! over chunks of 256 rows, in order.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};
use crate::tile::{Left, Panels, ROW_BLOCK, Store, product};

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct Linear;

impl Op<3> for Linear {
    type Saved = ();

    fn forward(&self, [x, w, b]: [Matrix<'_>; 3]) -> Output<()> {
        let (inner, columns) = (w.rows, w.columns);
        let mut panels = Panels::default();
        panels.pack_rows(w.values, inner, columns);
        let mut values = vec![0.0; x.rows * columns];
        let tasks = values.par_chunks_mut(ROWS_PER_TASK * columns.max(1)).enumerate();
        tasks.for_each(|(task, y)| {
            let n = y.len() / columns;
            y.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(b.values));
            let left = Left::rows(&x.values[task * ROWS_PER_TASK * inner..][..n * inner], n, inner);
            product(left, panels.part(0, inner), ROW_BLOCK, Store::Add, y, columns);
        });
        Output { values, columns, saved: () }
    }

    fn backward(&self, [x, w, _]: [Matrix<'_>; 3], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 3] {
        let (inner, columns) = (w.rows, w.columns);
        let mut panels = Panels::default();
        panels.pack_columns(w.values, columns, inner);
        let mut d_x = vec![0.0; x.rows * inner];
        // What each chunk of rows adds to the gradient of the weights, and of the bias behind them.
        let parts: Vec<Vec<f32>> = d_x
            .par_chunks_mut(ROWS_PER_TASK * inner.max(1))
            .enumerate()
            .map_init(Panels::default, |right, (task, d_x)| {
                let n = d_x.len() / inner;
                let d_y = &gradient.values[task * ROWS_PER_TASK * columns..][..n * columns];
                product(Left::rows(d_y, n, columns), panels.part(0, columns), ROW_BLOCK, Store::Overwrite, d_x, inner);
                right.pack_rows(d_y, n, columns);
                let mut part = vec![0.0; (inner + 1) * columns];
                let (d_w, d_b) = part.split_at_mut(inner * columns);
                let rows = &x.values[task * ROWS_PER_TASK * inner..][..n * inner];
                product(
                    Left::transposed(rows, inner, inner),
                    right.part(0, n),
                    ROW_BLOCK,
                    Store::Overwrite,
                    d_w,
                    columns,
                );
                for row in d_y.chunks_exact(columns) {
                    d_b.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
                }
                part
            })
            .collect();
        let mut d_w = vec![0.0; (inner + 1) * columns];
        for part in parts {
            d_w.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let d_b = d_w.split_off(inner * columns);
        [d_x, d_w, d_b]
    }
}

/// A linear layer.
///
/// # Shapes
/// - `x`: `[rows, inner]`, `w`: `[inner, columns]`, `b`: `[1, columns]`; returns `[rows, columns]`
pub fn linear<B: OpBackend>(x: Tensor<B, 2>, w: Tensor<B, 2>, b: Tensor<B, 2>) -> Tensor<B, 2> {
    let ([_, inner], [w_rows, columns], bias) = (x.dims(), w.dims(), b.dims());
    assert!(
        inner == w_rows && bias == [1, columns],
        "linear: x should have a column for each row of w, b one for each column"
    );
    apply(&Linear, [x, w, b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_gradients, check_threads, check_value};

    /// `y = x w + b` in f64.
    fn plain(x: &[f64], w: &[f64], b: &[f64], inner: usize, columns: usize) -> Vec<f64> {
        let cell = |row: usize, column: usize| {
            (0..inner).map(|k| x[row * inner + k] * w[k * columns + column]).sum::<f64>() + b[column]
        };
        (0..x.len() / inner * columns).map(|at| cell(at / columns, at % columns)).collect()
    }

    #[test]
    fn the_value_is_the_product_and_the_gradient_matches_differences() {
        for (rows, inner, columns) in [(1, 1, 1), (7, 13, 5), (300, 17, 33)] {
            let shapes = [(rows, inner), (inner, columns), (1, columns)];
            // Sums of up to 17 products below 1.
            check_value(&Linear, shapes, 1e-5, |inputs| plain(&inputs[0], &inputs[1], &inputs[2], inner, columns));
            check_gradients(&Linear, shapes, 2e-3);
        }
    }

    #[test]
    fn threads_change_nothing() {
        check_threads(&Linear, [(1030, 37), (37, 41), (1, 41)]);
    }
}
