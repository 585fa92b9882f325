//! One forward and backward pass over the batch's rows: layers, combination, loss, and the way back
//! to the layers.

use gcnrec_kernels::ops::combine::Reached;
use gcnrec_kernels::ops::copy_rows::{copy_into, fill_column};
use gcnrec_kernels::ops::loss_sum::LossSums;
use gcnrec_kernels::ops::{gather::gather_rows, row_set::RowSet, scale_rows};
use gcnrec_kernels::{Buffer, Device};

use super::combination::{BatchLayers, Combiner, RowGroups, Scratch};
use super::propagation::Propagation;
use crate::error::Result;
use crate::objectives::{AuxiliaryTerm, ExampleWeights, Examples, Nodes, Reduction, Task};
use crate::samplers::Batch;

/// Buffers of one pass, kept from step to step.
pub(crate) struct Pass {
    /// The rows that the batch touches.
    pub rows: RowSet,
    /// The gradient of every layer's rows; where there are fewer, the last one is that of all
    /// layers from there on.
    pub direct: Vec<Buffer<f32>>,
    pub(super) groups: RowGroups,
    scratch: Scratch,
    pub(super) hop_rows: Vec<Buffer<f32>>,
    /// The final embeddings of the batch's rows.
    pub(super) pooled: Buffer<f32>,
    attention: Buffer<f32>,
    /// The loss of every example of the last [`Pass::run`].
    pub loss: Buffer<f32>,
    gradient: Buffer<f32>,
    weights: Buffer<f32>,
    decay: Buffer<f32>,
    /// The sums of losses that are still on the device.
    pub losses: LossSums,
    /// A bias is a column of the embeddings; true when weight decay leaves the last two columns
    /// alone.
    pub(super) free_biases: bool,
    without_biases: Buffer<f32>,
    /// The examples.
    pub batch: Batch,
}

impl Pass {
    /// For tables of `nodes` rows and `layers` layers.
    pub(crate) fn new(device: &Device, nodes: Nodes, layers: usize) -> Self {
        let per_layer = || (0..=layers).map(|_| Buffer::default()).collect();
        Pass {
            rows: RowSet::new(device, nodes.len()),
            direct: Vec::new(),
            groups: RowGroups { n_users: 0, n_rows: 0 },
            scratch: Scratch::default(),
            hop_rows: per_layer(),
            pooled: Buffer::default(),
            attention: Buffer::default(),
            loss: Buffer::default(),
            gradient: Buffer::default(),
            weights: Buffer::default(),
            decay: Buffer::default(),
            losses: LossSums::default(),
            free_biases: false,
            without_biases: Buffer::default(),
            batch: Batch::default(),
        }
    }

    /// Draws the batch of a step. `labels` are those of the training edges; none means that all are
    /// +1.
    ///
    /// # Errors
    /// Those of the device.
    pub(crate) fn draw(
        &mut self,
        device: &Device,
        task: &mut Task,
        train: &gcnrec_graphs::Interactions,
        labels: Option<&[f32]>,
        epoch: u64,
        step: usize,
    ) -> Result<()> {
        self.sample(task, train, labels, epoch, step);
        self.assign(device, task, train.n_users())
    }

    /// The first half of [`Pass::draw`]: who is in the batch.
    pub(super) fn sample(
        &mut self,
        task: &mut Task,
        train: &gcnrec_graphs::Interactions,
        labels: Option<&[f32]>,
        epoch: u64,
        step: usize,
    ) {
        task.sampler.batch(train, epoch, step, &mut self.batch);
        if let Some(labels) = labels {
            let Batch { edges, labels: drawn, .. } = &mut self.batch;
            drawn.clear();
            drawn.extend(edges.iter().map(|&edge| labels[edge as usize]));
        }
    }

    /// The second half of [`Pass::draw`]: which rows the batch touches.
    pub(super) fn assign(&mut self, device: &Device, task: &mut Task, n_users: usize) -> Result<()> {
        task.objective.prepare(device, &self.batch)?;
        let rows = task.objective.rows();
        self.groups = RowGroups { n_users: rows.partition_point(|&row| (row as usize) < n_users), n_rows: rows.len() };
        Ok(self.rows.assign(device, rows)?)
    }

