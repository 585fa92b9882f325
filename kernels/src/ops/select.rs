//! The best k of a stream of scores. Most scores are turned away by one comparison with the k-th
//! best so far; only the few that pass are checked against the excluded items and kept in a heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::dispatch;

/// Queries of a tile: a whole number of the product's register tiles, which are 24 wide with AVX2
/// and 48 with AVX-512.
pub(super) const QUERIES: usize = 48;

/// A score of this query of the block (0 where there is one row of scores) is not a number.
#[derive(Debug)]
pub(super) struct NotANumber(pub(super) usize);

/// Offers a tile of scores to its queries' selections. Items must come in ascending order.
pub(super) fn offer_tile(
    selections: &mut [Selection],
    first: usize,
    scores: &[[f32; QUERIES]],
    excluded: &[&[u32]],
) -> Result<(), NotANumber> {
    // The columns of no meaning never pass: they are zero, or a zero times an item that real
    // queries will stumble over.
    let mut thresholds = [f32::INFINITY; QUERIES];
    for (threshold, selection) in thresholds.iter_mut().zip(&*selections) {
        *threshold = selection.threshold;
    }
    let mut index = 0;
    loop {
        index = next_row(scores, index, &thresholds);
        let Some(row) = scores.get(index) else { return Ok(()) };
        let queries = selections.iter_mut().zip(excluded).zip(row.iter().zip(&mut thresholds));
        for (query, ((selection, excluded), (&score, threshold))) in queries.enumerate() {
            if passes(score, *threshold) {
                if score.is_nan() {
                    return Err(NotANumber(query));
                }
                selection.enter((first + index) as u32, score, excluded);
                *threshold = selection.threshold;
            }
        }
        index += 1;
    }
}

/// Not the same as `score > threshold`: a NaN on either side passes, and so is looked at.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn passes(score: f32, threshold: f32) -> bool {
    !(score <= threshold)
}

/// The best k so far. Items must be offered in ascending order.
pub(super) struct Selection {
    k: usize,
    /// The worst of the best on top.
    best: BinaryHeap<Reverse<u64>>,
    /// Only scores above it can enter; not a number while places are free, because nothing is "at
    /// most NaN".
    threshold: f32,
}

impl Selection {
    pub(super) fn new(k: usize) -> Selection {
        Selection { k, best: BinaryHeap::new(), threshold: Self::empty_threshold(k) }
    }

    fn empty_threshold(k: usize) -> f32 {
        if k == 0 { f32::INFINITY } else { f32::NAN }
    }

    /// Looks at one row of scores, item 0 first. A score that is not a number is refused even where
    /// the item is excluded.
    pub(super) fn offer_row(&mut self, scores: &[f32], excluded: &[u32]) -> Result<(), NotANumber> {
        let mut start = 0;
        loop {
            start = next_group(scores, start, self.threshold);
            if start >= scores.len() {
                return Ok(());
            }
            let end = (start + GROUP).min(scores.len());
            for (index, &score) in (start..end).zip(&scores[start..end]) {
                if score.is_nan() {
                    return Err(NotANumber(0));
                }
                if passes(score, self.threshold) {
                    self.enter(index as u32, score, excluded);
                }
            }
            start = end;
        }
    }

    /// Looks at one allowed item.
    pub(super) fn offer(&mut self, item: u32, score: f32) -> Result<(), NotANumber> {
        if score.is_nan() {
            return Err(NotANumber(0));
        }
        if passes(score, self.threshold) {
            self.enter(item, score, &[]);
        }
        Ok(())
    }

    /// Takes in an item whose score passed the threshold, unless it is excluded. Equal to the
    /// threshold was too late: the item that set it has the lower id.
    fn enter(&mut self, item: u32, score: f32, excluded: &[u32]) {
        if excluded.binary_search(&item).is_ok() {
            return;
        }
        if self.best.len() == self.k {
            self.best.pop();
        }
        self.best.push(Reverse(key(score, item)));
        if let (true, Some(&Reverse(worst))) = (self.best.len() == self.k, self.best.peek()) {
            self.threshold = unkey(worst).0;
        }
    }

    /// Hands out `(place, item, score)`, best first, returns how many there are, and is empty
    /// again.
    pub(super) fn finish(&mut self, mut place: impl FnMut(usize, u32, f32)) -> u32 {
        let mut sorted = std::mem::take(&mut self.best).into_sorted_vec();
        for (index, &Reverse(key)) in sorted.iter().enumerate() {
            let (score, item) = unkey(key);
            place(index, item, score);
        }
        let len = sorted.len() as u32;
        sorted.clear();
        self.best = sorted.into();
        self.threshold = Self::empty_threshold(self.k);
        len
    }
}

/// One number that is larger for a better (score, item): the score's bits in ascending order above
/// the inverted id. -0 counts as 0.
fn key(score: f32, item: u32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ascending) << 32 | u64::from(!item)
}

fn unkey(key: u64) -> (f32, u32) {
    (ascending_score((key >> 32) as u32), !(key as u32))
}

/// The score of bits in ascending order.
pub(super) fn ascending_score(ascending: u32) -> f32 {
    f32::from_bits(if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending })
}

/// Scores that are compared with the threshold at once.
const GROUP: usize = 16;

dispatch! {
    /// The start, at or after `from`, of the next group of scores with one that is not at most
    /// `threshold`; their number where there is none.
    fn next_group(scores: &[f32], from: usize, threshold: f32) -> usize = next_group_body
}

#[inline(always)]
fn next_group_body<const FUSED: bool>(scores: &[f32], from: usize, threshold: f32) -> usize {
    let mut start = from;
    while start < scores.len() {
        let group = &scores[start..(start + GROUP).min(scores.len())];
        let mut found = false;
        for &score in group {
            found |= passes(score, threshold);
        }
        if found {
            return start;
        }
        start += GROUP;
    }
    scores.len()
}

dispatch! {
    /// The first row, at or after `from`, with a score that passes its query's threshold; the
    /// number of rows where there is none.
    fn next_row(scores: &[[f32; QUERIES]], from: usize, thresholds: &[f32; QUERIES]) -> usize = next_row_body
}

#[inline(always)]
fn next_row_body<const FUSED: bool>(scores: &[[f32; QUERIES]], from: usize, thresholds: &[f32; QUERIES]) -> usize {
    let mut index = from;
    while index < scores.len() {
        let mut found = false;
        for query in 0..QUERIES {
            found |= passes(scores[index][query], thresholds[query]);
        }
        if found {
            return index;
        }
        index += 1;
    }
    index
}
