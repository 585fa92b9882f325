//! One position of gated units from states that are given: the formulas of [`super`], where what the
//! weights make of the states before is an input too.

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::{SAVED, cell, cell_gradient};
use crate::burn_bridge::op::{Matrix, Op, OpBackend, Output, apply};
use crate::parallel::ROWS_PER_TASK;

#[cfg(feature = "gpu")]
mod gpu;

#[derive(Debug, Clone)]
struct GruCell;

impl Op<3> for GruCell {
    type Saved = Vec<f32>;

    fn forward(&self, [x, u, state]: [Matrix<'_>; 3]) -> Output<Vec<f32>> {
        let width = state.columns;
        let (mut values, mut saved) = (state.values.to_vec(), vec![0.0; state.rows * SAVED * width]);
        let from = x.values.par_chunks_exact(3 * width).zip(u.values.par_chunks_exact(3 * width));
        let to = values.par_chunks_exact_mut(width).zip(saved.par_chunks_exact_mut(SAVED * width));
        to.zip(from).with_min_len(ROWS_PER_TASK).for_each(|((state, saved), (x, u))| cell(x, u, state, saved));
        Output { values, columns: width, saved }
    }

    fn backward(&self, [x, u, state]: [Matrix<'_>; 3], saved: &Vec<f32>, gradient: Matrix<'_>) -> [Vec<f32>; 3] {
        let width = state.columns;
        let (mut d_x, mut d_u) = (vec![0.0; x.values.len()], vec![0.0; u.values.len()]);
        let mut d_state = gradient.values.to_vec();
        let from = saved.par_chunks_exact(SAVED * width).zip(state.values.par_chunks_exact(width));
        let gates = d_x.par_chunks_exact_mut(3 * width).zip(d_u.par_chunks_exact_mut(3 * width));
        let to = d_state.par_chunks_exact_mut(width).zip(gates);
        to.zip(from).with_min_len(ROWS_PER_TASK).for_each(|((d, (d_x, d_u)), (saved, before))| {
            cell_gradient(saved, before, d, d_x, d_u);
        });
        [d_x, d_u, d_state]
    }
}

/// The states after one more position.
///
/// # Shapes
/// - `x` (from below) and `u` (from the states before): `[rows, 3 width]`, reset, update, new;
///   `state`: `[rows, width]`, as what is returned
pub fn gru_cell<B: OpBackend>(x: Tensor<B, 2>, u: Tensor<B, 2>, state: Tensor<B, 2>) -> Tensor<B, 2> {
    let [rows, width] = state.dims();
    assert!(
        width > 0 && x.dims() == [rows, 3 * width] && u.dims() == x.dims(),
        "gru_cell: each unit should have three columns"
    );
    apply(&GruCell, [x, u, state])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_against, check_threads};

    #[test]
    fn value_and_gradient_match_the_formula() {
        let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
        for (rows, width) in [(1, 1), (7, 5)] {
            let shapes = [(rows, 3 * width), (rows, 3 * width), (rows, width)];
            check_against(&GruCell, shapes, 5e-6, |[x, u, state]| {
                let unit = |at: usize| {
                    let gate = |gate: usize| at / width * 3 * width + gate * width + at % width;
                    let (r, z) = (sigmoid(x[gate(0)] + u[gate(0)]), sigmoid(x[gate(1)] + u[gate(1)]));
                    (1.0 - z) * (x[gate(2)] + r * u[gate(2)]).tanh() + z * state[at]
                };
                (0..state.len()).map(unit).collect()
            });
        }
        check_threads(&GruCell, [(331, 39), (331, 39), (331, 13)]);
    }
}
