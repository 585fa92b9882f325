//! Scores of all items for blocks of queries, and the best k of them, tile by tile: the matrix of all scores is never kept.
//!
//! A tile is always 48 queries wide, narrow blocks are filled up with zeros, and item tiles start at fixed items. So the product behind a score has
//! one shape whatever was asked together with it, and a batch gives the same bits as its queries one by one. A tile has a row for each item and a
//! column for each query: items are read as they lie in memory, and one comparison looks at an item for all queries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use gemm::Parallelism;
use rayon::prelude::*;

use crate::dispatch;
use crate::error::{Result, expect_len, expect_rows};
use crate::{Buffer, Device, KernelError};

/// Queries of a tile: a whole number of the product's register tiles, which are 24 wide with AVX2 and 48 with AVX-512.
const QUERIES: usize = 48;
/// Items of a tile: its scores take 48 KiB and stay in the cache until they are looked at.
const ITEMS: usize = 256;

/// The best items of each query, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct TopK {
    /// Number of queries.
    pub n_queries: usize,
    /// Places per query.
    pub k: usize,
    /// `[n_queries, k]`: item ids; `u32::MAX` in places that are not filled.
    pub items: Vec<u32>,
    /// `[n_queries, k]`: their scores; minus infinity in places that are not filled.
    pub scores: Vec<f32>,
    /// `[n_queries]`: how many places are filled, fewer than `k` when fewer items are allowed.
    pub len: Vec<u32>,
}

/// The definition of the scores: `out[q, i] = <queries[q], items[i]>`, in plain loops.
pub fn score_block_reference(dim: usize, queries: &[f64], items: &[f64]) -> Vec<f64> {
    let dot = |query: &[f64], item: &[f64]| query.iter().zip(item).map(|(a, b)| a * b).sum();
    queries.chunks_exact(dim).flat_map(|query| items.chunks_exact(dim).map(move |item| dot(query, item))).collect()
}

