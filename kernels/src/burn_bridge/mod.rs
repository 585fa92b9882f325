//! Our ops as Burn ops: what the sequential models are built of, each with its own backward pass.
//!
//! An op is one file: its formula, its passes over plain matrices (an [`Op`]), and the function
//! that a model calls. `tape.rs` alone knows how Burn keeps its tape. On a GPU the same op is
//! kernels of ours, in a file `gpu.rs` beside it, on the memory of Burn's tensors. Burn's own
//! products over GPUs are not used, nor its sum of all numbers: which kernel multiplies, and with
//! how many digits, is up to the device, and that sum is in no fixed order. What stands between the
//! ops on a number for each row, and joining and cutting matrices, is Burn's, and what joins the
//! gradients of a matrix that is read twice is ours. A release compiles Burn's own loops without
//! optimising them: nothing that grows with rows times columns should be left to it.
//!
//! Sums have a fixed order, and the numbers of a row depend on that row alone: neither the number
//! of threads nor what else is in a batch enters. All matrices are row-major and of two dimensions;
//! sequences follow one another in the rows, without padding (see [`Sequences`]).

mod activation;
mod attention;
mod drawn_loss;
mod drop;
mod flex;
mod gather;
#[cfg(feature = "gpu")]
pub mod gpu;
mod gru;
mod linear;
mod local_attention;
mod op;
#[cfg(feature = "gpu")]
mod pairs;
#[cfg(feature = "gpu")]
mod passes;
mod residual_norm;
mod row_dots;
mod row_softmax;
mod scaled_sum;
mod sequences;
mod softmax_loss;
mod spectral;
mod tape;
#[cfg(test)]
mod tests;

pub use activation::{Activation, activate};
pub use attention::attention;
pub use burn_autodiff::Autodiff;
pub use burn_flex::Flex;
pub use drawn_loss::{Drawn, DrawnKind, drawn_loss};
pub use drop::{Drop, dropout};
pub use gather::gather;
pub use gru::{gru, gru_cell};
pub use linear::linear;
pub use local_attention::local_attention;
#[cfg(not(feature = "gpu"))]
pub use op::Passes;
pub use op::{Matrix, OnAnyTape, Op, OpBackend, Output, Tape, to_buffer, to_tensor};
#[cfg(feature = "gpu")]
pub use passes::Passes;
pub use residual_norm::residual_norm;
pub use row_dots::row_dots;
pub use row_softmax::row_softmax;
pub use scaled_sum::scaled_sum;
pub use sequences::Sequences;
pub use softmax_loss::{LossScratch, softmax_loss};
pub use spectral::spectral_filter;
pub use tape::on_tape_of;
