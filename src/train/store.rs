//! Checkpoints of a training: what `best/` and `last/` hold, and when they are written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::job::Job;
use super::observer::{EpochRecord, Stage};
use super::progress::Progress;
use crate::checkpoint::{self, Contents, EXCLUDE_SEEN, HOLDS, Ids, RECOVERED_FROM, RunFolder};
use crate::data::{self, IdMap, Part};
use crate::error::{RecError, Result};
use crate::models::Scorer;
use crate::models::state::State;

/// The fact that holds a fingerprint of every part of the data.
pub(super) const PARTS: &str = "parts";
/// The fact that names the instruction set; those of a run that moved stand in order, with [`THEN`]
/// between them.
pub(super) const ARITHMETIC: &str = "arithmetic";
const THEN: &str = ", then ";

/// Writes and reads the checkpoints of one run.
pub(crate) struct RunStore {
    /// None for a run of which nothing is kept.
    folder: Option<RunFolder>,
    job: Job,
    arithmetic: String,
    seen: Arc<(Vec<u32>, Vec<u32>)>,
    ids: Ids,
    written: Option<Instant>,
    best_is_new: bool,
}

impl RunStore {
    /// For a folder that was created for this job.
    pub(crate) fn new(folder: RunFolder, job: &Job) -> Self {
        RunStore { folder: Some(folder), ..RunStore::discarding(job) }
    }

    /// For a run that leaves nothing behind.
    pub(crate) fn discarding(job: &Job) -> Self {
        let split = &job.split;
        let (mut ptr, mut seen) = (vec![0], Vec::new());
        for history in split.histories(&[Part::Context, Part::Train, Part::Valid]) {
            seen.extend(history.iter().map(|item| item.0));
            ptr.push(seen.len() as u32);
        }
        let keys = |map: &IdMap| map.keys().map(String::from).collect();
        RunStore {
            seen: Arc::new((ptr, seen)),
            ids: Ids { users: keys(&split.users), items: keys(&split.items), titles: split.titles.clone() },
            job: job.clone(),
            arithmetic: job.device.arithmetic().into(),
            folder: None,
            written: None,
            best_is_new: true,
        }
    }

    /// For a member of this run, which is a run of its own in the folder of this one. What an
    /// interrupted run left of it is kept.
    ///
    /// # Errors
    /// [`RecError::Io`] when the folder cannot be made.
    pub(crate) fn member(&self, name: &str, job: &Job) -> Result<RunStore> {
        let Some(folder) = &self.folder else { return Ok(RunStore::discarding(job)) };
        let folder = RunFolder::create(&folder.member(name), false, true)?;
        folder.write_config(&job.config_toml)?;
        if !checkpoint::exists(&folder.last()) {
            // Epochs that no checkpoint knows of are run again.
            folder.cut_metrics(0)?;
        }
        Ok(RunStore::new(folder, job))
    }

    /// True when an earlier run left a checkpoint to go on from.
    pub(crate) fn can_resume(&self) -> bool {
        self.folder.as_ref().is_some_and(|folder| checkpoint::exists(&folder.last()))
    }

    /// What somebody who stopped the run can do next.
    pub(crate) fn how_to_go_on(&self) -> String {
        let path = self.folder.as_ref().map(RunFolder::path);
        path.map_or_else(String::new, |path| format!("go on with --resume --out {}", path.display()))
    }

    /// True when enough time has passed since the last checkpoint. Time decides only when the
    /// folder is written, never what is in it.
    pub(crate) fn is_due(&self) -> bool {
        self.written.is_none_or(|at| at.elapsed().as_secs_f64() >= self.job.train.checkpoint_seconds)
    }

    /// Notes that the best model is not the one in `best/`.
    pub(crate) fn best_changed(&mut self) {
        self.best_is_new = true;
    }

