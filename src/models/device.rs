//! Can the device do all of it, and is there room? Asked before the first step: nothing is computed elsewhere in silence, and nothing is lost hours later.

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::table::Precision;

use super::Config;
use super::graph::config::{Combination, Storage};
use crate::error::Result;
use crate::objectives;

/// Refuses what a device has no kernels for.
///
/// # Errors
/// [`gcnrec_kernels::KernelError::Device`], exit code 5, with the name of what is missing.
pub fn check_device(config: &Config, device: &Device) -> Result<()> {
    if config.is_sequential() && !matches!(config, Config::Fpmc(_)) {
        return Ok(());
    }
    let Some(graph) = config.graph() else { return Ok(device.expect_cpu(&format!("the model {}", config.name()))?) };
    let precision = match graph.storage {
        Storage::F32 => Precision::F32,
        // Gradients of layers in f16 are kept in bf16.
        Storage::F16 | Storage::Bf16 => Precision::Bf16,
    };
    if graph.storage == Storage::F16 {
        device.expect_precision(Precision::F16)?;
    }
    Ok(device.expect_precision(precision)?)
}

/// How large a training is.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSize {
    /// Users.
    pub n_users: usize,
    /// Items.
    pub n_items: usize,
    /// Pairs that are edges of the graph.
    pub n_pairs: usize,
    /// Pairs or users in a batch; `None` takes the loss's default.
    pub batch_size: Option<usize>,
    /// Rows of a log that judges every step; 0 where no step is judged.
    pub n_judges: usize,
}

/// Refuses a training that a GPU has no room for. The memory of the processor is [`super::check_memory`]'s to ask about.
///
/// # Errors
/// [`gcnrec_kernels::KernelError::Device`], exit code 5, with what is needed and what is there.
pub fn check_room(config: &Config, objective: &objectives::Config, size: TrainingSize, device: &Device) -> Result<()> {
    if let Some([largest, total]) = super::sequential::room(config, size.n_items, size.batch_size) {
        let what = format!("the model {} and {} items", config.name(), size.n_items);
        return Ok(device.expect_room(largest, total, &what)?);
    }
    let Some(graph) = config.graph() else { return Ok(()) };
    let room = Room::of(&graph, objective, size);
    let TrainingSize { n_users, n_items, n_pairs, .. } = size;
    let (dim, layers) = (graph.dim, graph.layers);
    let what = format!("{n_users} users, {n_items} items and {n_pairs} pairs with dim {dim} and {layers} layers");
    Ok(device.expect_room(room.largest, room.total, &what)?)
}

/// Bytes that a training has on a device at the same time.
#[derive(Debug, PartialEq)]
struct Room {
    /// In the largest array.
    largest: u128,
    total: u128,
}

impl Room {
    fn of(graph: &super::graph::Config, objective: &objectives::Config, size: TrainingSize) -> Room {
        let [n_users, n_items, n_pairs] = [size.n_users, size.n_items, size.n_pairs].map(|n| n as u128);
        let n_nodes = n_users + n_items;
        let (dim, layers) = ((graph.dim + if graph.biases { 2 } else { 0 }) as u128, graph.layers as u128);
        let (n_hops, width) = (layers + 1, graph.attention.hidden as u128);
        let edges = 2 * n_pairs;
        // Row ends, columns and values; rows by length.
        let adjacency = 4 * (2 * n_nodes + 2 * edges);
        // The base table and its two moments, the layers above it, two gradients on their way down, and what a validation pools. In 16 bits, layers and
        // gradients once more.
        let narrow = if graph.storage == Storage::F32 { 0 } else { 2 * n_nodes * dim * (layers + 2) };
        let tables = 4 * n_nodes * dim * (3 + layers + 2 + 1) + narrow;
        // Items scaled for ranking and of length one, of the best model and of the one that is judged.
        let frozen = 4 * 4 * n_items * dim;
        let per_batch = size.batch_size.unwrap_or_else(|| objective.default_batch_size(size.n_users)) as u128;
        let rows = if objective.batches_users() { n_items + per_batch } else { 3 * per_batch }.min(n_nodes);
        // Each layer's rows and their gradients, at most; the pooled rows, of length one, and the gradients of both.
        let batch = 4 * rows * dim * (2 * n_hops + 4);
        // A validation pools all nodes: users and items one after the other.
        let stacked = n_hops * n_users.max(n_items);
        let (columns, pairs) = match graph.combination {
            Combination::Uniform | Combination::Global => (0, 0),
            Combination::Additive => (dim + width, 2),
            Combination::Dot => (dim + 2 * width, 2 * n_hops),
        };
        let attention = 4 * stacked * (columns + pairs);
        let stack = if columns == 0 { 0 } else { 4 * stacked * dim.max(width) };
        // A look-ahead has layers, moments and a gradient of its own, the layers' rows of those who judge, with their gradients, and the motion of the batch.
        let judges = (3 * size.n_judges as u128).min(n_nodes);
        let ahead = match size.n_judges {
            0 => 0,
            _ => 4 * dim * (n_nodes * (n_hops + 3) + judges * (2 * n_hops + 2) + rows * (n_hops + 1)),
        };
        Room {
            largest: (4 * n_nodes * dim).max(4 * edges).max(stack),
            total: adjacency + tables + frozen + batch + attention + ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_does_everything() {
        for name in Config::NAMES {
            let config = Config::named(name).expect("a name of the list should be known");
            assert!(check_device(&config, &Device::Cpu).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_bytes_of_a_training_are_counted_array_by_array() {
        let bpr = objectives::Config::named("bpr").expect("a loss of the list should be known");
        let size = TrainingSize { n_users: 60, n_items: 40, n_pairs: 500, batch_size: Some(10), n_judges: 0 };
        let mut graph = super::super::graph::Config { dim: 8, layers: 3, ..Default::default() };
        // 100 nodes of 8 columns are 3,200 bytes a table: 9 of them. 200 numbers for rows, 2,000 for edges; 40 items four times; 30 rows of 8 columns,
        // 4 layers twice and 4 more.
        let expected = 9 * 3200 + 4 * 2200 + 4 * 1280 + 30 * 32 * 12;
        assert_eq!(Room::of(&graph, &bpr, size), Room { largest: 4000, total: expected });
        // 7 rows touch 21: 7 tables more, 10 arrays of 21 rows, 5 of the batch's 30.
        let judged = TrainingSize { n_judges: 7, ..size };
        assert_eq!(Room::of(&graph, &bpr, judged).total, expected + 7 * 3200 + 10 * 21 * 32 + 5 * 30 * 32);
        // 4 layers of 60 users are 240 rows: 8 columns, 16 of the network, a score and a slope.
        (graph.combination, graph.attention.hidden) = (Combination::Additive, 16);
        let with_attention = Room { largest: 4 * 240 * 16, total: expected + 4 * 240 * 26 };
        assert_eq!(Room::of(&graph, &bpr, size), with_attention);
        // In 16 bits 3 layers and 2 gradients of 1,600 bytes more.
        graph.storage = Storage::F16;
        assert_eq!(Room::of(&graph, &bpr, size).total, with_attention.total + 5 * 1600);
    }
}
