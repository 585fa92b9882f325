//! AutoDebias' weights of observed examples: `w = exp((a_u + a_i + a_label + a_position) / 5)`,
//! learned from the look-ahead.
//!
//! Source: as [`super::autodebias`]. We differ: the derivative comes from a Jacobian-vector product
//! (see `models::graph::meta`) instead of a tape through the step.

use std::sync::Arc;

use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::{Buffer, Device};

use super::autodebias::Autodebias;
use super::meta_adam::MetaAdam;
use crate::error::Result;
use crate::objectives::{ExampleWeights, Examples, Nodes, Parameters, Reduction};
use crate::samplers::Batch;

/// A feature of weight z moves the weight by `w / 5`.
pub(super) const SOFTENING: f64 = 5.0;

/// What the weights may depend on, besides user and item.
#[derive(Debug, Clone, Default)]
pub(super) struct Features {
    /// `[n_edges]`, +1 and -1; none where all are +1.
    pub(super) labels: Option<Arc<Vec<f32>>>,
    /// `[n_edges]`, from 0.
    pub(super) positions: Option<Arc<Vec<u32>>>,
}

/// The weights of observed examples.
pub(super) struct ObservedWeights {
    n_users: usize,
    n_items: usize,
    features: Features,
    reduction: Reduction,
    frozen_epochs: u64,
    /// Users, items, labels (-1, +1), positions.
    meta: MetaAdam,
    /// The weights of the last batch, with the reduction's scale.
    last: Vec<f32>,
}

impl ObservedWeights {
    pub(super) fn new(config: &Autodebias, nodes: Nodes, features: Features, reduction: Reduction, seed: Seed) -> Self {
        let Nodes { n_users, n_items } = nodes;
        let n_positions = features.positions.as_ref().and_then(|p| p.iter().max()).map_or(0, |&last| last as usize + 1);
        // Kaiming's normal distribution with fan-out, as published: tables of n rows have standard
        // deviation sqrt(2 / n).
        let mut value = kaiming(seed, 0, n_users);
        value.extend(kaiming(seed, 1, n_items));
        value.extend(normal(seed, 2, 2 + n_positions, 1e-3));
        let meta = MetaAdam::new(value, config.weight_rate, config.weight_decay);
        let frozen_epochs = config.frozen_epochs;
        ObservedWeights { n_users, n_items, features, reduction, frozen_epochs, meta, last: Vec::new() }
    }

    /// The parameters that an edge's weight is made of: user, item, label, position.
    fn parts(&self, edge: usize, user: u32, item: u32) -> [Option<usize>; 4] {
        let base = self.n_users + self.n_items;
        let label = self.features.labels.as_ref().map(|labels| base + usize::from(labels[edge] > 0.0));
        let position = self.features.positions.as_ref().map(|positions| base + 2 + positions[edge] as usize);
        [Some(user as usize), Some(self.n_users + item as usize), label, position]
    }

    /// The weight of an edge, without the reduction's scale.
    fn weight(&self, edge: usize, user: u32, item: u32) -> f64 {
        let z: f64 = self.parts(edge, user, item).into_iter().flatten().map(|part| self.meta.value[part]).sum();
        (z / SOFTENING).exp()
    }
}

impl ExampleWeights for ObservedWeights {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        let Examples { batch, n: n_examples, .. } = *examples;
        let mut last = std::mem::take(&mut self.last);
        last.clear();
        let scale = f64::from(self.reduction.scale(n_examples));
        let each = n_examples / batch.positives.len().max(1);
        batch.each_pair(|pair, user, item| {
            let weight = (scale * self.weight(batch.edges[pair] as usize, user, item)) as f32;
            last.extend(std::iter::repeat_n(weight, each));
        });
        self.last = last;
        device.write(weights, &self.last);
        Ok(())
    }

    fn learns(&self, epoch: u64) -> bool {
        epoch >= self.frozen_epochs
    }

    fn learn(&mut self, device: &Device, batch: &Batch, hypergradient: &Buffer<f32>) -> Result<()> {
        let hypergradient = device.read(hypergradient);
        let mut gradient = vec![0.0; self.meta.value.len()];
        let each = hypergradient.len() / batch.positives.len().max(1);
        batch.each_pair(|pair, user, item| {
            let examples = pair * each..(pair + 1) * each;
            // z moves every example of the pair: dw/dz = w / 5.
            let moved: f64 = examples.map(|e| f64::from(hypergradient[e]) * f64::from(self.last[e])).sum();
            for part in self.parts(batch.edges[pair] as usize, user, item).into_iter().flatten() {
                gradient[part] += moved / SOFTENING;
            }
        });
        self.meta.step(&gradient);
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        self.meta.save(["value", "m", "v", "step"])
    }

    fn restore(&mut self, parameters: Parameters) {
        self.meta.load(&mut parameters.into_iter());
    }
}

/// `n` draws with standard deviation `sqrt(2 / n)`.
pub(super) fn kaiming(seed: Seed, index: u64, n: usize) -> Vec<f32> {
    normal(seed, index, n, (2.0 / n.max(1) as f32).sqrt())
}

/// Normal draws of this method; epoch 2 of the initial weights' purpose belongs to it.
pub(super) fn normal(seed: Seed, index: u64, n: usize, std: f32) -> Vec<f32> {
    crate::models::graph::normal(seed.stream(Purpose::Init, 2, index), n, std)
}
