//! One forward and backward pass over the batch's rows: layers, combination, loss, and the way back to the layers.

use gcnrec_kernels::ops::loss_sum::LossSums;
use gcnrec_kernels::ops::place::{fill_column, place, place_rows};
use gcnrec_kernels::ops::propagate::{propagate, propagate_add, propagate_from_rows_add, propagate_rows};
use gcnrec_kernels::ops::table::{
    Precision, Table, gather_stored, propagate_from_rows_stored, propagate_rows_stored, propagate_stored, store,
};
use gcnrec_kernels::ops::{adjacency::Adjacency, gather::gather_rows, pool_rows::pool_rows, row_set::RowSet, rows};
use gcnrec_kernels::{Buffer, Device};

use super::combination::{Combination, RowGroups, Scratch};
use super::config::Storage;
use crate::error::Result;
use crate::objectives::{AuxiliaryTerm, ExampleWeights, Examples, Nodes, Reduction, Task};
use crate::samplers::Batch;

/// The layers of all nodes: `hops[0]` is the base table, `hops[l] = A hops[l - 1]`.
pub struct Propagation {
    /// `D^-1/2 A D^-1/2`, with the values of the current edge dropout.
    pub adjacency: Adjacency,
    /// `[n_nodes, dim]` each; the last one is filled only by [`Propagation::all`], and so are the others above the base where `narrow` holds them.
    pub hops: Vec<Buffer<f32>>,
    /// Width of the embeddings.
    pub dim: usize,
    backward: [Buffer<f32>; 2],
    narrow: Option<Narrow>,
}

/// What a step propagates, in 16 bits.
struct Narrow {
    /// Layers 0 to K - 1.
    hops: Vec<Table>,
    /// `b_k` for k from K - 1 down to 1, in turn. Gradients have bf16's range in either case: those of a batch's mean are smaller than f16 can hold.
    backward: [Table; 2],
}

impl Narrow {
    /// None where there is nothing to gain: with 32 bits, and with fewer than two layers, where no whole layer is ever propagated.
    fn new(storage: Storage, layers: usize) -> Option<Narrow> {
        let precision = match storage {
            Storage::F16 => Precision::F16,
            Storage::Bf16 => Precision::Bf16,
            Storage::F32 => return None,
        };
        let backward = [(); 2].map(|()| Table::new(Precision::Bf16));
        (layers > 1).then(|| Narrow { hops: vec![Table::new(precision); layers], backward })
    }
}

impl Propagation {
    /// Layers 0 to `layers` over a base table.
    pub fn new(
        device: &Device,
        adjacency: Adjacency,
        base: Buffer<f32>,
        dim: usize,
        layers: usize,
        storage: Storage,
    ) -> Self {
        let mut hops = vec![base];
        hops.extend((0..layers).map(|_| device.zeros(0)));
        Propagation { adjacency, hops, dim, backward: Default::default(), narrow: Narrow::new(storage, layers) }
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
        let Some(narrow) = &mut self.narrow else {
            return (1..self.layers()).try_for_each(|layer| self.step(device, layer));
        };
        store(device, &self.hops[0], &mut narrow.hops[0]);
        for layer in 1..narrow.hops.len() {
            let (below, above) = narrow.hops.split_at_mut(layer);
            propagate_stored(device, &self.adjacency, self.dim, &below[layer - 1], None, &mut above[0])?;
        }
        Ok(())
    }

