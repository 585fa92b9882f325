//! One hop over the graph: sparse matrix times dense rows, in the four shapes that a training step needs.
//!
//! Every output row has one owner, who pulls its neighbours in edge order: the same bits for any number of threads. A row that is cut into
//! 16-column blocks stays in registers while its edges pass. All four ops sum a row by one kernel, so they agree to the bit where they compute the
//! same thing.

use rayon::prelude::*;
use std::ops::Range;

use crate::dispatch;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::for_each_block;
use crate::row_sum::{PREFETCH_DISTANCE, Terms, add_terms, by_width};
use crate::{Buffer, Device};

pub use super::adjacency::Adjacency;
use super::row_set::NO_SLOT;
pub use super::row_set::RowSet;

/// Rows that one task of [`propagate_rows`] takes.
const ROWS_PER_TASK: usize = 16;

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
/// - `x`: `[n_cols, dim]`; `y`: `[n_rows, dim]`, resized and overwritten; an empty row of `A` gives a row of zeros
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` does not have one row per column of `A`.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eq. 7.
pub fn propagate(device: &Device, a: &Adjacency, dim: usize, x: &Buffer<f32>, y: &mut Buffer<f32>) -> Result<()> {
    expect_dim("propagate", dim)?;
    expect_len("propagate", "x", x.len(), a.n_cols() * dim)?;
    all_rows(device, a, dim, x, None, y);
    Ok(())
}

/// One step of Horner's rule, in one pass: `y = A x + scatter(rows, addend)`.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `rows`: S out of `n_rows`; `addend`: `[S, dim]`; `y`: `[n_rows, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit the adjacency or the row set.
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
    all_rows(device, a, dim, x, Some((rows, addend)), y);
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
        Device::Cpu => {
            let (edges, x) = (Edges::of(a), x.host());
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.rows().par_chunks(ROWS_PER_TASK));
            tasks.for_each(|(y, rows)| sum_chosen(edges, dim, x, rows, y));
        }
    }
    Ok(())
}

/// The first step backwards, where the gradient lives on the batch's rows only:
/// `y = A scatter(rows, x_rows) + scatter(rows, addend)`, for a square `A`.
///
/// Columns outside the batch are skipped, which drops exact zeros from a sum: the result equals that of the scattered `x`.
///
/// # Shapes
/// - `rows`: S out of `n_rows`; `x_rows`, `addend`: `[S, dim]`; `y`: `[n_rows, dim]`, resized and overwritten
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
            let addend = Addend { slot_of, rows: addend.host() };
            for_each_block(&a.row_blocks, dim, y.host_mut(), &|block, y| {
                sum_from_slots(edges, dim, slot_of, x_rows, block.clone(), y);
                add_at_slots(addend, dim, block, y);
            });
        }
    }
    Ok(())
}

fn all_rows(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<f32>,
    add: Option<(&RowSet, &Buffer<f32>)>,
    y: &mut Buffer<f32>,
) {
    device.resize(y, a.n_rows() * dim);
    match device {
        Device::Cpu => {
            let (edges, x) = (Edges::of(a), x.host());
            let addend = add.map(|(rows, addend)| Addend { slot_of: rows.slot_of.host(), rows: addend.host() });
            // A block's rows are still in the cache when the addend comes: one pass over memory.
            for_each_block(&a.row_blocks, dim, y.host_mut(), &|block, y| {
                sum_block(edges, dim, x, block.clone(), y);
                if let Some(addend) = addend {
                    add_at_slots(addend, dim, block, y);
                }
            });
        }
    }
}

/// An [`Adjacency`] in host memory, with its invariant: columns are below `n_cols`.
#[derive(Clone, Copy)]
struct Edges<'a> {
    row_ptr: &'a [u32],
    col_idx: &'a [u32],
    values: &'a [f32],
}

impl<'a> Edges<'a> {
    fn of(a: &'a Adjacency) -> Edges<'a> {
        Edges { row_ptr: a.row_ptr.host(), col_idx: a.col_idx.host(), values: a.values.host() }
    }

    #[inline(always)]
    fn row(self, row: usize) -> Range<usize> {
        self.row_ptr[row] as usize..self.row_ptr[row + 1] as usize
    }
}

/// Rows to be added where a row has a slot.
#[derive(Clone, Copy)]
struct Addend<'a> {
    slot_of: &'a [u32],
    rows: &'a [f32],
}

