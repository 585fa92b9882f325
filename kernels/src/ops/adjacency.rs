//! A sparse matrix on a device, checked once so that propagation needs no checks of its own.

use std::ops::Range;

use crate::error::{Result, expect_indices, expect_len};
use crate::parallel::equal_work_blocks;
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

const OP: &str = "adjacency";

/// A sparse matrix in CSR form. The columns of row `r` are `col_idx[row_ptr[r]..row_ptr[r + 1]]`;
/// their order is the order of every sum.
///
/// In host memory entries lie row by row in the order in which rows are summed instead.
#[derive(Debug, Clone)]
pub struct Adjacency {
    n_cols: usize,
    // Invariant, set by `upload` and kept: row_ptr ascends from 0 to col_idx.len(), every column is
    // below n_cols, there are as many values as columns. Only what the values are changes.
    pub(crate) row_ptr: Buffer<u32>,
    pub(crate) col_idx: Buffer<u32>,
    pub(crate) values: Buffer<f32>,
    pub(crate) schedule: Schedule,
    /// On a GPU: which units sum which rows.
    #[cfg(feature = "gpu")]
    pub(crate) plan: Option<gpu::Plan>,
}

/// In which order the processor sums rows, and where their entries lie. Rows are independent: the
/// order changes no bit of a sum, only what is still in the caches. Empty on a GPU, whose units run
/// in an order of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schedule {
    // Invariant, set by `new` and never changed: rows is a permutation of the matrix's rows; ptr
    // ascends from 0 to the number of entries; the entries of row rows[p] are ptr[p]..ptr[p + 1],
    // and start[rows[p]] = ptr[p]; blocks cover the positions one after another.
    pub(crate) rows: Vec<u32>,
    pub(crate) ptr: Vec<u32>,
    pub(crate) start: Vec<u32>,
    pub(crate) blocks: Vec<Range<usize>>,
}

impl Schedule {
    fn new(row_ptr: &[u32], rows: Vec<u32>) -> Schedule {
        let (mut ptr, mut start) = (Vec::with_capacity(row_ptr.len()), vec![0; rows.len()]);
        let mut end = 0;
        for &row in &rows {
            ptr.push(end);
            start[row as usize] = end;
            end += row_ptr[row as usize + 1] - row_ptr[row as usize];
        }
        ptr.push(end);
        Schedule { blocks: equal_work_blocks(&ptr), rows, ptr, start }
    }

    /// Puts the entries of a CSR matrix row by row in this order.
    fn arrange<T: Copy>(&self, row_ptr: &[u32], entries: &[T], arranged: &mut [T]) {
        for (&row, ends) in self.rows.iter().zip(self.ptr.windows(2)) {
            let from = &entries[row_ptr[row as usize] as usize..row_ptr[row as usize + 1] as usize];
            arranged[ends[0] as usize..ends[1] as usize].copy_from_slice(from);
        }
    }
}

impl Adjacency {
    /// [`Adjacency::upload_in_order`] with rows in their own order.
    ///
    /// # Errors
    /// As there.
    pub fn upload(
        device: &Device,
        n_cols: usize,
        row_ptr: &[u32],
        col_idx: &[u32],
        values: &[f32],
    ) -> Result<Adjacency> {
        let rows: Vec<u32> = (0..row_ptr.len().saturating_sub(1) as u32).collect();
        Adjacency::upload_in_order(device, n_cols, row_ptr, col_idx, values, &rows)
    }

