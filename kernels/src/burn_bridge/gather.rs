//! Rows of a table by index: `y_i = table[index_i]`; backward, each row of the table sums the
//! gradients of the places that read it, in their order.

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};

#[cfg(feature = "gpu")]
mod gpu;

/// Stands for no row: it reads as zeros.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(super) struct Gather {
    index: Arc<Vec<u32>>,
}

impl Gather {
    /// Reads these rows; each should be one of the table, or [`NONE`].
    pub(super) fn of(index: Vec<u32>) -> Self {
        Gather { index: Arc::new(index) }
    }

    /// How many rows are read.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Which rows are read.
    #[cfg(feature = "gpu")]
    pub(super) fn index(&self) -> &[u32] {
        &self.index
    }
}

impl Op<1> for Gather {
    type Saved = ();

    fn forward(&self, [table]: [Matrix<'_>; 1]) -> Output<()> {
        let columns = table.columns;
        let mut values = vec![0.0; self.index.len() * columns];
        let tasks = values.par_chunks_mut(ROWS_PER_TASK * columns.max(1)).zip(self.index.par_chunks(ROWS_PER_TASK));
        tasks.for_each(|(rows, index)| {
            for (row, &at) in rows.chunks_exact_mut(columns).zip(index).filter(|(_, at)| **at != NONE) {
                row.copy_from_slice(&table.values[at as usize * columns..(at as usize + 1) * columns]);
            }
        });
        Output { values, columns, saved: () }
    }

    fn backward(&self, [table]: [Matrix<'_>; 1], (): &(), gradient: Matrix<'_>) -> [Vec<f32>; 1] {
        let (columns, n_rows) = (table.columns, table.rows);
        // The places that read each row, in order: one owner per row of the table.
        let mut starts = vec![0u32; n_rows + 1];
        self.index.iter().filter(|at| **at != NONE).for_each(|&at| starts[at as usize + 1] += 1);
        for row in 0..n_rows {
            starts[row + 1] += starts[row];
        }
        let (mut next, mut places) = (starts.clone(), vec![0u32; starts[n_rows] as usize]);
        for (place, &at) in self.index.iter().enumerate().filter(|(_, at)| **at != NONE) {
            places[next[at as usize] as usize] = place as u32;
            next[at as usize] += 1;
        }
        let mut sums = vec![0.0; table.values.len()];
        sums.par_chunks_mut(ROWS_PER_TASK * columns.max(1)).enumerate().for_each(|(task, rows)| {
            for (row, sum) in (task * ROWS_PER_TASK..).zip(rows.chunks_exact_mut(columns)) {
                for &place in &places[starts[row] as usize..starts[row + 1] as usize] {
                    let from = &gradient.values[place as usize * columns..(place as usize + 1) * columns];
                    sum.iter_mut().zip(from).for_each(|(sum, g)| *sum += g);
                }
            }
        });
        [sums]
    }
}

/// Rows of a table; an index that is none (`None`) reads as zeros.
///
/// # Shapes
/// - `table`: `[n, columns]`; `index`: below `n`; returns `[index.len(), columns]`
pub fn gather<B: OpBackend>(table: Tensor<B, 2>, index: impl IntoIterator<Item = Option<u32>>) -> Tensor<B, 2> {
    let n_rows = table.dims()[0];
    let index: Vec<u32> = index.into_iter().map(|at| at.unwrap_or(NONE)).collect();
    assert!(index.iter().all(|&at| at == NONE || (at as usize) < n_rows), "gather: an index should be a row");
    apply(&Gather::of(index), [table])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::burn::{check_gradients, check_threads};

    #[test]
    fn a_row_sums_the_gradients_of_the_places_that_read_it() {
        // Row 0 is read by places 0 and 3, row 2 by place 1, row 1 by nobody.
        let op = Gather::of(vec![0, 2, NONE, 0]);
        let table = Matrix { values: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rows: 3, columns: 2 };
        assert_eq!(op.forward([table]).values, [1.0, 2.0, 5.0, 6.0, 0.0, 0.0, 1.0, 2.0]);
        let gradient = Matrix { values: &[1.0, 2.0, 10.0, 20.0, 7.0, 7.0, 0.5, 0.25], rows: 4, columns: 2 };
        assert_eq!(op.backward([table], &(), gradient)[0], [1.5, 2.25, 0.0, 0.0, 10.0, 20.0]);
    }

    #[test]
    fn the_gradient_matches_differences_and_threads_change_nothing() {
        let index: Vec<u32> = (0..700u32).map(|i| if i % 11 == 0 { NONE } else { i * 37 % 13 }).collect();
        let op = Gather::of(index);
        check_gradients(&op, [(13, 5)], 2e-3);
        check_threads(&op, [(13, 5)]);
    }
}
