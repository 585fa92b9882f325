//! Pairwise loss: `loss_b = softplus(-(s_ui - s_uj))` with inner products `s`.
//!
//! Source: Rendle et al., *BPR*, UAI 2009, eq. 5; constants as in LightGCN. With several negatives
//! each (positive, negative) pair is an example of its own.

use gcnrec_kernels::ops::pair_dots::{pair_dots, pair_dots_tangent};
use gcnrec_kernels::ops::pair_loss::{bpr_forward, bpr_tangent};
use gcnrec_kernels::ops::segments::{Segments, segment_weighted_rows};
use gcnrec_kernels::ops::signed_coefficients::signed_coefficients;
use gcnrec_kernels::{Buffer, Device};

use super::slots::Slots;
use super::{Nodes, Objective};
use crate::error::Result;
use crate::samplers::Batch;

/// A positive against a negative.
///
/// The gradient is a small sparse product on the batch's rows: with `c_b = weight_b * slope_b`, row
/// `u` gets `c_b (F_i - F_j)`, row `i` gets `c_b F_u` and row `j` gets `-c_b F_u`. The four kinds
/// of entries stand in four blocks, so their signs are a constant of each block.
pub(crate) struct Pairwise {
    nodes: Nodes,
    dim: usize,
    n_negatives: usize,
    slots: Slots,
    host: HostIndices,
    users: Buffer<u32>,
    positives: Buffer<u32>,
    negatives: Buffer<u32>,
    occurrences: Buffer<f32>,
    segments: Segments,
    source: Buffer<u32>,
    positive_score: Buffer<f32>,
    negative_score: Buffer<f32>,
    slope: Buffer<f32>,
    coefficient: Buffer<f32>,
}

/// Scratch for the indices of one batch before they go to the device.
#[derive(Default)]
struct HostIndices {
    users: Vec<u32>,
    positives: Vec<u32>,
    negatives: Vec<u32>,
    destination: Vec<u32>,
    source: Vec<u32>,
    occurrences: Vec<f32>,
}

/// Signs of the blocks (user from positive), (user from negative), (positive from user), (negative
/// from user).
const SIGNS: [f32; 4] = [1.0, -1.0, 1.0, -1.0];

impl Pairwise {
    /// For embeddings `dim` wide and `n_negatives` sampled items per positive.
    pub(crate) fn new(nodes: Nodes, dim: usize, n_negatives: usize) -> Self {
        Pairwise {
            nodes,
            dim,
            n_negatives,
            slots: Slots::new(nodes.len()),
            host: HostIndices::default(),
            users: Buffer::default(),
            positives: Buffer::default(),
            negatives: Buffer::default(),
            occurrences: Buffer::default(),
            segments: Segments::default(),
            source: Buffer::default(),
            positive_score: Buffer::default(),
            negative_score: Buffer::default(),
            slope: Buffer::default(),
            coefficient: Buffer::default(),
        }
    }
}

impl Objective for Pairwise {
    fn prepare(&mut self, device: &Device, batch: &Batch) -> Result<()> {
        let Pairwise { nodes, slots, host, n_negatives, .. } = self;
        let items = batch.positives.iter().chain(&batch.negatives).map(|&i| nodes.item(i));
        slots.assign(batch.users.iter().copied().chain(items));
        host.users.clear();
        host.positives.clear();
        host.negatives.clear();
        for (example, &negative) in batch.negatives.iter().enumerate() {
            let pair = example / *n_negatives;
            host.users.push(slots.slot(batch.users[pair]));
            host.positives.push(slots.slot(nodes.item(batch.positives[pair])));
            host.negatives.push(slots.slot(nodes.item(negative)));
        }
        host.destination.clear();
        host.source.clear();
        let (users, positives, negatives) = (&host.users, &host.positives, &host.negatives);
        for (to, from) in [(users, positives), (users, negatives), (positives, users), (negatives, users)] {
            host.destination.extend_from_slice(to);
            host.source.extend_from_slice(from);
        }
        host.occurrences.clear();
        host.occurrences.resize(slots.rows().len(), 0.0);
        for &slot in users.iter().chain(positives).chain(negatives) {
            host.occurrences[slot as usize] += 1.0;
        }
        device.write(&mut self.users, users);
        device.write(&mut self.positives, positives);
        device.write(&mut self.negatives, negatives);
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
        pair_dots(device, self.dim, rows, &self.users, &self.positives, &mut self.positive_score)?;
        pair_dots(device, self.dim, rows, &self.users, &self.negatives, &mut self.negative_score)?;
        Ok(bpr_forward(device, &self.positive_score, &self.negative_score, loss, &mut self.slope)?)
    }

    fn backward(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        weights: &Buffer<f32>,
        gradient: &mut Buffer<f32>,
    ) -> Result<()> {
        signed_coefficients(device, &SIGNS, &self.slope, weights, &mut self.coefficient)?;
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
        pair_dots_tangent(device, self.dim, rows, rows_dot, &self.users, &self.positives, &mut self.positive_score)?;
        pair_dots_tangent(device, self.dim, rows, rows_dot, &self.users, &self.negatives, &mut self.negative_score)?;
        Ok(bpr_tangent(device, &self.slope, &self.positive_score, &self.negative_score, loss_dot)?)
    }
}
