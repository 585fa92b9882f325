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

// What a service meets, under one roof. The modules hold the rest, which serves the program, its
// tests and its benches.
pub use checkpoint::RunFolder;
pub use config::{Config, Flag, Resolved, Sources};
pub use data::{Format, IdMap, Log, Part, Split, World};
pub use error::{Place, RecError, Result};
pub use eval::{Evaluator, HeldOut, LabeledRows, MetricAt, Metrics, Protocol};
pub use models::state::{State, Tensor};
pub use models::{LayerWeights, Query, Scorer};
pub use recommend::{Ranking, Recommender};
pub use report::{Comparison, Report};
pub use run::{Destination, Finished, Loaded, Prepared, Run};
pub use train::{EpochRecord, Evaluation, Observer, Silent, Stage, StagePlan, Stop};

// Types of other crates that stand in signatures of these.
pub use gcnrec_graphs::{GraphError, Interactions, ItemId, Seed, UserId};
pub use gcnrec_kernels::ops::top_k::TopK;
pub use gcnrec_kernels::{Device, KernelError};
#[doc(no_inline)]
pub use {ndarray, serde_json, toml};
