//! Training: one loop for every model family, with validation, early stopping, checkpoints, resume and interruption.

pub mod config;
mod fusion;
mod insight;
mod job;
mod judge;
mod learners;
mod observer;
mod outcome;
mod progress;
#[cfg(test)]
mod resume_tests;
mod stages;
mod start;
mod store;
mod teaching;
mod trainer;
mod verify;

pub use config::Config;
pub use insight::insight;
pub use job::{Job, Stop};
pub use judge::{Judge, check_metric};
pub use observer::{EpochRecord, Observer, Silent, Stage, StagePlan};
pub use outcome::{ExampleWeightReport, Outcome};
pub use progress::{Best, Chosen, Progress};
pub use stages::run;
pub use store::{Resumed, RunStore};
pub use verify::{Verdict, verify};
