//! A sparse matrix on a device, checked once so that propagation needs no checks of its own.

use std::ops::Range;

use crate::error::{Result, expect_indices, expect_len};
use crate::parallel::equal_work_blocks;
use crate::{Buffer, Device, KernelError};

const OP: &str = "adjacency";

/// A sparse matrix in CSR form. The columns of row `r` are `col_idx[row_ptr[r]..row_ptr[r + 1]]`; their order is the order of every sum.
#[derive(Debug, Clone)]
pub struct Adjacency {
    n_cols: usize,
    // Invariant, set by `upload` and never changed: row_ptr ascends from 0 to col_idx.len(), every column is below n_cols.
    pub(crate) row_ptr: Buffer<u32>,
    pub(crate) col_idx: Buffer<u32>,
    pub(crate) values: Buffer<f32>,
    pub(crate) row_blocks: Vec<Range<usize>>,
    /// On a GPU: which units sum which rows.
    #[cfg(feature = "gpu")]
    pub(crate) plan: Option<super::propagate::gpu::Plan>,
}

impl Adjacency {
    /// Checks a CSR matrix, copies it to the device and cuts its rows into blocks of equal non-zeros.
    ///
    /// # Shapes
    /// - `row_ptr`: `[n_rows + 1]`, ascending from 0 to `n_edges`
    /// - `col_idx`, `values`: `[n_edges]`, columns below `n_cols`; repeats and any order are allowed
    ///
    /// # Errors
    /// [`KernelError::Shape`], [`KernelError::Argument`] or [`KernelError::Index`] when one of these does not hold.
    pub fn upload(
        device: &Device,
        n_cols: usize,
        row_ptr: &[u32],
        col_idx: &[u32],
        values: &[f32],
    ) -> Result<Adjacency> {
        let problem = |problem: String| KernelError::Argument { op: OP, argument: "row_ptr", problem };
        let (Some(&first), Some(&last)) = (row_ptr.first(), row_ptr.last()) else {
            return Err(problem("is empty, expected one element more than there are rows".into()));
        };
        if first != 0 {
            return Err(problem(format!("starts at {first}, expected 0")));
        }
        if let Some(row) = row_ptr.windows(2).position(|ends| ends[0] > ends[1]) {
            return Err(problem(format!("falls from {} to {} at row {row}", row_ptr[row], row_ptr[row + 1])));
        }
        expect_len(OP, "col_idx", col_idx.len(), last as usize)?;
        expect_len(OP, "values", values.len(), last as usize)?;
        expect_indices(OP, "col_idx", col_idx, n_cols)?;
        Ok(Adjacency {
            n_cols,
            row_ptr: device.upload(row_ptr),
            col_idx: device.upload(col_idx),
            values: device.upload(values),
            row_blocks: equal_work_blocks(row_ptr),
            #[cfg(feature = "gpu")]
            plan: super::propagate::gpu::Plan::new(device, row_ptr),
        })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.row_ptr.len() - 1
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of stored entries.
    pub fn n_edges(&self) -> usize {
        self.col_idx.len()
    }

    /// Replaces the value of every entry, in CSR order; the pattern stays. Edge dropout reweighs the graph this way.
    ///
    /// # Errors
    /// [`KernelError::Shape`] when there is not one value for each entry.
    pub fn set_values(&mut self, device: &Device, values: &[f32]) -> Result<()> {
        expect_len(OP, "values", values.len(), self.n_edges())?;
        device.write(&mut self.values, values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_matrix_is_taken_and_counted() {
        let a = Adjacency::upload(&Device::Cpu, 4, &[0, 2, 2, 3], &[1, 3, 0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((a.n_rows(), a.n_cols(), a.n_edges()), (3, 4, 3));
    }

    #[test]
    fn a_broken_matrix_is_refused_by_name() {
        let message = |n_cols, row_ptr: &[u32], col_idx: &[u32], values: &[f32]| {
            Adjacency::upload(&Device::Cpu, n_cols, row_ptr, col_idx, values).unwrap_err().to_string()
        };
        assert_eq!(
            message(2, &[], &[], &[]),
            "adjacency: row_ptr is empty, expected one element more than there are rows"
        );
        assert_eq!(message(2, &[1, 1], &[0], &[1.0]), "adjacency: row_ptr starts at 1, expected 0");
        assert_eq!(message(2, &[0, 2, 1], &[0], &[1.0]), "adjacency: row_ptr falls from 2 to 1 at row 1");
        assert_eq!(message(2, &[0, 2], &[0], &[1.0]), "adjacency: col_idx has 1 elements, expected 2");
        assert_eq!(message(2, &[0, 1], &[0], &[]), "adjacency: values has 0 elements, expected 1");
        assert_eq!(message(2, &[0, 1], &[2], &[1.0]), "adjacency: index 2 in col_idx is outside 0..2");
        assert_eq!(message(0, &[0, 1], &[0], &[1.0]), "adjacency: index 0 in col_idx is outside 0..0");
    }

    #[test]
    fn new_values_must_fit_the_pattern() {
        let mut a = Adjacency::upload(&Device::Cpu, 1, &[0, 1], &[0], &[1.0]).unwrap();
        assert!(a.set_values(&Device::Cpu, &[1.0, 2.0]).is_err());
        a.set_values(&Device::Cpu, &[5.0]).unwrap();
        assert_eq!(a.values.host(), [5.0]);
    }
}
