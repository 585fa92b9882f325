//! The graph family: LightGCN with a choice of layer combinations; with no layers it is matrix
//! factorisation.

pub mod combination;
mod hardest;
mod init;
mod learner;
pub mod lightgcn;
mod memory;
mod meta;
pub mod mf;
mod pass;
mod propagation;
mod scorer;
mod setup;
mod weights_report;

pub use init::normal;
pub use learner::GraphLearner;
pub use lightgcn::Config;
pub use meta::{MetaBatch, Optimizer};
pub use scorer::{GraphScorer, Scoring};
pub use setup::{Learning, Setup, WeightFit};