fn add_at_slots(addend: Addend<'_>, dim: usize, block: Range<usize>, y: &mut [f32]) {
    for (y, &slot) in y.chunks_exact_mut(dim).zip(&addend.slot_of[block]) {
        if slot != NO_SLOT {
            for (y, add) in y.iter_mut().zip(&addend.rows[slot as usize * dim..][..dim]) {
                *y += add;
            }
        }
    }
}

dispatch! {
    fn sum_block(edges: Edges<'_>, dim: usize, x: &[f32], block: Range<usize>, y: &mut [f32]) = sum_block_body
}

#[inline(always)]
fn sum_block_body<const FUSED: bool>(edges: Edges<'_>, dim: usize, x: &[f32], block: Range<usize>, y: &mut [f32]) {
    by_width!(FUSED, dim, sum_block_width(edges, dim, x, block, y));
}

#[inline(always)]
fn sum_block_width<const FUSED: bool, const N: usize>(
    edges: Edges<'_>,
    dim: usize,
    x: &[f32],
    block: Range<usize>,
    y: &mut [f32],
) {
    for (row, y) in block.zip(y.chunks_exact_mut(dim)) {
        let here = edges.row(row);
        // Rows follow one another, so looking ahead may run on into the next rows' edges.
        let ahead = (here.start + PREFETCH_DISTANCE).min(edges.col_idx.len());
        let terms = Terms {
            columns: &edges.col_idx[here.clone()],
            values: &edges.values[here],
            ahead: &edges.col_idx[ahead..],
        };
        // SAFETY: `y` is one row, `by_width` matches N to dim, and columns are below n_cols = x.len() / dim, checked by the callers.
        unsafe { add_terms::<FUSED, N, true>(terms, dim, x, y) };
    }
}

dispatch! {
    fn sum_chosen(edges: Edges<'_>, dim: usize, x: &[f32], rows: &[u32], y: &mut [f32]) = sum_chosen_body
}

#[inline(always)]
fn sum_chosen_body<const FUSED: bool>(edges: Edges<'_>, dim: usize, x: &[f32], rows: &[u32], y: &mut [f32]) {
    by_width!(FUSED, dim, sum_chosen_width(edges, dim, x, rows, y));
}

#[inline(always)]
fn sum_chosen_width<const FUSED: bool, const N: usize>(
    edges: Edges<'_>,
    dim: usize,
    x: &[f32],
    rows: &[u32],
    y: &mut [f32],
) {
    for (slot, y) in y.chunks_exact_mut(dim).enumerate() {
        let here = edges.row(rows[slot] as usize);
        let ahead = (here.start + PREFETCH_DISTANCE).min(here.end);
        let terms = Terms {
            ahead: &edges.col_idx[ahead..here.end],
            columns: &edges.col_idx[here.clone()],
            values: &edges.values[here],
        };
        // SAFETY: as in `sum_block_width`.
        unsafe { add_terms::<FUSED, N, true>(terms, dim, x, y) };
    }
}

dispatch! {
    fn sum_from_slots(edges: Edges<'_>, dim: usize, slot_of: &[u32], x_rows: &[f32], block: Range<usize>, y: &mut [f32]) = sum_from_slots_body
}

#[inline(always)]
fn sum_from_slots_body<const FUSED: bool>(
    edges: Edges<'_>,
    dim: usize,
    slot_of: &[u32],
    x_rows: &[f32],
    block: Range<usize>,
    y: &mut [f32],
) {
    by_width!(FUSED, dim, sum_from_slots_width(edges, dim, slot_of, x_rows, block, y));
}

#[inline(always)]
fn sum_from_slots_width<const FUSED: bool, const N: usize>(
    edges: Edges<'_>,
    dim: usize,
    slot_of: &[u32],
    x_rows: &[f32],
    block: Range<usize>,
    y: &mut [f32],
) {
    const CHUNK: usize = 256;
    let (mut slots, mut values) = ([0u32; CHUNK], [0f32; CHUNK]);
    for (row, y) in block.zip(y.chunks_exact_mut(dim)) {
        y.fill(0.0);
        let here = edges.row(row);
        for (columns, weights) in edges.col_idx[here.clone()].chunks(CHUNK).zip(edges.values[here].chunks(CHUNK)) {
            // Most columns are outside the batch in no pattern: edges are packed without a branch that could be guessed wrong.
            let mut kept = 0;
            for (&column, &weight) in columns.iter().zip(weights) {
                let slot = slot_of[column as usize];
                slots[kept] = slot;
                values[kept] = weight;
                kept += usize::from(slot != NO_SLOT);
            }
            let ahead = PREFETCH_DISTANCE.min(kept);
            let terms = Terms { columns: &slots[..kept], values: &values[..kept], ahead: &slots[ahead..kept] };
            // SAFETY: `y` is one row, `by_width` matches N to dim, and a slot is below S = x_rows.len() / dim, as `RowSet` keeps it.
            unsafe { add_terms::<FUSED, N, false>(terms, dim, x_rows, y) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::on_both_widths;
    use crate::testing::{DIMS, assert_close, awkward_square, bits, numbers, same_on_any_threads, wide};

    const CPU: Device = Device::Cpu;
    const NODES: usize = 701;

    type Csr = (Vec<u32>, Vec<u32>, Vec<f32>);

    fn upload(n: usize) -> (Adjacency, Csr) {
        let csr = awkward_square(n);
        (Adjacency::upload(&CPU, n, &csr.0, &csr.1, &csr.2).unwrap(), csr)
    }

    /// Rows 0 and 2 are the empty row and the hub, the last is isolated.
    fn batch() -> RowSet {
        let mut rows = RowSet::new(&CPU, NODES);
        let list: Vec<u32> =
            (0..NODES as u32).filter(|row| row % 3 == 0 || *row == 2 || *row as usize == NODES - 1).collect();
        rows.assign(&CPU, &list).unwrap();
        rows
    }

    fn scatter(rows: &RowSet, dim: usize, x_rows: &[f32]) -> Vec<f32> {
        let mut x = vec![0.0; rows.n_rows() * dim];
        for (slot, &row) in rows.rows().iter().enumerate() {
            x[row as usize * dim..][..dim].copy_from_slice(&x_rows[slot * dim..][..dim]);
        }
        x
    }

    #[test]
    fn a_hop_is_the_weighted_sum_of_the_neighbours() {
        // A = [[0, 2], [0, 0], [3, -1]], x = [[1, 10], [5, 7]]: rows 2*(5,7); nothing; 3*(1,10) - (5,7).
        let a = Adjacency::upload(&CPU, 2, &[0, 1, 1, 3], &[1, 0, 1], &[2.0, 3.0, -1.0]).unwrap();
        let mut y = Buffer::default();
        propagate(&CPU, &a, 2, &CPU.upload(&[1.0, 10.0, 5.0, 7.0]), &mut y).unwrap();
        assert_eq!(CPU.read(&y), [10.0, 14.0, 0.0, 0.0, -2.0, 23.0]);
    }

    #[test]
    fn every_width_and_every_kind_of_row_agrees_with_the_reference_on_any_number_of_threads() {
        let (a, csr) = upload(NODES);
        for dim in DIMS {
            let x = numbers(dim as u64, NODES * dim);
            let expected = propagate_reference(&csr.0, &csr.1, &csr.2, dim, &wide(&x));
            let x = CPU.upload(&x);
            let found = same_on_any_threads(|| {
                let mut y = CPU.upload(&[f32::NAN; 3]);
                propagate(&CPU, &a, dim, &x, &mut y).unwrap();
                CPU.read(&y)
            });
            // The hub adds 1402 products below 1 in f32: 1402 roundings of sums of about 20, each within 2^-24 * 32.
            assert_close(&found, &expected, 1e-4, &format!("dim {dim}"));
            assert!(found[..dim].iter().chain(&found[(NODES - 1) * dim..]).all(|&value| value == 0.0));
        }
    }

    #[test]
    fn a_column_has_the_same_bits_whatever_the_width_around_it() {
        let (a, _) = upload(NODES);
        let narrow = numbers(9, NODES);
        let mut one = Buffer::default();
        propagate(&CPU, &a, 1, &CPU.upload(&narrow), &mut one).unwrap();
        for dim in [7, 16, 64, 65, 128, 144] {
            let repeated: Vec<f32> = narrow.iter().flat_map(|&value| std::iter::repeat_n(value, dim)).collect();
            let mut y = Buffer::default();
            propagate(&CPU, &a, dim, &CPU.upload(&repeated), &mut y).unwrap();
            let expected: Vec<f32> = CPU.read(&one).iter().flat_map(|&value| std::iter::repeat_n(value, dim)).collect();
            assert_eq!(bits(&CPU.read(&y)), bits(&expected), "dim {dim}");
        }
    }

    #[test]
    fn the_four_shapes_agree_to_the_bit() {
        let (a, _) = upload(NODES);
        let rows = batch();
        for dim in DIMS {
            let x_rows = numbers(3, rows.len() * dim);
            let addend = CPU.upload(&numbers(4, rows.len() * dim));
            let x = CPU.upload(&scatter(&rows, dim, &x_rows));
            let mut plain = Buffer::default();
            propagate(&CPU, &a, dim, &x, &mut plain).unwrap();
            let plain = CPU.read(&plain);
            let scattered = scatter(&rows, dim, addend.host());
            let with_addend: Vec<f32> = plain.iter().zip(&scattered).map(|(plain, add)| plain + add).collect();

            let added = same_on_any_threads(|| {
                let mut y = Buffer::default();
                propagate_add(&CPU, &a, dim, &x, &rows, &addend, &mut y).unwrap();
                CPU.read(&y)
            });
            assert_eq!(bits(&added), bits(&with_addend), "propagate_add, dim {dim}");

            let chosen = same_on_any_threads(|| {
                let mut y = Buffer::default();
                propagate_rows(&CPU, &a, dim, &x, &rows, &mut y).unwrap();
                CPU.read(&y)
            });
            let expected: Vec<f32> =
                rows.rows().iter().flat_map(|&row| plain[row as usize * dim..][..dim].iter().copied()).collect();
            assert_eq!(bits(&chosen), bits(&expected), "propagate_rows, dim {dim}");

            let x_rows = CPU.upload(&x_rows);
            let from_rows = same_on_any_threads(|| {
                let mut y = Buffer::default();
                propagate_from_rows_add(&CPU, &a, dim, &rows, &x_rows, &addend, &mut y).unwrap();
                CPU.read(&y)
            });
            assert_eq!(bits(&from_rows), bits(&with_addend), "propagate_from_rows_add, dim {dim}");
        }
    }

    #[test]
    fn wide_and_narrow_vectors_give_the_same_bits() {
        let (a, _) = upload(NODES);
        for dim in [63, 64, 65] {
            let x = CPU.upload(&numbers(1, NODES * dim));
            let (wide, narrow) = on_both_widths(|| {
                let mut y = Buffer::default();
                propagate(&CPU, &a, dim, &x, &mut y).unwrap();
                CPU.read(&y)
            });
            assert_eq!(bits(&wide), bits(&narrow), "dim {dim}");
        }
    }

    #[test]
    fn an_empty_batch_sends_nothing_back() {
        let (a, _) = upload(11);
        let (rows, none) = (RowSet::new(&CPU, 11), Buffer::default());
        let mut y = Buffer::default();
        propagate_from_rows_add(&CPU, &a, 5, &rows, &none, &none, &mut y).unwrap();
        assert_eq!(CPU.read(&y), [0.0; 55]);
        propagate_rows(&CPU, &a, 5, &CPU.zeros(55), &rows, &mut y).unwrap();
        assert!(y.is_empty());
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (a, _) = upload(11);
        let mut rows = RowSet::new(&CPU, 11);
        rows.assign(&CPU, &[3]).unwrap();
        let (x, row, wrong) = (CPU.zeros(22), CPU.zeros(2), CPU.zeros(3));
        let mut y = Buffer::default();
        let refused = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(refused(propagate(&CPU, &a, 0, &x, &mut y)), "propagate: dim is 0, expected 1 or more");
        assert_eq!(refused(propagate(&CPU, &a, 2, &wrong, &mut y)), "propagate: x has 3 elements, expected 22");
        assert_eq!(
            refused(propagate_add(&CPU, &a, 2, &x, &rows, &wrong, &mut y)),
            "propagate_add: addend has 3 elements, expected 2"
        );
        assert_eq!(
            refused(propagate_rows(&CPU, &a, 2, &x, &RowSet::new(&CPU, 12), &mut y)),
            "propagate_rows: rows.slot_of has 12 elements, expected 11"
        );
        assert_eq!(
            refused(propagate_from_rows_add(&CPU, &a, 2, &rows, &wrong, &row, &mut y)),
            "propagate_from_rows_add: x_rows has 3 elements, expected 2"
        );
        let oblong = Adjacency::upload(&CPU, 12, &[0; 12], &[], &[]).unwrap();
        assert_eq!(
            refused(propagate_from_rows_add(&CPU, &oblong, 2, &rows, &row, &row, &mut y)),
            "propagate_from_rows_add: a.row_ptr has 12 elements, expected 13"
        );
        assert!(y.is_empty());
    }
}
