//! What a loss computes: per-example losses, their gradient and their tangent on a batch's rows.

use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::samplers::Batch;

/// A loss in its three parts. All of them speak of the batch that was given to
/// [`Objective::prepare`] last.
pub trait Objective: Send {
    /// Takes a batch: finds the rows it touches and uploads its indices.
    ///
    /// # Errors
    /// Those of the device.
    fn prepare(&mut self, device: &Device, batch: &Batch) -> Result<()>;

    /// The touched nodes (users `0..n_users`, then items), strictly increasing: the rows of every
    /// matrix below.
    fn rows(&self) -> &[u32];

    /// Number of examples.
    fn n_examples(&self) -> usize;

    /// How often each row occurs in the batch: `[rows]`. The regulariser counts with it.
    fn occurrences(&self) -> &Buffer<f32>;

    /// The loss of each example, unreduced: `loss` becomes `[n_examples]`.
    ///
    /// # Errors
    /// Those of the ops.
    fn forward(&mut self, device: &Device, rows: &Buffer<f32>, loss: &mut Buffer<f32>) -> Result<()>;

    /// The gradient of `sum_b weights_b loss_b` with respect to every touched row; call after
    /// `forward` on the same rows.
    ///
    /// # Errors
    /// Those of the ops.
    fn backward(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        weights: &Buffer<f32>,
        gradient: &mut Buffer<f32>,
    ) -> Result<()>;

    /// How each example's loss moves when the rows move along `rows_dot`; call after `forward` on
    /// the same rows.
    ///
    /// # Errors
    /// Those of the ops.
    fn tangent(
        &mut self,
        device: &Device,
        rows: &Buffer<f32>,
        rows_dot: &Buffer<f32>,
        loss_dot: &mut Buffer<f32>,
    ) -> Result<()>;
}

/// Where nodes lie: users are nodes `0..n_users`, items follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    /// Number of users.
    pub n_users: usize,
    /// Number of items.
    pub n_items: usize,
}

impl Nodes {
    /// Number of nodes.
    pub fn len(self) -> usize {
        self.n_users + self.n_items
    }

    /// True when there are neither users nor items.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The node of an item.
    pub fn item(self, item: u32) -> u32 {
        self.n_users as u32 + item
    }
}
