//! A run with its data: every default is filled in, and nothing is checked against the data yet.

use std::path::Path;
use std::sync::Arc;

use gcnrec_kernels::Device;
use serde_json::Value;

use super::prepared::Prepared;
use super::resumed::recorded_text;
use super::setup::Run;
use crate::config::Config;
use crate::data::Split;
use crate::error::{Place, RecError, Result};
use crate::recommend::Recommender;
use crate::train::Job;

/// A run with its data and its device.
///
/// ```
/// # use gcnrec::{Destination, Run, Sources};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// let loaded = Run::resolve(&sources, Destination::new(&folder))?.load()?;
/// // Every default that depends on the data is filled in now.
/// assert_eq!((loaded.split().n_users(), loaded.config().model.name()), (60, "ease"));
/// let prepared = loaded.prepare()?;
/// # let _ = prepared;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Loaded {
    run: Run,
    split: Arc<Split>,
    device: Device,
    note: Option<String>,
    load_s: f64,
}

impl Loaded {
    /// Fills in every default that depends on the data.
    pub(super) fn new(mut run: Run, mut split: Arc<Split>, device: Device, note: Option<String>, load_s: f64) -> Self {
        if !run.settled {
            run.resolved.settle(split.n_users(), split.n_items());
            if let Some(note) = run.resolved.settle_returns(&split) {
                Arc::make_mut(&mut split).notes.push(note);
            }
            if split.labelled {
                run.resolved.settle_labels();
            }
        }
        Loaded { run, split, device, note, load_s }
    }

    /// The complete settings.
    pub fn config(&self) -> &Config {
        self.run.config()
    }

    /// The data.
    pub fn split(&self) -> &Arc<Split> {
        &self.split
    }

    /// Where the run computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Why this is not the device that `auto` would have taken.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The job without the checks of a training: enough to judge a model that was trained.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn job(&self) -> Result<Job> {
        let config_toml = self.stored().to_toml()?;
        Ok(Job { config_toml, ..self.config().job(self.split.clone(), self.device.clone())? })
    }

    /// The complete settings as the run folder keeps them: files that were found in the data folder
    /// are named by their paths in it.
    pub fn stored(&self) -> Config {
        self.run.resolved.stored(self.config())
    }

    /// Refuses data other than those that a model was trained on; `run` is its folder.
    ///
    /// # Errors
    /// [`RecError::Input`] with the recorded fingerprint.
    pub fn check_trained(&self, recommender: &Recommender, run: &Path) -> Result<()> {
        let recorded = recommender.facts().get("fingerprint").and_then(Value::as_str);
        if recorded == Some(self.split.fingerprint.as_str()) {
            return Ok(());
        }
        Err(RecError::input(
            Place::file(run),
            "data that are not those that the run was trained on",
            format!("the fingerprint {}", recorded.unwrap_or("of the checkpoint, which has none")),
        )
        .with_todo("restore the files, name them with --data or --train, or train again"))
    }

    /// Refuses whatever cannot be trained. Nothing is written.
    ///
    /// # Errors
    /// [`RecError::Config`] for a run that goes on with other settings;
    /// those of [`Run::check_unread`] for a new one; those of [`Job::check`].
    pub fn prepare(self) -> Result<Prepared> {
        let mut job = self.job()?;
        if let Some(folder) = self.run.destination.begun() {
            job.config_toml = recorded_text(folder, &self.run.resolved, &self.device)?;
        }
        // A run that has begun goes on as it is, and recorded settings were checked when they were
        // new.
        if !self.run.settled && !self.run.destination.resumes() {
            self.run.check_unread()?;
        }
        let data = self.run.resolved.config.data;
        Prepared::new(job, self.run.destination, data, self.load_s)
    }
}
