//! Top-k lists and similar items from scores, for models that have no faster way of their own.

use gcnrec_graphs::ItemId;
use gcnrec_kernels::ops::top_k::{TopK, score_block, select_top_k};
use gcnrec_kernels::{Buffer, Device, KernelError};
use ndarray::Array2;
use rayon::prelude::*;

use super::Query;
use super::linear::check_item;
use crate::error::Result;

/// Scores that stand row after row, as a matrix `[n_queries, n_items]`.
pub(super) fn score_matrix(n_queries: usize, n_items: usize, rows: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((n_queries, n_items), rows).expect("there should be one score for each query and item")
}

/// Vectors that stand row after row, as a matrix `[n_rows, width]`.
pub(super) fn row_matrix(n_rows: usize, width: usize, rows: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((n_rows, width), rows).expect("there should be a vector of one width for each row")
}

/// Scores one query at a time, in parallel. `score` is given a row of zeros.
///
/// # Errors
/// Those of `score`.
pub(super) fn scores_by_query(
    queries: &[Query<'_>],
    n_items: usize,
    score: impl Fn(&Query<'_>, &mut [f32]) -> Result<()> + Sync,
) -> Result<Array2<f32>> {
    let mut rows = vec![0.0; queries.len() * n_items];
    rows.par_chunks_exact_mut(n_items.max(1)).zip(queries).try_for_each(|(row, query)| score(query, row))?;
    Ok(score_matrix(queries.len(), n_items, rows))
}

/// Inner products of vectors that stand for queries with those of all items.
///
/// # Shapes
/// - `queries`: `[n_queries, dim]`; `items`: `[n_items, dim]`
///
/// # Errors
/// Those of [`score_block`].
pub(super) fn inner_products(
    device: &Device,
    dim: usize,
    queries: &Buffer<f32>,
    items: &Buffer<f32>,
) -> Result<Array2<f32>> {
    let mut rows = Vec::new();
    score_block(device, dim, queries, items, &mut rows)?;
    Ok(score_matrix(queries.len() / dim, items.len() / dim, rows))
}

/// Which items of a row of scores can be selected: `select_top_k` (not those of the list) or
/// `select_among` (those of the list).
type Select = fn(&[f32], &[u32], usize, &mut Vec<u32>, &mut Vec<f32>) -> std::result::Result<(), KernelError>;

/// Scores and selects one query at a time, in parallel: one row of scores per thread instead of one
/// per query. `score` overwrites the row that it is given.
///
/// # Errors
/// Those of `score` and of `select`.
pub(super) fn top_k_by_query(
    queries: &[Query<'_>],
    (select, lists): (Select, &[&[u32]]),
    k: usize,
    n_items: usize,
    score: impl Fn(&Query<'_>, &mut [f32]) -> Result<()> + Sync,
) -> Result<TopK> {
    let lists = queries.par_iter().zip(lists).map_init(
        || vec![0.0; n_items],
        |scores, (query, list)| -> Result<(Vec<u32>, Vec<f32>)> {
            score(query, scores)?;
            let (mut items, mut best) = (Vec::new(), Vec::new());
            select(scores, list, k, &mut items, &mut best)?;
            Ok((items, best))
        },
    );
    let mut top = TopK::new(k);
    for (items, scores) in lists.collect::<Result<Vec<_>>>()? {
        top.push(&items, &scores);
    }
    Ok(top)
}

/// The `k` items of the highest similarity, best first, without the item itself. `similarity` has
/// one number per item.
///
/// # Errors
/// [`gcnrec_kernels::KernelError`] for a similarity that cannot be ordered.
pub(super) fn most_similar(similarity: &[f32], item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
    let (mut items, mut best) = (Vec::new(), Vec::new());
    select_top_k(similarity, &[item.0], k, &mut items, &mut best)?;
    Ok(items.into_iter().map(ItemId).zip(best).collect())
}

/// The `k` items whose vectors have the highest cosine with that of `item`, best first, without the
/// item itself.
///
/// # Shapes
/// - `vectors`: `[n_items, dim]`
///
/// # Errors
/// [`crate::RecError::UnknownId`] for an item that `model` does not have;
/// [`gcnrec_kernels::KernelError`] for vectors that are not finite.
pub(super) fn most_similar_by_cosine(
    model: &'static str,
    vectors: &[f32],
    dim: usize,
    item: ItemId,
    k: usize,
) -> Result<Vec<(ItemId, f32)>> {
    check_item(model, "item", item, vectors.len() / dim)?;
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let own = &vectors[item.index() * dim..(item.index() + 1) * dim];
    let cosine = |row: &[f32]| (dot(own, row) / (dot(own, own) * dot(row, row)).sqrt().max(1e-12)) as f32;
    most_similar(&vectors.chunks_exact(dim).map(cosine).collect::<Vec<_>>(), item, k)
}
