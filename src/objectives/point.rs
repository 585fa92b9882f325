//! Pointwise losses: `(s - y)^2` and `softplus(-y s)` with `s` the inner product.
//!
//! Observed pairs have `y = +1` or the label that the batch gives, sampled ones `y = -1`.

use gcnrec_kernels::ops::pair_dots::{pair_dots, pair_dots_tangent};
use gcnrec_kernels::ops::point_loss::{PointLoss, point_forward, point_tangent};
use gcnrec_kernels::ops::segments::{Segments, segment_weighted_rows};
use gcnrec_kernels::ops::signed_coefficients::signed_coefficients;
use gcnrec_kernels::{Buffer, Device};

use super::slots::Slots;
use super::{Negatives, Nodes, Objective, Regulariser, Task, TaskInputs};
use crate::error::Result;
use crate::samplers::Batch;
use crate::settings::{between, settings};

settings! {
    /// `[objective.mse]` and `[objective.logistic]`.
    pub(crate) struct Pointwise {
        /// Weight decay of the batch's base embeddings.
        l2: f32 = 1e-4, in between(0.0, 1e6), flag "--l2";
        /// Negatives for each positive.
        n_negatives: usize = 1, in between(0.0, 1000.0);
        /// Items drawn for each negative, of which the one that the model scores highest at that
        /// moment is taken.
        n_candidates: usize = 1, in between(1.0, 100.0);
        /// Where negatives come from.
        negatives: Negatives = Negatives::Uniform;
        /// Exponent of the popularity.
        alpha: f64 = 1.0, in between(0.0, 4.0);
    }
}

impl Pointwise {
    /// The loss with its sampler and its weight decay.
    pub(super) fn task(&self, kind: PointLoss, inputs: &TaskInputs<'_>) -> Task {
        // Blocks know every pair: none is drawn.
        let n_negatives = if inputs.in_blocks() { 0 } else { self.n_negatives };
        let sampler = self.negatives.sampler(inputs.train, self.alpha);
        Task {
            objective: Box::new(PointwiseLoss::new(inputs.nodes(), inputs.dim, kind, n_negatives)),
            sampler: inputs.pairs(Some((sampler, self.n_negatives * self.n_candidates))),
            regulariser: Regulariser::of_base(self.l2),
            n_candidates: self.n_candidates,
        }
    }
}

/// A pointwise loss. With `c_b = weight_b * slope_b`, row `u` gets `c_b F_i` and row `i` gets
/// `c_b F_u`.
pub(crate) struct PointwiseLoss {
    nodes: Nodes,
    dim: usize,
    kind: PointLoss,
    n_negatives: usize,
    slots: Slots,
    host: HostIndices,
    users: Buffer<u32>,
    items: Buffer<u32>,
    labels: Buffer<f32>,
    occurrences: Buffer<f32>,
    segments: Segments,
    source: Buffer<u32>,
    score: Buffer<f32>,
    slope: Buffer<f32>,
    coefficient: Buffer<f32>,
}

#[derive(Default)]
struct HostIndices {
    users: Vec<u32>,
    items: Vec<u32>,
    labels: Vec<f32>,
    destination: Vec<u32>,
    source: Vec<u32>,
    occurrences: Vec<f32>,
}

impl PointwiseLoss {
    /// For embeddings `dim` wide and `n_negatives` sampled items per positive.
    pub(crate) fn new(nodes: Nodes, dim: usize, kind: PointLoss, n_negatives: usize) -> Self {
        PointwiseLoss {
            nodes,
            dim,
            kind,
            n_negatives,
            slots: Slots::new(nodes.len()),
            host: HostIndices::default(),
            users: Buffer::default(),
            items: Buffer::default(),
            labels: Buffer::default(),
            occurrences: Buffer::default(),
            segments: Segments::default(),
            source: Buffer::default(),
            score: Buffer::default(),
            slope: Buffer::default(),
            coefficient: Buffer::default(),
        }
    }
}

impl Objective for PointwiseLoss {
    fn prepare(&mut self, device: &Device, batch: &Batch) -> Result<()> {
        let PointwiseLoss { nodes, slots, host, n_negatives, .. } = self;
        let items = batch.positives.iter().chain(&batch.negatives).map(|&i| nodes.item(i));
        let block = batch.block_users.iter().copied().chain(batch.block_items.iter().map(|&i| nodes.item(i)));
        slots.assign(batch.users.iter().copied().chain(items).chain(block));
        host.users.clear();
        host.items.clear();
        host.labels.clear();
        let mut push = |user: u32, item: u32, label: f32| {
            host.users.push(slots.slot(user));
            host.items.push(slots.slot(nodes.item(item)));
            host.labels.push(label);
        };
        for (pair, (&user, &positive)) in batch.users.iter().zip(&batch.positives).enumerate() {
            push(user, positive, batch.labels.get(pair).copied().unwrap_or(1.0));
            for &negative in &batch.negatives[pair * *n_negatives..(pair + 1) * *n_negatives] {
                push(user, negative, -1.0);
            }
        }
        host.destination.clear();
        host.source.clear();
        for (to, from) in [(&host.users, &host.items), (&host.items, &host.users)] {
            host.destination.extend_from_slice(to);
            host.source.extend_from_slice(from);
        }
        host.occurrences.clear();
        host.occurrences.resize(slots.rows().len(), 0.0);
        if batch.block_users.is_empty() {
            for &slot in host.users.iter().chain(&host.items) {
                host.occurrences[slot as usize] += 1.0;
            }
        } else {
            // A block decays each of its rows once, however many pairs it has there.
            host.occurrences.fill(1.0);
        }
        device.write(&mut self.users, &host.users);
        device.write(&mut self.items, &host.items);
        device.write(&mut self.labels, &host.labels);
        device.write(&mut self.source, &host.source);
        device.write(&mut self.occurrences, &host.occurrences);
        Ok(self.segments.assign(device, slots.rows().len(), &host.destination)?)
    }

    fn rows(&self) -> &[u32] {
        self.slots.rows()
    }

    fn n_examples(&self) -> usize {
        self.host.users.len()
    }

    fn occurrences(&self) -> &Buffer<f32> {
        &self.occurrences
    }

    fn forward(&mut self, device: &Device, rows: &Buffer<f32>, loss: &mut Buffer<f32>) -> Result<()> {
        pair_dots(device, self.dim, rows, &self.users, &self.items, &mut self.score)?;
        Ok(point_forward(device, self.kind, &self.score, &self.labels, loss, &mut self.slope)?)
    }

    fn backward(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        weights: &Buffer<f32>,
        gradient: &mut Buffer<f32>,
    ) -> Result<()> {
        signed_coefficients(device, &[1.0, 1.0], &self.slope, weights, &mut self.coefficient)?;
        let (segments, source) = (&self.segments, &self.source);
        Ok(segment_weighted_rows(device, self.dim, segments, source, &self.coefficient, rows, gradient)?)
    }

    fn tangent(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        rows_dot: &Buffer<f32>,
        loss_dot: &mut Buffer<f32>,
    ) -> Result<()> {
        pair_dots_tangent(device, self.dim, rows, rows_dot, &self.users, &self.items, &mut self.score)?;
        Ok(point_tangent(device, &self.slope, &self.score, loss_dot)?)
    }
}
