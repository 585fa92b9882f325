//! Softmax losses on cosines: `loss_b = -s+/tau + t2 log sum_j exp(s_j/tau)`.
//!
//! With `t2 = 1` it is the softmax cross-entropy with the positive kept in the denominator,
//! otherwise the bilateral form. The candidates `j` are all items (a batch is a number of users
//! with all their positives) or the positives of the batch (a batch is a number of pairs).
//! Accidental hits within a batch are not removed, as published.

use gcnrec_kernels::ops::copy_rows::copy_into;
use gcnrec_kernels::ops::gather::gather_indices;
use gcnrec_kernels::ops::normalize::{normalize_rows, normalize_rows_backward, normalize_rows_tangent};
use gcnrec_kernels::ops::segments::{Segments, segment_sum_rows};
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxMotion, SoftmaxWorkspace, softmax_backward, softmax_forward,
    softmax_tangent,
};
use gcnrec_kernels::{Buffer, Device};

use serde::{Deserialize, Serialize};

use super::slots::Slots;
use super::{Nodes, Objective};
use crate::error::Result;
use crate::samplers::Batch;
use crate::settings::name_setting;

/// Which items stand against a positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Candidates {
    /// All items; batches are users with all their positives.
    All,
    /// The positives of the batch; batches are pairs.
    Batch,
}

name_setting!(Candidates, "set of candidates");

/// Softmax cross-entropy on normalised rows: normalise, pick queries and candidates, take the loss,
/// and walk the same way back.
pub(crate) struct CosineSoftmax {
    nodes: Nodes,
    dim: usize,
    config: SoftmaxConfig,
    candidates: Candidates,
    slots: Slots,
    host: HostIndices,
    query_slots: Buffer<u32>,
    candidate_slots: Buffer<u32>,
    list_ptr: Buffer<u32>,
    positive: Buffer<u32>,
    occurrences: Buffer<f32>,
    segments: Segments,
    unit: Buffer<f32>,
    norms: Buffer<f32>,
    queries: Buffer<f32>,
    items: Buffer<f32>,
    d_queries: Buffer<f32>,
    d_items: Buffer<f32>,
    stacked: Buffer<f32>,
    d_unit: Buffer<f32>,
    workspace: SoftmaxWorkspace,
}

#[derive(Default)]
struct HostIndices {
    query_slots: Vec<u32>,
    candidate_slots: Vec<u32>,
    list_ptr: Vec<u32>,
    positive: Vec<u32>,
    destination: Vec<u32>,
    occurrences: Vec<f32>,
}

impl CosineSoftmax {
    /// For embeddings `dim` wide.
    pub(crate) fn new(nodes: Nodes, dim: usize, tau: f32, t2: f32, candidates: Candidates) -> Self {
        CosineSoftmax {
            nodes,
            dim,
            config: SoftmaxConfig { tau, t2 },
            candidates,
            slots: Slots::new(nodes.len()),
            host: HostIndices::default(),
            query_slots: Buffer::default(),
            candidate_slots: Buffer::default(),
            list_ptr: Buffer::default(),
            positive: Buffer::default(),
            occurrences: Buffer::default(),
            segments: Segments::default(),
            unit: Buffer::default(),
            norms: Buffer::default(),
            queries: Buffer::default(),
            items: Buffer::default(),
            d_queries: Buffer::default(),
            d_items: Buffer::default(),
            stacked: Buffer::default(),
            d_unit: Buffer::default(),
            workspace: SoftmaxWorkspace::default(),
        }
    }

    /// Queries are users, candidates all items; the positives of a query are a list of item ids.
    fn prepare_all(&mut self, batch: &Batch) {
        let CosineSoftmax { nodes, slots, host, .. } = self;
        let items = nodes.n_users as u32..nodes.len() as u32;
        slots.assign(batch.users.iter().copied().chain(items.clone()));
        host.query_slots.extend(batch.users.iter().map(|&u| slots.slot(u)));
        host.candidate_slots.extend(items.map(|node| slots.slot(node)));
        host.list_ptr.extend_from_slice(&batch.list_ptr);
        host.positive.extend_from_slice(&batch.positives);
        for (slot, list) in batch.list_ptr.windows(2).enumerate() {
            host.occurrences[host.query_slots[slot] as usize] += (list[1] - list[0]) as f32;
        }
    }

    /// Query and candidate `b` are the user and the positive of example `b`; its positive is
    /// candidate `b`.
    fn prepare_batch(&mut self, batch: &Batch) {
        let CosineSoftmax { nodes, slots, host, .. } = self;
        slots.assign(batch.users.iter().copied().chain(batch.positives.iter().map(|&i| nodes.item(i))));
        host.query_slots.extend(batch.users.iter().map(|&u| slots.slot(u)));
        host.candidate_slots.extend(batch.positives.iter().map(|&i| slots.slot(nodes.item(i))));
        let n = batch.users.len() as u32;
        host.list_ptr.extend(0..=n);
        host.positive.extend(0..n);
        for &slot in &host.query_slots {
            host.occurrences[slot as usize] += 1.0;
        }
    }
}

