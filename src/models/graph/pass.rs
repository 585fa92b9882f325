//! One forward and backward pass over the batch's rows: layers, combination, loss, and the way back to the layers.

use gcnrec_kernels::ops::propagate::{propagate, propagate_add, propagate_from_rows_add, propagate_rows};
use gcnrec_kernels::ops::{adjacency::Adjacency, gather::gather_rows, place::place_rows, row_set::RowSet, rows};
use gcnrec_kernels::{Buffer, Device};

use super::combination::{Combination, RowGroups, Scratch};
use crate::error::Result;
use crate::objectives::{ExampleWeights, Nodes, Task};
use crate::samplers::Batch;

/// The layers of all nodes: `hops[0]` is the base table, `hops[l] = A hops[l - 1]`.
pub struct Propagation {
    /// `D^-1/2 A D^-1/2`, with the values of the current edge dropout.
    pub adjacency: Adjacency,
    /// `[n_nodes, dim]` each; the last one is filled only by [`Propagation::all`].
    pub hops: Vec<Buffer<f32>>,
    /// Width of the embeddings.
    pub dim: usize,
    backward: [Buffer<f32>; 2],
}

impl Propagation {
    /// Layers 0 to `layers` over a base table.
    pub fn new(device: &Device, adjacency: Adjacency, base: Buffer<f32>, dim: usize, layers: usize) -> Self {
        let mut hops = vec![base];
        hops.extend((0..layers).map(|_| device.zeros(0)));
        Propagation { adjacency, hops, dim, backward: Default::default() }
    }

    fn layers(&self) -> usize {
        self.hops.len() - 1
    }

    fn step(&mut self, device: &Device, layer: usize) -> Result<()> {
        let (below, above) = self.hops.split_at_mut(layer);
        Ok(propagate(device, &self.adjacency, self.dim, &below[layer - 1], &mut above[0])?)
    }

    /// Fills every layer below the last: what [`Propagation::gather`] needs.
    ///
    /// # Errors
    /// Those of the ops.
    pub fn below_last(&mut self, device: &Device) -> Result<()> {
        (1..self.layers()).try_for_each(|layer| self.step(device, layer))
    }

    /// Fills every layer.
    ///
    /// # Errors
    /// Those of the ops.
    pub fn all(&mut self, device: &Device) -> Result<()> {
        (1..=self.layers()).try_for_each(|layer| self.step(device, layer))
    }

    /// The layers of the given rows; the last one is propagated for these rows only.
    ///
    /// # Errors
    /// Those of the ops.
    pub fn gather(&self, device: &Device, rows: &RowSet, hop_rows: &mut [Buffer<f32>]) -> Result<()> {
        let last = self.layers();
        for (layer, target) in hop_rows.iter_mut().enumerate() {
            if layer == last && layer > 0 {
                propagate_rows(device, &self.adjacency, self.dim, &self.hops[layer - 1], rows, target)?;
            } else {
                gather_rows(device, self.dim, &self.hops[layer], rows, target)?;
            }
        }
        Ok(())
    }

    /// Horner's scheme (SPEC A.1): `b_K = D_K; b_k = D_k + A b_(k+1)`; the answer `b_0` is the gradient of the base table, `[n_nodes, dim]`.
    /// `A` is symmetric, so it is its own transpose.
    ///
    /// # Errors
    /// Those of the ops.
    /// Give it back with [`Propagation::recycle`], so that the next step need not allocate.
    pub fn backward(&mut self, device: &Device, rows: &RowSet, direct: &[Buffer<f32>]) -> Result<Buffer<f32>> {
        let (dim, last) = (self.dim, self.layers());
        let [current, next] = &mut self.backward;
        if last == 0 {
            place_rows(device, dim, rows, &direct[0], current)?;
            return Ok(std::mem::take(current));
        }
        propagate_from_rows_add(device, &self.adjacency, dim, rows, &direct[last], &direct[last - 1], current)?;
        for layer in (0..last - 1).rev() {
            propagate_add(device, &self.adjacency, dim, current, rows, &direct[layer], next)?;
            std::mem::swap(current, next);
        }
        Ok(std::mem::take(current))
    }

    /// Takes back the buffer that [`Propagation::backward`] answered.
    pub fn recycle(&mut self, gradient: Buffer<f32>) {
        self.backward[0] = gradient;
    }
}