    /// Fills every layer, in 32 bits.
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
        let (last, a, dim) = (self.layers(), &self.adjacency, self.dim);
        for (layer, target) in hop_rows.iter_mut().enumerate() {
            match &self.narrow {
                _ if layer == 0 => gather_rows(device, dim, &self.hops[0], rows, target)?,
                Some(narrow) if layer == last => {
                    propagate_rows_stored(device, a, dim, &narrow.hops[layer - 1], rows, target)?;
                }
                Some(narrow) => gather_stored(device, dim, &narrow.hops[layer], rows, target)?,
                None if layer == last => propagate_rows(device, a, dim, &self.hops[layer - 1], rows, target)?,
                None => gather_rows(device, dim, &self.hops[layer], rows, target)?,
            }
        }
        Ok(())
    }

    /// The pooled rows at once, where each layer has one weight and nobody wants the rows of the layers themselves. Answers false, having done
    /// nothing, where only [`Propagation::gather`] will do.
    ///
    /// # Errors
    /// Those of the ops.
    fn pool(&self, device: &Device, rows: &RowSet, alpha: &[f32], pooled: &mut Buffer<f32>) -> Result<bool> {
        let last = self.layers();
        if last == 0 || self.narrow.is_some() || !matches!(device, Device::Cpu) {
            return Ok(false);
        }
        pool_rows(device, &self.adjacency, self.dim, alpha, &self.hops[..last], rows, pooled)?;
        Ok(true)
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
        if let Some(Narrow { backward: [above, below], .. }) = &mut self.narrow {
            propagate_from_rows_stored(device, &self.adjacency, dim, rows, &direct[last], &direct[last - 1], above)?;
            for layer in (1..last - 1).rev() {
                propagate_stored(device, &self.adjacency, dim, above, Some((rows, &direct[layer])), below)?;
                std::mem::swap(above, below);
            }
            let mut gradient = Table::F32(std::mem::take(current));
            propagate_stored(device, &self.adjacency, dim, above, Some((rows, &direct[0])), &mut gradient)?;
            let Table::F32(gradient) = gradient else { unreachable!("a table never changes its format") };
            return Ok(gradient);
        }
        // Leaving columns out costs half a hop of its own, so where the batch touches most nodes a whole hop over zeros is cheaper. A zero changes no
        // sum: the bits are the same.
        if matches!(device, Device::Cpu) && 2 * rows.len() > rows.n_rows() {
            place_rows(device, dim, rows, &direct[last], next)?;
            propagate_add(device, &self.adjacency, dim, next, rows, &direct[last - 1], current)?;
        } else {
            propagate_from_rows_add(device, &self.adjacency, dim, rows, &direct[last], &direct[last - 1], current)?;
        }
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
    /// A bias is a column of the embeddings; true when weight decay leaves the last two columns alone.
    pub(super) free_biases: bool,
    without_biases: Buffer<f32>,
    /// The examples.
    pub batch: Batch,
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
            weights: Buffer::default(),
            decay: Buffer::default(),
            losses: LossSums::default(),
            free_biases: false,
            without_biases: Buffer::default(),
            batch: Batch::default(),
        }
    }

    /// Draws the batch of a step. `labels` are those of the training edges; none means that all are +1.
    ///
    /// # Errors
    /// Those of the device.
    pub fn draw(
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

    /// From the layers to the loss of each example. Answers their sum where it is known without waiting; otherwise it goes to [`Pass::losses`].
    ///
    /// # Errors
    /// Those of the ops.
    pub fn forward(
        &mut self,
        device: &Device,
        propagation: &Propagation,
        combination: &Combination,
        task: &mut Task,
    ) -> Result<Option<f64>> {
        let (pooled, scratch) = (&mut self.pooled, &mut self.scratch);
        // The decay of the base asks for its rows alone, and uniform weights have no gradient that would ask for others.
        let one_pass = match combination.fixed() {
            Some(alpha) if !task.regulariser.all_layers => propagation.pool(device, &self.rows, &alpha, pooled)?,
            _ => false,
        };
        if !one_pass {
            propagation.gather(device, &self.rows, &mut self.hop_rows)?;
            combination.forward(device, &self.hop_rows, self.groups, pooled, &mut self.attention, scratch)?;
        } else if task.regulariser.l2 > 0.0 {
            gather_rows(device, propagation.dim, &propagation.hops[0], &self.rows, &mut self.hop_rows[0])?;
        }
        task.objective.forward(device, pooled, &mut self.loss)?;
        Ok(self.losses.push(device, &self.loss)?)
    }

    /// Lets a method weigh the examples; without a step back for one that learns from the point before the step.
    ///
    /// # Errors
    /// Those of the weights.
    pub fn weigh(&mut self, device: &Device, task: &Task, example_weights: &mut dyn ExampleWeights) -> Result<()> {
        let examples = Examples { batch: &self.batch, n: task.objective.n_examples(), losses: &self.loss };
        example_weights.weigh(device, &examples, &mut self.weights)
    }

    /// Back to the gradient of every layer's rows (in `direct`) and of the combination. Call after `forward`; it can be called again with other
    /// weights.
    ///
    /// # Errors
    /// Those of the ops and of the weights.
    pub fn backward(
        &mut self,
        device: &Device,
        dim: usize,
        combination: &mut Combination,
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
        let (attention, gradient, direct) = (&self.attention, &self.gradient, &mut self.direct);
        combination.backward(device, &self.hop_rows, self.groups, attention, gradient, direct, &mut self.scratch)?;
        self.regularise(device, dim, task, reduction)
    }

    /// Adds the gradient of the weight decay, `l2 * occurrences / n_examples * row` (SPEC A.2; not divided with sums), to the layers it acts on.
    fn regularise(&mut self, device: &Device, dim: usize, task: &Task, reduction: Reduction) -> Result<()> {
        let regulariser = task.regulariser;
        if regulariser.l2 == 0.0 {
            return Ok(());
        }
        let scale = regulariser.l2 * reduction.scale(task.objective.n_examples());
        rows::scale_all(device, scale, task.objective.occurrences(), &mut self.decay);
        if self.free_biases {
            device.resize(&mut self.without_biases, self.hop_rows[0].len());
            place(device, &self.hop_rows[0], 0, &mut self.without_biases)?;
            for column in [dim - 2, dim - 1] {
                fill_column(device, 0.0, column, dim, self.rows.len(), &mut self.without_biases)?;
            }
            return Ok(rows::add_scaled_rows(device, dim, &self.decay, &self.without_biases, &mut self.direct[0])?);
        }
        let layers = if regulariser.all_layers { self.direct.len() } else { 1 };
        for (direct, hop_rows) in self.direct.iter_mut().zip(&self.hop_rows).take(layers) {
            rows::add_scaled_rows(device, dim, &self.decay, hop_rows, direct)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{BipartiteGraph, Interactions, ItemId, Normalization, NormalizedAdjacency, UserId};

    const DIM: usize = 17;

    /// The last layer's rows and the base gradient of one pass over a small graph, K = 3.
    fn pass(storage: Storage) -> (Vec<f32>, Vec<f32>) {
        let device = Device::Cpu;
        let pairs = (0..40u32).flat_map(|u| (0..5).map(move |k| (UserId(u), ItemId((u * 7 + k * k) % 30))));
        let train = Interactions::from_pairs(40, 30, pairs).unwrap();
        let graph =
            NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(&train), Normalization::Symmetric).unwrap();
        let a = Adjacency::upload(&device, 70, graph.row_ptr(), graph.col_idx(), graph.values()).unwrap();
        let values = |n: usize, scale: f32| -> Vec<f32> { (0..n).map(|i| scale * (i as f32 * 0.7).sin()).collect() };
        let mut propagation = Propagation::new(&device, a, device.upload(&values(70 * DIM, 0.1)), DIM, 3, storage);
        propagation.below_last(&device).unwrap();
        let mut rows = RowSet::new(&device, 70);
        rows.assign(&device, &[1, 4, 8, 45, 69]).unwrap();
        let mut hop_rows = vec![Buffer::default(); 4];
        propagation.gather(&device, &rows, &mut hop_rows).unwrap();
        // As small as the gradients of a mean over 2,048 examples: f16 would lose most of their bits.
        let direct = vec![device.upload(&values(5 * DIM, 1e-6)); 4];
        let gradient = propagation.backward(&device, &rows, &direct).unwrap();
        (device.read(&hop_rows[3]), device.read(&gradient))
    }

    fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
        let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        found.iter().zip(expected).fold(0.0f32, |worst, (x, y)| worst.max((x - y).abs())) / largest
    }

    #[test]
    fn a_batch_of_most_nodes_sends_back_the_same_bits_by_a_whole_hop() {
        // 36 of 70 rows: one more than half, so backward takes the hop over zeros.
        let device = Device::Cpu;
        let train = Interactions::from_pairs(40, 30, (0..160u32).map(|i| (UserId(i / 4), ItemId(i * 7 % 30)))).unwrap();
        let graph =
            NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(&train), Normalization::Symmetric).unwrap();
        let a = Adjacency::upload(&device, 70, graph.row_ptr(), graph.col_idx(), graph.values()).unwrap();
        let mut rows = RowSet::new(&device, 70);
        rows.assign(&device, &(0..36).map(|row| row * 2 - row / 35).collect::<Vec<_>>()).unwrap();
        let direct = [0.3, 0.9].map(|step| {
            let values: Vec<f32> = (0..rows.len() * DIM).map(|i| (i as f32 * step).sin()).collect();
            device.upload(&values)
        });
        let mut expected = Buffer::default();
        propagate_from_rows_add(&device, &a, DIM, &rows, &direct[1], &direct[0], &mut expected).unwrap();
        let base = device.zeros(70 * DIM);
        let mut propagation = Propagation::new(&device, a, base, DIM, 1, Storage::F32);
        let found = propagation.backward(&device, &rows, &direct).unwrap();
        assert_eq!(device.read(&found), device.read(&expected));
    }

    /// Rounding to nearest moves a number by at most 2^-11 (f16, 11 significant bits) or 2^-8 (bf16, 8) of itself: three roundings forwards, two
    /// backwards, where gradients are kept in bf16.
    #[test]
    fn storage_in_16_bits_moves_layers_and_gradients_by_its_rounding_alone() {
        let exact = pass(Storage::F32);
        for (storage, unit) in [(Storage::F16, 2f32.powi(-11)), (Storage::Bf16, 2f32.powi(-8))] {
            let found = pass(storage);
            let forward = largest_difference(&found.0, &exact.0);
            assert!(forward > 0.0 && forward < 3.0 * unit, "{storage:?}: {forward}");
            let backward = largest_difference(&found.1, &exact.1);
            assert!(backward > 0.0 && backward < 2.0 * 2f32.powi(-8), "{storage:?}: {backward}");
        }
    }
}
