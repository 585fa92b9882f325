//! The graph family: LightGCN with a choice of layer combinations; with no layers it is matrix
//! factorisation.

pub(crate) mod combination;
mod hardest;
mod init;
mod learner;
pub(crate) mod lightgcn;
mod memory;
mod meta;
pub(crate) mod mf;
mod pass;
mod propagation;
mod scorer;
mod setup;
mod weights_report;

use super::Model;
use crate::settings::Row;
pub(crate) use init::normal;
pub use learner::GraphLearner;
pub use lightgcn::Config;
pub(crate) use meta::MetaBatch;
pub use meta::Optimizer;
pub(crate) use scorer::GraphScorer;
pub use setup::{Learning, Setup, WeightFit};

/// The models of this folder, in the order of lists.
pub(super) const ROWS: &[&Row<dyn Model>] = &[&lightgcn::ROW, &mf::ROW];
