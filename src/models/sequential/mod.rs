//! Sequential models: what comes next after a history. One file per model; training, serving and
//! parameters are shared.
//!
//! Burn holds the tape and nothing more, on the device of the run: that is the only type parameter,
//! and it is erased here. A frozen model computes on the processor, wherever it was trained.
//! Parameters, their moments and every random number are ours, so a stopped run goes on with the
//! same bits; the ops are those of `gcnrec_kernels::burn_bridge`, in which a row's numbers depend
//! on its own sequence alone: no padding, and a batch answers as its queries one by one.

pub(crate) mod bert4rec;
mod blocks;
mod distiller;
mod encoder;
pub(crate) mod fmlp;
pub(crate) mod fpmc;
pub(crate) mod gru4rec;
mod lanes;
mod learner;
mod losses;
pub(crate) mod narm;
mod negatives;
mod parameters;
mod pre_norm;
pub(crate) mod sasrec;
mod scorer;
mod training;

use super::Model;
use crate::settings::Row;
pub(crate) use blocks::Activation;
pub(crate) use distiller::Distillation;
pub(crate) use encoder::{Encoder, ITEMS, Input, Task};
pub(crate) use learner::SequenceLearner;
pub(crate) use losses::{Loss, Objective};
pub(crate) use parameters::{Init, Noise, Parameter, Rule, Weights};
pub(crate) use scorer::SequenceScorer;
pub use training::Setup;
pub(crate) use training::{BATCH_SIZE, SequentialModel};

/// The models of this folder, in the order of lists.
pub(super) const ROWS: &[&Row<dyn Model>] =
    &[&fpmc::ROW, &gru4rec::ROW, &narm::ROW, &sasrec::ROW, &bert4rec::ROW, &fmlp::ROW];

#[cfg(test)]
mod tests;