    /// From the layers to the loss of each example. Answers their sum where it is known without
    /// waiting; otherwise it goes to [`Pass::losses`].
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn forward(
        &mut self,
        device: &Device,
        propagation: &Propagation,
        combination: &Combiner,
        task: &mut Task,
    ) -> Result<Option<f64>> {
        let (pooled, scratch) = (&mut self.pooled, &mut self.scratch);
        // The decay of the base asks for its rows alone, and uniform weights have no gradient that
        // would ask for others.
        let one_pass = match combination.fixed() {
            Some(alpha) if !task.regulariser.all_layers => propagation.pool(device, &self.rows, &alpha, pooled)?,
            _ => false,
        };
        if !one_pass {
            propagation.gather(device, &self.rows, &mut self.hop_rows)?;
            let layers = BatchLayers { hops: &self.hop_rows, rows: self.groups };
            combination.forward(device, layers, pooled, &mut self.attention, scratch)?;
        } else if task.regulariser.l2 > 0.0 {
            gather_rows(device, propagation.dim, &propagation.hops[0], &self.rows, &mut self.hop_rows[0])?;
        }
        task.objective.forward(device, pooled, &mut self.loss)?;
        Ok(self.losses.push(device, &self.loss)?)
    }

    /// Lets a method weigh the examples; without a step back for one that learns from the point
    /// before the step.
    ///
    /// # Errors
    /// Those of the weights.
    pub(crate) fn weigh(
        &mut self,
        device: &Device,
        task: &Task,
        example_weights: &mut dyn ExampleWeights,
    ) -> Result<()> {
        let examples = Examples { batch: &self.batch, n: task.objective.n_examples(), losses: &self.loss };
        example_weights.weigh(device, &examples, &mut self.weights)
    }

    /// Back to the gradient of every layer's rows (in `direct`) and of the combination. Call after
    /// `forward`; it can be called again with other weights.
    ///
    /// # Errors
    /// Those of the ops and of the weights.
    pub(crate) fn backward(
        &mut self,
        device: &Device,
        combination: &mut Combiner,
        task: &mut Task,
        reduction: Reduction,
        example_weights: &mut dyn ExampleWeights,
        auxiliary: Option<&mut (dyn AuxiliaryTerm + 'static)>,
    ) -> Result<()> {
        self.weigh(device, task, example_weights)?;
        task.objective.backward(device, &self.pooled, &self.weights, &mut self.gradient)?;
        if let Some(term) = auxiliary {
            term.backward(device, &self.pooled, &mut self.gradient)?;
        }
        // With uniform weights layers differ by the decay alone, which acts on the base.
        let alike = combination.is_uniform() && !task.regulariser.all_layers;
        self.direct.resize_with(if alike { self.hop_rows.len().min(2) } else { self.hop_rows.len() }, Buffer::default);
        let layers = BatchLayers { hops: &self.hop_rows, rows: self.groups };
        let reached = Reached { attention: &self.attention, g: &self.gradient };
        combination.backward(device, layers, reached, &mut self.direct, &mut self.scratch)?;
        self.regularise(device, combination.dim(), task, reduction)
    }

    /// Adds the gradient of the weight decay, `l2 * occurrences / n_examples * row` (not
    /// divided where losses are summed; `docs/formulas.md`), to the layers it acts on.
    fn regularise(&mut self, device: &Device, dim: usize, task: &Task, reduction: Reduction) -> Result<()> {
        let regulariser = task.regulariser;
        if regulariser.l2 == 0.0 {
            return Ok(());
        }
        let scale = regulariser.l2 * reduction.scale(task.objective.n_examples());
        scale_rows::scale_all(device, scale, task.objective.occurrences(), &mut self.decay);
        if self.free_biases {
            device.resize(&mut self.without_biases, self.hop_rows[0].len());
            copy_into(device, &self.hop_rows[0], 0, &mut self.without_biases)?;
            for column in [dim - 2, dim - 1] {
                fill_column(device, 0.0, column, dim, self.rows.len(), &mut self.without_biases)?;
            }
            return Ok(scale_rows::add_scaled_rows(
                device,
                dim,
                &self.decay,
                &self.without_biases,
                &mut self.direct[0],
            )?);
        }
        let layers = if regulariser.all_layers { self.direct.len() } else { 1 };
        for (direct, hop_rows) in self.direct.iter_mut().zip(&self.hop_rows).take(layers) {
            scale_rows::add_scaled_rows(device, dim, &self.decay, hop_rows, direct)?;
        }
        Ok(())
    }
}
