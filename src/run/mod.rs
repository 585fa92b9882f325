//! A run from its settings to its folder: the one way to train, to judge again and to repeat.
//!
//! [`Run`] → [`Loaded`] → [`Prepared`] → [`Finished`]. Every check comes in this order, and nothing
//! is written before the last of them has passed:
//!
//! 1. [`Run::resolve`]: the run folder is free or holds a run to go on with; all settings are
//!    known, of the right kind and within their ranges.
//! 2. [`Run::load`]: the data files are there; the device is there and can do what the model and
//!    the debiasing method ask for; the data can be read. Then every default that depends on the
//!    data is filled in: loss, step size, batch size, and what judges labelled rows.
//! 3. [`Loaded::prepare`]: a run to go on with has the same settings; otherwise no setting was
//!    written that nothing reads; the job fits together and into memory ([`Job::check`]).
//!
//! [`Prepared::train`] then creates the folder and leaves `config.toml`, `metrics.jsonl`, `best/`,
//! `last/`, `weights.csv` (with a debiasing method), `report.html` and `report.json` in it.
//!
//! ```
//! use gcnrec::{Destination, Run, Silent, Sources, Stop};
//!
//! # fn main() -> gcnrec::Result<()> {
//! # let place = tempfile::tempdir().expect("a folder for temporary files");
//! # let folder = place.path().join("run");
//! // Without a data file: the built-in demo world.
//! let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
//! let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
//! set.push("model.ease.l2=20".into());
//! let sources = Sources { set, ..Sources::default() };
//! let prepared = Run::prepare(&sources, Destination::new(&folder))?;
//! let finished = prepared.train(&mut Silent, &Stop::default())?;
//!
//! assert!(finished.report.metrics["test"]["ndcg@20"] > 0.0);
//! let recommender = finished.recommender()?;
//! assert_eq!(recommender.for_user("user-0001", 3)?.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! The process is the caller's: the library reads no environment variable, starts no threads and
//! prints nothing. Notes for the user are returned.
//!
//! [`Job::check`]: crate::train::Job::check

#[cfg(test)]
mod coat_tests;
mod destination;
mod device;
mod finished;
mod loaded;
mod origin;
mod prepared;
mod repeat;
mod report;
mod resumed;
mod setup;

pub use destination::Destination;
pub use finished::Finished;
pub use loaded::Loaded;
pub use prepared::Prepared;
pub use repeat::repeat;
pub use setup::Run;