/// Buffers of one pass, kept from step to step.
pub struct Pass {
    /// The rows that the batch touches.
    pub rows: RowSet,
    /// The gradient of every layer's rows.
    pub direct: Vec<Buffer<f32>>,
    groups: RowGroups,
    scratch: Scratch,
    hop_rows: Vec<Buffer<f32>>,
    pooled: Buffer<f32>,
    attention: Buffer<f32>,
    /// The loss of every example of the last [`Pass::run`].
    pub loss: Buffer<f32>,
    gradient: Buffer<f32>,
    weights: Vec<f32>,
    device_weights: Buffer<f32>,
    decay: Buffer<f32>,
    batch: Batch,
}

impl Pass {
    /// For tables of `nodes` rows and `layers` layers.
    pub fn new(device: &Device, nodes: Nodes, layers: usize) -> Self {
        let per_layer = || (0..=layers).map(|_| Buffer::default()).collect();
        Pass {
            rows: RowSet::new(device, nodes.len()),
            direct: per_layer(),
            groups: RowGroups { n_users: 0, n_rows: 0 },
            scratch: Scratch::default(),
            hop_rows: per_layer(),
            pooled: Buffer::default(),
            attention: Buffer::default(),
            loss: Buffer::default(),
            gradient: Buffer::default(),
            weights: Vec::new(),
            device_weights: Buffer::default(),
            decay: Buffer::default(),
            batch: Batch::default(),
        }
    }

    /// Draws the batch of a step.
    ///
    /// # Errors
    /// Those of the device.
    pub fn draw(
        &mut self,
        device: &Device,
        task: &mut Task,
        train: &gcnrec_graphs::Interactions,
        epoch: u64,
        step: usize,
    ) -> Result<()> {
        task.sampler.batch(train, epoch, step, &mut self.batch);
        task.objective.prepare(device, &self.batch)?;
        let rows = task.objective.rows();
        self.groups =
            RowGroups { n_users: rows.partition_point(|&row| (row as usize) < train.n_users()), n_rows: rows.len() };
        Ok(self.rows.assign(device, rows)?)
    }

    /// From the layers to the loss of each example, and back to the gradient of every layer's rows (in `direct`) and of the combination.
    /// Answers the sum of the losses.
    ///
    /// # Errors
    /// Those of the ops.
    pub fn run(
        &mut self,
        device: &Device,
        propagation: &Propagation,
        combination: &mut Combination,
        task: &mut Task,
        example_weights: &mut dyn ExampleWeights,
    ) -> Result<f64> {
        let (objective, groups) = (&mut task.objective, self.groups);
        propagation.gather(device, &self.rows, &mut self.hop_rows)?;
        let (pooled, scratch) = (&mut self.pooled, &mut self.scratch);
        combination.forward(device, &self.hop_rows, groups, pooled, &mut self.attention, scratch)?;
        objective.forward(device, pooled, &mut self.loss)?;
        example_weights.weigh(&self.batch, objective.n_examples(), &mut self.weights)?;
        device.write(&mut self.device_weights, &self.weights);
        objective.backward(device, &self.pooled, &self.device_weights, &mut self.gradient)?;
        let (attention, gradient, direct) = (&self.attention, &self.gradient, &mut self.direct);
        combination.backward(device, &self.hop_rows, groups, attention, gradient, direct, scratch)?;
        self.regularise(device, propagation.dim, task)?;
        Ok(device.read(&self.loss).iter().map(|&loss| f64::from(loss)).sum())
    }

    /// Adds the gradient of the weight decay, `l2 * occurrences / n_examples * row` (SPEC A.2), to the layers it acts on.
    fn regularise(&mut self, device: &Device, dim: usize, task: &Task) -> Result<()> {
        let regulariser = task.regulariser;
        if regulariser.l2 == 0.0 {
            return Ok(());
        }
        let scale = regulariser.l2 / task.objective.n_examples().max(1) as f32;
        let decay: Vec<f32> = device.read(task.objective.occurrences()).iter().map(|n| n * scale).collect();
        device.write(&mut self.decay, &decay);
        let layers = if regulariser.all_layers { self.direct.len() } else { 1 };
        for (direct, hop_rows) in self.direct.iter_mut().zip(&self.hop_rows).take(layers) {
            rows::add_scaled_rows(device, dim, &self.decay, hop_rows, direct)?;
        }
        Ok(())
    }
}
