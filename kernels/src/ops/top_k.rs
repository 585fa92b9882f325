//! Scores of all items for blocks of queries, and the best k of them, tile by tile: the matrix of
//! all scores is never kept.
//!
//! A tile is always 48 queries wide, narrow blocks are filled up with zeros, and item tiles start
//! at fixed items. So the product behind a score has one shape whatever was asked together with it,
//! and a batch gives the same bits as its queries one by one. A tile has a row for each item and a
//! column for each query: items are read as they lie in memory, and one comparison looks at an item
//! for all queries.

use gemm::Parallelism;
use rayon::prelude::*;

use super::select::{NotANumber, QUERIES, Selection, offer_tile};
use crate::error::{Result, expect_len, expect_rows};
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

/// Items of a tile: its scores take 48 KiB and stay in the cache until they are looked at.
const ITEMS: usize = 256;

/// The best items of each query, best first.
///
/// ```
/// let mut top = gcnrec_kernels::ops::top_k::TopK::new(2);
/// top.push(&[7, 3], &[0.9, 0.4]);
/// assert_eq!((top.n_queries, &top.items[..]), (1, &[7, 3][..]));
/// ```
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

impl TopK {
    /// No queries yet, `k` places for each that will be pushed.
    pub fn new(k: usize) -> Self {
        TopK { n_queries: 0, k, items: Vec::new(), scores: Vec::new(), len: Vec::new() }
    }

    /// Adds the answer to the next query: at most `k` items, best first.
    pub fn push(&mut self, items: &[u32], scores: &[f32]) {
        self.n_queries += 1;
        self.len.push(items.len() as u32);
        self.items.extend_from_slice(items);
        self.items.resize(self.n_queries * self.k, u32::MAX);
        self.scores.extend_from_slice(scores);
        self.scores.resize(self.n_queries * self.k, f32::NEG_INFINITY);
    }
}

/// The definition of the scores: `out[q, i] = <queries[q], items[i]>`, in plain loops.
pub fn score_block_reference(dim: usize, queries: &[f64], items: &[f64]) -> Vec<f64> {
    let dot = |query: &[f64], item: &[f64]| query.iter().zip(item).map(|(a, b)| a * b).sum();
    queries.chunks_exact(dim).flat_map(|query| items.chunks_exact(dim).map(move |item| dot(query, item))).collect()
}

/// The definition of the selection: sort all allowed items by score, best first, equal scores by
/// the lower id, and keep `k`.
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
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`; `out`: `[n_queries, n_items]`,
///   resized and overwritten
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
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let scores = gpu::score_block(gpu, dim, (queries, n_queries), (items, n_items));
            device.read_into(&scores, out);
            device.check()?;
        }
    }
    Ok(())
}

/// The best `k` items of each query by inner product, scored, masked and selected tile by tile:
/// highest score first, equal scores by the lower id.
///
/// Scores have the bits that [`score_block`] gives on the same device, for any number of queries
/// and threads. With `k` = 0 nothing is scored. Devices add in different orders: where two items
/// are closer than the last bits of their scores, a GPU may put the other one first. Equal scores
/// go to the lower id everywhere.
///
/// # Shapes
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`; `excluded`: one ascending list of
///   ids per query, which may be empty
///
/// # Errors
/// [`KernelError::Shape`] when sizes disagree, [`KernelError::Argument`] when a list does not
/// ascend, [`KernelError::NotANumber`] with the first query that has a score that is not a number.
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
    let n_items = expect_rows(OP, "items", items.len(), dim)?;
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
    if k == 0 || n_items == 0 {
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
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::top_k(gpu, dim, queries, (items, n_items), excluded, &mut best)?;
            Ok(best)
        }
    }
}

/// The best `k` of one row of scores, by the rule of [`top_k`]: item `i` has score `scores[i]`.
///
/// # Shapes
/// - `excluded`: ascending ids; `items_out`, `scores_out`: `k` or fewer, resized and overwritten
///
/// # Errors
/// [`KernelError::Argument`] when `excluded` does not ascend, [`KernelError::NotANumber`] (row 0)
/// when a score is not a number.
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

