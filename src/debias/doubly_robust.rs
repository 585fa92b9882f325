//! Doubly robust learning: every pair of a block has an imputed error, which observed pairs correct
//! by their true error, divided by how probable it was that they were seen.
//!
//! The loss is `sum over all pairs of e_ui + sum over observed pairs of (true error - e_ui) /
//! p_ui`. It is right on average if either the propensities `p` or the imputed errors `e` are. True
//! errors are `(s - y)^2`, imputed ones `(s - r)^2`:
//!
//! - `dr`: `r` is a label, imputed by a small matrix factorisation of the observed labels;
//! - `dr_jl` (joint learning): `r` is the model's own score plus an error that is imputed by a
//!   small matrix factorisation of the observed errors `y - s`, each divided by its propensity. The
//!   model's own score counts as a constant there.
//!
//! The true errors are the examples of the loss, with weights `1 / p`. The rest is
//! [`ImputedErrors`], a further term. `s - r` is an inner product of longer vectors, so the sum
//! over all pairs is a form in small matrices, as in [`super::imputation`]. The small model takes a
//! step of Adam in every step.
//!
//! Source: Wang et al., *Doubly Robust Joint Learning for Recommendation on Data Missing Not at
//! Random*, ICML 2019. The closed form is ours.

use std::sync::Arc;

use gcnrec_graphs::Seed;

use super::MethodInputs;
use super::fixed::FixedWeights;
use super::meta_adam::MetaAdam;
use super::propensity::Propensity;
use super::small_mf::SmallMf;
use super::wide::{WideTerm, dot};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::objectives::{Loss, Nodes, Reduction, UniformLoss};
use crate::samplers::Batch;
use crate::settings::{between, settings};

settings! {
    /// `[debias.dr]` and `[debias.dr_jl]`.
    pub(crate) struct DoublyRobust {
        /// From the label of a pair, or from the count of its item.
        propensity: Propensity = Propensity::NaiveBayes;
        /// Smaller propensities count as this.
        clip: f64 = 1e-3, in between(1e-9, 1.0);
        /// Exponent of the counts for `popularity`.
        alpha: f64 = 0.5, in between(0.0, 4.0);
        /// Width of the model that imputes labels (`dr`) or errors (`dr_jl`).
        rank: usize = 2, in between(0.0, 256.0);
        /// Its step size.
        rate: f64 = 0.01, in between(0.0, 1e3);
        /// Its decay.
        decay: f64 = 1.0, in between(0.0, 1e3);
    }
}

impl DoublyRobust {
    /// True errors are squared ones.
    pub(super) fn fits(loss: &dyn Loss) -> Result<(), &'static str> {
        if loss.uniform_loss() == UniformLoss::Mse { Ok(()) } else { Err("the loss mse") }
    }

    /// Weighs true errors by `1 / p`, and adds the imputed ones.
    pub(super) fn prepare(&self, imputed: Imputed, inputs: &MethodInputs<'_>, learning: &mut Learning) {
        let weights = inputs.inverse_propensities(self.propensity, self.clip, self.alpha);
        let (nodes, dim, reduction) = (inputs.nodes(), inputs.training.dim, inputs.reduction());
        let known = (Arc::new(weights.clone()), inputs.labels.clone());
        let term = ImputedErrors::new(self, imputed, nodes, dim, known, reduction, inputs.seed());
        learning.auxiliary = Some(Box::new(term));
        learning.weights = Box::new(FixedWeights { weights, self_normalised: false, reduction });
    }
}

/// What is imputed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Imputed {
    /// A label.
    Labels,
    /// The error of the model's own score.
    Errors,
}

/// All that the loss has beside the true errors.
pub(super) struct ImputedErrors {
    dim: usize,
    imputed: Imputed,
    reduction: Reduction,
    scale: f64,
    /// `1 / p` of every training edge.
    inverse: Arc<Vec<f32>>,
    labels: Option<Arc<Vec<f32>>>,
    model: SmallMf,
    learned: MetaAdam,
    block: Block,
}

/// The rows of a batch and the observed pairs among them.
#[derive(Default)]
struct Block {
    nodes: Vec<u32>,
    n_users: usize,
    slot_of: Vec<u32>,
    observed: Vec<Observed>,
}

struct Observed {
    user: usize,
    item: usize,
    label: f64,
    inverse: f64,
}

impl ImputedErrors {
    pub(super) fn new(
        config: &DoublyRobust,
        imputed: Imputed,
        nodes: Nodes,
        dim: usize,
        (inverse, labels): (Arc<Vec<f32>>, Option<Arc<Vec<f32>>>),
        reduction: Reduction,
        seed: Seed,
    ) -> Self {
        let model = SmallMf { nodes, rank: config.rank };
        let learned = MetaAdam::new(model.start(seed, 10), config.rate, config.decay);
        let block = Block { slot_of: vec![0; nodes.len()], ..Block::default() };
        ImputedErrors { dim, imputed, reduction, scale: 1.0, inverse, labels, model, learned, block }
    }

