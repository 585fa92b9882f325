//! AutoDebias' imputation term: `strength * sum over all pairs of w2_ui (s_ui - m_c)^2`, `w2_ui =
//! exp((c_u + c_i + c_[observed]) / 5)`, where the imputed value `m_c = tanh(phi_c)` depends on the
//! class of the pair: a -1, nothing, or a +1 was observed.
//!
//! All pairs are those of the batch's users with its items, observed ones included. The weight of
//! an unobserved pair is a user's factor times an item's factor, and its imputed value is a
//! constant, so the sum over all pairs is a form in small matrices of the embeddings' width;
//! observed pairs, whose class is another, are corrected one by one. The cost is that of the
//! observed pairs and of `(users + items) * dim^2`.
//!
//! Source: as [`super::autodebias`]; the closed form is ours.

use std::sync::Arc;

use gcnrec_graphs::Seed;
use gcnrec_kernels::ops::all_pairs::{
    AllPairs, KnownPairs, PairMotion, all_pairs_gradient, all_pairs_motion, all_pairs_reference,
};
use gcnrec_kernels::{Buffer, Device};

use super::autodebias::Autodebias;
use super::meta_adam::MetaAdam;
use super::observed_weights::{SOFTENING, kaiming, normal};
use crate::error::Result;
use crate::objectives::{AuxiliaryTerm, Nodes, Parameters, Reduction};
use crate::samplers::Batch;
#[cfg(test)]
use gcnrec_kernels::ops::all_pairs::{all_pairs_gradient_reference, all_pairs_motion_reference};

/// Classes of pairs: the index of their value in `phi`.
const UNOBSERVED: usize = 1;

/// The imputation term with its weights and values.
pub(super) struct Imputation {
    nodes: Nodes,
    dim: usize,
    strength: f64,
    reduction: Reduction,
    /// What the reduction makes of the strength in this batch.
    scale: f64,
    frozen_epochs: u64,
    labels: Option<Arc<Vec<f32>>>,
    /// Users, items, then unobserved and observed.
    weights: MetaAdam,
    /// Of -1, of unobserved pairs, of +1.
    values: MetaAdam,
    block: Block,
    weight_gradient: Vec<f64>,
    value_gradient: [f64; 3],
}

/// The rows of a batch and the observed pairs among them.
#[derive(Default)]
struct Block {
    nodes: Vec<u32>,
    n_users: usize,
    slot_of: Vec<u32>,
    /// The slots of each pair's user and item, and its class.
    users: Vec<u32>,
    items: Vec<u32>,
    class: Vec<usize>,
    known: KnownPairs,
}

/// What the pairs of a block weigh and what they should score, in numbers.
struct Weighed {
    factor: Vec<f64>,
    unseen: f64,
    seen: f64,
    imputed: [f64; 3],
    target: Vec<f64>,
}

impl Imputation {
    pub(super) fn new(
        config: &Autodebias,
        nodes: Nodes,
        dim: usize,
        labels: Option<Arc<Vec<f32>>>,
        reduction: Reduction,
        strength: f64,
        seed: Seed,
    ) -> Self {
        let mut weights = kaiming(seed, 3, nodes.n_users);
        weights.extend(kaiming(seed, 4, nodes.n_items));
        weights.extend(normal(seed, 5, 2, 1e-3));
        Imputation {
            nodes,
            dim,
            strength,
            reduction,
            scale: strength,
            frozen_epochs: config.frozen_epochs,
            labels,
            weight_gradient: vec![0.0; weights.len()],
            weights: MetaAdam::new(weights, config.imputation_rate, config.imputation_decay),
            values: MetaAdam::new(normal(seed, 6, 3, 1e-3), config.value_rate, config.value_decay),
            block: Block { slot_of: vec![0; nodes.len()], ..Block::default() },
            value_gradient: [0.0; 3],
        }
    }

    fn weighed(&self) -> Weighed {
        let factor = |parameter: usize| (self.weights.value[parameter] / SOFTENING).exp();
        let (n, imputed) = (self.nodes.len(), self.imputed());
        Weighed {
            factor: self.block.nodes.iter().map(|&node| factor(node as usize)).collect(),
            unseen: factor(n),
            seen: factor(n + 1),
            imputed,
            target: self.block.class.iter().map(|&class| imputed[class]).collect(),
        }
    }

