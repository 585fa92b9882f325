//! How the processor shares out the rows of a combination.
//!
//! Rows are cut into chunks of 128 and chunks into at most 32 groups by their number alone; one
//! task treats a group from its first row to its last, and the groups' shares of a parameter
//! gradient are added in order. So the number of threads changes no bit.

use std::ops::Range;

use super::layers::{Layers, MAX_HOPS};
use crate::buffer::Buffer;

pub(super) const CHUNK: usize = 128;
const GROUPS: usize = 32;

/// Rows in a group, and the number of groups.
pub(super) fn grouping(n_rows: usize) -> (usize, usize) {
    let rows = n_rows.div_ceil(CHUNK).div_ceil(GROUPS).max(1) * CHUNK;
    (rows, n_rows.div_ceil(rows))
}

/// The chunks of one group: (first row, number of rows).
pub(super) fn chunks(rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let end = rows.end;
    rows.step_by(CHUNK).map(move |from| (from, CHUNK.min(end - from)))
}

/// Rows `from..from + n` of a row-major matrix.
pub(super) fn rows(matrix: &[f32], width: usize, from: usize, n: usize) -> &[f32] {
    &matrix[from * width..(from + n) * width]
}

/// The rows of `range` of a row-major matrix, to be written, with their width.
pub(super) fn rows_mut<'a>(matrix: &'a mut Buffer<f32>, width: usize, range: &Range<usize>) -> (&'a mut [f32], usize) {
    (&mut matrix.host_mut()[range.start * width..range.end * width], width)
}

/// The rows of every hop that `layers` names, in the fixed-size form that [`for_groups`] takes;
/// places past the last hop are empty.
pub(super) fn hops_mut<'a>(hops: &'a mut [Buffer<f32>], layers: &Layers<'_>) -> [(&'a mut [f32], usize); MAX_HOPS] {
    let mut hops = hops.iter_mut();
    [(); MAX_HOPS].map(|()| hops.next().map_or((&mut [][..], 0), |hop| rows_mut(hop, layers.dim, &layers.range)))
}

/// Runs `work(rows of the group, its scratch, its rows of each output)` for every group, in
/// parallel.
///
/// Halving the outputs again and again hands each task its own rows without a list of slices per
/// call.
pub(super) fn for_groups<const N: usize, G: Send>(
    range: Range<usize>,
    rows_per_group: usize,
    groups: &mut [G],
    outputs: [(&mut [f32], usize); N],
    work: &(impl Fn(Range<usize>, &mut G, [&mut [f32]; N]) + Sync),
) {
    match groups {
        [] => {}
        [group] => work(range, group, outputs.map(|(rows, _)| rows)),
        _ => {
            let half = groups.len() / 2;
            let middle = range.start + half * rows_per_group;
            let (low_groups, high_groups) = groups.split_at_mut(half);
            let mut high = [(); N].map(|()| (&mut [][..], 0));
            let mut at = 0;
            let low = outputs.map(|(rows, width)| {
                let (low, rest) = rows.split_at_mut(rows.len().min(half * rows_per_group * width));
                high[at] = (rest, width);
                at += 1;
                (low, width)
            });
            rayon::join(
                || for_groups(range.start..middle, rows_per_group, low_groups, low, work),
                || for_groups(middle..range.end, rows_per_group, high_groups, high, work),
            );
        }
    }
}

/// Adds the groups' parameter gradients in their order.
pub(super) fn add_groups<'a>(mut parts: impl Iterator<Item = &'a [f32]>, out: &mut [f32]) {
    match parts.next() {
        Some(first) => out.copy_from_slice(first),
        None => out.fill(0.0),
    }
    for part in parts {
        out.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}

/// Some rows of every layer, `n` from row `from` on.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    hops: &'a [Buffer<f32>],
    pub(super) dim: usize,
    pub(super) from: usize,
    pub(super) n: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(hops: &'a [Buffer<f32>], dim: usize, (from, n): (usize, usize)) -> Self {
        Rows { hops, dim, from, n }
    }

    /// The rows of layer `k`.
    pub(super) fn layer(self, k: usize) -> &'a [f32] {
        rows(self.hops[k].host(), self.dim, self.from, self.n)
    }
}