    /// Checks a CSR matrix, copies it to the device and cuts its rows into blocks of equal
    /// non-zeros.
    ///
    /// A processor sums rows in the given order: where rows that share columns stand together, more
    /// of what they gather is still in its caches. No bit of a result depends on it.
    ///
    /// # Shapes
    /// - `row_ptr`: `[n_rows + 1]`, ascending from 0 to `n_edges`
    /// - `col_idx`, `values`: `[n_edges]`, columns below `n_cols`; repeats and any order are
    ///   allowed
    /// - `order`: `[n_rows]`, every row once
    ///
    /// # Errors
    /// [`KernelError::Shape`], [`KernelError::Argument`] or [`KernelError::Index`] when one of
    /// these does not hold.
    pub fn upload_in_order(
        device: &Device,
        n_cols: usize,
        row_ptr: &[u32],
        col_idx: &[u32],
        values: &[f32],
        order: &[u32],
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
        expect_every_row_once(order, row_ptr.len() - 1)?;
        let (schedule, col_idx, values) = match device {
            Device::Cpu => {
                let schedule = Schedule::new(row_ptr, order.to_vec());
                let (mut columns, mut weights) = (device.zeros(col_idx.len()), device.zeros(values.len()));
                schedule.arrange(row_ptr, col_idx, columns.host_mut());
                schedule.arrange(row_ptr, values, weights.host_mut());
                (schedule, columns, weights)
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => (Schedule::default(), device.upload(col_idx), device.upload(values)),
        };
        Ok(Adjacency {
            n_cols,
            row_ptr: device.upload(row_ptr),
            col_idx,
            values,
            schedule,
            #[cfg(feature = "gpu")]
            plan: gpu::Plan::new(device, row_ptr),
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

    /// Replaces the value of every entry, in CSR order; the pattern stays. Edge dropout reweighs
    /// the graph this way.
    ///
    /// # Errors
    /// [`KernelError::Shape`] when there is not one value for each entry.
    pub fn set_values(&mut self, device: &Device, values: &[f32]) -> Result<()> {
        expect_len(OP, "values", values.len(), self.n_edges())?;
        match device {
            Device::Cpu => self.schedule.arrange(self.row_ptr.host(), values, self.values.host_mut()),
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => device.write(&mut self.values, values),
        }
        Ok(())
    }
}

fn expect_every_row_once(order: &[u32], n_rows: usize) -> Result<()> {
    expect_len(OP, "order", order.len(), n_rows)?;
    expect_indices(OP, "order", order, n_rows)?;
    let mut met = vec![false; n_rows];
    match order.iter().find(|&&row| std::mem::replace(&mut met[row as usize], true)) {
        Some(row) => {
            let problem = format!("holds row {row} twice, expected every row once");
            Err(KernelError::Argument { op: OP, argument: "order", problem })
        }
        None => Ok(()),
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
    fn entries_lie_in_the_order_of_their_rows() {
        // Rows 0 to 2 hold the columns 1, 3 | none | 0; in the order 2, 0, 1 they are 0 | 1, 3 |
        // none.
        let upload = |order: &[u32]| {
            Adjacency::upload_in_order(&Device::Cpu, 4, &[0, 2, 2, 3], &[1, 3, 0], &[1.0, 2.0, 3.0], order)
        };
        let mut a = upload(&[2, 0, 1]).unwrap();
        assert_eq!((a.col_idx.host(), a.values.host()), (&[0, 1, 3][..], &[3.0, 1.0, 2.0][..]));
        assert_eq!((&a.schedule.ptr[..], &a.schedule.start[..]), (&[0, 1, 3, 3][..], &[1, 3, 0][..]));
        a.set_values(&Device::Cpu, &[5.0, 6.0, 7.0]).unwrap();
        assert_eq!(a.values.host(), [7.0, 5.0, 6.0]);
        let message = |order| upload(order).unwrap_err().to_string();
        assert_eq!(message(&[0, 1]), "adjacency: order has 2 elements, expected 3");
        assert_eq!(message(&[0, 1, 3]), "adjacency: index 3 in order is outside 0..3");
        assert_eq!(message(&[0, 1, 0]), "adjacency: order holds row 0 twice, expected every row once");
    }

    #[test]
    fn new_values_must_fit_the_pattern() {
        let mut a = Adjacency::upload(&Device::Cpu, 1, &[0, 1], &[0], &[1.0]).unwrap();
        assert!(a.set_values(&Device::Cpu, &[1.0, 2.0]).is_err());
        a.set_values(&Device::Cpu, &[5.0]).unwrap();
        assert_eq!(a.values.host(), [5.0]);
    }
}
