//! Work split into row blocks that are cut once: who runs a block never changes what it computes.

use std::ops::Range;

/// Rows of a dense op that one task takes: small enough to share out a batch, large enough to hide the cost of a task.
pub(crate) const ROWS_PER_TASK: usize = 32;

/// Elements of an element-wise op that one task takes: 64 KiB of each array.
pub(crate) const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Cuts rows into consecutive blocks of about equal work, where a row costs its non-zeros and one more.
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

/// Runs `work(block, its rows of y)` for every block; `y` holds `width` values for each row of the blocks, which follow one another.
///
/// Halves the list of blocks until one is left, so nothing is allocated.
pub(crate) fn for_each_block<T, F>(blocks: &[Range<usize>], width: usize, y: &mut [T], work: &F)
where
    T: Send,
    F: Fn(Range<usize>, &mut [T]) + Sync,
{
    match blocks {
        [] => {}
        [block] => work(block.clone(), y),
        _ => {
            let (low, high) = blocks.split_at(blocks.len() / 2);
            let (low_y, high_y) = y.split_at_mut((high[0].start - low[0].start) * width);
            rayon::join(|| for_each_block(low, width, low_y, work), || for_each_block(high, width, high_y, work));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_one_another_and_a_hub_row_closes_its_block() {
        // Rows of 10 non-zeros, row 3 with 100,000. Total work 100,070 + 8 is below 128 * 2048, so a block closes once it has 2048: at row 3.
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
    fn every_block_gets_its_own_rows() {
        let blocks = [2..3, 3..6, 6..7];
        let mut y = vec![0.0; 10];
        for_each_block(&blocks, 2, &mut y, &|block, rows| rows.fill(block.start as f32));
        assert_eq!(y, [2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 6.0, 6.0]);
    }
}
