//! The graph family: LightGCN with a choice of layer combinations; with no layers it is matrix factorisation.

pub mod combination;
pub mod config;
mod hardest;
mod init;
mod learner;
mod meta;
mod pass;
mod propagation;
mod scorer;
mod setup;
mod weights_report;

pub use config::Config;
pub use init::normal;
pub use learner::GraphLearner;
pub use meta::{Optimizer, Uniform};
pub use scorer::{GraphScorer, Scoring};
pub use setup::{Learning, Setup, Teacher};
