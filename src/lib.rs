//! gcnrec trains, compares and serves recommenders from implicit feedback.
//!
//! A service trains with [`Run`], opens what was trained with [`Recommender`], and asks it by name.
//! It prints nothing, never exits, keeps no global state and reads no environment variable.
//!
//! ```
//! use gcnrec::{Destination, Recommender, Run, Silent, Sources, Stop};
//!
//! # fn main() -> gcnrec::Result<()> {
//! # let place = tempfile::tempdir().expect("a folder for temporary files");
//! # let folder = place.path().join("run");
//! // The settings are those of run files; without `data.path` the demo world is used.
//! let set = ["data.demo.n_users=60", "data.demo.n_items=50", "data.demo.interactions_per_user=8",
//!     "model.ease.l2=20"];
//! let sources = Sources { set: set.map(String::from).to_vec(), ..Sources::default() };
//! let prepared = Run::prepare(&sources, Destination::new(&folder))?;
//! prepared.train(&mut Silent, &Stop::default())?;
//!
//! let recommender = Recommender::open(&folder)?;
//! for (item, score) in recommender.for_user("user-0001", 3)? {
//!     println!("{item}\t{score:.4}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Modules, from top to bottom; imports point downward only: `cli`, `compare`, `run`, `config`,
//! `train`, `recommend`, `report`, `eval`, `checkpoint`, `debias`, `models`, `objectives`,
//! `samplers`, `data`, then the crates `gcnrec-kernels` and `gcnrec-graphs`.

// What is public is what `gcnrec::` exports.
#![warn(unreachable_pub)]

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("the feature failpoints is for tests: it must not be in a release build");

mod checkpoint;
mod compare;
mod config;
mod data;
mod debias;
mod error;
mod eval;
mod export;
mod files;
#[doc(hidden)]
pub mod internals;
mod models;
mod objectives;
mod recommend;
mod report;
mod run;
mod samplers;
mod settings;
mod train;

// The public interface. What the program, the tests and the benches need besides is in `internals`,
// which promises nothing.
pub use checkpoint::RunFolder;
pub use config::{Config, Flag, Origins, Resolved, Sources, resolve};
#[doc(inline)]
pub use data::reader;
pub use data::{FileFacts, Format, IdMap, Log, Part, PerSecond, Split, UnreadTime, World, load as load_data};
pub use error::{Place, RecError, Result};
pub use eval::{Evaluator, HeldOut, LabeledRows, MetricAt, Metrics, Protocol};
pub use models::state::{State, Tensor};
pub use models::{DegreeBucket, LayerWeights, Query, Scorer};
pub use recommend::{Live, Ranking, Reasons, Recommender, Request};
pub use report::{Comparison, Report};
pub use run::{Destination, Finished, Judged, JudgedPart, Loaded, Prepared, Run};
pub use train::{EpochRecord, Evaluation, Observer, Silent, Stage, StagePlan, Stop};

/// The tables of a run file, typed: what the fields of [`Config`] hold.
///
/// A model, a loss and a debiasing method are chosen by name, with the keys of their table.
///
/// ```
/// use gcnrec::configs::{Loss, Model};
///
/// # fn main() -> gcnrec::Result<()> {
/// let mut config = gcnrec::Config::default();
/// config.model = Model::parse("lightgcn", "layers = 2\ndim = 32")?;
/// config.objective = Some(Loss::parse("ssm", "")?);
/// config.validate()?;
/// # Ok(())
/// # }
/// ```
pub mod configs {
    pub use crate::data::world::Config as Demo;
    pub use crate::data::{Config as Data, Duplicates, Feedback, GroupBy, HoldOut, Order, Rule, Unknown, ValidRows};
    pub use crate::debias::Config as Debias;
    pub use crate::eval::{Candidates, Config as Eval, SelectedOn};
    pub use crate::models::Config as Model;
    pub use crate::objectives::Config as Loss;
    pub use crate::train::Config as Train;
    pub use crate::train::config::Sampling;
}

// Types of other crates that stand in signatures of these.
pub use gcnrec_graphs::{GraphError, Interactions, ItemId, Seed, UserId};
pub use gcnrec_kernels::ops::top_k::TopK;
pub use gcnrec_kernels::{Device, KernelError};
#[doc(no_inline)]
pub use {ndarray, serde_json, toml};
