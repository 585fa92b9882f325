//! The look-ahead of meta-learned weights: what the uniform log would have wanted from a step.
//!
//! A step with weights `w` moves the parameters from `x` to `x' = x - step(gradient(x, w))`. The
//! derivative of the uniform log's loss at `x'` with respect to every weight is one Jacobian-vector
//! product: with `V` the gradient of that loss at `x'`, let `x_dot` be the motion of `x'` under a
//! gradient that moves along `V` (`-lr V` for gradient descent, [`adam_tangent`] for Adam); then
//! the weight of example `b` has the derivative `<gradient of loss b, x_dot>`, which is how loss
//! `b` moves along `x_dot`. No tape and no second derivative of the propagation is needed: it costs
//! the look-ahead's layers, one Horner pass for `V` and the layers of the motion.
//!
//! Where the uniform log is long, a sample of its examples is drawn afresh for each look-ahead, and
//! each counts as many as it stands for: `V` is then right on average, and only the layers' rows of
//! the sample are needed.
//!
//! Without the look-ahead, `V` is taken at `x` itself, and the step counts as gradient descent (Ren
//! et al. 2018, exactly): one Horner pass and the layers of the motion remain.

use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step, sgd_step};
use gcnrec_kernels::ops::adam_tangent::{AdamStart, adam_tangent};
use gcnrec_kernels::ops::combine::Reached;
use gcnrec_kernels::ops::copy_rows::{copy_into, fill_column};
use gcnrec_kernels::ops::row_set::RowSet;
use gcnrec_kernels::ops::scale_rows::scale_all;
use gcnrec_kernels::{Buffer, Device};
use rand::RngExt;

use super::combination::{BatchLayers, Combiner, RowGroups, Scratch};
use super::pass::Pass;
use super::propagation::Propagation;
use crate::error::Result;
use crate::objectives::{Nodes, Objective, UniformLoss};
use crate::samplers::Batch;
use crate::settings::name_setting;

/// How the embeddings take a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam.
    #[default]
    Adam,
    /// Plain gradient descent.
    Sgd,
}

name_setting!(Optimizer, "optimizer");

/// The examples of the uniform log whose loss a step should lower, and how often they are asked.
#[derive(Debug, Clone)]
pub struct MetaBatch {
    /// The loss of the uniform log; its examples are summed.
    pub loss: UniformLoss,
    /// The whole log, as one batch.
    pub batch: Batch,
    /// Examples of a look-ahead, drawn afresh for each; `None`, and where there are no more of
    /// them, takes all.
    pub sample: Option<usize>,
    /// What the draws depend on, beside the number of the step.
    pub seed: Seed,
    /// Steps from one look-ahead to the next, 1 or more.
    pub every: u64,
    /// Take the loss at the point after the step; otherwise at the point before it.
    pub look_ahead: bool,
}