    fn pairs<'a>(&self, weighed: &'a Weighed) -> AllPairs<'a> {
        AllPairs {
            dim: self.dim,
            n_left: self.block.n_users,
            factor: &weighed.factor,
            weight: [weighed.unseen, weighed.seen],
            target: weighed.imputed[UNOBSERVED],
            known_target: &weighed.target,
            scale: self.scale,
        }
    }

    fn imputed(&self) -> [f64; 3] {
        [0, 1, 2].map(|class| self.values.value[class].tanh())
    }

    /// [`AuxiliaryTerm::forward`] in f64.
    pub(super) fn value(&self, x: &[f64]) -> f64 {
        all_pairs_reference(&self.pairs(&self.weighed()), &self.block.known, x)
    }

    /// From the motion of the scores to the derivatives by the term's own parameters. Answers the
    /// motion of the term.
    pub(super) fn keep(&mut self, motion: &PairMotion) -> f64 {
        let Weighed { factor, unseen, seen, imputed, .. } = self.weighed();
        let m = imputed[UNOBSERVED];
        let parameter = |slot: usize| self.block.nodes[slot] as usize;
        let mut by_weight = vec![0.0; self.weights.value.len()];
        let mut by_value = [0.0; 3];
        let mut unseen_moved = 0.0;
        for (slot, [bent, straight]) in motion.rows.iter().enumerate() {
            let moved = 2.0 * unseen * factor[slot] * (bent - m * straight);
            by_weight[parameter(slot)] += moved;
            if slot < self.block.n_users {
                unseen_moved += moved;
                by_value[UNOBSERVED] -= 2.0 * unseen * factor[slot] * straight;
            }
        }
        let mut seen_moved = 0.0;
        let slots = self.block.users.iter().zip(&self.block.items).map(|(&user, &item)| [user as usize, item as usize]);
        for ((slots, &class), &[s, s_dot]) in slots.zip(&self.block.class).zip(&motion.known) {
            let both = factor[slots[0]] * factor[slots[1]];
            let taken = 2.0 * unseen * both * (s - m) * s_dot;
            let given = 2.0 * seen * both * (s - imputed[class]) * s_dot;
            for slot in slots {
                by_weight[parameter(slot)] += given - taken;
            }
            (unseen_moved, seen_moved) = (unseen_moved - taken, seen_moved + given);
            by_value[class] -= 2.0 * seen * both * s_dot;
            by_value[UNOBSERVED] += 2.0 * unseen * both * s_dot;
        }
        by_weight[self.nodes.len()] = unseen_moved;
        by_weight[self.nodes.len() + 1] = seen_moved;
        by_weight.iter_mut().for_each(|moved| *moved *= self.scale / SOFTENING);
        for (class, moved) in by_value.iter_mut().enumerate() {
            *moved *= self.scale * (1.0 - imputed[class] * imputed[class]);
        }
        (self.weight_gradient, self.value_gradient) = (by_weight, by_value);
        self.scale * (unseen_moved + seen_moved)
    }
}

impl AuxiliaryTerm for Imputation {
    fn prepare(&mut self, device: &Device, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.scale = self.strength * f64::from(self.reduction.scale(batch.positives.len()));
        let (n_users, labels) = (self.nodes.n_users, &self.labels);
        let Block { nodes: rows, slot_of, users, items, class, n_users: users_in, known } = &mut self.block;
        rows.clear();
        rows.extend_from_slice(nodes);
        *users_in = nodes.partition_point(|&node| (node as usize) < n_users);
        nodes.iter().enumerate().for_each(|(slot, &node)| slot_of[node as usize] = slot as u32);
        users.clear();
        items.clear();
        class.clear();
        batch.each_pair(|pair, user, item| {
            let liked = labels.as_ref().is_none_or(|labels| labels[batch.edges[pair] as usize] > 0.0);
            users.push(slot_of[user as usize]);
            items.push(slot_of[n_users + item as usize]);
            class.push(if liked { 2 } else { 0 });
        });
        Ok(known.assign(device, nodes.len(), users, items)?)
    }

    fn forward(&self, device: &Device, rows: &Buffer<f32>) -> Result<f64> {
        Ok(self.value(&device.read(rows).iter().map(|&x| f64::from(x)).collect::<Vec<_>>()))
    }

    fn backward(&mut self, device: &Device, rows: &Buffer<f32>, gradient: &mut Buffer<f32>) -> Result<()> {
        let weighed = self.weighed();
        let pairs = self.pairs(&weighed);
        Ok(all_pairs_gradient(device, &pairs, &mut self.block.known, rows, gradient)?)
    }

    fn tangent(&mut self, device: &Device, rows: &Buffer<f32>, rows_dot: &Buffer<f32>) -> Result<()> {
        let weighed = self.weighed();
        let pairs = self.pairs(&weighed);
        let motion = all_pairs_motion(device, &pairs, &mut self.block.known, rows, rows_dot)?;
        self.keep(&motion);
        Ok(())
    }

    fn learns(&self, _epoch: u64) -> bool {
        true
    }

    fn learn(&mut self, epoch: u64) {
        self.values.step(&self.value_gradient);
        if epoch >= self.frozen_epochs {
            self.weights.step(&self.weight_gradient);
        }
    }

    fn imputed_values(&self) -> Option<[f64; 3]> {
        Some(self.imputed())
    }

    fn parameters(&self) -> Parameters {
        let mut saved = self.weights.save(["value", "m", "v", "step"]);
        saved.extend(self.values.save(["imputed", "imputed_m", "imputed_v", "imputed_step"]));
        saved
    }

    fn restore(&mut self, parameters: Parameters) {
        let mut saved = parameters.into_iter();
        self.weights.load(&mut saved);
        self.values.load(&mut saved);
    }
}

#[cfg(test)]
impl Imputation {
    /// [`AuxiliaryTerm::backward`] in f64.
    pub(super) fn gradient(&self, x: &[f64]) -> Vec<f64> {
        all_pairs_gradient_reference(&self.pairs(&self.weighed()), &self.block.known, x)
    }

    /// [`AuxiliaryTerm::tangent`] in f64. Answers the motion of the term.
    pub(super) fn motion(&mut self, x: &[f64], t: &[f64]) -> f64 {
        let motion = all_pairs_motion_reference(&self.pairs(&self.weighed()), &self.block.known, x, t);
        self.keep(&motion)
    }

    /// The derivatives that the last `tangent` kept: of the weights' parameters and of the values'.
    pub(super) fn kept(&self) -> (&[f64], &[f64]) {
        (&self.weight_gradient, &self.value_gradient)
    }

    /// The parameters, to be changed.
    pub(super) fn meta(&mut self) -> (&mut Vec<f64>, &mut Vec<f64>) {
        (&mut self.weights.value, &mut self.values.value)
    }
}
