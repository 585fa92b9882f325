//! Attention over a row's layers, with weights for every row: what the kinds of it share.
//!
//! `pooled_i = sum_k a_ik e_ik` (a kind may transform what it sums), where the weights `a_i` of row
//! `i` come from its own layers. The bound of a kind is ours: learned freely under a pairwise loss,
//! attention collapses onto layer 0; a bounded deviation from global weights stays near them.
//!
//! Here stand the checks, the sharing out of rows among tasks and the sums of the parameters'
//! gradients; a kind says what happens to one chunk of rows on the processor, and to all rows on a
//! GPU.

use std::ops::Range;

use super::groups::grouping;
use super::layers::{Gradients, Layers, Motion};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};
#[cfg(feature = "gpu")]
use crate::gpu::tile::sum_partials;

mod chunks;
#[cfg(feature = "gpu")]
mod on_gpu;
#[cfg(test)]
mod tests;

pub(super) use chunks::{Arrived, Chunk, Group, Names, Passes};
use chunks::{differentiate_chunks, move_chunks, pool_chunks};
#[cfg(feature = "gpu")]
pub(super) use on_gpu::{Input, OnGpu};

/// A build without GPUs asks nothing of a kind.
#[cfg(not(feature = "gpu"))]
pub trait OnGpu {}

#[cfg(not(feature = "gpu"))]
impl<A> OnGpu for A {}

/// A kind of attention over layers: its sizes and constants. All parameters are one flat array,
/// which starts with the layers' own logits.
pub trait Attention: Definition + Passes + OnGpu {
    /// Columns of a row.
    fn dim(&self) -> usize;

    /// K: layers above layer 0, 0..=8.
    fn layers(&self) -> usize;

    /// Length of the parameter array.
    fn n_parameters(&self) -> usize;

    /// Where the layers' own logits are: `[K + 1]`.
    fn theta(&self) -> Range<usize> {
        0..self.n_hops()
    }

    /// K + 1.
    fn n_hops(&self) -> usize {
        self.layers() + 1
    }
}

/// What a kind computes, in plain loops over f64, for all rows.
pub trait Definition {
    /// [`forward`]: `(pooled, attention)`.
    fn reference(&self, parameters: &[f64], hops: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>);

    /// [`backward`]: `(direct, d_parameters)`.
    fn backward_reference(&self, parameters: &[f64], hops: &[Vec<f64>], g: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>);

    /// [`tangent`]: how `pooled` moves along `d_hops` and `d_parameters`.
    fn tangent_reference(
        &self,
        parameters: &[f64],
        hops: &[Vec<f64>],
        d_hops: &[Vec<f64>],
        d_parameters: &[f64],
    ) -> Vec<f64>;
}

/// Scratch of the three passes. Allocates only when a larger problem comes; a fresh one is as good.
#[derive(Debug, Clone)]
pub struct Workspace<A: Attention> {
    matrices: A::Matrices,
    /// The matrices transposed, or their motion.
    others: A::Matrices,
    groups: Vec<Group<A::Scratch>>,
    #[cfg(feature = "gpu")]
    gpu: A::GpuScratch,
}

impl<A: Attention> Default for Workspace<A> {
    fn default() -> Self {
        Workspace {
            matrices: A::Matrices::default(),
            others: A::Matrices::default(),
            groups: Vec::new(),
            #[cfg(feature = "gpu")]
            gpu: A::GpuScratch::default(),
        }
    }
}

impl<A: Attention> Workspace<A> {
    /// Packs the parameters, makes the groups, and says how many rows each has and how many there
    /// are.
    fn reset(&mut self, shape: &A, parameters: &[f32], n_rows: usize) -> (usize, usize) {
        shape.pack(parameters, &mut self.matrices);
        let (rows_per_group, n_groups) = grouping(n_rows);
        self.groups.resize_with(n_groups.max(self.groups.len()), Group::default);
        self.groups[..n_groups].iter_mut().for_each(|group| shape.resize(&mut group.scratch));
        (rows_per_group, n_groups)
    }
}

/// What the forward pass writes; only the rows of the range.
#[derive(Debug)]
pub struct Pooled<'a> {
    /// `[S, dim]`.
    pub pooled: &'a mut Buffer<f32>,
    /// `[S, K + 1]`: the weights.
    pub attention: &'a mut Buffer<f32>,
}