impl MetaBatch {
    /// The examples of a step: places in the whole log, rising and different. None stands for all
    /// of them.
    fn draw(&self, step: u64) -> Option<Vec<usize>> {
        let all = self.batch.positives.len();
        let wanted = self.sample.filter(|&wanted| wanted < all)?;
        // Robert Floyd's: every set of so many places is equally likely, and no list of all places
        // is needed.
        let mut random = self.seed.stream(Purpose::MetaBatch, step, 0);
        let mut chosen = vec![0u64; all.div_ceil(64)];
        for last in all - wanted..all {
            let place = random.random_range(0..=last);
            let place = if chosen[place / 64] >> (place % 64) & 1 == 0 { place } else { last };
            chosen[place / 64] |= 1 << (place % 64);
        }
        let mut places = Vec::with_capacity(wanted);
        for (word, mut bits) in chosen.into_iter().enumerate() {
            while bits != 0 {
                places.push(word * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
        Some(places)
    }
}

/// The examples of a batch at some places, which have one negative each, or none.
fn examples_at(batch: &Batch, places: &[usize], chosen: &mut Batch) {
    let pick = |from: &[u32], to: &mut Vec<u32>| {
        to.clear();
        to.extend(places.iter().filter_map(|&place| from.get(place)));
    };
    pick(&batch.users, &mut chosen.users);
    pick(&batch.positives, &mut chosen.positives);
    pick(&batch.negatives, &mut chosen.negatives);
    chosen.labels.clear();
    chosen.labels.extend(places.iter().filter_map(|&place| batch.labels.get(place)));
}

/// A column of users and one of items that are the constant 1, where a model has biases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConstantColumns {
    /// Width of the embeddings with both bias columns.
    pub width: usize,
    /// Where nodes lie.
    pub nodes: Nodes,
}

impl ConstantColumns {
    /// Sets the gradient of the constants to zero.
    ///
    /// # Errors
    /// Those of the op.
    pub(crate) fn hold(&self, device: &Device, gradient: &mut Buffer<f32>) -> Result<()> {
        let ConstantColumns { width, nodes: Nodes { n_users, n_items } } = *self;
        fill_column(device, 0.0, width - 1, width, n_users, gradient)?;
        Ok(fill_column(device, 0.0, n_users * width + width - 2, width, n_items, gradient)?)
    }
}

/// A step as it is about to be taken.
pub(super) struct PlannedStep<'a> {
    pub optimizer: Optimizer,
    pub adam: AdamConfig,
    /// Its number, from 1.
    pub number: u64,
    pub m: &'a Buffer<f32>,
    pub v: &'a Buffer<f32>,
    /// The gradient of the base table.
    pub gradient: &'a Buffer<f32>,
    /// Adam's constants for the layer weights, where the step moves them.
    pub attention: Option<AdamConfig>,
    pub constant: Option<ConstantColumns>,
}

/// Buffers of a look-ahead, kept from step to step.
pub(super) struct LookAhead {
    pub meta_batch: MetaBatch,
    objective: Box<dyn Objective>,
    rows: RowSet,
    groups: RowGroups,
    hop_rows: Vec<Buffer<f32>>,
    direct: Vec<Buffer<f32>>,
    pooled: Buffer<f32>,
    attention: Buffer<f32>,
    scratch: Scratch,
    nodes: Nodes,
    sample: Batch,
    loss: Buffer<f32>,
    /// What every example counts: 1, or as many as it stands for.
    weights: Buffer<f32>,
    gradient: Buffer<f32>,
    /// A second set of layers: those of the look-ahead, then those of the motion.
    layers: Vec<Buffer<f32>>,
    m: Buffer<f32>,
    v: Buffer<f32>,
    spare: Buffer<f32>,
    hop_rows_dot: Vec<Buffer<f32>>,
    /// How the final embeddings of the batch's rows move.
    pub rows_dot: Buffer<f32>,
    /// How the loss of every example moves with them.
    pub loss_dot: Buffer<f32>,
}

impl LookAhead {
    /// For tables of `nodes` rows, `dim` columns and `layers` layers.
    pub(crate) fn new(device: &Device, meta_batch: MetaBatch, nodes: Nodes, dim: usize, layers: usize) -> Result<Self> {
        let all = meta_batch.batch.positives.len();
        let counted = meta_batch.sample.map_or(all, |wanted| wanted.min(all));
        let weights = device.upload(&vec![all as f32 / counted.max(1) as f32; counted]);
        let per_layer = || (0..=layers).map(|_| Buffer::default()).collect::<Vec<_>>();
        let mut look_ahead = LookAhead {
            groups: RowGroups { n_users: 0, n_rows: 0 },
            objective: meta_batch.loss.objective(nodes, dim),
            rows: RowSet::new(device, nodes.len()),
            meta_batch,
            nodes,
            sample: Batch::default(),
            weights,
            hop_rows: per_layer(),
            direct: per_layer(),
            layers: per_layer(),
            hop_rows_dot: per_layer(),
            pooled: Buffer::default(),
            attention: Buffer::default(),
            scratch: Scratch::default(),
            loss: Buffer::default(),
            gradient: Buffer::default(),
            m: Buffer::default(),
            v: Buffer::default(),
            spare: Buffer::default(),
            rows_dot: Buffer::default(),
            loss_dot: Buffer::default(),
        };
        if look_ahead.meta_batch.draw(0).is_none() {
            look_ahead.take(device, None)?;
        }
        Ok(look_ahead)
    }

    /// Takes the examples at some places of the log, or all of them.
    fn take(&mut self, device: &Device, places: Option<&[usize]>) -> Result<()> {
        let mut batch = &self.meta_batch.batch;
        if let Some(places) = places {
            examples_at(batch, places, &mut self.sample);
            batch = &self.sample;
        }
        self.objective.prepare(device, batch)?;
        let rows = self.objective.rows();
        self.rows.assign(device, rows)?;
        let n_users = rows.partition_point(|&row| (row as usize) < self.nodes.n_users);
        self.groups = RowGroups { n_users, n_rows: rows.len() };
        Ok(())
    }

