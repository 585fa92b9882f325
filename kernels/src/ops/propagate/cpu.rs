//! Rows of a hop on the processor: each is summed by one owner, from the entries of its row in
//! their order.

use std::ops::Range;

use rayon::prelude::*;

use crate::Buffer;
use crate::dispatch;
use crate::element::Element;
use crate::ops::adjacency::{Adjacency, Schedule};
use crate::ops::row_set::{NO_SLOT, RowSet};
use crate::parallel::{SharedRows, for_each_block};
use crate::row_sum::{Terms, add_terms, by_width, prefetch_distance, width};
use crate::stored::Stored;

/// Rows of a batch that one task takes: each is a sum over all its neighbours.
pub(in crate::ops) const ROWS_PER_TASK: usize = 16;

/// Rows between a sum and the fetch of its place in memory, which may lie anywhere.
pub(in crate::ops) const PLACES_AHEAD: usize = 6;

/// All rows of `A x`, in one pass over memory: a row is still in a register or nearly so when its
/// addend comes.
pub(in crate::ops) fn all_rows<X: Stored, Y: Stored>(
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
pub(in crate::ops) fn chosen_rows<E: Stored>(a: &Adjacency, dim: usize, x: &[E], rows: &RowSet, y: &mut [f32]) {
    let edges = Edges::of(a);
    let tasks = y.par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.rows().par_chunks(ROWS_PER_TASK));
    tasks.for_each(|(y, rows)| sum_chosen(edges, dim, x, rows, y));
}

/// An [`Adjacency`] in host memory, with its invariants: columns are below `n_cols`, `ptr` ascends
/// from 0 to their number, and there are as many values.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Edges<'a> {
    /// The row at each position of the schedule.
    pub(in crate::ops) rows: &'a [u32],
    ptr: &'a [u32],
    start: &'a [u32],
    row_ptr: &'a [u32],
    col_idx: &'a [u32],
    values: &'a [f32],
}

impl<'a> Edges<'a> {
    pub(in crate::ops) fn of(a: &'a Adjacency) -> Edges<'a> {
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
    pub(in crate::ops) fn terms(self, block: Range<usize>, distance: usize) -> impl Iterator<Item = Terms<'a>> {
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
pub(in crate::ops) struct Target<'a, Y> {
    /// No other task has the rows that `places` names.
    pub(in crate::ops) y: SharedRows<'a, Y>,
    /// The row of `y` for each position of the block, no row twice.
    pub(in crate::ops) places: &'a [u32],
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
pub(in crate::ops) struct Addend<'a> {
    slot_of: &'a [u32],
    rows: &'a [f32],
}

impl<'a> Addend<'a> {
    pub(in crate::ops) fn of(rows: &'a RowSet, addend: &'a Buffer<f32>) -> Addend<'a> {
        Addend { slot_of: rows.slot_of.host(), rows: addend.host() }
    }

    #[inline(always)]
    pub(in crate::ops) fn row(self, row: u32, dim: usize) -> Option<&'a [f32]> {
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
    pub(in crate::ops) fn sum_chosen<E: Stored>(edges: Edges<'_>, dim: usize, x: &[E], rows: &[u32], y: &mut [f32]) = isa sum_chosen_body
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
    pub(in crate::ops) fn sum_from_slots(
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