/// What the backward pass starts from.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'a> {
    /// `[S, K + 1]`, of the forward pass.
    pub attention: &'a Buffer<f32>,
    /// `[S, dim]`: the gradient of the pooled rows.
    pub g: &'a Buffer<f32>,
}

/// Pools each row's layers with weights of its own (formula in the kind's module).
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when the
/// range leaves the rows or K is above 8.
pub fn forward<A: Attention>(
    device: &Device,
    shape: &A,
    parameters: &Buffer<f32>,
    layers: &Layers<'_>,
    out: Pooled<'_>,
    workspace: &mut Workspace<A>,
) -> Result<()> {
    let (op, n_hops) = (A::NAMES.forward, shape.n_hops());
    let n_rows = expect_sizes(op, shape, parameters, layers)?;
    expect_len(op, "pooled", out.pooled.len(), n_rows * shape.dim())?;
    expect_len(op, "attention", out.attention.len(), n_rows * n_hops)?;
    match device {
        Device::Cpu => pool_chunks(shape, parameters.host(), layers, out, workspace),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) if layers.cells().is_empty() => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => shape.forward_on(Input { gpu, parameters, layers }, out, &mut workspace.gpu),
    }
    Ok(())
}

/// The vector-Jacobian product: from `g = d loss / d pooled` to each layer's direct gradient and
/// the parameters'. What the forward pass did not keep is worked out again.
///
/// # Errors
/// As [`forward`].
pub fn backward<A: Attention>(
    device: &Device,
    shape: &A,
    parameters: &Buffer<f32>,
    layers: &Layers<'_>,
    reached: Reached<'_>,
    gradients: Gradients<'_>,
    workspace: &mut Workspace<A>,
) -> Result<()> {
    let op = A::NAMES.backward;
    let n_rows = expect_sizes(op, shape, parameters, layers)?;
    expect_len(op, "attention", reached.attention.len(), n_rows * shape.n_hops())?;
    expect_len(op, "g", reached.g.len(), n_rows * shape.dim())?;
    layers.expect_alike(op, "direct", gradients.direct)?;
    expect_len(op, "d_parameters", gradients.parameters.len(), shape.n_parameters())?;
    match device {
        Device::Cpu => differentiate_chunks(shape, parameters.host(), layers, reached, gradients, workspace),
        // Nothing came, so nothing goes back: an empty sum for every parameter.
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) if layers.cells().is_empty() => {
            sum_partials(gpu, parameters, shape.n_parameters(), 0, gradients.parameters, 0);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            shape.backward_on(Input { gpu, parameters, layers }, reached, gradients, &mut workspace.gpu)
        }
    }
    Ok(())
}

/// The Jacobian-vector product: how `pooled` moves along a motion of the hops and of the
/// parameters.
///
/// # Shapes
/// - `d_pooled`: `[S, dim]`, of which the rows of the range are written
///
/// # Errors
/// As [`forward`].
pub fn tangent<A: Attention>(
    device: &Device,
    shape: &A,
    parameters: &Buffer<f32>,
    layers: &Layers<'_>,
    motion: Motion<'_>,
    d_pooled: &mut Buffer<f32>,
    workspace: &mut Workspace<A>,
) -> Result<()> {
    let op = A::NAMES.tangent;
    let n_rows = expect_sizes(op, shape, parameters, layers)?;
    layers.expect_alike(op, "d_hops", motion.hops)?;
    expect_len(op, "d_parameters", motion.parameters.len(), shape.n_parameters())?;
    expect_len(op, "d_pooled", d_pooled.len(), n_rows * shape.dim())?;
    match device {
        Device::Cpu => move_chunks(shape, parameters.host(), layers, motion, d_pooled, workspace),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) if layers.cells().is_empty() => {}
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => shape.tangent_on(Input { gpu, parameters, layers }, motion, d_pooled, &mut workspace.gpu),
    }
    Ok(())
}

/// Checks what all passes read; returns the number of rows.
fn expect_sizes<A: Attention>(
    op: &'static str,
    shape: &A,
    parameters: &Buffer<f32>,
    layers: &Layers<'_>,
) -> Result<usize> {
    expect_len(op, "dim", layers.dim, shape.dim())?;
    let n_rows = layers.expect(op, shape.n_hops())?;
    expect_len(op, "parameters", parameters.len(), shape.n_parameters())?;
    Ok(n_rows)
}
