//! Half-precision tables: propagation over numbers that lie in memory as f16 or bf16 (or f32). A
//! hop is bound by the memory it gathers, so half the bytes are less than two thirds of the time;
//! sums are taken in f32 and rounded once, when a row is done.
//!
//! Order and owners are those of [`propagate`](super::propagate): the same bits for any number of
//! threads and on every instruction set that fuses.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::adjacency::Adjacency;
use super::propagate::cpu::{Addend, Edges, Target, all_rows, chosen_rows, sum_from_slots};
use super::row_set::RowSet;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::{ELEMENTS_PER_TASK, ROWS_PER_TASK, SharedRows, for_each_block};
pub use crate::stored::Precision;
use crate::stored::{Bf16, F16, Stored, narrow_all, widen_all};
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// Rows that are summed in f32 before they are rounded together: few enough to stay in the first
/// cache.
const ROWS_AT_ONCE: usize = 64;

/// A matrix in one of the formats.
#[derive(Debug, Clone)]
pub enum Table {
    /// 32 bits.
    F32(Buffer<f32>),
    /// See [`Precision::F16`].
    F16(Buffer<F16>),
    /// See [`Precision::Bf16`].
    Bf16(Buffer<Bf16>),
}

/// Runs the same code on the buffer of each format.
macro_rules! each_format {
    ($table:expr, $buffer:ident => $work:expr) => {
        match $table {
            Table::F32($buffer) => $work,
            Table::F16($buffer) => $work,
            Table::Bf16($buffer) => $work,
        }
    };
}

impl Table {
    /// A table without rows.
    pub fn new(precision: Precision) -> Table {
        match precision {
            Precision::F32 => Table::F32(Buffer::default()),
            Precision::F16 => Table::F16(Buffer::default()),
            Precision::Bf16 => Table::Bf16(Buffer::default()),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        each_format!(self, buffer => buffer.len())
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rounds to the table's format: `y = x`.
///
/// # Shapes
/// - `y` becomes as long as `x`
pub fn round_into_table(device: &Device, x: &Buffer<f32>, y: &mut Table) {
    each_format!(y, y => device.resize(y, x.len()));
    match device {
        Device::Cpu => each_format!(y, y => {
            let tasks = y.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(x.host().par_chunks(ELEMENTS_PER_TASK));
            tasks.for_each(|(y, x)| narrow_all(x, y));
        }),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::round_into_table(gpu, x, y),
    }
}

/// The rows of a set in f32: `y[s] = x[rows[s]]`.
///
/// # Shapes
/// - `x`: `[rows.n_rows(), dim]`; `y`: `[S, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` does not have the rows that the set
/// is taken from.
pub fn gather_from_table(device: &Device, dim: usize, x: &Table, rows: &RowSet, y: &mut Buffer<f32>) -> Result<()> {
    const OP: &str = "gather_from_table";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), rows.n_rows() * dim)?;
    device.resize(y, rows.len() * dim);
    match device {
        Device::Cpu => each_format!(x, x => {
            let x = x.host();
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.rows().par_chunks(ROWS_PER_TASK));
            tasks.for_each(|(y, rows)| {
                for (y, &row) in y.chunks_exact_mut(dim).zip(rows) {
                    widen_all(&x[row as usize * dim..][..dim], y);
                }
            });
        }),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::gather(gpu, dim, x, rows, y),
    }
    Ok(())
}

/// [`propagate`](super::propagate::propagate) from table to table: `y = round(A x)`, or with an
/// addend `y = round(A x + scatter(rows, addend))`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `addend`: S of `n_rows`, and `[S, dim]`; `y`: `[n_rows, dim]`, resized
///   and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit the adjacency or the
/// row set.
pub fn propagate_table(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Table,
    addend: Option<(&RowSet, &Buffer<f32>)>,
    y: &mut Table,
) -> Result<()> {
    const OP: &str = "propagate_table";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), a.n_cols() * dim)?;
    if let Some((rows, addend)) = addend {
        expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
        expect_len(OP, "addend", addend.len(), rows.len() * dim)?;
    }
    each_format!(y, y => device.resize(y, a.n_rows() * dim));
    match device {
        Device::Cpu => {
            let addend = addend.map(|(rows, addend)| Addend::of(rows, addend));
            each_format!(x, x => each_format!(y, y => all_rows(a, dim, x.host(), addend, y.host_mut())));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::propagate(gpu, a, dim, x, addend, y),
    }
    Ok(())
}

