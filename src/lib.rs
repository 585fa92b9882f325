//! gcnrec trains, compares and serves recommenders from implicit feedback.
//!
//! Modules, from top to bottom; imports point downward only: `cli`, `compare`, `run`, `config`,
//! `train`, `recommend`, `report`, `eval`, `checkpoint`, `debias`, `models`, `objectives`,
//! `samplers`, `data`, then the crates `gcnrec-kernels` and `gcnrec-graphs`.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("the feature failpoints is for tests: it must not be in a release build");

pub mod checkpoint;
pub mod compare;
pub mod config;
pub mod data;
pub mod debias;
pub mod error;
pub mod eval;
pub mod models;
pub mod objectives;
pub mod recommend;
pub mod report;
pub mod run;
pub mod samplers;
pub mod settings;
pub mod train;

// What a service needs, under one roof.
pub use config::Config;
pub use error::{RecError, Result};
pub use gcnrec_graphs::{ItemId, Seed, UserId};
pub use gcnrec_kernels::Device;
pub use recommend::{Ranking, Recommender};
