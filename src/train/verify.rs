//! Reproducibility check of a training: a recorded run is repeated, and data, losses, validation
//! metrics and final weights are compared bit for bit. Only seconds are left out.

use serde_json::Value;

use super::job::Job;
use super::observer::{EpochRecord, Observer, StagePlan};
use super::outcome::Outcome;
use super::progress::Progress;
use super::stages::run;
use super::stop::Stop;
use super::store::{ARITHMETIC, PARTS, RunStore};
use crate::checkpoint::{self, Contents, RunFolder};
use crate::data;
use crate::error::{RecError, Result};
use crate::models::state::{State, Tensor};

/// Asks the trainer to stop because enough was seen. Never an exit code of the program: nobody else
/// sees it.
const ENOUGH: u8 = 1;

/// What a comparison without a difference has compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Epochs whose loss and validation metrics were equal, over all stages.
    pub n_epochs: usize,
    /// True when the run was repeated to its end and its final weights were equal too.
    pub complete: bool,
    /// The test metrics of the repeated run, when it is complete.
    pub test: Option<crate::eval::Metrics>,
}

/// Repeats the run in `folder`, or its first `steps` steps (whole epochs are compared, at least
/// one).
///
/// # Errors
/// [`RecError::Different`] with the first difference; [`RecError::Checkpoint`] when the recorded
/// run is damaged; [`RecError::Missing`] when there is none; [`RecError::Interrupted`] when `stop`
/// was asked for from outside; those of the training.
pub(crate) fn verify(
    job: &Job,
    folder: &RunFolder,
    steps: Option<u64>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Verdict> {
    let recorded = Recorded::read(folder, job)?;
    let differ = |what: String, todo: String| RecError::Different { run: folder.path().to_path_buf(), what, todo };
    let mut store = RunStore::discarding(job);
    for contents in recorded.best.iter().chain([&recorded.newest]) {
        if let Some(what) = other_data(job, contents) {
            return Err(differ(what, "restore the files that the run was trained on".into()));
        }
        if let Some(what) = store.other_surroundings(contents) {
            return Err(differ(what, "the run folder was changed after its training; train again".into()));
        }
    }
    let mut comparison = Comparison {
        recorded: &recorded,
        next: 0,
        n_steps: 0,
        limit: steps,
        difference: None,
        enough: false,
        stop,
        observer,
    };
    let result = run(job, &mut store, false, &mut comparison, stop);
    let (n_epochs, enough) = (comparison.next, comparison.enough);
    let difference = comparison.difference.take();
    let test = match result {
        Err(RecError::Interrupted { .. }) if enough => None,
        Err(error) => return Err(error),
        Ok(outcome) => match difference.clone().or_else(|| recorded.other_end(&outcome, n_epochs)) {
            None => return Ok(Verdict { n_epochs, complete: recorded.done, test: outcome.test }),
            Some(what) => return Err(differ(what, recorded.excuse(job))),
        },
    };
    match difference {
        Some(what) => Err(differ(what, recorded.excuse(job))),
        None => Ok(Verdict { n_epochs, complete: false, test }),
    }
}

/// What a run left behind.
struct Recorded {
    lines: Vec<Value>,
    best: Option<Contents>,
    /// The newer of the two checkpoints: its facts tell how far the run came.
    newest: Contents,
    done: bool,
}

impl Recorded {
    fn read(folder: &RunFolder, job: &Job) -> Result<Self> {
        let load = |path| if checkpoint::exists(path) { checkpoint::load(path).map(Some) } else { Ok(None) };
        let (best, last) = (load(&folder.best())?, load(&folder.last())?);
        let Some(newest) = last.or_else(|| best.clone()) else {
            return Err(RecError::missing(
                "checkpoint in",
                folder.path().display().to_string(),
                "there is nothing to compare with; train first",
            ));
        };
        let progress = Progress::read(newest.facts.get("progress"), job).map_err(|problem| {
            RecError::checkpoint(folder.path(), problem, "it is damaged or of another version; train again")
        })?;
        Ok(Recorded { lines: folder.read_metrics()?, best, done: progress.done, newest })
    }

    /// A difference that shows only at the end of a whole run.
    fn other_end(&self, outcome: &Outcome, n_epochs: usize) -> Option<String> {
        if n_epochs < self.lines.len() {
            return Some(format!("the run recorded {} epochs, repeated it has {n_epochs}", self.lines.len()));
        }
        if !self.done {
            return None;
        }
        match &self.best {
            None => Some("the run is done and has no folder best".into()),
            Some(best) => other_state(&outcome.scorer.state(), &best.state),
        }
    }

    /// Why a difference may be nobody's fault.
    fn excuse(&self, job: &Job) -> String {
        let here = job.device.arithmetic();
        match self.newest.facts.get(ARITHMETIC).and_then(Value::as_str) {
            Some(there) if there != here => {
                format!("the run computed with {there}, this machine computes with {here}, so the last bits may differ")
            }
            _ => String::new(),
        }
    }
}

/// The first part of the data that is not the recorded one.
fn other_data(job: &Job, recorded: &Contents) -> Option<String> {
    let fact = |name: &str| recorded.facts.get(name);
    let parts = data::part_fingerprints(&job.split);
    let changed = |(part, here): &&(&str, String)| {
        fact(PARTS).and_then(|parts| parts.get(part)).and_then(Value::as_str) != Some(here)
    };
    if let Some((part, _)) = parts.iter().find(changed) {
        return Some(match *part {
            "users" | "items" => format!("the data changed: their {part} are not those of the run"),
            part => format!("the data changed: the rows of the part {part} are not those of the run"),
        });
    }
    let fingerprint = fact("fingerprint").and_then(Value::as_str);
    (fingerprint != Some(&job.split.fingerprint)).then(|| "the data changed: another fingerprint".into())
}

/// The first value in which two final models differ.
fn other_state(here: &State, recorded: &State) -> Option<String> {
    for name in recorded.tensors.keys().chain(here.tensors.keys()) {
        let (Some(a), Some(b)) = (here.tensors.get(name), recorded.tensors.get(name)) else {
            return Some(format!("the final weights: only one of the two models has \"{name}\""));
        };
        if let Some(what) = other_tensor(a, b) {
            return Some(format!("the final weights: \"{name}\" {what}"));
        }
    }
    (here.facts != recorded.facts).then(|| "the settings of the final model".into())
}

fn other_tensor(here: &Tensor, recorded: &Tensor) -> Option<String> {
    let (shape, position, values) = match (here, recorded) {
        (Tensor::F32 { shape: s, values: a }, Tensor::F32 { shape, values: b }) if s == shape => {
            let at = a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits())?;
            (shape, at, format!("{} and in the run {}", a[at], b[at]))
        }
        (Tensor::U32 { shape: s, values: a }, Tensor::U32 { shape, values: b }) if s == shape => {
            let at = a.iter().zip(b).position(|(a, b)| a != b)?;
            (shape, at, format!("{} and in the run {}", a[at], b[at]))
        }
        _ => return Some("has another type or shape".into()),
    };
    let width = shape.last().copied().unwrap_or(1).max(1);
    Some(format!("is {values} at row {}, column {}", position / width, position % width))
}

