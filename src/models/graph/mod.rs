//! The graph family: LightGCN with a choice of layer combinations; with no layers it is matrix factorisation.

pub mod combination;
pub mod config;
mod init;
mod learner;
mod pass;
mod scorer;
mod weights_report;

pub use config::Config;
pub use learner::{GraphLearner, Setup, Teacher};
pub use scorer::{GraphScorer, Scoring};
