//! `cause`: causal embeddings; items have a second vector that is fitted on the uniform log and
//! that pulls on the first.
//!
//! The term is `sum over uniform rows of the block of loss(F_u . q_i) + penalty * sum over items of
//! the block of |F_i - q_i|_1`, with `q` the second vectors, which are constants of the penalty and
//! learn from the uniform rows alone, by Adam. The model is ranked by its first vectors.
//!
//! Source: Bonner and Vasile, *Causal Embeddings for Recommendation*, RecSys 2018, in the form of
//! DongHande/AutoDebias. We differ: the first vector is the item's final embedding, so that the
//! method also fits models with layers; the uniform rows of a block are those with user and item in
//! it.

use std::collections::BTreeMap;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

use super::meta_adam::MetaAdam;
use super::observed_weights::normal;
use super::wide::{WideTerm, dot};
use super::{Method, MethodInputs};
use crate::data::Log;
use crate::error::Result;
use crate::models::graph::Learning;
use crate::objectives::{Loss, Nodes, Reduction, UniformLoss};
use crate::samplers::Batch;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[debias.cause]`.
    pub(crate) struct Cause {
        /// How strongly an item's second vector, of the uniform log, pulls on its first.
        penalty: f64 = 1.0, in between(0.0, 1e6);
        /// Step size of the second vectors.
        rate: f64 = 0.01, in between(0.0, 1e3);
        /// Their decay.
        decay: f64 = 0.1, in between(0.0, 1e3);
    }
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, Cause, "cause", "second item vectors, of uniform exposure, that pull on the first");

impl Method for Cause {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.cause")
    }

    fn fits(&self, loss: &dyn Loss) -> Result<(), &'static str> {
        if loss.is_of_labels() { Ok(()) } else { Err("the losses mse and logistic") }
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        Ok(device.expect_cpu("the debiasing method cause")?)
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        learning.auxiliary = Some(Box::new(SecondVectors::new(self, inputs)));
        Ok(())
    }
}

/// The loss of a uniform row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowLoss {
    /// `(s - y)^2`.
    Squared,
    /// `softplus(-y s)`.
    Logistic,
}

impl RowLoss {
    fn value(self, s: f64, y: f64) -> f64 {
        match self {
            RowLoss::Squared => (s - y).powi(2),
            RowLoss::Logistic => (-y * s).max(0.0) + (-(y * s).abs()).exp().ln_1p(),
        }
    }

    fn slope(self, s: f64, y: f64) -> f64 {
        match self {
            RowLoss::Squared => 2.0 * (s - y),
            RowLoss::Logistic => -y / (1.0 + (y * s).exp()),
        }
    }
}

/// The second vectors and the uniform rows that they are fitted on.
pub(super) struct SecondVectors {
    nodes: Nodes,
    dim: usize,
    biases: bool,
    loss: RowLoss,
    penalty: f64,
    reduction: Reduction,
    scale: f64,
    /// Item and label of every uniform row, by user.
    uniform: BTreeMap<u32, Vec<(u32, f64)>>,
    /// `[n_items, dim]`.
    second: MetaAdam,
    block: Vec<u32>,
    /// (slot of the user, slot of the item, label).
    shown: Vec<(usize, usize, f64)>,
}

impl SecondVectors {
    fn new(config: &Cause, inputs: &MethodInputs<'_>) -> Self {
        let (nodes, dim, biases) = (inputs.nodes(), inputs.training.dim, inputs.training.biases);
        let squared = inputs.training.objective.uniform_loss() == UniformLoss::Mse;
        let loss = if squared { RowLoss::Squared } else { RowLoss::Logistic };
        SecondVectors::of_log(
            config,
            nodes,
            (dim, biases),
            loss,
            &inputs.uniform.rows,
            inputs.reduction(),
            inputs.seed(),
        )
    }

    fn of_log(
        config: &Cause,
        nodes: Nodes,
        (dim, biases): (usize, bool),
        loss: RowLoss,
        uniform: &Log,
        reduction: Reduction,
        seed: Seed,
    ) -> Self {
        let mut value = normal(seed, 9, nodes.n_items * dim, 0.1);
        if biases {
            value.chunks_exact_mut(dim).for_each(|row| (row[dim - 2], row[dim - 1]) = (1.0, 0.0));
        }
        let mut rows: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
        for ((&user, &item), &label) in uniform.users.iter().zip(&uniform.items).zip(&uniform.ratings) {
            rows.entry(user).or_default().push((item, f64::from(label)));
        }
        SecondVectors {
            nodes,
            dim,
            biases,
            loss,
            penalty: config.penalty,
            reduction,
            scale: 1.0,
            uniform: rows,
            second: MetaAdam::new(value, config.rate, config.decay),
            block: Vec::new(),
            shown: Vec::new(),
        }
    }

    fn second(&self, slot: usize) -> &[f64] {
        let item = self.block[slot] as usize - self.nodes.n_users;
        &self.second.value[item * self.dim..][..self.dim]
    }

    fn row<'a>(&self, x: &'a [f64], slot: usize) -> &'a [f64] {
        &x[slot * self.dim..][..self.dim]
    }

    fn item_slots(&self) -> std::ops::Range<usize> {
        self.block.partition_point(|&node| (node as usize) < self.nodes.n_users)..self.block.len()
    }

    /// The gradient of the uniform rows' loss with respect to the second vectors, `[n_items, dim]`.
    /// The column that is the constant 1 has none.
    fn second_gradient(&self, x: &[f64]) -> Vec<f64> {
        let dim = self.dim;
        let mut gradient = vec![0.0; self.second.value.len()];
        for &(user, item, y) in &self.shown {
            let slope = self.loss.slope(dot(self.row(x, user), self.second(item)), y);
            let at = (self.block[item] as usize - self.nodes.n_users) * dim;
            gradient[at..][..dim].iter_mut().zip(self.row(x, user)).for_each(|(g, x)| *g += slope * x);
        }
        if self.biases {
            gradient.chunks_exact_mut(dim).for_each(|row| row[dim - 2] = 0.0);
        }
        gradient
    }
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

impl WideTerm for SecondVectors {
    fn take(&mut self, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.scale = f64::from(self.reduction.scale(batch.positives.len()));
        self.block.clear();
        self.block.extend_from_slice(nodes);
        self.shown.clear();
        for (slot, &node) in nodes.iter().enumerate().take_while(|(_, node)| (**node as usize) < self.nodes.n_users) {
            for &(item, label) in self.uniform.get(&node).into_iter().flatten() {
                if let Ok(item) = nodes.binary_search(&(self.nodes.item(item))) {
                    self.shown.push((slot, item, label));
                }
            }
        }
        Ok(())
    }

    fn value(&self, x: &[f64]) -> f64 {
        let of_row =
            |&(user, item, y): &(usize, usize, f64)| self.loss.value(dot(self.row(x, user), self.second(item)), y);
        let apart =
            |slot: usize| -> f64 { self.row(x, slot).iter().zip(self.second(slot)).map(|(a, b)| (a - b).abs()).sum() };
        let rows: f64 = self.shown.iter().map(of_row).sum();
        self.scale * (rows + self.penalty * self.item_slots().map(apart).sum::<f64>())
    }

    fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let dim = self.dim;
        let mut gradient = vec![0.0; x.len()];
        for &(user, item, y) in &self.shown {
            let slope = self.loss.slope(dot(self.row(x, user), self.second(item)), y);
            gradient[user * dim..][..dim].iter_mut().zip(self.second(item)).for_each(|(g, q)| *g += slope * q);
        }
        for slot in self.item_slots() {
            let pulled = self.row(x, slot).iter().zip(self.second(slot));
            let target = gradient[slot * dim..][..dim].iter_mut();
            target.zip(pulled).for_each(|(g, (a, b))| *g += self.penalty * sign(a - b));
        }
        gradient.iter_mut().for_each(|gradient| *gradient *= self.scale);
        gradient
    }

    fn fit_to(&mut self, x: &[f64]) {
        let gradient = self.second_gradient(x);
        self.second.step(&gradient);
        if self.biases {
            // Decay has pulled on the constant too.
            self.second.value.chunks_exact_mut(self.dim).for_each(|row| row[self.dim - 2] = 1.0);
        }
    }

    fn learned(&self) -> &MetaAdam {
        &self.second
    }

    fn learned_mut(&mut self) -> &mut MetaAdam {
        &mut self.second
    }
}

#[cfg(test)]
mod tests;