/// Compares every epoch as it is done and ends the run when enough was seen.
struct Comparison<'a> {
    recorded: &'a Recorded,
    /// The next line to compare.
    next: usize,
    n_steps: u64,
    limit: Option<u64>,
    difference: Option<String>,
    enough: bool,
    stop: &'a Stop,
    observer: &'a mut dyn Observer,
}

impl Observer for Comparison<'_> {
    fn on_stage(&mut self, plan: &StagePlan) {
        self.observer.on_stage(plan);
    }

    fn on_step(&mut self, epoch: u64, step: usize, loss: f64) {
        self.n_steps += 1;
        self.observer.on_step(epoch, step, loss);
    }

    fn on_epoch(&mut self, record: &EpochRecord) {
        self.observer.on_epoch(record);
        if self.enough {
            return;
        }
        match self.recorded.lines.get(self.next) {
            Some(line) => self.difference = other_epoch(record, line),
            None if self.recorded.done => {
                self.difference = Some(format!(
                    "the run recorded {} epochs, repeated it goes on with {} epoch {}",
                    self.next,
                    record.stage.name(),
                    record.epoch
                ));
            }
            None => {}
        }
        self.next += usize::from(self.difference.is_none());
        let n_left = self.recorded.lines.len().saturating_sub(self.next);
        let is_past = self.limit.is_some_and(|limit| self.n_steps >= limit) || (!self.recorded.done && n_left == 0);
        if (self.difference.is_some() || is_past) && self.stop.asked().is_none() {
            self.enough = true;
            self.stop.ask(ENOUGH);
        }
    }

    fn on_message(&mut self, message: &str) {
        self.observer.on_message(message);
    }
}

/// The first field in which an epoch differs from its line.
fn other_epoch(record: &EpochRecord, line: &Value) -> Option<String> {
    let here = serde_json::to_value(record).expect("a record of numbers and names should be JSON");
    let differs = |name: &&str| here.get(*name) != line.get(*name);
    let name = ["stage", "epoch", "loss", "valid", "best"].into_iter().find(|name| differs(name))?;
    let (mut name, mut values) = (name.to_string(), (here.get(name), line.get(name)));
    if let (Some(Value::Object(a)), Some(Value::Object(b))) = values
        && let Some(metric) = a.keys().chain(b.keys()).find(|metric| a.get(*metric) != b.get(*metric))
    {
        (name, values) = (metric.clone(), (a.get(metric), b.get(metric)));
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), Value::to_string);
    let (stage, epoch) = (record.stage.name(), record.epoch);
    Some(format!("{stage} epoch {epoch}: {name} is {}, the run recorded {}", shown(values.0), shown(values.1)))
}
