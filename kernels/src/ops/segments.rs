//! Adding many rows onto few, written as a gather: each output row sums its own segment of entries,
//! in ascending order of the entries, so no two threads ever add to the same place and the order
//! never changes.

use rayon::prelude::*;

use crate::dispatch;
#[cfg(feature = "gpu")]
use crate::error::expect_largest;
use crate::error::{Result, expect_dim, expect_indices, expect_len, expect_rows};
use crate::parallel::ROWS_PER_TASK;
use crate::row_sum::{Terms, add_terms, by_width, prefetch_distance};
use crate::stored::Stored;
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

/// Entries of a segment that are looked up at a time.
const CHUNK: usize = 256;

/// Which entries add up to which output row.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    n_segments: usize,
    // Invariant, kept by `assign`: ptr ascends from 0 to entries.len(); entries is a permutation of
    // 0..entries.len().
    ptr: Buffer<u32>,
    entries: Buffer<u32>,
    host_ptr: Vec<u32>,
    host_entries: Vec<u32>,
}

impl Segments {
    /// No segments and no entries.
    pub fn new() -> Segments {
        Segments::default()
    }

    /// Sorts entries by segment: entry `e` belongs to segment `destination[e]`. A counting sort;
    /// entries of a segment keep their order.
    ///
    /// # Errors
    /// [`KernelError::Index`] when a destination is not below `n_segments`; the old segments stay.
    pub fn assign(&mut self, device: &Device, n_segments: usize, destination: &[u32]) -> Result<()> {
        const OP: &str = "segments";
        expect_indices(OP, "destination", destination, n_segments)?;
        if u32::try_from(destination.len()).is_err() {
            let problem = format!("has {} entries, expected fewer than 2^32", destination.len());
            return Err(KernelError::Argument { op: OP, argument: "destination", problem });
        }
        // Count into ptr[s + 2], sum up to starts in ptr[s + 1], then move each start to its end
        // while entries are placed: ptr[s] is the start.
        let ptr = &mut self.host_ptr;
        ptr.clear();
        ptr.resize(n_segments + 2, 0);
        for &segment in destination {
            ptr[segment as usize + 2] += 1;
        }
        for segment in 1..ptr.len() {
            ptr[segment] += ptr[segment - 1];
        }
        self.host_entries.resize(destination.len(), 0);
        for (entry, &segment) in destination.iter().enumerate() {
            let place = &mut ptr[segment as usize + 1];
            self.host_entries[*place as usize] = entry as u32;
            *place += 1;
        }
        ptr.truncate(n_segments + 1);
        self.n_segments = n_segments;
        device.write(&mut self.ptr, ptr);
        device.write(&mut self.entries, &self.host_entries);
        Ok(())
    }

    /// Number of output rows.
    pub fn n_segments(&self) -> usize {
        self.n_segments
    }

    /// Number of entries.
    pub fn n_entries(&self) -> usize {
        self.entries.len()
    }
}

/// The definition: `y[destination[e]] += coefficient[e] * x[source[e]]` for every entry in turn, in
/// plain loops.
pub fn segment_weighted_rows_reference(
    dim: usize,
    n_segments: usize,
    destination: &[u32],
    source: &[u32],
    coefficient: &[f64],
    x: &[f64],
) -> Vec<f64> {
    let mut y = vec![0.0; n_segments * dim];
    for (entry, &segment) in destination.iter().enumerate() {
        for k in 0..dim {
            y[segment as usize * dim + k] += coefficient[entry] * x[source[entry] as usize * dim + k];
        }
    }
    y
}

/// Adds up the rows of each segment: `y[s] = sum over the entries e of s of x[e]`.
///
/// # Shapes
/// - `x`: `[n_entries, dim]`; `y`: `[n_segments, dim]`, resized and overwritten; an empty segment
///   gives a row of zeros
///
/// # Errors
/// [`KernelError::Shape`] when `x` does not have one row per entry.
pub fn segment_sum_rows(
    device: &Device,
    dim: usize,
    segments: &Segments,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "segment_sum_rows";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), segments.n_entries() * dim)?;
    device.resize(y, segments.n_segments * dim);
    match device {
        Device::Cpu => each_task(dim, segments, y, |ptr, entries, y| sum_entries(dim, ptr, entries, x.host(), y)),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) if !y.is_empty() => gpu::sum(gpu, dim, segments, None, x, y),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {}
    }
    Ok(())
}

