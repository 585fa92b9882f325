//! Dynamic negatives: of the items that were drawn for a negative, the one that the model as it is
//! now scores highest.
//!
//! Source: RecBole's `dynamic` with `candidate_num`. We differ: the score is the
//! inner product that the loss sees, also where the model ranks by a power of the norm. On a GPU a
//! step waits for these scores: which rows the step touches depends on them.

use gcnrec_kernels::ops::pair_dots::pair_dots;
use gcnrec_kernels::ops::row_set::RowSet;
use gcnrec_kernels::{Buffer, Device};

use super::combination::{BatchLayers, Combiner, RowGroups, Scratch};
use super::propagation::Propagation;
use crate::error::Result;
use crate::objectives::{Nodes, Slots};
use crate::samplers::{Batch, keep_hardest};

/// Buffers for scoring the drawn items of a batch, kept from step to step.
pub(super) struct Hardest {
    nodes: Nodes,
    slots: Slots,
    rows: RowSet,
    hop_rows: Vec<Buffer<f32>>,
    pooled: Buffer<f32>,
    attention: Buffer<f32>,
    scratch: Scratch,
    users: Buffer<u32>,
    items: Buffer<u32>,
    device_scores: Buffer<f32>,
    scores: Vec<f32>,
}

impl Hardest {
    /// For tables of `nodes` rows and `layers` layers.
    pub(crate) fn new(device: &Device, nodes: Nodes, layers: usize) -> Self {
        Hardest {
            nodes,
            slots: Slots::new(nodes.len()),
            rows: RowSet::new(device, nodes.len()),
            hop_rows: (0..=layers).map(|_| Buffer::default()).collect(),
            pooled: Buffer::default(),
            attention: Buffer::default(),
            scratch: Scratch::default(),
            users: Buffer::default(),
            items: Buffer::default(),
            device_scores: Buffer::default(),
            scores: Vec::new(),
        }
    }

    /// Leaves one negative of each `n_candidates` in the batch. Call after the layers below the
    /// last are filled.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn pick(
        &mut self,
        device: &Device,
        propagation: &Propagation,
        combination: &Combiner,
        n_candidates: usize,
        batch: &mut Batch,
    ) -> Result<()> {
        if batch.negatives.is_empty() {
            return Ok(());
        }
        let Hardest { nodes, slots, rows, hop_rows, pooled, attention, scratch, .. } = self;
        let items = batch.negatives.iter().map(|&item| nodes.item(item));
        slots.assign(batch.users.iter().copied().chain(items.clone()));
        rows.assign(device, slots.rows())?;
        let n_users = slots.rows().partition_point(|&row| (row as usize) < nodes.n_users);
        let groups = RowGroups { n_users, n_rows: slots.rows().len() };
        propagation.gather(device, rows, hop_rows)?;
        let layers = BatchLayers { hops: hop_rows, rows: groups };
        combination.forward(device, layers, pooled, attention, scratch)?;
        let per_user = batch.negatives.len() / batch.users.len();
        let users: Vec<u32> =
            batch.users.iter().flat_map(|&user| std::iter::repeat_n(slots.slot(user), per_user)).collect();
        device.write(&mut self.users, &users);
        device.write(&mut self.items, &items.map(|item| slots.slot(item)).collect::<Vec<_>>());
        let (users, items) = (&self.users, &self.items);
        pair_dots(device, propagation.dim, &self.pooled, users, items, &mut self.device_scores)?;
        device.read_into(&self.device_scores, &mut self.scores);
        keep_hardest(&mut batch.negatives, &self.scores, n_candidates);
        Ok(())
    }
}
