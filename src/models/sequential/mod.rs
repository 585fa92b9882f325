//! Sequential models: what comes next after a history. One file per model; training, serving and
//! parameters are shared.
//!
//! Burn holds the tape and nothing more, on the device of the run: that is the only type parameter,
//! and it is erased here. A frozen model computes on the processor, wherever it was trained.
//! Parameters, their moments and every random number are ours, so a stopped run goes on with the
//! same bits; the ops are those of `gcnrec_kernels::burn_bridge`, in which a row's numbers depend
//! on its own sequence alone: no padding, and a batch answers as its queries one by one.

pub mod bert4rec;
mod blocks;
mod distiller;
mod encoder;
pub mod fmlp;
pub mod fpmc;
pub mod gru4rec;
mod lanes;
mod learner;
mod losses;
pub mod narm;
mod negatives;
mod parameters;
mod pre_norm;
pub mod sasrec;
mod scorer;
mod training;

use super::Model;
use crate::settings::Row;
pub use blocks::Activation;
pub use distiller::Distillation;
pub use encoder::{Encoder, ITEMS, Input, Task};
pub use learner::SequenceLearner;
pub use losses::{Loss, Objective};
pub use parameters::{Init, Noise, Parameter, Rule, Weights};
pub use scorer::SequenceScorer;
pub use training::{BATCH_SIZE, SequentialModel, Setup};

/// The models of this folder, in the order of lists.
pub(super) const ROWS: &[&Row<dyn Model>] =
    &[&fpmc::ROW, &gru4rec::ROW, &narm::ROW, &sasrec::ROW, &bert4rec::ROW, &fmlp::ROW];

#[cfg(test)]
mod tests;
