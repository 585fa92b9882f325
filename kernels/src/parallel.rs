//! Row blocks of equal work, cut once: which thread runs a block changes no bit of what it
//! computes.

use std::marker::PhantomData;
use std::ops::Range;

use crate::element::Element;
use crate::simd::prefetch_to_write;

/// Rows of a dense op that one task takes: small enough to share out a batch, large enough to hide
/// the cost of a task.
pub(crate) const ROWS_PER_TASK: usize = 32;

/// Elements of an element-wise op that one task takes: 64 KiB of each array.
pub(crate) const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Cuts rows into consecutive blocks of about equal work, where a row costs its non-zeros and one
/// more.
pub(crate) fn equal_work_blocks(row_ptr: &[u32]) -> Vec<Range<usize>> {
    const SMALLEST: usize = 2048; // a few microseconds: below it a task costs more than it saves
    const MOST: usize = 128; // enough for 16 threads to finish together
    let n_rows = row_ptr.len().saturating_sub(1);
    let work_before = |row: usize| row_ptr[row] as usize + row;
    if n_rows == 0 {
        return Vec::new();
    }
    let total = work_before(n_rows);
    let block_work = total.div_ceil(MOST).max(SMALLEST);
    let mut blocks = Vec::with_capacity(total / block_work + 1);
    let mut start = 0;
    for end in 1..=n_rows {
        if end == n_rows || work_before(end) - work_before(start) >= block_work {
            blocks.push(start..end);
            start = end;
        }
    }
    blocks
}

/// A matrix whose rows are filled by several tasks side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedRows<'a, T> {
    // Invariant, set by `of`: `n_rows` rows of `dim` numbers, borrowed alone for 'a.
    start: *mut T,
    n_rows: usize,
    dim: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

// SAFETY: a row is plain numbers, and who asks for one (`row`) vouches that nobody else has it.
unsafe impl<T: Element> Send for SharedRows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Element> Sync for SharedRows<'_, T> {}

impl<'a, T: Element> SharedRows<'a, T> {
    pub(crate) fn of(y: &'a mut [T], dim: usize) -> Self {
        SharedRows { start: y.as_mut_ptr(), n_rows: y.len() / dim, dim, borrowed: PhantomData }
    }

    /// The same rows, where the compiler is to know their width.
    #[inline(always)]
    pub(crate) fn of_width(self, dim: usize) -> Self {
        assert_eq!(dim, self.dim, "a known width should be the width");
        SharedRows { dim, ..self }
    }

    /// One row.
    ///
    /// # Safety
    /// Nobody else has this row while the answer is in use.
    #[inline(always)]
    pub(crate) unsafe fn row(self, row: u32) -> &'a mut [T] {
        assert!((row as usize) < self.n_rows, "a row should lie inside the matrix");
        // SAFETY: the row lies inside the matrix, and the caller vouches that it is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row as usize * self.dim), self.dim) }
    }

    /// Fetches a row that is about to be overwritten.
    #[inline(always)]
    pub(crate) fn prefetch(self, row: u32) {
        prefetch_to_write(self.start.wrapping_add(row as usize * self.dim), self.dim);
    }
}

/// Runs `work(block)` for every block. Halves the list of blocks until one is left, so nothing is
/// allocated.
pub(crate) fn for_each_block<F>(blocks: &[Range<usize>], work: &F)
where
    F: Fn(Range<usize>) + Sync,
{
    match blocks {
        [] => {}
        [block] => work(block.clone()),
        _ => {
            let (low, high) = blocks.split_at(blocks.len() / 2);
            rayon::join(|| for_each_block(low, work), || for_each_block(high, work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn blocks_follow_one_another_and_a_hub_row_closes_its_block() {
        // Rows of 10 non-zeros, row 3 with 100,000. Total work 100,070 + 8 is below 128 * 2048, so
        // a block closes once it has 2048: at row 3.
        let row_ptr = [0, 10, 20, 30, 100_030, 100_040, 100_050, 100_060, 100_070];
        assert_eq!(equal_work_blocks(&row_ptr), vec![0..4, 4..8]);
        assert!(equal_work_blocks(&[0]).is_empty());
        assert!(equal_work_blocks(&[]).is_empty());
    }

    #[test]
    fn many_rows_become_many_blocks_of_similar_work() {
        let row_ptr: Vec<u32> = (0..=70_000).map(|row| row * 23).collect();
        let blocks = equal_work_blocks(&row_ptr);
        assert!(blocks.len() >= 64 && blocks.len() <= 128, "{}", blocks.len());
        assert_eq!(blocks.iter().map(ExactSizeIterator::len).sum::<usize>(), 70_000);
    }

    #[test]
    fn every_block_is_run_once() {
        let blocks = [2..3, 3..6, 6..7];
        let runs: [AtomicU32; 8] = Default::default();
        for_each_block(&blocks, &|block| {
            for row in block {
                runs[row].fetch_add(1, Ordering::Relaxed);
            }
        });
        assert_eq!(runs.map(AtomicU32::into_inner), [0, 0, 1, 1, 1, 1, 1, 0]);
    }
}