/// The best `k` of each query's candidates, by the rule of [`top_k`] and with its scores to the
/// bit: what `top_k` gives where all other items are excluded, for no more than it costs where none
/// is.
///
/// # Shapes
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`; `candidates`: one ascending list of
///   ids per query
///
/// # Errors
/// [`KernelError::Shape`] when sizes disagree, [`KernelError::Argument`] when a list does not
/// ascend, [`KernelError::Index`] for an item that does not exist, [`KernelError::NotANumber`] with
/// the first query that has a candidate whose score is not a number.
pub fn top_k_among(
    device: &Device,
    dim: usize,
    queries: &Buffer<f32>,
    items: &Buffer<f32>,
    candidates: &[&[u32]],
    k: usize,
) -> Result<TopK> {
    const OP: &str = "top_k_among";
    let n_queries = expect_rows(OP, "queries", queries.len(), dim)?;
    let n_items = expect_rows(OP, "items", items.len(), dim)?;
    expect_len(OP, "candidates", candidates.len(), n_queries)?;
    candidates.iter().enumerate().try_for_each(|(query, list)| check_candidates(OP, query, list, n_items))?;
    let mut best = TopK::new(k);
    if n_items == 0 || dim == 0 {
        candidates.iter().for_each(|_| best.push(&[], &[]));
        return Ok(best);
    }
    let mut answer = |mut selection: Selection| {
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        selection.finish(|_, item, score| {
            ids.push(item);
            scores.push(score);
        });
        best.push(&ids, &scores);
    };
    let not_a_number = |row| KernelError::NotANumber { op: OP, argument: "scores", row };
    match device {
        Device::Cpu => {
            let (queries, items) = (queries.host(), items.host());
            let blocks = queries.par_chunks(QUERIES * dim).zip(candidates.par_chunks(QUERIES)).enumerate();
            let selected = blocks.map_init(Tile::default, |tile, (block, (queries, candidates))| {
                let mut selections: Vec<Selection> = candidates.iter().map(|_| Selection::new(k)).collect();
                let mut rest: Vec<&[u32]> = candidates.to_vec();
                let mut bad_query = usize::MAX;
                tile.each(dim, queries, items, |first, scores| {
                    for (query, (selection, rest)) in selections.iter_mut().zip(&mut rest).enumerate() {
                        while let Some((&item, after)) = rest.split_first()
                            && (item as usize) < first + scores.len()
                        {
                            *rest = after;
                            if selection.offer(item, scores[item as usize - first][query]).is_err() {
                                bad_query = bad_query.min(block * QUERIES + query);
                            }
                        }
                    }
                });
                if bad_query == usize::MAX { Ok(selections) } else { Err(not_a_number(bad_query)) }
            });
            let selected: Vec<Result<Vec<Selection>>> = selected.collect();
            for block in selected {
                block?.into_iter().for_each(&mut answer);
            }
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {
            let mut scores = Vec::new();
            score_block(device, dim, queries, items, &mut scores)?;
            for (query, (row, candidates)) in scores.chunks_exact(n_items).zip(candidates).enumerate() {
                let mut selection = Selection::new(k);
                let offered = candidates.iter().try_for_each(|&item| selection.offer(item, row[item as usize]));
                offered.map_err(|_| not_a_number(query))?;
                answer(selection);
            }
        }
    }
    Ok(best)
}

/// The best `k` candidates in one row of scores, by the rule of [`top_k`].
///
/// # Shapes
/// - `candidates`: ascending ids; `items_out`, `scores_out`: `k` or fewer, resized and overwritten
///
/// # Errors
/// [`KernelError::Argument`] when `candidates` does not ascend, [`KernelError::Index`] for an item
/// without a score, [`KernelError::NotANumber`] (row 0) when a candidate's score is not a number.
pub fn select_among(
    scores: &[f32],
    candidates: &[u32],
    k: usize,
    items_out: &mut Vec<u32>,
    scores_out: &mut Vec<f32>,
) -> Result<()> {
    const OP: &str = "select_among";
    check_candidates(OP, 0, candidates, scores.len())?;
    let mut selection = Selection::new(k);
    let offered = candidates.iter().try_for_each(|&item| selection.offer(item, scores[item as usize]));
    offered.map_err(|NotANumber(row)| KernelError::NotANumber { op: OP, argument: "scores", row })?;
    items_out.clear();
    scores_out.clear();
    selection.finish(|_, item, score| {
        items_out.push(item);
        scores_out.push(score);
    });
    Ok(())
}

fn check_candidates(op: &'static str, query: usize, list: &[u32], n_items: usize) -> Result<()> {
    if !list.is_sorted() {
        let problem = format!("of query {query} does not ascend");
        return Err(KernelError::Argument { op, argument: "candidates", problem });
    }
    match list.last() {
        Some(&item) if item as usize >= n_items => {
            Err(KernelError::Index { op, argument: "candidates", index: item as usize, bound: n_items })
        }
        _ => Ok(()),
    }
}

/// Working memory for one block of queries.
#[derive(Default)]
struct Tile {
    /// `[dim, QUERIES]`: the block, transposed.
    queries: Vec<f32>,
    scores: Vec<[f32; QUERIES]>,
}

impl Tile {
    /// Scores a block of queries against all items, and shows each tile to
    /// `look(first item, scores)`: for each item the scores of the queries in the block, then
    /// scores of no meaning.
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
    // SAFETY: in the product's terms the left side [QUERIES, dim] has element (q, k) at k * QUERIES
    // + q, the right side [dim, n] has (k, i) at i * dim + k, the result [QUERIES, n] has (q, i) at
    // i * QUERIES + q. With the lengths just asserted, these stay inside their slices, and `scores`
    // is borrowed alone.
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

#[cfg(test)]
#[path = "top_k_tests.rs"]
mod tests;