/// [`propagate_rows`](super::propagate::propagate_rows) from a table, in f32:
/// `y[s] = (A x)[rows[s]]`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `rows`: S out of `n_rows`; `y`: `[S, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit the adjacency.
pub fn propagate_rows_of_table(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Table,
    rows: &RowSet,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "propagate_rows_of_table";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), a.n_cols() * dim)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    device.resize(y, rows.len() * dim);
    match device {
        Device::Cpu => each_format!(x, x => chosen_rows(a, dim, x.host(), rows, y.host_mut())),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::propagate_rows(gpu, a, dim, x, rows, y),
    }
    Ok(())
}

/// [`propagate_from_rows_add`](super::propagate::propagate_from_rows_add) into a table:
/// `y = round(A scatter(rows, x_rows) + scatter(rows, addend))`, for a square `A`.
///
/// # Shapes
/// - `rows`: S out of `n_rows`; `x_rows`, `addend`: `[S, dim]`; `y`: `[n_rows, dim]`, resized and
///   overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `A` is not square or a size does not fit.
pub fn propagate_from_rows_to_table(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    rows: &RowSet,
    x_rows: &Buffer<f32>,
    addend: &Buffer<f32>,
    y: &mut Table,
) -> Result<()> {
    const OP: &str = "propagate_from_rows_to_table";
    expect_dim(OP, dim)?;
    expect_len(OP, "a.row_ptr", a.n_rows() + 1, a.n_cols() + 1)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    expect_len(OP, "x_rows", x_rows.len(), rows.len() * dim)?;
    expect_len(OP, "addend", addend.len(), rows.len() * dim)?;
    each_format!(y, y => device.resize(y, a.n_rows() * dim));
    match device {
        Device::Cpu => each_format!(y, y => {
            let (edges, slot_of, x_rows) = (Edges::of(a), rows.slot_of.host(), x_rows.host());
            let addend = Addend::of(rows, addend);
            round_blocks(a, dim, y.host_mut(), &|block, sums| {
                sum_from_slots(edges, addend, dim, slot_of, x_rows, block, sums);
            });
        }),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::propagate_from_rows(gpu, a, dim, rows, x_rows, addend, y),
    }
    Ok(())
}

/// Lets `sum(positions, where their sums go)` fill a few rows at a time in f32, and rounds them
/// into their places in `y`.
fn round_blocks<Y: Stored>(
    a: &Adjacency,
    dim: usize,
    y: &mut [Y],
    sum: &(impl Fn(Range<usize>, Target<'_, f32>) + Sync),
) {
    thread_local! {
        /// Kept from call to call, so that a training step does not allocate.
        static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    const PLACES: [u32; ROWS_AT_ONCE] = {
        let mut places = [0; ROWS_AT_ONCE];
        let mut place = 0;
        while place < ROWS_AT_ONCE {
            places[place] = place as u32;
            place += 1;
        }
        places
    };
    let y = SharedRows::of(y, dim);
    for_each_block(&a.schedule.blocks, &|block| {
        SUMS.with_borrow_mut(|sums| {
            sums.resize(ROWS_AT_ONCE * dim, 0.0);
            for first in block.clone().step_by(ROWS_AT_ONCE) {
                let rows = &a.schedule.rows[first..block.end.min(first + ROWS_AT_ONCE)];
                rows.iter().for_each(|&row| y.prefetch(row));
                let target = Target { y: SharedRows::of(sums, dim), places: &PLACES[..rows.len()] };
                sum(first..first + rows.len(), target);
                for (sums, &row) in sums.chunks_exact(dim).zip(rows) {
                    // SAFETY: the schedule has every row once, and its blocks do not meet.
                    narrow_all(sums, unsafe { y.row(row) });
                }
            }
        });
    });
}

#[cfg(test)]
#[path = "half_table_tests.rs"]
mod tests;