/// Adds up chosen rows, each times its coefficient, for each segment:
/// `y[s] = sum over the entries e of s of coefficient[e] * x[source[e]]`.
///
/// # Shapes
/// - `source`, `coefficient`: `[n_entries]`; `x`: `[n_rows, dim]`; `y`: `[n_segments, dim]`,
///   resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`] when sizes disagree, [`KernelError::Index`] when a source is not a row of
/// `x`.
pub fn segment_weighted_rows(
    device: &Device,
    dim: usize,
    segments: &Segments,
    source: &Buffer<u32>,
    coefficient: &Buffer<f32>,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "segment_weighted_rows";
    let n_rows = expect_rows(OP, "x", x.len(), dim)?;
    expect_len(OP, "source", source.len(), segments.n_entries())?;
    expect_len(OP, "coefficient", coefficient.len(), segments.n_entries())?;
    match device {
        Device::Cpu => {
            expect_indices(OP, "source", source.host(), n_rows)?;
            device.resize(y, segments.n_segments * dim);
            let (source, coefficient, x) = (source.host(), coefficient.host(), x.host());
            each_task(dim, segments, y, |ptr, entries, y| weigh_entries(dim, ptr, entries, source, coefficient, x, y));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            expect_largest(OP, "source", source, n_rows)?;
            device.resize(y, segments.n_segments * dim);
            if !y.is_empty() {
                gpu::sum(gpu, dim, segments, Some((source, coefficient)), x, y);
            }
        }
    }
    Ok(())
}

/// Runs `work(the ends of some segments, all entries, their rows of y)` over all segments.
fn each_task(dim: usize, segments: &Segments, y: &mut Buffer<f32>, work: impl Fn(&[u32], &[u32], &mut [f32]) + Sync) {
    let (ptr, entries) = (segments.ptr.host(), segments.entries.host());
    y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).enumerate().for_each(|(task, y)| {
        let first = task * ROWS_PER_TASK;
        work(&ptr[first..=first + y.len() / dim], entries, y);
    });
}

dispatch! {
    fn sum_entries(dim: usize, ptr: &[u32], entries: &[u32], x: &[f32], y: &mut [f32]) = isa sum_entries_body
}

#[inline(always)]
fn sum_entries_body<const ISA: u8>(dim: usize, ptr: &[u32], entries: &[u32], x: &[f32], y: &mut [f32]) {
    by_width!(ISA, dim, sum_entries_width(dim, ptr, entries, x, y));
}

#[inline(always)]
fn sum_entries_width<E: Stored, const ISA: u8, const N: usize>(
    dim: usize,
    ptr: &[u32],
    entries: &[u32],
    x: &[E],
    y: &mut [f32],
) {
    const ONES: [f32; CHUNK] = [1.0; CHUNK];
    for (ends, y) in ptr.windows(2).zip(y.chunks_exact_mut(dim)) {
        y.fill(0.0);
        for columns in entries[ends[0] as usize..ends[1] as usize].chunks(CHUNK) {
            let ahead = prefetch_distance(x).min(columns.len());
            // Times one is exact, fused or not: this is a plain sum.
            let terms = Terms { columns, values: &ONES[..columns.len()], ahead: &columns[ahead..] };
            // SAFETY: `y` is one row, `by_width` matches N to dim, and entries are below n_entries
            // = x.len() / dim, as `Segments` keeps them.
            unsafe { add_terms::<E, f32, ISA, N, false>(terms, dim, x, None, y) };
        }
    }
}

dispatch! {
    fn weigh_entries(
        dim: usize,
        ptr: &[u32],
        entries: &[u32],
        source: &[u32],
        coefficient: &[f32],
        x: &[f32],
        y: &mut [f32],
    ) = isa weigh_entries_body
}

#[inline(always)]
fn weigh_entries_body<const ISA: u8>(
    dim: usize,
    ptr: &[u32],
    entries: &[u32],
    source: &[u32],
    coefficient: &[f32],
    x: &[f32],
    y: &mut [f32],
) {
    by_width!(ISA, dim, weigh_entries_width(dim, ptr, entries, source, coefficient, x, y));
}

#[inline(always)]
fn weigh_entries_width<E: Stored, const ISA: u8, const N: usize>(
    dim: usize,
    ptr: &[u32],
    entries: &[u32],
    source: &[u32],
    coefficient: &[f32],
    x: &[E],
    y: &mut [f32],
) {
    let (mut columns, mut values) = ([0u32; CHUNK], [0f32; CHUNK]);
    for (ends, y) in ptr.windows(2).zip(y.chunks_exact_mut(dim)) {
        y.fill(0.0);
        for entries in entries[ends[0] as usize..ends[1] as usize].chunks(CHUNK) {
            for ((column, value), &entry) in columns.iter_mut().zip(&mut values).zip(entries) {
                (*column, *value) = (source[entry as usize], coefficient[entry as usize]);
            }
            let ahead = prefetch_distance(x).min(entries.len());
            let columns = &columns[..entries.len()];
            let terms = Terms { columns, values: &values[..entries.len()], ahead: &columns[ahead..] };
            // SAFETY: as in `sum_entries_width`; sources were checked to be rows of `x`.
            unsafe { add_terms::<E, f32, ISA, N, false>(terms, dim, x, None, y) };
        }
    }
}

#[cfg(test)]
mod tests;