/// The definition of the selection: sort all allowed items by score, best first, equal scores by the lower id, and keep `k`.
pub fn select_top_k_reference(scores: &[f64], excluded: &[u32], k: usize) -> Vec<(u32, f64)> {
    let mut all: Vec<(u32, f64)> =
        (0..).zip(scores.iter().copied()).filter(|(item, _)| !excluded.contains(item)).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

/// Inner products of every query with every item: `out[q, i] = <queries[q], items[i]>`.
///
/// # Shapes
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`; `out`: `[n_queries, n_items]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`] when `queries` or `items` are not made of whole rows.
pub fn score_block(
    device: &Device,
    dim: usize,
    queries: &Buffer<f32>,
    items: &Buffer<f32>,
    out: &mut Vec<f32>,
) -> Result<()> {
    let n_queries = expect_rows("score_block", "queries", queries.len(), dim)?;
    let n_items = expect_rows("score_block", "items", items.len(), dim)?;
    out.resize(n_queries * n_items, 0.0);
    match device {
        Device::Cpu => {
            let (queries, items) = (queries.host(), items.host());
            let blocks = out.par_chunks_mut((QUERIES * n_items).max(1)).zip(queries.par_chunks(QUERIES * dim));
            blocks.for_each_init(Tile::default, |tile, (out, queries)| {
                tile.each(dim, queries, items, |first, scores| {
                    for (query, out) in out.chunks_exact_mut(n_items).enumerate() {
                        for (out, scores) in out[first..].iter_mut().zip(scores) {
                            *out = scores[query];
                        }
                    }
                });
            });
        }
    }
    Ok(())
}

/// The best `k` items of each query by inner product, scored, masked and selected tile by tile: highest score first, equal scores by the lower id.
///
/// Scores have the bits that [`score_block`] gives, for any number of queries and threads. With `k` = 0 nothing is scored.
///
/// # Shapes
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`; `excluded`: one ascending list of ids per query, which may be empty
///
/// # Errors
/// [`KernelError::Shape`] when sizes disagree, [`KernelError::Argument`] when a list does not ascend, [`KernelError::NotANumber`] with the first
/// query that has a score that is not a number.
pub fn top_k(
    device: &Device,
    dim: usize,
    queries: &Buffer<f32>,
    items: &Buffer<f32>,
    excluded: &[&[u32]],
    k: usize,
) -> Result<TopK> {
    const OP: &str = "top_k";
    let n_queries = expect_rows(OP, "queries", queries.len(), dim)?;
    expect_rows(OP, "items", items.len(), dim)?;
    expect_len(OP, "excluded", excluded.len(), n_queries)?;
    if let Some(query) = excluded.iter().position(|list| !list.is_sorted()) {
        let problem = format!("of query {query} does not ascend");
        return Err(KernelError::Argument { op: OP, argument: "excluded", problem });
    }
    let mut best = TopK {
        n_queries,
        k,
        items: vec![u32::MAX; n_queries * k],
        scores: vec![f32::NEG_INFINITY; n_queries * k],
        len: vec![0; n_queries],
    };
    if k == 0 {
        return Ok(best);
    }
    match device {
        Device::Cpu => {
            let (queries, items) = (queries.host(), items.host());
            let places = best.items.par_chunks_mut(QUERIES * k).zip(best.scores.par_chunks_mut(QUERIES * k));
            let rows = places.zip(best.len.par_chunks_mut(QUERIES));
            let asked = queries.par_chunks(QUERIES * dim).zip(excluded.par_chunks(QUERIES));
            let new_state = || (Tile::default(), Vec::new());
            let blocks = rows.zip(asked).enumerate().map_init(new_state, |(tile, selections), (block, task)| {
                let (((item_rows, score_rows), len), (queries, excluded)) = task;
                selections.resize_with(len.len(), || Selection::new(k));
                let mut bad_query = usize::MAX;
                tile.each(dim, queries, items, |first, scores| {
                    if let Err(NotANumber(query)) = offer_tile(selections, first, scores, excluded) {
                        bad_query = bad_query.min(block * QUERIES + query);
                    }
                });
                let rows = item_rows.chunks_exact_mut(k).zip(score_rows.chunks_exact_mut(k)).zip(len);
                for (((items, scores), len), selection) in rows.zip(selections) {
                    *len = selection.finish(|place, item, score| (items[place], scores[place]) = (item, score));
                }
                bad_query
            });
            match blocks.min() {
                Some(row) if row != usize::MAX => Err(KernelError::NotANumber { op: OP, argument: "scores", row }),
                _ => Ok(best),
            }
        }
    }
}

/// The best `k` of one row of scores, by the rule of [`top_k`]: item `i` has score `scores[i]`.
///
/// # Shapes
/// - `excluded`: ascending ids; `items_out`, `scores_out`: `k` or fewer, resized and overwritten
///
/// # Errors
/// [`KernelError::Argument`] when `excluded` does not ascend, [`KernelError::NotANumber`] (row 0) when a score is not a number.
pub fn select_top_k(
    scores: &[f32],
    excluded: &[u32],
    k: usize,
    items_out: &mut Vec<u32>,
    scores_out: &mut Vec<f32>,
) -> Result<()> {
    const OP: &str = "select_top_k";
    if !excluded.is_sorted() {
        return Err(KernelError::Argument { op: OP, argument: "excluded", problem: "does not ascend".into() });
    }
    let mut selection = Selection::new(k);
    let offered = selection.offer_row(scores, excluded);
    offered.map_err(|NotANumber(row)| KernelError::NotANumber { op: OP, argument: "scores", row })?;
    items_out.clear();
    scores_out.clear();
    selection.finish(|_, item, score| {
        items_out.push(item);
        scores_out.push(score);
    });
    Ok(())
}

/// Working memory for one block of queries.
#[derive(Default)]
struct Tile {
    /// `[dim, QUERIES]`: the block, transposed.
    queries: Vec<f32>,
    scores: Vec<[f32; QUERIES]>,
}

impl Tile {
    /// Scores a block of queries against all items, and shows each tile to `look(first item, scores)`: for each item the scores of the queries in the
    /// block, then scores of no meaning.
    fn each(&mut self, dim: usize, queries: &[f32], items: &[f32], mut look: impl FnMut(usize, &[[f32; QUERIES]])) {
        self.queries.clear();
        self.queries.resize(dim * QUERIES, 0.0);
        for (query, values) in queries.chunks_exact(dim).enumerate() {
            for (k, &value) in values.iter().enumerate() {
                self.queries[k * QUERIES + query] = value;
            }
        }
        self.scores.resize(ITEMS, [0.0; QUERIES]);
        for (index, items) in items.chunks(ITEMS * dim).enumerate() {
            let scores = &mut self.scores[..items.len() / dim];
            score_tile(dim, &self.queries, items, scores);
            look(index * ITEMS, scores);
        }
    }
}

/// `scores[i][q] = sum over k of queries[k, q] * items[i, k]`.
fn score_tile(dim: usize, queries: &[f32], items: &[f32], scores: &mut [[f32; QUERIES]]) {
    let (dim_stride, query_stride) = (dim as isize, QUERIES as isize);
    assert!(queries.len() == dim * QUERIES && items.len() == scores.len() * dim);
    // SAFETY: in the product's terms the left side [QUERIES, dim] has element (q, k) at k * QUERIES + q, the right side [dim, n] has (k, i) at
    // i * dim + k, the result [QUERIES, n] has (q, i) at i * QUERIES + q. With the lengths just asserted, these stay inside their slices, and
    // `scores` is borrowed alone.
    unsafe {
        gemm::gemm(
            QUERIES,
            scores.len(),
            dim,
            scores.as_flattened_mut().as_mut_ptr(),
            query_stride,
            1,
            false, // overwrite
            queries.as_ptr(),
            query_stride,
            1,
            items.as_ptr(),
            dim_stride,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// A score of this query of the block (0 where there is one row of scores) is not a number.
#[derive(Debug)]
struct NotANumber(usize);

/// Offers a tile of scores to its queries' selections. Items must come in ascending order.
fn offer_tile(
    selections: &mut [Selection],
    first: usize,
    scores: &[[f32; QUERIES]],
    excluded: &[&[u32]],
) -> Result<(), NotANumber> {
    // The columns of no meaning never pass: they are zero, or a zero times an item that real queries will stumble over.
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
struct Selection {
    k: usize,
    /// The worst of the best on top.
    best: BinaryHeap<Reverse<u64>>,
    /// Only scores above it can enter; not a number while places are free, because nothing is "at most NaN".
    threshold: f32,
}

impl Selection {
    fn new(k: usize) -> Selection {
        Selection { k, best: BinaryHeap::new(), threshold: Self::empty_threshold(k) }
    }

    fn empty_threshold(k: usize) -> f32 {
        if k == 0 { f32::INFINITY } else { f32::NAN }
    }

    /// Looks at one row of scores, item 0 first. A score that is not a number is refused even where the item is excluded.
    fn offer_row(&mut self, scores: &[f32], excluded: &[u32]) -> Result<(), NotANumber> {
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

    /// Takes in an item whose score passed the threshold, unless it is excluded. Equal to the threshold was too late: the item that set it has the
    /// lower id.
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

    /// Hands out `(place, item, score)`, best first, returns how many there are, and is empty again.
    fn finish(&mut self, mut place: impl FnMut(usize, u32, f32)) -> u32 {
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

/// One number that is larger for a better (score, item): the score's bits in ascending order above the inverted id. -0 counts as 0.
fn key(score: f32, item: u32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ascending) << 32 | u64::from(!item)
}

fn unkey(key: u64) -> (f32, u32) {
    let ascending = (key >> 32) as u32;
    let bits = if ascending >> 31 == 1 { ascending & !(1 << 31) } else { !ascending };
    (f32::from_bits(bits), !(key as u32))
}

/// Scores that are compared with the threshold at once.
const GROUP: usize = 16;

dispatch! {
    /// The start, at or after `from`, of the next group of scores with one that is not at most `threshold`; their number where there is none.
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
    /// The first row, at or after `from`, with a score that passes its query's threshold; the number of rows where there is none.
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

#[cfg(test)]
#[path = "top_k_tests.rs"]
mod tests;
