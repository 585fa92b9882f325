//! The layers of a graph's nodes, and the way back from their gradients to the base table.
//!
//! Source: He et al., *LightGCN*, SIGIR 2020, eq. 7; the way back is Horner's scheme. The last hop
//! forwards and the first backwards visit the batch's rows only.

use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::copy_rows::spread_rows;
use gcnrec_kernels::ops::half_table::{
    Precision, Table, gather_from_table, propagate_from_rows_to_table, propagate_rows_of_table, propagate_table,
    round_into_table,
};
use gcnrec_kernels::ops::propagate::{
    propagate, propagate_add, propagate_from_rows_add, propagate_rows, skipping_columns_pays,
};
use gcnrec_kernels::ops::propagate_adam::{Moving, propagate_adam, propagate_adam_table};
use gcnrec_kernels::ops::{
    adjacency::Adjacency,
    gather::gather_rows,
    pool_rows::{pool_rows, pools_in_one_pass},
    row_set::RowSet,
};
use gcnrec_kernels::{Buffer, Device};

use super::lightgcn::Storage;
use crate::error::Result;

/// The layers of all nodes: `hops[0]` is the base table, `hops[l] = A hops[l - 1]`.
pub(crate) struct Propagation {
    /// `D^-1/2 A D^-1/2`, with the values of the current edge dropout.
    pub adjacency: Adjacency,
    /// `[n_nodes, dim]` each; the last one is filled only by [`Propagation::all`], and so are the
    /// others above the base where `narrow` holds them.
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
    /// `b_k` for k from K - 1 down to 1, in turn. Gradients have bf16's range in either case: those
    /// of a batch's mean are smaller than f16 can hold.
    backward: [Table; 2],
}

impl Narrow {
    /// None where there is nothing to gain: with 32 bits, and with fewer than two layers, where no
    /// whole layer is ever propagated.
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
    pub(crate) fn new(
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
    pub(crate) fn below_last(&mut self, device: &Device) -> Result<()> {
        let Some(narrow) = &mut self.narrow else {
            return (1..self.layers()).try_for_each(|layer| self.step(device, layer));
        };
        round_into_table(device, &self.hops[0], &mut narrow.hops[0]);
        for layer in 1..narrow.hops.len() {
            let (below, above) = narrow.hops.split_at_mut(layer);
            propagate_table(device, &self.adjacency, self.dim, &below[layer - 1], None, &mut above[0])?;
        }
        Ok(())
    }

    /// Fills every layer, in 32 bits.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn all(&mut self, device: &Device) -> Result<()> {
        (1..=self.layers()).try_for_each(|layer| self.step(device, layer))
    }

