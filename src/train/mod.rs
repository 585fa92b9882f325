//! Training: one loop for every model family, with validation, early stopping, checkpoints, resume
//! and interruption.

mod checks;
pub(crate) mod config;
mod evaluation;
mod fusion;
mod insight;
mod job;
mod learners;
mod notes;
mod observer;
mod outcome;
mod progress;
#[cfg(test)]
mod resume_tests;
mod selection;
mod stages;
mod start;
mod stop;
mod store;
mod trainer;
mod verify;
mod weight_fit;

pub use config::Config;
pub use evaluation::Evaluation;
pub(crate) use evaluation::METRICS_OF_LABELS;
pub(crate) use insight::{analyse, popularity};
pub use job::Job;
pub use observer::{EpochRecord, Observer, Silent, Stage, StagePlan};
pub use outcome::Outcome;
pub(crate) use selection::{Selection, check_lists, check_metric};
pub(crate) use stages::run;
pub use stop::Stop;
pub(crate) use store::RunStore;
pub(crate) use verify::{Verdict, verify};
