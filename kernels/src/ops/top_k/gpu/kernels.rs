//! The kernels of scoring and selection. Place `p` of query `q`'s list `l` lies at
//! `(l * k + p) * n_queries + q`, so that the units of a cube, which have neighbouring queries,
//! read and write neighbouring numbers.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]
#![allow(clippy::collapsible_if, reason = "a kernel works out both sides of &&")]

use cubecl::prelude::*;

use crate::gpu::UNITS;
use crate::gpu::tile::{FACTOR, MICRO, PITCH, TILE, score_tile};

/// No item, and the bits of no score: all that are numbers have larger ones.
const NO_ITEM: u32 = u32::MAX;
const NO_SCORE: u32 = 0;

/// Bits that ascend with the number. -0 counts as 0.
#[cube]
fn ascending(bits: u32) -> u32 {
    let mut ascending = bits | 0x8000_0000u32;
    if bits > 0x8000_0000u32 {
        ascending = !bits;
    }
    ascending
}

/// True when an ascending list holds an id in `from..to`.
#[cube]
fn holds(list: &Array<u32>, from: u32, to: u32, id: u32) -> bool {
    let mut low = from;
    let mut high = to;
    while low < high {
        let middle = (low + high) / 2;
        if list[middle as usize] < id {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut found = false;
    if low < to {
        found = list[low as usize] == id;
    }
    found
}

/// Puts an item into a sorted list of `k` places that it is good enough for, after those that are
/// as good; the last one drops out.
#[cube]
fn enter(keys: &mut Array<u32>, ids: &mut Array<u32>, base: usize, stride: usize, k: usize, key: u32, id: u32) {
    let mut place = k - 1;
    let mut searching = true;
    while searching {
        searching = false;
        if place > 0 {
            let above = base + (place - 1) * stride;
            if keys[above] < key {
                keys[above + stride] = keys[above];
                ids[above + stride] = ids[above];
                place -= 1;
                searching = true;
            }
        }
    }
    keys[base + place * stride] = key;
    ids[base + place * stride] = id;
}

/// The best `k` of 64 queries over a group of items, in a list for each query and quarter of the
/// columns of a tile.
#[cube(launch_unchecked)]
pub(super) fn select_kernel(
    queries: &Array<f32>,
    items: &Array<f32>,
    ends: &Array<u32>,
    excluded: &Array<u32>,
    keys: &mut Array<u32>,
    ids: &mut Array<u32>,
    refused: &mut Array<u32>,
    n_queries: u32,
    n_items: u32,
    dim: u32,
    k: u32,
    tiles: u32,
    query_tiles: u32,
    n_cubes: u32,
) {
    if CUBE_POS < n_cubes as usize {
        let mut left = SharedMemory::<f32>::new(FACTOR);
        let mut right = SharedMemory::<f32>::new(FACTOR);
        let mut scores = SharedMemory::<f32>::new(TILE * PITCH);
        let mut products = Array::<f32>::new(MICRO * MICRO);
        let cube = CUBE_POS as u32;
        let group = cube / query_tiles;
        let first_query = cube % query_tiles * 64;
        let row = UNIT_POS as usize / 16 * MICRO;
        let column = UNIT_POS as usize % 16 * MICRO;
        let part = UNIT_POS / 64;
        let own = UNIT_POS % 64;
        let query = first_query + own;
        let list = group * 4 + part;
        let stride = n_queries as usize;
        let places = k as usize;
        let base = list as usize * places * stride + query as usize;
        let mut from = 0u32;
        let mut to = 0u32;
        if query < n_queries {
            from = ends[query as usize];
            to = ends[query as usize + 1];
            for place in 0..places {
                keys[base + place * stride] = NO_SCORE;
                ids[base + place * stride] = NO_ITEM;
            }
        }
        // What the worst of a full list has; a list that is not full takes everything.
        let mut threshold = NO_SCORE.runtime();
        let mut not_a_number = 0u32;
        let end = u32::min(n_items, (group + 1) * tiles * 64);
        let mut first = group * tiles * 64;
        while first < end {
            score_tile(
                queries,
                items,
                &mut products,
                &mut left,
                &mut right,
                first_query,
                n_queries,
                first,
                n_items,
                dim,
                true,
            );
            #[unroll]
            for i in 0..MICRO {
                #[unroll]
                for j in 0..MICRO {
                    scores[(column + j) * PITCH + row + i] = products[i * MICRO + j];
                }
            }
            sync_cube();
            if query < n_queries {
                for step in 0..16u32 {
                    let at = part * 16 + step;
                    let item = first + at;
                    if item < n_items {
                        let bits = u32::reinterpret(scores[at as usize * PITCH + own as usize]);
                        if (bits & 0x7fff_ffffu32) > 0x7f80_0000u32 {
                            not_a_number = 1u32;
                        } else {
                            let key = ascending(bits);
                            if key > threshold {
                                if !holds(excluded, from, to, item) {
                                    enter(keys, ids, base, stride, places, key, item);
                                    threshold = keys[base + (places - 1) * stride];
                                }
                            }
                        }
                    }
                }
            }
            sync_cube();
            first += 64;
        }
        if query < n_queries {
            refused[list as usize * stride + query as usize] = not_a_number;
        }
    }
}

/// Joins the lists of one query, one unit per list: the best of their first places comes next,
/// equal scores by the lower id.
#[cube(launch_unchecked)]
pub(super) fn join_kernel(
    keys: &Array<u32>,
    ids: &Array<u32>,
    refused: &Array<u32>,
    answer: &mut Array<u32>,
    n_queries: u32,
    k: u32,
    n_lists: u32,
) {
    let mut best = SharedMemory::<u32>::new(UNITS as usize);
    let mut owner = SharedMemory::<u32>::new(UNITS as usize);
    let query = CUBE_POS;
    let stride = n_queries as usize;
    if query < stride {
        let places = k as usize;
        let unit = UNIT_POS as usize;
        let base = unit * places * stride + query;
        let mut at = 0usize;
        let mut key = NO_SCORE.runtime();
        let mut id = NO_ITEM.runtime();
        if UNIT_POS < n_lists {
            key = keys[base];
            id = ids[base];
        }
        for place in 0..places {
            best[unit] = key;
            owner[unit] = id;
            sync_cube();
            let steps = comptime!(UNITS.ilog2());
            #[unroll]
            for step in 0..steps {
                let half = comptime!(UNITS as usize >> (step + 1));
                if unit < half {
                    let (other, other_id) = (best[unit + half], owner[unit + half]);
                    let (mine, my_id) = (best[unit], owner[unit]);
                    let mut wins = other > mine;
                    if other == mine {
                        wins = other_id < my_id;
                    }
                    if wins {
                        best[unit] = other;
                        owner[unit] = other_id;
                    }
                }
                sync_cube();
            }
            let (taken, taken_id) = (best[0], owner[0]);
            sync_cube();
            if unit == 0 {
                answer[query * places + place] = taken;
                answer[(stride + query) * places + place] = taken_id;
            }
            // No item stands in two lists.
            if id == taken_id && id != NO_ITEM {
                at += 1;
                key = NO_SCORE.runtime();
                id = NO_ITEM.runtime();
                if at < places {
                    key = keys[base + at * stride];
                    id = ids[base + at * stride];
                }
            }
        }
        if unit == 0 {
            let mut not_a_number = 0u32;
            for list in 0..n_lists as usize {
                not_a_number = u32::max(not_a_number, refused[list * stride + query]);
            }
            answer[2 * stride * places + query] = not_a_number;
        }
    }
}