    /// The layers of the given rows; the last one is propagated for these rows only.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn gather(&self, device: &Device, rows: &RowSet, hop_rows: &mut [Buffer<f32>]) -> Result<()> {
        let (last, a, dim) = (self.layers(), &self.adjacency, self.dim);
        for (layer, target) in hop_rows.iter_mut().enumerate() {
            match &self.narrow {
                _ if layer == 0 => gather_rows(device, dim, &self.hops[0], rows, target)?,
                Some(narrow) if layer == last => {
                    propagate_rows_of_table(device, a, dim, &narrow.hops[layer - 1], rows, target)?;
                }
                Some(narrow) => gather_from_table(device, dim, &narrow.hops[layer], rows, target)?,
                None if layer == last => propagate_rows(device, a, dim, &self.hops[layer - 1], rows, target)?,
                None => gather_rows(device, dim, &self.hops[layer], rows, target)?,
            }
        }
        Ok(())
    }

    /// The pooled rows at once, where each layer has one weight and nobody wants the rows of the
    /// layers themselves. Answers false, having done nothing, where only [`Propagation::gather`]
    /// will do.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn pool(&self, device: &Device, rows: &RowSet, alpha: &[f32], pooled: &mut Buffer<f32>) -> Result<bool> {
        let last = self.layers();
        if last == 0 || self.narrow.is_some() || !pools_in_one_pass(device) {
            return Ok(false);
        }
        pool_rows(device, &self.adjacency, self.dim, alpha, &self.hops[..last], rows, pooled)?;
        Ok(true)
    }

    /// Horner's scheme: `b_K = D_K; b_k = D_k + A b_(k+1)`; the answer `b_0` is the gradient of the
    /// base table, `[n_nodes, dim]`. `A` is symmetric, so it is its own transpose. `direct` is D,
    /// as [`Pass::direct`](super::pass::Pass::direct) keeps it. Give the answer back with
    /// [`Propagation::recycle`], so that the next step need not allocate.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn backward(&mut self, device: &Device, rows: &RowSet, direct: &[Buffer<f32>]) -> Result<Buffer<f32>> {
        let (dim, last) = (self.dim, self.layers());
        match last {
            0 => spread_rows(device, dim, rows, &direct[0], &mut self.backward[0])?,
            1 => self.first_backward(device, rows, direct)?,
            _ => {
                self.backward_to_first_layer(device, rows, direct)?;
                let [current, next] = &mut self.backward;
                match &self.narrow {
                    Some(narrow) => {
                        let (above, mut gradient) = (&narrow.backward[0], Table::F32(std::mem::take(current)));
                        propagate_table(device, &self.adjacency, dim, above, Some((rows, &direct[0])), &mut gradient)?;
                        let Table::F32(gradient) = gradient else { unreachable!("a table never changes its format") };
                        return Ok(gradient);
                    }
                    None => {
                        propagate_add(device, &self.adjacency, dim, current, rows, &direct[0], next)?;
                        std::mem::swap(current, next);
                    }
                }
            }
        }
        Ok(std::mem::take(&mut self.backward[0]))
    }

    /// [`Propagation::backward`] and a step of Adam on the base table; of two layers and more in
    /// one pass over it, where the device has such a pass.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn backward_adam(
        &mut self,
        device: &Device,
        rows: &RowSet,
        direct: &[Buffer<f32>],
        (config, step): (&AdamConfig, u64),
        (m, v): (&mut Buffer<f32>, &mut Buffer<f32>),
    ) -> Result<()> {
        if self.layers() < 2 {
            let gradient = self.backward(device, rows, direct)?;
            adam_step(device, config, step, &gradient, m, v, &mut self.hops[0])?;
            self.recycle(gradient);
            return Ok(());
        }
        self.backward_to_first_layer(device, rows, direct)?;
        let (a, dim, base, addend) = (&self.adjacency, self.dim, &mut self.hops[0], (rows, &direct[0]));
        let [current, next] = &mut self.backward;
        match &self.narrow {
            Some(narrow) => {
                let moving = Moving { m, v, parameters: base, gradient: current };
                propagate_adam_table(device, a, dim, &narrow.backward[0], addend, (config, step), moving)?;
            }
            None => {
                let moving = Moving { m, v, parameters: base, gradient: next };
                propagate_adam(device, a, dim, current, addend, (config, step), moving)?;
            }
        }
        Ok(())
    }

    /// `b_1`, into the first of the backward buffers. For two layers and more.
    fn backward_to_first_layer(&mut self, device: &Device, rows: &RowSet, direct: &[Buffer<f32>]) -> Result<()> {
        self.first_backward(device, rows, direct)?;
        let (a, dim) = (&self.adjacency, self.dim);
        for layer in (1..self.hops.len() - 2).rev() {
            match &mut self.narrow {
                Some(Narrow { backward: [above, below], .. }) => {
                    propagate_table(device, a, dim, above, Some((rows, of_layer(direct, layer))), below)?;
                    std::mem::swap(above, below);
                }
                None => {
                    let [above, below] = &mut self.backward;
                    propagate_add(device, a, dim, above, rows, of_layer(direct, layer), below)?;
                    std::mem::swap(above, below);
                }
            }
        }
        Ok(())
    }

    /// `b_(K-1) = D_(K-1) + A D_K`, into the first of the backward buffers, where D has the batch's
    /// rows only.
    fn first_backward(&mut self, device: &Device, rows: &RowSet, direct: &[Buffer<f32>]) -> Result<()> {
        let (a, dim, last) = (&self.adjacency, self.dim, self.layers());
        let (d_last, d_below) = (of_layer(direct, last), of_layer(direct, last - 1));
        if let Some(Narrow { backward: [above, _], .. }) = &mut self.narrow {
            propagate_from_rows_to_table(device, a, dim, rows, d_last, d_below, above)?;
            return Ok(());
        }
        let [current, next] = &mut self.backward;
        if skipping_columns_pays(device, rows) {
            propagate_from_rows_add(device, a, dim, rows, d_last, d_below, current)?;
        } else {
            spread_rows(device, dim, rows, d_last, next)?;
            propagate_add(device, a, dim, next, rows, d_below, current)?;
        }
        Ok(())
    }

    /// Takes back the buffer that [`Propagation::backward`] answered.
    pub(crate) fn recycle(&mut self, gradient: Buffer<f32>) {
        self.backward[0] = gradient;
    }
}