    /// Appends a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub(crate) fn append_metrics(&mut self, record: &EpochRecord) -> Result<()> {
        let line = serde_json::to_value(record).expect("a record of numbers and names should be JSON");
        self.folder.as_ref().map_or(Ok(()), |folder| folder.append_metrics(&line))
    }

    /// Writes `best/`, unless it holds this model already.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub(crate) fn save_best(&mut self, scorer: &dyn Scorer, progress: &Progress) -> Result<()> {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.best_is_new) {
            let contents = self.contents("scorer", scorer.model(), scorer.state(), progress);
            checkpoint::save(&folder.best(), &contents)?;
            self.best_is_new = false;
        }
        // There is a model now that can answer in the place of another.
        self.folder.as_mut().map_or(Ok(()), RunFolder::take_place)
    }

    /// The folder, which is another one than at the start where the run has taken another's place.
    pub(crate) fn into_folder(self) -> Option<RunFolder> {
        self.folder
    }

    /// Writes `last/`.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub(crate) fn save_last(&mut self, state: State, progress: &Progress) -> Result<()> {
        if let Some(folder) = &self.folder {
            let contents = self.contents("learner", self.job.model.name(), state, progress);
            checkpoint::save(&folder.last(), &contents)?;
        }
        self.written = Some(Instant::now());
        Ok(())
    }

    /// The model in `best/`, which is the one that `progress` speaks of or a later one: a later one
    /// is found again by the steps that follow.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when it is damaged, or when only an older one is left.
    pub(crate) fn load_best(&mut self, progress: &Progress) -> Result<Box<dyn Scorer>> {
        let folder = self.folder.as_ref().expect("only a run that was resumed should load: it has a folder");
        let contents = checkpoint::load(&folder.best())?;
        let refuse = |problem: String| {
            RecError::checkpoint(folder.best(), problem, "restore the folder from a copy, or start again with --force")
        };
        let saved = Progress::read(contents.facts.get("progress"), &self.job).map_err(refuse)?;
        let place = |progress: &Progress| (progress.stage, progress.best.as_ref().map_or(0, |best| best.epoch));
        let ((_, found), (_, expected)) = (place(&saved), place(progress));
        if place(&saved) < place(progress) {
            let reason = contents.facts.get(RECOVERED_FROM).and_then(Value::as_str).unwrap_or("the folder itself");
            return Err(refuse(format!(
                "the best model so far is that of epoch {expected}, and what is left is that of epoch {found}, from {reason}"
            )));
        }
        self.best_is_new = false;
        // Judged where the others were: another device may round a score to another bit.
        contents.scorer(&self.job.device)
    }

    /// What is in `last/`, after `metrics.jsonl` was cut back to it. `None` when there is no
    /// checkpoint yet.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when it is damaged or belongs to other data or another
    /// configuration.
    pub(crate) fn load_last(&mut self) -> Result<Option<Resumed>> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let last = folder.last();
        if !checkpoint::exists(&last) {
            folder.cut_metrics(0)?;
            return Ok(None);
        }
        let contents = checkpoint::load(&last)?;
        let refuse = |problem: String, todo: &str| RecError::checkpoint(last.clone(), problem, todo);
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
        let progress = Progress::read(contents.facts.get("progress"), &self.job)
            .map_err(|problem| refuse(problem, "start again with --force"))?;
        folder.cut_metrics(progress.metrics_lines)?;
        check_order(&folder.read_metrics()?).map_err(|problem| {
            RecError::checkpoint(folder.path().join("metrics.jsonl"), problem, "start again with --force")
        })?;
        let mut warnings = Vec::new();
        if let Some(from) = fact(RECOVERED_FROM).as_str() {
            warnings.push(format!("the newest checkpoint cannot be used; going on from {from}"));
        }
        warnings.extend(self.change_arithmetic(fact(ARITHMETIC).as_str().unwrap_or("an unknown instruction set")));
        Ok(Some(Resumed { state: contents.state, progress, warnings }))
    }

    /// Notes on which instruction sets the run computed before this process; a warning when this
    /// one is another.
    fn change_arithmetic(&mut self, recorded: &str) -> Option<String> {
        let here = self.job.device.arithmetic();
        if recorded.rsplit(THEN).next() == Some(&*here) {
            self.arithmetic = recorded.into();
            return None;
        }
        self.arithmetic = format!("{recorded}{THEN}{here}");
        Some(format!(
            "warning: the run computed with {recorded} so far, this machine computes with {here}: \
             the result may differ in its last bits from that of a run which stayed on one machine"
        ))
    }

    /// The first thing that a recorded checkpoint puts around its model and this job would not: its
    /// name, those of users and items, titles, what users have met, whether that is recommended.
    pub(super) fn other_surroundings(&self, recorded: &Contents) -> Option<String> {
        let (model, exclude_seen) = (self.job.model.name(), self.job.eval.exclude_seen);
        if recorded.model != model {
            return Some(format!("the model is {model} and in the run {}", recorded.model));
        }
        let excluded = recorded.facts.get(EXCLUDE_SEEN).and_then(Value::as_bool);
        if excluded != Some(exclude_seen) {
            let excluded = excluded.map_or("nothing".into(), |excluded| excluded.to_string());
            return Some(format!("{EXCLUDE_SEEN} is {exclude_seen} and in the run {excluded}"));
        }
        if recorded.config_toml != self.job.config_toml {
            return Some("the configurations in the run's checkpoints are not the same".into());
        }
        let names = [
            ("user", &self.ids.users, &recorded.ids.users),
            ("item", &self.ids.items, &recorded.ids.items),
            ("the title of item", &self.ids.titles, &recorded.ids.titles),
        ];
        names.into_iter().find_map(|(what, here, there)| other_name(what, here, there)).or_else(|| {
            let (ptr, items) = &*self.seen;
            let same = recorded.seen.as_ref().is_some_and(|(p, i)| p == ptr && i == items);
            (!same).then(|| "the seen items are not those of the data".into())
        })
    }

    fn contents(&self, holds: &str, model: &str, state: State, progress: &Progress) -> Contents {
        let job = &self.job;
        let facts = [
            (HOLDS, json!(holds)),
            (EXCLUDE_SEEN, json!(job.eval.exclude_seen)),
            ("seed", json!(job.seed.0)),
            ("fingerprint", json!(job.split.fingerprint)),
            ("device", json!(job.device.name())),
            (PARTS, json!(BTreeMap::from_iter(data::part_fingerprints(&job.split)))),
            (ARITHMETIC, json!(self.arithmetic)),
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

/// Refuses epochs that do not follow each other: two trainings have written into one folder.
fn check_order(lines: &[Value]) -> Result<(), String> {
    let place = |line: &Value| {
        let stage = serde_json::from_value::<Stage>(line["stage"].clone()).ok()?;
        Some((stage, line["epoch"].as_u64()?))
    };
    let mut before: Option<(Stage, u64)> = None;
    for (number, line) in (1..).zip(lines) {
        let (stage, epoch) = place(line).ok_or_else(|| format!("line {number} names no stage and no epoch"))?;
        let follows = match before {
            Some((stage_before, epoch_before)) if stage_before == stage => epoch == epoch_before + 1,
            Some((stage_before, _)) => stage > stage_before && epoch == 1,
            None => epoch == 1,
        };
        if !follows {
            let of = |(stage, epoch): (Stage, u64)| format!("epoch {epoch} of stage {}", stage.name());
            let after = before.map_or_else(|| "the beginning".into(), of);
            let here = of((stage, epoch));
            return Err(format!("line {number} is {here} after {after}: two trainings wrote into this folder"));
        }
        before = Some((stage, epoch));
    }
    Ok(())
}

fn other_name(what: &str, here: &[String], there: &[String]) -> Option<String> {
    if here.len() != there.len() {
        return Some(format!("the data have {} names of the kind {what}, the run {}", here.len(), there.len()));
    }
    let at = here.iter().zip(there).position(|(here, there)| here != there)?;
    Some(format!("{what} {at} is {:?} and in the run {:?}", here[at], there[at]))
}

/// A run as its last checkpoint has it.
pub(crate) struct Resumed {
    /// The learner's state.
    pub state: State,
    /// Where the run stands.
    pub progress: Progress,
    /// What the user should know before it goes on.
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests;
