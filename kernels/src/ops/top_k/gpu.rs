//! Scoring, masking and selection on a GPU. A cube works out 64 by 64 scores at a time and keeps
//! none: each unit looks at 16 of a query's 64, and holds the best k it has seen in a sorted list.
//! One cube per query then joins the lists.
//!
//! Scores are compared by their bits in ascending order, which holds for infinities too. A score is
//! one sum over the columns in ascending order, whatever was asked together with it.

use super::super::select::ascending_score;
use super::TopK;
use crate::error::{KernelError, Result};
use crate::gpu::tile::{Lying, TILE, product};
use crate::gpu::{Gpu, UNITS, launch};
use crate::ops::copy_rows::gpu::copy;
use crate::{Buffer, Device};

mod kernels;

use kernels::{join_kernel, select_kernel};

/// Units that share a query in a cube, each with a list of its own.
const PARTS: usize = UNITS as usize / TILE;
/// Most groups of items: the cube that joins has a unit for each list.
const GROUPS: usize = UNITS as usize / PARTS;
/// Elements that all lists of the queries of one launch may take.
const LISTED: usize = 1 << 25;

/// `[n_queries, n_items]` inner products.
pub(super) fn score_block(
    gpu: &Gpu,
    dim: usize,
    (queries, n_queries): (&Buffer<f32>, usize),
    (items, n_items): (&Buffer<f32>, usize),
) -> Buffer<f32> {
    let mut scores = Buffer::default();
    let sizes = (n_queries, n_items, dim);
    product(gpu, sizes, (queries, Lying::rows(0, dim)), (items, Lying::rows(0, dim)), None, &mut scores);
    scores
}

/// Fills `best`, which holds the number of queries and of places.
pub(super) fn top_k(
    gpu: &Gpu,
    dim: usize,
    queries: &Buffer<f32>,
    (items, n_items): (&Buffer<f32>, usize),
    excluded: &[&[u32]],
    best: &mut TopK,
) -> Result<()> {
    // More places than items stay empty: no list needs them.
    let k = best.k.min(n_items);
    let at_once = (LISTED / (PARTS * k)).clamp(1, best.n_queries.max(1));
    let mut block = Buffer::default();
    for (index, excluded) in excluded.chunks(at_once).enumerate() {
        let (first, n) = (index * at_once, excluded.len());
        block.resize_on(gpu, n * dim);
        copy(gpu, queries, first * dim, &mut block, 0, n * dim);
        let answer = select(gpu, dim, (&block, n), (items, n_items), excluded, k);
        let mut found: Vec<u32> = Vec::new();
        Device::Gpu(gpu.clone()).read_into(&answer, &mut found);
        gpu.check()?;
        let (keys, rest) = found.split_at(n * k);
        let (ids, refused) = rest.split_at(n * k);
        if let Some(query) = refused.iter().position(|&refused| refused != 0) {
            return Err(KernelError::NotANumber { op: "top_k", argument: "scores", row: first + query });
        }
        for (query, (keys, ids)) in keys.chunks_exact(k).zip(ids.chunks_exact(k)).enumerate() {
            let len = ids.iter().take_while(|&&id| id != u32::MAX).count();
            best.len[first + query] = len as u32;
            let at = (first + query) * best.k;
            best.items[at..at + len].copy_from_slice(&ids[..len]);
            best.scores[at..at + len].iter_mut().zip(keys).for_each(|(score, &key)| *score = ascending_score(key));
        }
    }
    Ok(())
}

/// `[n, k]` scores as ascending bits, `[n, k]` ids, and for each of the `n` queries a number that
/// is not 0 where a score was not a number.
fn select(
    gpu: &Gpu,
    dim: usize,
    (queries, n): (&Buffer<f32>, usize),
    (items, n_items): (&Buffer<f32>, usize),
    excluded: &[&[u32]],
    k: usize,
) -> Buffer<u32> {
    let mut ends = vec![0u32];
    // An array without elements is no argument for a kernel: one id that no item has.
    let mut ids: Vec<u32> = Vec::new();
    for list in excluded {
        ids.extend_from_slice(list);
        ends.push(ids.len() as u32);
    }
    ids.push(u32::MAX);
    let device = Device::Gpu(gpu.clone());
    let (ends, excluded) = (device.upload(&ends), device.upload(&ids));
    let (query_tiles, item_tiles) = (n.div_ceil(TILE), n_items.div_ceil(TILE));
    let room = (LISTED / (PARTS * k * n)).clamp(1, GROUPS);
    let tiles = item_tiles.div_ceil(room);
    let groups = item_tiles.div_ceil(tiles);
    let n_lists = groups * PARTS;
    let n_cubes = groups * query_tiles;
    let [mut list_keys, mut list_ids, mut refused, mut answer] = [(); 4].map(|()| Buffer::default());
    list_keys.resize_on(gpu, n_lists * k * n);
    list_ids.resize_on(gpu, n_lists * k * n);
    refused.resize_on(gpu, n_lists * n);
    answer.resize_on(gpu, 2 * n * k + n);
    // SAFETY: rows of both sides are read below their numbers; the lists of excluded ids lie
    // between ends that were just made; each of the lists has k places for each query, and the
    // answer two for each place and one for each query. There are at most as many lists as units in
    // a cube.
    unsafe {
        launch!(
            gpu,
            n_cubes,
            select_kernel,
            queries.argument(),
            items.argument(),
            ends.argument(),
            excluded.argument(),
            list_keys.argument(),
            list_ids.argument(),
            refused.argument(),
            n as u32,
            n_items as u32,
            dim as u32,
            k as u32,
            tiles as u32,
            query_tiles as u32,
            n_cubes as u32
        );
        launch!(
            gpu,
            n,
            join_kernel,
            list_keys.argument(),
            list_ids.argument(),
            refused.argument(),
            answer.argument(),
            n as u32,
            k as u32,
            n_lists as u32
        );
    }
    answer
}