/// The gradient of a layer's rows (see [`Pass::direct`](super::pass::Pass::direct)).
fn of_layer(direct: &[Buffer<f32>], layer: usize) -> &Buffer<f32> {
    &direct[layer.min(direct.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{BipartiteGraph, Interactions, ItemId, Normalization, NormalizedAdjacency, UserId};
    use gcnrec_kernels::ops::adam::adam_step;

    const DIM: usize = 17;

    /// Three layers over a small graph of 70 nodes.
    fn propagation(storage: Storage) -> Propagation {
        let device = Device::Cpu;
        let pairs = (0..40u32).flat_map(|u| (0..5).map(move |k| (UserId(u), ItemId((u * 7 + k * k) % 30))));
        let train = Interactions::from_pairs(40, 30, pairs).unwrap();
        let graph =
            NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(&train), Normalization::Symmetric).unwrap();
        let a = Adjacency::upload(&device, 70, graph.row_ptr(), graph.col_idx(), graph.values()).unwrap();
        Propagation::new(&device, a, device.upload(&values(70 * DIM, 0.1)), DIM, 3, storage)
    }

    fn values(n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|i| scale * (i as f32 * 0.7).sin()).collect()
    }

    /// The last layer's rows and the base gradient of one pass, K = 3.
    fn pass(storage: Storage) -> (Vec<f32>, Vec<f32>) {
        let (device, mut propagation) = (Device::Cpu, propagation(storage));
        propagation.below_last(&device).unwrap();
        let mut rows = RowSet::new(&device, 70);
        rows.assign(&device, &[1, 4, 8, 45, 69]).unwrap();
        let mut hop_rows = vec![Buffer::default(); 4];
        propagation.gather(&device, &rows, &mut hop_rows).unwrap();
        // As small as the gradients of a mean over 2,048 examples: f16 would lose most of their
        // bits.
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

    /// Two steps of either way, K = 3: m, v and the base table after them.
    #[test]
    fn a_gradient_that_is_never_written_moves_the_base_by_the_same_bits() {
        let (device, config) = (Device::Cpu, AdamConfig::default());
        let mut rows = RowSet::new(&device, 70);
        rows.assign(&device, &[1, 4, 8, 45, 69]).unwrap();
        let values = |step: f32| -> Vec<f32> { (0..5 * DIM).map(|i| (i as f32 * step).sin()).collect() };
        let direct = [0.7, 0.4].map(|step| device.upload(&values(step)));
        // The second stands for the layers above it.
        let all = [0, 1, 1, 1].map(|layer| direct[layer].clone());
        for storage in [Storage::F32, Storage::F16] {
            let steps = |one_pass: bool| {
                let mut propagation = propagation(storage);
                let (mut m, mut v) = (device.zeros(70 * DIM), device.zeros(70 * DIM));
                for step in 1..=2 {
                    if one_pass {
                        let moments = (&mut m, &mut v);
                        propagation.backward_adam(&device, &rows, &direct, (&config, step), moments).unwrap();
                    } else {
                        let gradient = propagation.backward(&device, &rows, &all).unwrap();
                        let base = &mut propagation.hops[0];
                        adam_step(&device, &config, step, &gradient, &mut m, &mut v, base).unwrap();
                        propagation.recycle(gradient);
                    }
                }
                [m, v, propagation.hops.swap_remove(0)].map(|buffer| device.read(&buffer))
            };
            assert!(steps(true) == steps(false), "{storage:?}");
        }
    }

    /// Rounding to nearest moves a number by at most 2^-11 (f16, 11 significant bits) or 2^-8
    /// (bf16, 8) of itself: three roundings forwards, two backwards, where gradients are kept in
    /// bf16.
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
