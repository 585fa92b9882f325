//! One hop over the graph: sparse matrix times dense rows, in the four shapes that a training step
//! needs.
//!
//! Every output row has one owner, who pulls its neighbours in edge order: the same bits for any
//! number of threads. A row that is cut into 16-column blocks stays in registers while its edges
//! pass. All four ops sum a row by one kernel, so they agree to the bit where they compute the same
//! thing.

use rayon::prelude::*;
use std::ops::Range;

use crate::dispatch;
use crate::element::Element;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::{SharedRows, for_each_block};
use crate::row_sum::{Terms, add_terms, by_width, prefetch_distance, width};
use crate::stored::Stored;
use crate::{Buffer, Device};

pub use super::adjacency::Adjacency;
use super::adjacency::Schedule;
use super::row_set::NO_SLOT;
pub use super::row_set::RowSet;

#[cfg(feature = "gpu")]
pub(crate) mod gpu;

/// Rows of a batch that one task takes: each is a sum over all its neighbours.
pub(super) const ROWS_PER_TASK: usize = 16;

/// Rows between a sum and the fetch of its place in memory, which may lie anywhere.
pub(super) const PLACES_AHEAD: usize = 6;

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

/// All rows of `A x`, in one pass over memory: a row is still in a register or nearly so when its
/// addend comes.
pub(super) fn all_rows<X: Stored, Y: Stored>(
    a: &Adjacency,
    dim: usize,
    x: &[X],
    addend: Option<Addend<'_>>,
    y: &mut [Y],
) {
    let (edges, y) = (Edges::of(a), SharedRows::of(y, dim));
    for_each_block(&a.schedule.blocks, &|block| {
        let target = Target { y, places: &edges.rows[block.clone()] };
        sum_block(edges, addend, dim, x, block, target);
    });
}

/// The rows of `A x` that a set names.
pub(super) fn chosen_rows<E: Stored>(a: &Adjacency, dim: usize, x: &[E], rows: &RowSet, y: &mut [f32]) {
    let edges = Edges::of(a);
    let tasks = y.par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.rows().par_chunks(ROWS_PER_TASK));
    tasks.for_each(|(y, rows)| sum_chosen(edges, dim, x, rows, y));
}

/// An [`Adjacency`] in host memory, with its invariants: columns are below `n_cols`, `ptr` ascends
/// from 0 to their number, and there are as many values.
#[derive(Clone, Copy)]
pub(super) struct Edges<'a> {
    /// The row at each position of the schedule.
    pub(super) rows: &'a [u32],
    ptr: &'a [u32],
    start: &'a [u32],
    row_ptr: &'a [u32],
    col_idx: &'a [u32],
    values: &'a [f32],
}

impl<'a> Edges<'a> {
    pub(super) fn of(a: &'a Adjacency) -> Edges<'a> {
        let (Schedule { rows, ptr, start, .. }, row_ptr) = (&a.schedule, a.row_ptr.host());
        Edges { rows, ptr, start, row_ptr, col_idx: a.col_idx.host(), values: a.values.host() }
    }

    /// The entries of the row at a position.
    #[inline(always)]
    fn at(self, position: usize) -> Range<usize> {
        self.ptr[position] as usize..self.ptr[position + 1] as usize
    }

    /// What is added up for the row at each position of a block, and what to fetch meanwhile.
    #[inline(always)]
    pub(super) fn terms(self, block: Range<usize>, distance: usize) -> impl Iterator<Item = Terms<'a>> {
        let n = self.col_idx.len();
        self.ptr[block.start..=block.end].windows(2).map(move |ends| {
            let here = ends[0] as usize..ends[1] as usize;
            // Rows follow one another, so looking ahead may run on into the next rows' edges.
            let ahead = here.start.saturating_add(distance).min(n)..n;
            debug_assert!(here.start <= here.end && here.end <= n && n == self.values.len());
            // Checks would take a twentieth of a hop over rows in 16 bits.
            // SAFETY: `here` lies inside both arrays by the invariants of `Edges`, and `ahead` ends
            // with the columns.
            unsafe {
                Terms {
                    columns: self.col_idx.get_unchecked(here.clone()),
                    values: self.values.get_unchecked(here),
                    ahead: self.col_idx.get_unchecked(ahead),
                }
            }
        })
    }

    /// The entries of a row.
    #[inline(always)]
    fn row(self, row: usize) -> Range<usize> {
        let start = self.start[row] as usize;
        start..start + (self.row_ptr[row + 1] - self.row_ptr[row]) as usize
    }
}

/// Where the sums of a block of positions go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a, Y> {
    /// No other task has the rows that `places` names.
    pub(super) y: SharedRows<'a, Y>,
    /// The row of `y` for each position of the block, no row twice.
    pub(super) places: &'a [u32],
}

impl<'a, Y: Element> Target<'a, Y> {
    /// Each position's row of `y`, which is `dim` wide.
    #[inline(always)]
    fn rows(self, dim: usize) -> impl Iterator<Item = &'a mut [Y]> {
        let y = self.y.of_width(dim);
        self.places.iter().enumerate().map(move |(at, &place)| {
            if let Some(&later) = self.places.get(at + PLACES_AHEAD) {
                y.prefetch(later);
            }
            // SAFETY: no other task has this row, and here it comes once.
            unsafe { y.row(place) }
        })
    }
}

/// Rows to be added where a row has a slot.
#[derive(Clone, Copy)]
pub(super) struct Addend<'a> {
    slot_of: &'a [u32],
    rows: &'a [f32],
}