    /// Fills [`LookAhead::rows_dot`] for the rows of `pass`, whose `forward` and `backward` were
    /// just taken. Answers the loss of the uniform log as [`Pass::forward`] answers its own.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn tangent(
        &mut self,
        device: &Device,
        propagation: &mut Propagation,
        combination: &Combiner,
        pass: &mut Pass,
        step: &PlannedStep<'_>,
    ) -> Result<Option<f64>> {
        if let Some(places) = self.meta_batch.draw(step.number) {
            self.take(device, Some(&places))?;
        }
        copy(device, &propagation.hops[0], &mut self.layers[0])?;
        let mut ahead = combination.clone();
        let look_ahead = self.meta_batch.look_ahead;
        if look_ahead {
            self.take_step(device, &mut ahead, step)?;
        }
        // The propagation works on whatever layers it is lent; those of the step come back below.
        std::mem::swap(&mut propagation.hops, &mut self.layers);
        let moved = self.motion(device, propagation, &mut ahead, combination, step);
        let gathered = moved.and_then(|parameters_dot| {
            propagation.below_last(device)?;
            propagation.gather(device, &pass.rows, &mut self.hop_rows_dot)?;
            Ok(parameters_dot)
        });
        std::mem::swap(&mut propagation.hops, &mut self.layers);
        let (hops, dots, scratch) = (&pass.hop_rows, &self.hop_rows_dot, &mut self.scratch);
        let layers = BatchLayers { hops, rows: pass.groups };
        combination.tangent(device, layers, dots, &gathered?, &mut self.rows_dot, scratch)?;
        Ok(pass.losses.push(device, &self.loss)?)
    }

    fn take_step(&mut self, device: &Device, ahead: &mut Combiner, step: &PlannedStep<'_>) -> Result<()> {
        match step.optimizer {
            Optimizer::Sgd => sgd_step(device, step.adam.learning_rate, step.gradient, &mut self.layers[0])?,
            Optimizer::Adam => {
                copy(device, step.m, &mut self.m)?;
                copy(device, step.v, &mut self.v)?;
                let (m, v, base) = (&mut self.m, &mut self.v, &mut self.layers[0]);
                adam_step(device, &step.adam, step.number, step.gradient, m, v, base)?;
            }
        }
        step.attention.map_or(Ok(()), |attention| ahead.adam(device, &attention, step.number, false))
    }

    /// The gradient of the uniform log's loss at the layers in `propagation`, turned into a motion:
    /// of the base table, in place of the base, and of the combination's parameters.
    fn motion(
        &mut self,
        device: &Device,
        propagation: &mut Propagation,
        ahead: &mut Combiner,
        before: &Combiner,
        step: &PlannedStep<'_>,
    ) -> Result<Vec<Buffer<f32>>> {
        propagation.below_last(device)?;
        propagation.gather(device, &self.rows, &mut self.hop_rows)?;
        let layers = BatchLayers { hops: &self.hop_rows, rows: self.groups };
        ahead.forward(device, layers, &mut self.pooled, &mut self.attention, &mut self.scratch)?;
        self.objective.forward(device, &self.pooled, &mut self.loss)?;
        self.objective.backward(device, &self.pooled, &self.weights, &mut self.gradient)?;
        let reached = Reached { attention: &self.attention, g: &self.gradient };
        ahead.backward(device, layers, reached, &mut self.direct, &mut self.scratch)?;
        propagation.recycle(std::mem::take(&mut self.spare));
        let mut wanted = propagation.backward(device, &self.rows, &self.direct)?;
        if let Some(constant) = &step.constant {
            constant.hold(device, &mut wanted)?;
        }
        let (adam, base) = (&step.adam, &mut propagation.hops[0]);
        match (step.optimizer, self.meta_batch.look_ahead) {
            (Optimizer::Adam, true) => {
                let start = AdamStart { gradient: step.gradient, m: step.m, v: step.v };
                adam_tangent(device, adam, step.number, start, &wanted, base)?;
            }
            _ => scale_all(device, -adam.learning_rate, &wanted, base),
        }
        self.spare = wanted;
        match step.attention {
            Some(config) if self.meta_batch.look_ahead => ahead.motion(device, before, &config, step.number),
            _ => Ok(before.at_rest(device)),
        }
    }
}

fn copy(device: &Device, source: &Buffer<f32>, target: &mut Buffer<f32>) -> Result<()> {
    device.resize(target, source.len());
    Ok(copy_into(device, source, 0, target)?)
}

#[cfg(test)]
mod tests;
