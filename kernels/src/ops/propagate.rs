//! One hop over the graph: sparse matrix times dense rows, in the four shapes that a training step
//! needs.
//!
//! Every output row has one owner, who pulls its neighbours in edge order: the same bits for any
//! number of threads. A row that is cut into 16-column blocks stays in registers while its edges
//! pass. All four ops sum a row by one kernel, so they agree to the bit where they compute the same
//! thing.

pub use super::adjacency::Adjacency;
pub use super::row_set::RowSet;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::{SharedRows, for_each_block};
use crate::{Buffer, Device};

pub(super) mod cpu;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;

use cpu::{Addend, Edges, Target, all_rows, chosen_rows, sum_from_slots};

/// The definition: `y[r] = sum over the entries of row r of value * x[column]`, in plain loops.
pub fn propagate_reference(row_ptr: &[u32], col_idx: &[u32], values: &[f32], dim: usize, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; (row_ptr.len() - 1) * dim];
    for (row, sums) in y.chunks_exact_mut(dim).enumerate() {
        for edge in row_ptr[row] as usize..row_ptr[row + 1] as usize {
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += f64::from(values[edge]) * x[col_idx[edge] as usize * dim + k];
            }
        }
    }
    y
}

/// Sums each node's neighbours, weighted by the adjacency: `y = A x`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `y`: `[n_rows, dim]`, resized and overwritten; an empty row of `A` gives
///   a row of zeros
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` does not have one row per column of
/// `A`.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eqs. 3 and 7. We differ: a node without neighbours gives a
/// zero row, not NaN.
pub fn propagate(device: &Device, a: &Adjacency, dim: usize, x: &Buffer<f32>, y: &mut Buffer<f32>) -> Result<()> {
    expect_dim("propagate", dim)?;
    expect_len("propagate", "x", x.len(), a.n_cols() * dim)?;
    device.resize(y, a.n_rows() * dim);
    match device {
        Device::Cpu => all_rows(a, dim, x.host(), None, y.host_mut()),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::hop::<f32, f32, _, _>(gpu, a, dim, x, None, false, y),
    }
    Ok(())
}

/// One step of Horner's rule, in one pass: `y = A x + scatter(rows, addend)`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `rows`: S out of `n_rows`; `addend`: `[S, dim]`; `y`: `[n_rows, dim]`,
///   resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit the adjacency or the
/// row set.
pub fn propagate_add(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<f32>,
    rows: &RowSet,
    addend: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "propagate_add";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), a.n_cols() * dim)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    expect_len(OP, "addend", addend.len(), rows.len() * dim)?;
    device.resize(y, a.n_rows() * dim);
    match device {
        Device::Cpu => all_rows(a, dim, x.host(), Some(Addend::of(rows, addend)), y.host_mut()),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::hop::<f32, f32, _, _>(gpu, a, dim, x, Some((rows, addend)), false, y),
    }
    Ok(())
}

/// The last hop, for the batch's rows only: `y[s] = (A x)[rows[s]]`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `rows`: S out of `n_rows`; `y`: `[S, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit the adjacency.
pub fn propagate_rows(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<f32>,
    rows: &RowSet,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "propagate_rows";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), a.n_cols() * dim)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    device.resize(y, rows.len() * dim);
    match device {
        Device::Cpu => chosen_rows(a, dim, x.host(), rows, y.host_mut()),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::chosen::<f32, _>(gpu, a, dim, x, rows, y),
    }
    Ok(())
}

/// True where [`propagate_from_rows_add`] is cheaper than a whole hop over the scattered rows. On a
/// processor leaving columns out costs half a hop of its own: not where the set holds most rows. A
/// zero changes no sum, so the bits are the same.
pub fn skipping_columns_pays(device: &Device, rows: &RowSet) -> bool {
    match device {
        Device::Cpu => 2 * rows.len() <= rows.n_rows(),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => true,
    }
}

/// The first step backwards, where the gradient lives on the batch's rows only:
/// `y = A scatter(rows, x_rows) + scatter(rows, addend)`, for a square `A`.
///
/// Columns outside the batch are skipped, which drops exact zeros from a sum: the result equals
/// that of the scattered `x`.
///
/// # Shapes
/// - `rows`: S out of `n_rows`; `x_rows`, `addend`: `[S, dim]`; `y`: `[n_rows, dim]`, resized and
///   overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `A` is not square or a size does not fit.
pub fn propagate_from_rows_add(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    rows: &RowSet,
    x_rows: &Buffer<f32>,
    addend: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "propagate_from_rows_add";
    expect_dim(OP, dim)?;
    expect_len(OP, "a.row_ptr", a.n_rows() + 1, a.n_cols() + 1)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    expect_len(OP, "x_rows", x_rows.len(), rows.len() * dim)?;
    expect_len(OP, "addend", addend.len(), rows.len() * dim)?;
    device.resize(y, a.n_rows() * dim);
    match device {
        Device::Cpu => {
            let (edges, slot_of, x_rows) = (Edges::of(a), rows.slot_of.host(), x_rows.host());
            let addend = Addend::of(rows, addend);
            let y = SharedRows::of(y.host_mut(), dim);
            for_each_block(&a.schedule.blocks, &|block| {
                let target = Target { y, places: &edges.rows[block.clone()] };
                sum_from_slots(edges, addend, dim, slot_of, x_rows, block, target);
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::hop::<f32, f32, _, _>(gpu, a, dim, x_rows, Some((rows, addend)), true, y),
    }
    Ok(())
}

#[cfg(test)]
#[path = "propagate_tests.rs"]
mod tests;
