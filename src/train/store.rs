//! The run folder as training sees it: what goes into `best/` and `last/`, and when.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::job::Job;
use super::observer::EpochRecord;
use super::progress::Progress;
use crate::checkpoint::{self, Contents, EXCLUDE_SEEN, HOLDS, Ids, RunFolder};
use crate::data::{IdMap, Part};
use crate::error::{RecError, Result};
use crate::models::state::State;
use crate::models::{Scorer, load_scorer};

/// Writes and reads the checkpoints of one run.
pub struct RunStore {
    folder: RunFolder,
    job: Job,
    seen: Arc<(Vec<u32>, Vec<u32>)>,
    ids: Ids,
    written: Option<Instant>,
    best_is_new: bool,
}

impl RunStore {
    /// For a folder that was created for this job.
    ///
    /// # Errors
    /// [`RecError::Graph`] when the split holds ids out of range.
    pub fn new(folder: RunFolder, job: &Job) -> Result<Self> {
        let split = &job.split;
        let seen = split.joint_interactions(&[Part::Train, Part::Valid])?;
        let keys = |map: &IdMap| map.keys().map(String::from).collect();
        Ok(RunStore {
            seen: Arc::new((seen.user_ptr().to_vec(), seen.item_ids().to_vec())),
            ids: Ids { users: keys(&split.users), items: keys(&split.items), titles: split.titles.clone() },
            job: job.clone(),
            folder,
            written: None,
            best_is_new: true,
        })
    }

    /// The run folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// True when enough time has passed since the last checkpoint. Time decides only when the folder is written, never what is in it.
    pub fn is_due(&self) -> bool {
        self.written.is_none_or(|at| at.elapsed().as_secs_f64() >= self.job.train.checkpoint_seconds)
    }

    /// Notes that the best model is not the one in `best/`.
    pub fn best_changed(&mut self) {
        self.best_is_new = true;
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub fn append_metrics(&mut self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_value(record).expect("a record of numbers and names should be JSON");
        self.folder.append_metrics(&line)
    }

    /// Writes `best/`, unless it holds this model already.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub fn save_best(&mut self, scorer: &dyn Scorer, progress: &Progress) -> Result<()> {
        if self.best_is_new {
            let contents = self.contents("scorer", scorer.model(), scorer.state(), progress);
            checkpoint::save(&self.folder.best(), &contents)?;
            self.best_is_new = false;
        }
        Ok(())
    }

    /// Writes `last/`.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub fn save_last(&mut self, state: State, progress: &Progress) -> Result<()> {
        let contents = self.contents("learner", self.job.model.name(), state, progress);
        checkpoint::save(&self.folder.last(), &contents)?;
        self.written = Some(Instant::now());
        Ok(())
    }

    /// The model in `best/`.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`].
    pub fn load_best(&mut self) -> Result<Box<dyn Scorer>> {
        let contents = checkpoint::load(&self.folder.best())?;
        self.best_is_new = false;
        load_scorer(&contents.model, &contents.state)
    }

    /// The learner's state and the progress in `last/`, after `metrics.jsonl` was cut back to it. `None` when there is no checkpoint yet.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when it is damaged or belongs to other data or another configuration.
    pub fn load_last(&mut self) -> Result<Option<(State, Progress)>> {
        let last = self.folder.last();
        if !checkpoint::exists(&last) {
            self.folder.cut_metrics(0)?;
            return Ok(None);
        }
        let contents = checkpoint::load(&last)?;
        let refuse =
            |problem: String, todo: &str| RecError::Checkpoint { path: last.clone(), problem, todo: todo.into() };
        let fact = |name: &str| contents.facts.get(name).cloned().unwrap_or(Value::Null);
        if fact("fingerprint") != json!(self.job.split.fingerprint) {
            return Err(refuse(
                "the data are not those that the run began with".into(),
                "give the same files, or start again with --force",
            ));
        }
        if contents.config_toml != self.job.config_toml {
            return Err(refuse(
                "the configuration is not the one that the run began with".into(),
                "leave the flags away that differ, or start again with --force",
            ));
        }
        let progress: Progress = serde_json::from_value(fact("progress"))
            .map_err(|e| refuse(format!("its progress cannot be read: {e}"), "start again with --force"))?;
        self.folder.cut_metrics(progress.metrics_lines)?;
        Ok(Some((contents.state, progress)))
    }

    fn contents(&self, holds: &str, model: &str, state: State, progress: &Progress) -> Contents {
        let job = &self.job;
        let facts = [
            (HOLDS, json!(holds)),
            (EXCLUDE_SEEN, json!(job.eval.exclude_seen)),
            ("seed", json!(job.seed.0)),
            ("fingerprint", json!(job.split.fingerprint)),
            ("device", json!(job.device.name())),
            ("arithmetic", json!(job.device.arithmetic())),
            ("progress", serde_json::to_value(progress).expect("progress should be JSON")),
        ];
        Contents {
            model: model.into(),
            state,
            ids: self.ids.clone(),
            seen: Some((self.seen.0.clone(), self.seen.1.clone())),
            config_toml: job.config_toml.clone(),
            facts: facts.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
        }
    }
}
