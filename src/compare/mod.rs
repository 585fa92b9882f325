//! Comparison of models on the same data and the same split, paired over seeds: means, differences
//! with significance tests, and costs.
//!
//! Every run is a training of its own in its own run folder, made by a [`Runner`]; the program's
//! runner starts itself as a child process, so that the memory that a run reports is its own.
//! Folder of a comparison:
//!
//! | path | content |
//! | --- | --- |
//! | `NAME/seed-2020/` | the run folder of a model and a seed |
//! | `NAME/seed-2020.toml` | its complete configuration |
//! | `NAME/seed-2020.log` | what the run said |
//! | `NAME/trial-1/` … | trials of a search, with `.toml` and `.log` |
//! | `compare.json`, `compare.html` | the result |
//!
//! A comparison can be stopped anywhere and resumed: finished runs are taken as they are when their
//! configuration and their data agree, an interrupted one goes on from its checkpoint, a failed one
//! is tried again.

mod collect;
mod contestants;
mod metric;
mod paired;
mod program;
mod runs;
pub(crate) mod search;
pub(crate) mod statistics;
#[cfg(test)]
mod tests;
mod tune;

use std::path::{Path, PathBuf};

use crate::error::{RecError, Result};
use crate::report::{Compared, Comparison, Tuning};
pub(crate) use contestants::Contestant;
pub use program::Program;
pub(crate) use runs::Runner;
pub use search::Search;

/// What to compare.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Run files, two or more, or one; the others are compared with the first.
    pub files: Vec<PathBuf>,
    /// The seeds, one or more.
    pub seeds: Vec<u64>,
    /// The folder of the comparison.
    pub out: PathBuf,
    /// Go on with what is in the folder.
    pub resume: bool,
    /// The metric that is tested; default the one that picks the epoch in the first file.
    pub metric: Option<String>,
    /// Threads of a run; default what the files say.
    pub threads: Option<u32>,
    /// Values set in all files, as in `train.max_epochs=5`.
    pub set: Vec<String>,
    /// The environment, as [`crate::config::Sources`] takes it.
    pub environment: Vec<(String, String)>,
    /// A search for settings before the comparison.
    pub tune: Option<Tune>,
}

/// An equal budget of trials for every file.
#[derive(Debug, Clone)]
pub struct Tune {
    /// Trials per file, its own settings among them; 1 or more.
    pub n_trials: usize,
    /// What may be chosen.
    pub search: Search,
}

impl Plan {
    fn first_seed(&self) -> Result<u64> {
        self.seeds.first().copied().ok_or_else(|| RecError::range("--seeds", 0, "a whole number above 0"))
    }
}

/// Reads the models of a plan and checks that they belong together. Neither needs the plan's folder
/// nor touches it.
///
/// # Errors
/// [`RecError::Config`] for files that do not belong together, with the key; those of reading files
/// and data.
pub fn read(plan: &Plan) -> Result<Vec<Contestant>> {
    let contestants = contestants::read(plan, plan.first_seed()?)?;
    if let Some(tune) = &plan.tune {
        tune::check(tune, &contestants)?;
    }
    Ok(contestants)
}

/// Compares what [`read`] gave for the plan, from the start or from where an earlier call was
/// stopped. `tell` gets a line for whoever watches, now and then.
///
/// # Errors
/// [`RecError::Usage`] for a folder that is taken; [`RecError::Interrupted`] from the runner. A run
/// that fails is no error: the comparison reports it.
pub fn run(
    plan: &Plan,
    mut contestants: Vec<Contestant>,
    runner: &mut dyn Runner,
    tell: &mut dyn FnMut(&str),
) -> Result<Comparison> {
    let first_seed = plan.first_seed()?;
    let lock = runs::claim_folder(plan, &contestants)?;
    lock.warning().iter().for_each(|warning| tell(warning));
    let mut tuned = vec![None; contestants.len()];
    if let Some(tune) = &plan.tune {
        for (contestant, tuned) in contestants.iter_mut().zip(&mut tuned) {
            *tuned = Some(tune::tune(plan, tune, contestant, first_seed, runner, tell)?);
        }
    }
    let n_runs = plan.seeds.len() * contestants.len();
    let mut results = Vec::new();
    for &seed in &plan.seeds {
        // Seeds go round first: a comparison that is stopped has pairs.
        for contestant in &contestants {
            tell(&format!("run {} of {n_runs}: {}, seed {seed}", results.len() + 1, contestant.name));
            let result = runs::run_one(plan, contestant, seed, runner)?;
            tell(&format!("  {}", result.summary(contestants[0].metric)));
            results.push(result);
        }
    }
    let tuning = plan.tune.as_ref().map(|tune| Tuning {
        n_trials: tune.n_trials,
        seed: first_seed,
        metric: contestants[0].config.train.metric.clone(),
        search: tune.search.described(),
    });
    let comparison = collect::collect(plan, contestants, tuned, results, tuning)?;
    runs::write(&plan.out.join("compare.html"), &comparison.to_html())?;
    runs::write(&plan.out.join("compare.json"), &comparison.to_json())?;
    drop(lock);
    Ok(comparison)
}

/// Refuses a comparison that compares nothing: one in which the first model has no finished run, or
/// nobody has. Where other runs failed, what is left stands, and the table says which they are.
///
/// # Errors
/// [`RecError::Failed`] with the number of failed runs and the first reason.
pub fn check_outcome(comparison: &Comparison, out: &Path) -> Result<()> {
    check_models(&comparison.models, out)
}

fn check_models(models: &[Compared], out: &Path) -> Result<()> {
    let Some(first) = models.first().filter(|first| first.n_finished() == 0) else { return Ok(()) };
    let runs = || models.iter().flat_map(|model| &model.runs);
    let (n_runs, n_failed) = (runs().count(), runs().filter(|run| run.error.is_some()).count());
    let reason = first.runs.iter().find_map(|run| run.error.as_deref()).unwrap_or_default();
    let whose = match n_failed == n_runs {
        true => String::new(),
        false => format!(", among them all of {}, which the others are compared with", first.name),
    };
    Err(RecError::Failed {
        place: out.to_path_buf(),
        problem: format!("{n_failed} of {n_runs} runs failed{whose}: {reason}"),
        todo: "mend the run file, remove the failed runs, and go on with --resume".into(),
    })
}