    /// What the small model says of every row of the block: `[rows, rank + 2]`.
    fn imputing(&self) -> Vec<Vec<f64>> {
        self.block.nodes.iter().map(|&node| self.model.row(&self.learned.value, node)).collect()
    }

    /// `s - r` is the inner product of a user's and an item's vector of these; where the model's
    /// own score is a constant of `r`, it cancels.
    fn residual_rows(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let mut rows = self.imputing();
        rows[self.block.n_users..].iter_mut().flatten().for_each(|value| *value = -*value);
        if self.imputed == Imputed::Labels {
            rows.iter_mut().zip(x.chunks_exact(self.dim)).for_each(|(row, x)| row.extend_from_slice(x));
        }
        rows
    }
}

/// `sum over rows of x y'`, as rows of the width of `y`.
fn product(x: &[Vec<f64>], y: &[Vec<f64>], height: usize, width: usize) -> Vec<Vec<f64>> {
    let mut sum = vec![vec![0.0; width]; height];
    for (x, y) in x.iter().zip(y) {
        for (row, x) in sum.iter_mut().zip(x) {
            row.iter_mut().zip(y).for_each(|(sum, y)| *sum += x * y);
        }
    }
    sum
}

fn times(matrix: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, x)).collect()
}

impl WideTerm for ImputedErrors {
    fn take(&mut self, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.scale = f64::from(self.reduction.scale(batch.positives.len()));
        let (n_users, labels, inverse) = (self.model.nodes.n_users, &self.labels, &self.inverse);
        let Block { nodes: rows, slot_of, observed, n_users: users_in } = &mut self.block;
        rows.clear();
        rows.extend_from_slice(nodes);
        *users_in = nodes.partition_point(|&node| (node as usize) < n_users);
        nodes.iter().enumerate().for_each(|(slot, &node)| slot_of[node as usize] = slot as u32);
        observed.clear();
        batch.each_pair(|pair, user, item| {
            let edge = batch.edges[pair] as usize;
            observed.push(Observed {
                user: slot_of[user as usize] as usize,
                item: slot_of[n_users + item as usize] as usize,
                label: labels.as_ref().map_or(1.0, |labels| f64::from(labels[edge])),
                inverse: f64::from(inverse[edge]),
            });
        });
        Ok(())
    }

    fn value(&self, x: &[f64]) -> f64 {
        let z = self.residual_rows(x);
        let (users, items) = z.split_at(self.block.n_users);
        let width = z.first().map_or(0, Vec::len);
        let gram = product(items, items, width, width);
        let all: f64 = users.iter().map(|row| dot(row, &times(&gram, row))).sum();
        let observed = self.block.observed.iter();
        let corrected: f64 = observed.map(|o| o.inverse * dot(&z[o.user], &z[o.item]).powi(2)).sum();
        self.scale * (all - corrected)
    }

    /// The gradient: every pair pushes with `2 (s - r)`, observed ones take that back `1 / p`
    /// times.
    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (dim, n_users) = (self.dim, self.block.n_users);
        let z = self.residual_rows(x);
        let rows: Vec<Vec<f64>> = x.chunks_exact(dim).map(<[f64]>::to_vec).collect();
        let width = z.first().map_or(0, Vec::len);
        let mut gradient = vec![0.0; x.len()];
        for (side, other) in [(0..n_users, n_users..z.len()), (n_users..z.len(), 0..n_users)] {
            // sum over the other side of (s - r) x = (sum x z') z of this side
            let pull = product(&rows[other.clone()], &z[other], dim, width);
            for slot in side {
                let pulled = times(&pull, &z[slot]);
                gradient[slot * dim..][..dim].iter_mut().zip(pulled).for_each(|(g, p)| *g += 2.0 * p);
            }
        }
        for o in &self.block.observed {
            let slope = 2.0 * o.inverse * dot(&z[o.user], &z[o.item]);
            for (to, from) in [(o.user, o.item), (o.item, o.user)] {
                gradient[to * dim..][..dim].iter_mut().zip(&rows[from]).for_each(|(g, x)| *g -= slope * x);
            }
        }
        gradient.iter_mut().for_each(|gradient| *gradient *= self.scale);
        gradient
    }

    /// One step of the small model on the observed pairs of the block.
    fn fit_to(&mut self, x: &[f64]) {
        let rows: Vec<&[f64]> = x.chunks_exact(self.dim).collect();
        let mut gradient = vec![0.0; self.learned.value.len()];
        for o in &self.block.observed {
            let (target, weight) = match self.imputed {
                Imputed::Labels => (o.label, 1.0),
                Imputed::Errors => (o.label - dot(rows[o.user], rows[o.item]), o.inverse),
            };
            let pair = (self.block.nodes[o.user], self.block.nodes[o.item]);
            self.model.push(&self.learned.value, pair, target, weight, &mut gradient);
        }
        self.learned.step(&gradient);
    }

    fn learned(&self) -> &MetaAdam {
        &self.learned
    }

    fn learned_mut(&mut self) -> &mut MetaAdam {
        &mut self.learned
    }
}

#[cfg(test)]
#[path = "tests/doubly_robust.rs"]
mod tests;
