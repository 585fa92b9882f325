//! Memory estimates of LightGCN and MF: tables of embeddings and layers, batches, attention.

use super::combination::Sizes;
use super::lightgcn::{Config, Storage};
use crate::models::memory::{Memory, Room, TrainingSize};

/// What a training holds at the same time, counted array by array.
pub(super) fn of(model: &'static str, config: &Config, size: &TrainingSize<'_>) -> Memory {
    let TrainingSize { n_users, n_items, n_pairs, .. } = *size;
    let sizes = format!("with dim {} and {} layers", config.dim, config.layers);
    let room = room(config, size);
    Memory {
        host_of: format!("{n_users} users and {n_items} items {sizes}"),
        room: Some(Room { of: format!("{n_users} users, {n_items} items and {n_pairs} pairs {sizes}"), ..room }),
        ..Memory::of_tables(model, host(config, size), size, "--dim or --layers")
    }
}

/// On the processor, the tables of 32-bit numbers, `[n_nodes, dim]` each: base embeddings and their
/// two moments, the layers above, the gradient on its way down (2), the frozen model, and the
/// copies that a checkpoint writes (3). Batches come on top and are small beside them.
fn host(config: &Config, size: &TrainingSize<'_>) -> u128 {
    let n_tables = 3 + config.layers + 2 + 1 + 3;
    4 * (size.n_users as u128 + size.n_items as u128) * config.dim as u128 * n_tables as u128
}

fn room(config: &Config, size: &TrainingSize<'_>) -> Room {
    let [n_users, n_items, n_pairs] = [size.n_users, size.n_items, size.n_pairs].map(|n| n as u128);
    let n_nodes = n_users + n_items;
    let (dim, layers) = ((config.dim + if config.biases { 2 } else { 0 }) as u128, config.layers as u128);
    let (n_hops, width) = (layers + 1, config.attention.hidden as u128);
    let edges = 2 * n_pairs;
    // Row ends, columns and values; rows by length.
    let adjacency = 4 * (2 * n_nodes + 2 * edges);
    // The base table and its two moments, the layers above it, two gradients on their way down, and
    // what a validation pools. In 16 bits, layers and gradients once more.
    let narrow = if config.storage == Storage::F32 { 0 } else { 2 * n_nodes * dim * (layers + 2) };
    let tables = 4 * n_nodes * dim * (3 + layers + 2 + 1) + narrow;
    // Items scaled for ranking and of length one, of the best model and of the one that is
    // validated.
    let frozen = 4 * 4 * n_items * dim;
    let per_batch = size.batch_size.unwrap_or_else(|| size.loss.default_batch_size(size.n_users)) as u128;
    let rows = if size.loss.batches_users() { n_items + per_batch } else { 3 * per_batch }.min(n_nodes);
    // Each layer's rows and their gradients, at most; the pooled rows, of length one, and the
    // gradients of both.
    let batch = 4 * rows * dim * (2 * n_hops + 4);
    // A validation pools all nodes: users and items one after the other.
    let stacked = n_hops * n_users.max(n_items);
    let sizes = Sizes::of(config, dim as usize, 0.0);
    let attention = 4 * stacked * config.combination.numbers_per_row(&sizes) as u128;
    let stack = if attention == 0 { 0 } else { 4 * stacked * dim.max(width) };
    // A look-ahead has layers, moments and a gradient of its own, the layers' rows of its examples,
    // with their gradients, and the motion of the batch.
    let examples = (3 * size.n_meta as u128).min(n_nodes);
    let ahead = match size.n_meta {
        0 => 0,
        _ => 4 * dim * (n_nodes * (n_hops + 3) + examples * (2 * n_hops + 2) + rows * (n_hops + 1)),
    };
    Room {
        largest: (4 * n_nodes * dim).max(4 * edges).max(stack),
        total: adjacency + tables + frozen + batch + attention + ahead,
        of: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::graph::lightgcn::Combination;
    use crate::objectives;

    #[test]
    fn the_bytes_of_a_training_are_counted_array_by_array() {
        let loss = objectives::Config::named("bpr").unwrap();
        let size =
            TrainingSize { n_users: 60, n_items: 40, n_pairs: 500, batch_size: Some(10), n_meta: 0, loss: &loss };
        let bytes = |config: &Config, size: &TrainingSize<'_>| {
            let room = room(config, size);
            (room.largest, room.total)
        };
        let mut config = Config { dim: 8, layers: 3, ..Config::default() };
        // 100 nodes of 8 columns are 3,200 bytes a table: 9 of them. 200 numbers for rows, 2,000
        // for edges; 40 items four times; 30 rows of 8 columns, 4 layers twice and 4 more.
        let expected = 9 * 3200 + 4 * 2200 + 4 * 1280 + 30 * 32 * 12;
        assert_eq!(bytes(&config, &size), (4000, expected));
        // 7 rows touch 21: 7 tables more, 10 arrays of 21 rows, 5 of the batch's 30.
        let ahead = TrainingSize { n_meta: 7, ..size };
        assert_eq!(bytes(&config, &ahead).1, expected + 7 * 3200 + 10 * 21 * 32 + 5 * 30 * 32);
        // 4 layers of 60 users are 240 rows: 8 columns, 16 of the network, a score and a slope.
        (config.combination, config.attention.hidden) = (Combination::ADDITIVE, 16);
        let with_attention = (4 * 240 * 16, expected + 4 * 240 * 26);
        assert_eq!(bytes(&config, &size), with_attention);
        // In 16 bits 3 layers and 2 gradients of 1,600 bytes more.
        config.storage = Storage::F16;
        assert_eq!(bytes(&config, &size).1, with_attention.1 + 5 * 1600);
    }
}
