//! Softmax cross-entropy of queries against candidates, in tiles: the scores are never held as a
//! whole.
//!
//! One op serves the loss over all items (queries: a batch of users, each with a list of positives)
//! and the loss inside a batch (each query with one positive, the candidates being the batch's
//! positives). Candidates are cut into tiles of 256, tiles into at most 16 groups by their number
//! alone; a group is treated from its first tile to its last by one task, and what groups share is
//! added in their order.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};
use crate::tile::Panels;

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
mod reference;
#[cfg(test)]
mod tests;

use cpu::{Call, Group, KEPT, cpu_backward, cpu_forward, cpu_tangent};
pub use reference::SoftmaxReference;

/// What the scores are divided by, and how much the denominator counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxConfig {
    /// Temperature, above 0: scores are `q.c / tau` plus the bias.
    pub tau: f32,
    /// Factor of the log-sum-exp: 1 is softmax cross-entropy, another value the BSL form.
    pub t2: f32,
}

/// What all passes read: queries, candidates, and which candidate each example should pick.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxInput<'a> {
    /// Columns of a row.
    pub dim: usize,
    /// Temperature and the weight of the denominator.
    pub config: SoftmaxConfig,
    /// `[n_q, dim]`: the queries.
    pub q: &'a Buffer<f32>,
    /// `[n_c, dim]`: the candidates.
    pub c: &'a Buffer<f32>,
    /// `[n_c]`: added to a candidate's scores; minus infinity rules it out.
    pub candidate_bias: Option<&'a Buffer<f32>>,
    /// `[n_q + 1]`: the examples of query `q` are `list_ptr[q]..list_ptr[q + 1]`.
    pub list_ptr: &'a Buffer<u32>,
    /// `[n_examples]`: the candidate that each example should pick; it stays in the denominator.
    pub positive: &'a Buffer<u32>,
}

/// The gradients of queries and candidates; both are resized and overwritten.
#[derive(Debug)]
pub struct SoftmaxGradients<'a> {
    /// `[n_q, dim]`.
    pub q: &'a mut Buffer<f32>,
    /// `[n_c, dim]`.
    pub c: &'a mut Buffer<f32>,
}

/// A motion of queries and candidates.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxMotion<'a> {
    /// `[n_q, dim]`.
    pub q: &'a Buffer<f32>,
    /// `[n_c, dim]`.
    pub c: &'a Buffer<f32>,
}

/// Scratch of the op, and what its backward pass needs of the last forward pass. Allocates only
/// when a larger problem comes.
#[derive(Debug, Clone, Default)]
pub struct SoftmaxWorkspace {
    groups: Vec<Group>,
    /// Log-sum-exp of each query, from the last forward pass.
    log_sums: Vec<f64>,
    /// `sum_j p_j s_dot_j` of each query, from the last tangent.
    means: Vec<f64>,
    /// The sum of each query's example weights.
    weights: Vec<f32>,
    q_rows: Panels,
    /// The sizes of the last forward pass: dim, queries, candidates.
    sizes: (usize, usize, usize),
    #[cfg(feature = "gpu")]
    gpu: gpu::Scratch,
}

/// The loss of each example: `loss_e = -s_pos + t2 log sum_j exp(s_qj)`, with scores
/// `s_qj = q.c_j / tau + bias_j`.
///
/// # Shapes
/// - `loss`: `[n_examples]`, resized and overwritten
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when
/// `list_ptr` falls or a positive is no candidate.
///
/// # Source
/// Wu et al., *On the effectiveness of sampled softmax loss for item recommendation*, TOIS 2024;
/// `t2` from Wu et al., *BSL*, ICDE 2024. We keep the positive in the denominator, as InfoNCE does;
/// BSL's code leaves it out.
pub fn softmax_forward(
    device: &Device,
    input: &SoftmaxInput<'_>,
    workspace: &mut SoftmaxWorkspace,
    loss: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "softmax_forward";
    match device {
        Device::Cpu => {
            let call = Call::new(OP, input)?;
            device.resize(loss, call.positive.len());
            cpu_forward(&call, workspace, loss.host_mut(), KEPT);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let call = gpu::Call::new(OP, gpu, input)?;
            workspace.sizes = (input.dim, call.n_q, call.n_c);
            gpu::forward(&call, &mut workspace.gpu, loss);
        }
    }
    Ok(())
}

/// The gradient of the weighted losses: with `W_q` the sum of query `q`'s weights and `p` its
/// softmax, `dS_qj = t2 W_q p_qj - sum of w_e over its examples with positive j`;
/// `d_q = dS C / tau`, `d_c = dS^T Q / tau`.
///
/// # Shapes
/// - `weights`: `[n_examples]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, also with the last forward pass of
/// `workspace`, which must have had the same inputs.
pub fn softmax_backward(
    device: &Device,
    input: &SoftmaxInput<'_>,
    weights: &Buffer<f32>,
    workspace: &mut SoftmaxWorkspace,
    gradients: SoftmaxGradients<'_>,
) -> Result<()> {
    const OP: &str = "softmax_backward";
    let last = workspace.sizes;
    let same_as_last = |n_q, n_c| {
        expect_len(OP, "weights", weights.len(), input.positive.len())?;
        expect_len(OP, "dim of the last forward pass", last.0, input.dim)?;
        expect_len(OP, "queries of the last forward pass", last.1, n_q)?;
        expect_len(OP, "candidates of the last forward pass", last.2, n_c)
    };
    let SoftmaxGradients { q: d_q, c: d_c } = gradients;
    match device {
        Device::Cpu => {
            let call = Call::new(OP, input)?;
            same_as_last(call.n_q, call.n_c)?;
            device.resize(d_q, input.q.len());
            device.resize(d_c, input.c.len());
            cpu_backward(&call, weights.host(), workspace, d_q.host_mut(), d_c.host_mut());
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let call = gpu::Call::new(OP, gpu, input)?;
            same_as_last(call.n_q, call.n_c)?;
            gpu::backward(&call, weights, &mut workspace.gpu, d_q, d_c);
        }
    }
    Ok(())
}

/// How each loss moves along a motion of the rows:
/// `loss_dot_e = -s_dot_pos + t2 sum_j p_qj s_dot_qj`, `s_dot_qj = (q_dot.c_j + q.c_dot_j) / tau`.
/// Needs no forward pass before it, and leaves the state of the last one as it was.
///
/// # Shapes
/// - `loss_dot`: `[n_examples]`, resized and overwritten
///
/// # Errors
/// As [`softmax_forward`].
pub fn softmax_tangent(
    device: &Device,
    input: &SoftmaxInput<'_>,
    motion: SoftmaxMotion<'_>,
    workspace: &mut SoftmaxWorkspace,
    loss_dot: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "softmax_tangent";
    expect_len(OP, "q_dot", motion.q.len(), input.q.len())?;
    expect_len(OP, "c_dot", motion.c.len(), input.c.len())?;
    match device {
        Device::Cpu => {
            let call = Call::new(OP, input)?;
            device.resize(loss_dot, call.positive.len());
            cpu_tangent(&call, motion.q.host(), motion.c.host(), workspace, loss_dot.host_mut());
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let call = gpu::Call::new(OP, gpu, input)?;
            gpu::tangent(&call, motion.q, motion.c, &mut workspace.gpu, loss_dot);
        }
    }
    Ok(())
}
