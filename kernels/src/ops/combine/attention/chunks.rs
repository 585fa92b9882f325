//! How a kind of attention treats a chunk of rows on the processor, and all groups of chunks.

use std::fmt::Debug;

use super::{Attention, Pooled, Reached, Workspace};
use crate::Buffer;
use crate::ops::combine::groups::{CHUNK, Rows, add_groups, chunks, for_groups, hops_mut, rows, rows_mut};
use crate::ops::combine::layers::{Gradients, Layers, MAX_HOPS, Motion};

/// The names by which the three passes of a kind refuse wrong sizes.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub(in crate::ops::combine) forward: &'static str,
    pub(in crate::ops::combine) backward: &'static str,
    pub(in crate::ops::combine) tangent: &'static str,
}

/// What every pass of one chunk reads: parameters, flat and as factors of products, and rows; or
/// the motion of both.
#[derive(Debug)]
pub struct Chunk<'a, M> {
    pub(in crate::ops::combine) flat: &'a [f32],
    pub(in crate::ops::combine) matrices: &'a M,
    pub(in crate::ops::combine) rows: Rows<'a>,
}

/// What the backward pass of one chunk starts from, for the chunk's rows.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// `[n, K + 1]`, of the forward pass.
    pub(in crate::ops::combine) attention: &'a [f32],
    /// `[n, dim]`: the gradient of the pooled rows.
    pub(in crate::ops::combine) g: &'a [f32],
}

/// Scratch of one group of chunks.
#[derive(Debug, Clone, Default)]
pub struct Group<S> {
    pub(in crate::ops::combine) scratch: S,
    /// The group's share of the parameters' gradient, as they lie.
    pub(in crate::ops::combine) d_parameters: Vec<f32>,
}

/// How a kind treats rows. Sealed: nobody can name this trait outside the crate.
pub trait Passes: Debug + Clone + Copy + PartialEq + Send + Sync + 'static {
    /// What errors call the passes.
    const NAMES: Names;
    /// The parameters' matrices as right factors of products.
    type Matrices: Debug + Clone + Default + Send + Sync;
    /// Scratch of one chunk.
    type Scratch: Debug + Clone + Default + Send + Sync;

    /// Packs the matrices of `E W`.
    fn pack(&self, parameters: &[f32], matrices: &mut Self::Matrices);

    /// Packs the matrices of the way back, `D W^T`.
    fn pack_transposed(&self, parameters: &[f32], matrices: &mut Self::Matrices);

    /// Makes the scratch as large as a chunk needs it.
    fn resize(&self, scratch: &mut Self::Scratch);

    /// Pools the rows of a chunk, and leaves their weights.
    fn forward_chunk(&self, now: Chunk<'_, Self::Matrices>, scratch: &mut Self::Scratch, pooled: &mut [f32]);

    /// The weights that [`Passes::forward_chunk`] left: `[K + 1, CHUNK]`.
    fn weights(scratch: &Self::Scratch) -> &[f32];

    /// Overwrites the layers' gradients of a chunk, and adds to the group's share of the
    /// parameters'.
    fn backward_chunk(
        &self,
        now: Chunk<'_, Self::Matrices>,
        transposed: &Self::Matrices,
        arrived: Arrived<'_>,
        group: &mut Group<Self::Scratch>,
        direct: [&mut [f32]; MAX_HOPS],
    );

    /// How the pooled rows of a chunk move.
    fn tangent_chunk(
        &self,
        now: Chunk<'_, Self::Matrices>,
        moved: Chunk<'_, Self::Matrices>,
        scratch: &mut Self::Scratch,
        d_pooled: &mut [f32],
    );
}

pub(super) fn pool_chunks<A: Attention>(
    shape: &A,
    parameters: &[f32],
    layers: &Layers<'_>,
    Pooled { pooled, attention }: Pooled<'_>,
    workspace: &mut Workspace<A>,
) {
    let (n_hops, dim, range) = (shape.n_hops(), shape.dim(), &layers.range);
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let Workspace { matrices, groups, .. } = workspace;
    let matrices = &*matrices;
    let outputs = [rows_mut(pooled, dim, range), rows_mut(attention, n_hops, range)];
    let groups = &mut groups[..n_groups];
    for_groups(range.clone(), rows_per_group, groups, outputs, &|group_rows, group, [pooled, attention]| {
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            let now = Chunk { flat: parameters, matrices, rows: Rows::new(layers.hops, dim, (from, n)) };
            let pooled = &mut pooled[(from - first) * dim..][..n * dim];
            shape.forward_chunk(now, &mut group.scratch, pooled);
            let weights = A::weights(&group.scratch);
            for (row, attention) in attention[(from - first) * n_hops..].chunks_exact_mut(n_hops).take(n).enumerate() {
                attention.iter_mut().enumerate().for_each(|(k, a)| *a = weights[k * CHUNK + row]);
            }
        }
    });
}

pub(super) fn differentiate_chunks<A: Attention>(
    shape: &A,
    parameters: &[f32],
    layers: &Layers<'_>,
    reached: Reached<'_>,
    gradients: Gradients<'_>,
    workspace: &mut Workspace<A>,
) {
    let (n_hops, dim, range) = (shape.n_hops(), shape.dim(), &layers.range);
    let (attention, g) = (reached.attention.host(), reached.g.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let Workspace { matrices, others: transposed, groups, .. } = workspace;
    shape.pack_transposed(parameters, transposed);
    let (groups, matrices, transposed) = (&mut groups[..n_groups], &*matrices, &*transposed);
    let outputs = hops_mut(gradients.direct, layers);
    for_groups(range.clone(), rows_per_group, groups, outputs, &|group_rows, group, mut direct| {
        group.d_parameters.clear();
        group.d_parameters.resize(shape.n_parameters(), 0.0);
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            let now = Chunk { flat: parameters, matrices, rows: Rows::new(layers.hops, dim, (from, n)) };
            let arrived = Arrived { attention: rows(attention, n_hops, from, n), g: rows(g, dim, from, n) };
            let direct = direct.each_mut().map(|d| d.get_mut((from - first) * dim..).unwrap_or_default());
            shape.backward_chunk(now, transposed, arrived, group, direct);
        }
    });
    add_groups(groups.iter().map(|group| &group.d_parameters[..]), gradients.parameters.host_mut());
}

pub(super) fn move_chunks<A: Attention>(
    shape: &A,
    parameters: &[f32],
    layers: &Layers<'_>,
    motion: Motion<'_>,
    d_pooled: &mut Buffer<f32>,
    workspace: &mut Workspace<A>,
) {
    let (dim, range, d_parameters) = (shape.dim(), &layers.range, motion.parameters.host());
    let (rows_per_group, n_groups) = workspace.reset(shape, parameters, range.len());
    let Workspace { matrices, others: moved, groups, .. } = workspace;
    shape.pack(d_parameters, moved);
    let (groups, matrices, moved) = (&mut groups[..n_groups], &*matrices, &*moved);
    let outputs = [rows_mut(d_pooled, dim, range)];
    for_groups(range.clone(), rows_per_group, groups, outputs, &|group_rows, group, [d_pooled]| {
        let first = group_rows.start;
        for (from, n) in chunks(group_rows) {
            let now = Chunk { flat: parameters, matrices, rows: Rows::new(layers.hops, dim, (from, n)) };
            let moved = Chunk { flat: d_parameters, matrices: moved, rows: Rows::new(motion.hops, dim, (from, n)) };
            let d_pooled = &mut d_pooled[(from - first) * dim..][..n * dim];
            shape.tangent_chunk(now, moved, &mut group.scratch, d_pooled);
        }
    });
}
