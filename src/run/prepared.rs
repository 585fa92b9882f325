//! A run that passed every check and can be trained.

use super::destination::{Destination, Taken};
use super::finished::Finished;
use super::{origin, report};
use crate::checkpoint::FolderLock;
use crate::error::{RecError, Result};
use crate::train::{self, Job, Observer, Outcome, RunStore, Stop};
use crate::{data, debias};

/// A run that passed every check. Nothing is written yet.
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// let prepared = Run::prepare(&sources, Destination::new(&folder))?;
/// assert!(!folder.exists()); // All checks have passed, and nothing is written yet.
/// let finished = prepared.train(&mut Silent, &Stop::default())?;
/// assert!(finished.folder.path().join("report.json").exists());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Prepared {
    job: Job,
    destination: Destination,
    data: data::Config,
    command: Option<String>,
    load_s: f64,
}

impl Prepared {
    /// Checks a job and keeps where it goes; `load_s` are the seconds of reading its data.
    pub(super) fn new(job: Job, destination: Destination, data: data::Config, load_s: f64) -> Result<Prepared> {
        job.check()?;
        Ok(Prepared { job, destination, data, command: None, load_s })
    }

    /// Tells the command line that asked for the run, for its report.
    pub fn with_command(self, command: String) -> Prepared {
        Prepared { command: Some(command), ..self }
    }

    /// A job that was put together in memory, after its checks.
    ///
    /// # Errors
    /// Those of [`Job::check`].
    pub fn of_job(job: Job, into: Destination) -> Result<Prepared> {
        Prepared::new(job, into, data::Config::default(), 0.0)
    }

    /// What will be trained: data, model, loss and settings.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Creates the run folder, trains, judges, and writes checkpoints, report and weights.
    ///
    /// # Errors
    /// Those of the folder, of training, of the report, and of writing them.
    pub fn train(self, observer: &mut dyn Observer, stop: &Stop) -> Result<Finished> {
        let Prepared { job, destination, data, command, load_s } = self;
        // The locks are held until the report is written.
        let Taken { folder, locks } = destination.create(job.model.name())?;
        let warnings: Vec<String> = locks.iter().filter_map(FolderLock::warning).collect();
        warnings.iter().for_each(|warning| observer.on_message(warning));
        folder.write_config(&job.config_toml)?;
        let origin = origin::of(&data, command);
        let mut store = RunStore::new(folder, &job);
        let trained = train::run(&job, &mut store, destination.resumes(), observer, stop);
        let folder = store.into_folder().expect("a store should give back the folder it was made for");
        let outcome = match trained {
            Ok(outcome) => outcome,
            // What was interrupted can go on.
            Err(error @ RecError::Interrupted { .. }) => return Err(error),
            Err(error) => {
                if !destination.resumes() {
                    // The reason to stop is the one to tell.
                    let _ = folder.discard();
                }
                return Err(error);
            }
        };
        let mut report = report::of(&job, &outcome, load_s, &folder)?;
        report.warnings.extend(warnings);
        report.origin = origin;
        if let Some(learned) = &outcome.example_weights {
            let labels = learned.labels.as_ref().map(|labels| labels.as_slice());
            let (users, items) = (&job.split.users, &job.split.items);
            debias::export(&folder.weights(), users, items, &learned.pairs, labels, &learned.weights)?;
        }
        folder.write_report(&report.to_json(), &report.to_html())?;
        drop(locks);
        Ok(Finished { report, outcome, folder, job })
    }

    /// Trains and judges, and leaves no folder behind.
    ///
    /// # Errors
    /// Those of training.
    pub fn train_in_memory(&self, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome> {
        train::run(&self.job, &mut RunStore::discarding(&self.job), false, observer, stop)
    }
}