impl CosineSoftmax {
    /// What the op reads, its workspace, and the gradients or motions of queries and items.
    fn parts(&mut self) -> (SoftmaxInput<'_>, &mut SoftmaxWorkspace, [&mut Buffer<f32>; 2]) {
        let CosineSoftmax { dim, config, queries: q, items: c, list_ptr, positive, .. } = self;
        let input = SoftmaxInput { dim: *dim, config: *config, q, c, candidate_bias: None, list_ptr, positive };
        (input, &mut self.workspace, [&mut self.d_queries, &mut self.d_items])
    }
}

impl Objective for CosineSoftmax {
    fn prepare(&mut self, device: &Device, batch: &Batch) -> Result<()> {
        let host = &mut self.host;
        host.query_slots.clear();
        host.candidate_slots.clear();
        host.list_ptr.clear();
        host.positive.clear();
        host.occurrences.clear();
        host.occurrences.resize(self.nodes.len(), 0.0);
        match self.candidates {
            Candidates::All => self.prepare_all(batch),
            Candidates::Batch => self.prepare_batch(batch),
        }
        let CosineSoftmax { slots, host, .. } = self;
        for &positive in &host.positive {
            host.occurrences[host.candidate_slots[positive as usize] as usize] += 1.0;
        }
        host.occurrences.truncate(slots.rows().len());
        host.destination.clear();
        host.destination.extend_from_slice(&host.query_slots);
        host.destination.extend_from_slice(&host.candidate_slots);
        device.write(&mut self.query_slots, &host.query_slots);
        device.write(&mut self.candidate_slots, &host.candidate_slots);
        device.write(&mut self.list_ptr, &host.list_ptr);
        device.write(&mut self.positive, &host.positive);
        device.write(&mut self.occurrences, &host.occurrences);
        Ok(self.segments.assign(device, slots.rows().len(), &host.destination)?)
    }

    fn rows(&self) -> &[u32] {
        self.slots.rows()
    }

    fn n_examples(&self) -> usize {
        self.host.positive.len()
    }

    fn occurrences(&self) -> &Buffer<f32> {
        &self.occurrences
    }

    fn forward(&mut self, device: &Device, rows: &Buffer<f32>, loss: &mut Buffer<f32>) -> Result<()> {
        let dim = self.dim;
        normalize_rows(device, dim, rows, &mut self.unit, &mut self.norms)?;
        gather_indices(device, dim, &self.unit, &self.query_slots, &mut self.queries)?;
        gather_indices(device, dim, &self.unit, &self.candidate_slots, &mut self.items)?;
        let (input, workspace, _) = self.parts();
        Ok(softmax_forward(device, &input, workspace, loss)?)
    }

    fn backward(
        &mut self,
        device: &Device,
        _rows: &Buffer<f32>,
        weights: &Buffer<f32>,
        gradient: &mut Buffer<f32>,
    ) -> Result<()> {
        let dim = self.dim;
        let (input, workspace, [d_queries, d_items]) = self.parts();
        let gradients = SoftmaxGradients { q: d_queries, c: d_items };
        softmax_backward(device, &input, weights, workspace, gradients)?;
        device.resize(&mut self.stacked, self.d_queries.len() + self.d_items.len());
        copy_into(device, &self.d_queries, 0, &mut self.stacked)?;
        copy_into(device, &self.d_items, self.d_queries.len(), &mut self.stacked)?;
        segment_sum_rows(device, dim, &self.segments, &self.stacked, &mut self.d_unit)?;
        Ok(normalize_rows_backward(device, dim, &self.unit, &self.norms, &self.d_unit, gradient)?)
    }

    fn tangent(
        &mut self,
        device: &Device,
        _rows: &Buffer<f32>,
        rows_dot: &Buffer<f32>,
        loss_dot: &mut Buffer<f32>,
    ) -> Result<()> {
        let dim = self.dim;
        normalize_rows_tangent(device, dim, &self.unit, &self.norms, rows_dot, &mut self.d_unit)?;
        gather_indices(device, dim, &self.d_unit, &self.query_slots, &mut self.d_queries)?;
        gather_indices(device, dim, &self.d_unit, &self.candidate_slots, &mut self.d_items)?;
        let (input, workspace, [d_queries, d_items]) = self.parts();
        let motion = SoftmaxMotion { q: d_queries, c: d_items };
        Ok(softmax_tangent(device, &input, motion, workspace, loss_dot)?)
    }
}