impl<'a> Addend<'a> {
    pub(super) fn of(rows: &'a RowSet, addend: &'a Buffer<f32>) -> Addend<'a> {
        Addend { slot_of: rows.slot_of.host(), rows: addend.host() }
    }

    #[inline(always)]
    pub(super) fn row(self, row: u32, dim: usize) -> Option<&'a [f32]> {
        let slot = self.slot_of[row as usize];
        (slot != NO_SLOT).then(|| &self.rows[slot as usize * dim..][..dim])
    }
}

dispatch! {
    fn sum_block<X: Stored, Y: Stored>(
        edges: Edges<'_>,
        addend: Option<Addend<'_>>,
        dim: usize,
        x: &[X],
        block: Range<usize>,
        target: Target<'_, Y>,
    ) = isa sum_block_body
}

#[inline(always)]
fn sum_block_body<X: Stored, Y: Stored, const ISA: u8>(
    edges: Edges<'_>,
    addend: Option<Addend<'_>>,
    dim: usize,
    x: &[X],
    block: Range<usize>,
    target: Target<'_, Y>,
) {
    by_width!(ISA to Y, dim, sum_block_width(edges, addend, dim, x, block, target));
}

#[inline(always)]
fn sum_block_width<X: Stored, Y: Stored, const ISA: u8, const N: usize>(
    edges: Edges<'_>,
    addend: Option<Addend<'_>>,
    dim: usize,
    x: &[X],
    block: Range<usize>,
    target: Target<'_, Y>,
) {
    let (dim, distance) = (width::<N>(dim), prefetch_distance(x));
    let rows = &edges.rows[block.clone()];
    for ((terms, &row), y) in edges.terms(block, distance).zip(rows).zip(target.rows(dim)) {
        let addend = addend.and_then(|addend| addend.row(row, dim));
        // SAFETY: `y` is one row, `by_width` matches N to dim, and columns are below n_cols =
        // x.len() / dim, checked by the callers.
        unsafe { add_terms::<X, Y, ISA, N, true>(terms, dim, x, addend, y) };
    }
}

dispatch! {
    pub(super) fn sum_chosen<E: Stored>(edges: Edges<'_>, dim: usize, x: &[E], rows: &[u32], y: &mut [f32]) = isa sum_chosen_body
}

#[inline(always)]
fn sum_chosen_body<E: Stored, const ISA: u8>(edges: Edges<'_>, dim: usize, x: &[E], rows: &[u32], y: &mut [f32]) {
    by_width!(ISA, dim, sum_chosen_width(edges, dim, x, rows, y));
}

#[inline(always)]
fn sum_chosen_width<E: Stored, const ISA: u8, const N: usize>(
    edges: Edges<'_>,
    dim: usize,
    x: &[E],
    rows: &[u32],
    y: &mut [f32],
) {
    let (dim, distance) = (width::<N>(dim), prefetch_distance(x));
    for (slot, y) in y.chunks_exact_mut(dim).enumerate() {
        let here = edges.row(rows[slot] as usize);
        let ahead = here.start.saturating_add(distance).min(here.end);
        let terms = Terms {
            ahead: &edges.col_idx[ahead..here.end],
            columns: &edges.col_idx[here.clone()],
            values: &edges.values[here],
        };
        // SAFETY: as in `sum_block_width`.
        unsafe { add_terms::<E, f32, ISA, N, true>(terms, dim, x, None, y) };
    }
}

dispatch! {
    pub(super) fn sum_from_slots(
        edges: Edges<'_>,
        addend: Addend<'_>,
        dim: usize,
        slot_of: &[u32],
        x_rows: &[f32],
        block: Range<usize>,
        target: Target<'_, f32>,
    ) = isa sum_from_slots_body
}

#[inline(always)]
fn sum_from_slots_body<const ISA: u8>(
    edges: Edges<'_>,
    addend: Addend<'_>,
    dim: usize,
    slot_of: &[u32],
    x_rows: &[f32],
    block: Range<usize>,
    target: Target<'_, f32>,
) {
    by_width!(ISA, dim, sum_from_slots_width(edges, addend, dim, slot_of, x_rows, block, target));
}

#[inline(always)]
fn sum_from_slots_width<E: Stored, const ISA: u8, const N: usize>(
    edges: Edges<'_>,
    addend: Addend<'_>,
    dim: usize,
    slot_of: &[u32],
    x_rows: &[E],
    block: Range<usize>,
    target: Target<'_, f32>,
) {
    const CHUNK: usize = 256;
    let (dim, distance) = (width::<N>(dim), prefetch_distance(x_rows));
    let (mut slots, mut values) = ([0u32; CHUNK], [0f32; CHUNK]);
    for (position, y) in block.zip(target.rows(dim)) {
        y.fill(0.0);
        let here = edges.at(position);
        for (columns, weights) in edges.col_idx[here.clone()].chunks(CHUNK).zip(edges.values[here].chunks(CHUNK)) {
            // Most columns are outside the batch in no pattern: edges are packed without a branch
            // that could be guessed wrong.
            let mut kept = 0;
            for (&column, &weight) in columns.iter().zip(weights) {
                let slot = slot_of[column as usize];
                slots[kept] = slot;
                values[kept] = weight;
                kept += usize::from(slot != NO_SLOT);
            }
            let ahead = distance.min(kept);
            let terms = Terms { columns: &slots[..kept], values: &values[..kept], ahead: &slots[ahead..kept] };
            // SAFETY: `y` is one row, `by_width` matches N to dim, and a slot is below S =
            // x_rows.len() / dim, as `RowSet` keeps it.
            unsafe { add_terms::<E, f32, ISA, N, false>(terms, dim, x_rows, None, y) };
        }
        if let Some(addend) = addend.row(edges.rows[position], dim) {
            y.iter_mut().zip(addend).for_each(|(y, add)| *y += add);
        }
    }
}

#[cfg(test)]
#[path = "propagate_tests.rs"]
mod tests;
