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
mod tests;
