//! Random search for hyperparameters: the same number of trials for every model, judged on the
//! validation part alone.

use std::collections::BTreeMap;

use gcnrec_graphs::Seed;

use super::contestants::{Contestant, configured, loaded};
use super::runs::{self, Runner};
use super::{Plan, Tune};
use crate::config::Config;
use crate::data::Part;
use crate::error::{RecError, Result};
use crate::models::Fit;
use crate::report::{Trial, Tuned};
use crate::run::Loaded;
use crate::train::Selection;

/// Draws for one trial before the search is taken for exhausted: lists of few values have few
/// combinations.
const DRAWS: u64 = 100;

/// Searches, and leaves the best settings in `contestant.chosen`. The first trial is the file's own
/// settings; no settings are tried twice.
pub(crate) fn tune(
    plan: &Plan,
    tune: &Tune,
    contestant: &mut Contestant,
    seed: u64,
    runner: &mut dyn Runner,
    tell: &mut dyn FnMut(&str),
) -> Result<Tuned> {
    let selection = Selection::parse(&contestant.config.train.metric)?;
    let keys: Vec<&str> = tune.search.keys().filter(|key| fits(key, &contestant.config)).collect();
    let (mut trials, mut tried): (Vec<Trial>, Vec<Config>) = (Vec::new(), Vec::new());
    let mut n_draws = 0;
    while trials.len() < tune.n_trials {
        let drawn = match trials.is_empty() {
            true => Some(BTreeMap::new()),
            false => new_draw(plan, tune, contestant, &keys, seed, &tried, &mut n_draws)?,
        };
        let Some(values) = drawn else { break };
        let set = as_set(&values);
        tried.push(configured(plan, &contestant.file, &set, seed)?.config().clone());
        let n = trials.len() + 1;
        let shown = if set.is_empty() { "its own settings".to_string() } else { set.join(", ") };
        tell(&format!("trial {n} of {}: {}, {shown}", tune.n_trials, contestant.name));
        let valid = on_validation(plan, contestant, &set, seed, (n, &selection), runner)?;
        tell(&match &valid {
            Ok(value) => format!("  {} on validation {value:.4}", selection.name),
            Err(problem) => format!("  failed: {problem}"),
        });
        trials.push(Trial { values, valid: valid.as_ref().ok().copied(), error: valid.err() });
    }
    // Of equals the earliest: the file's own settings stay unless something is better.
    let mut best: Option<(f64, usize)> = None;
    for (n, value) in trials.iter().enumerate().filter_map(|(n, trial)| Some((n, trial.valid?))) {
        if best.is_none_or(|(best_value, _)| selection.improves(value, best_value)) {
            best = Some((value, n));
        }
    }
    let values = best.map_or_else(BTreeMap::new, |(_, n)| trials[n].values.clone());
    contestant.chosen = as_set(&values);
    Ok(Tuned { values, trials })
}

/// Values that no earlier trial had; nothing when there seem to be none left.
fn new_draw(
    plan: &Plan,
    tune: &Tune,
    contestant: &Contestant,
    keys: &[&str],
    seed: u64,
    tried: &[Config],
    n_draws: &mut u64,
) -> Result<Option<BTreeMap<String, String>>> {
    if keys.is_empty() {
        return Ok(None);
    }
    for _ in 0..DRAWS {
        let values = tune.search.draw(keys, Seed(seed), *n_draws);
        *n_draws += 1;
        let drawn = configured(plan, &contestant.file, &as_set(&values), seed)?;
        // What nobody reads makes no other model.
        if drawn.check_unread().is_ok() && !tried.contains(drawn.config()) {
            return Ok(Some(values));
        }
    }
    Ok(None)
}

/// Refuses a search with a key that fits none of the models: most likely a typing error.
///
/// # Errors
/// [`RecError::Config`] with the key.
pub(crate) fn check(tune: &Tune, contestants: &[Contestant]) -> Result<()> {
    let fits_none = |key: &&str| !contestants.iter().any(|contestant| fits(key, &contestant.config));
    match tune.search.keys().find(fits_none) {
        None => Ok(()),
        Some(key) => Err(RecError::range(
            key,
            "a key that fits none of the files",
            "a key of a model, a loss or the training of one of them",
        )
        .with_origin(tune.search.origin())
        .with_todo("take it out, or add a file that it fits")),
    }
}

/// True when a model reads a key. What decides how models are judged is never searched.
fn fits(key: &str, config: &Config) -> bool {
    let parts: Vec<&str> = key.split('.').collect();
    match parts[..] {
        ["model", name, _, ..] => name == config.model.name(),
        ["objective", name, _, ..] => config.objective.as_ref().is_some_and(|objective| objective.name() == name),
        ["train", name] => !config.model.is_closed_form() && !["metric", "refit"].contains(&name),
        _ => false,
    }
}

fn as_set(values: &BTreeMap<String, String>) -> Vec<String> {
    values.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// The metric on the validation part of a model that has learnt from the training part alone, or
/// why there is none.
fn on_validation(
    plan: &Plan,
    contestant: &Contestant,
    set: &[String],
    seed: u64,
    (n, selection): (usize, &Selection),
    runner: &mut dyn Runner,
) -> Result<std::result::Result<f64, String>> {
    let loaded = loaded(plan, contestant, set, seed)?;
    if loaded.split().valid.is_empty() {
        return Err(RecError::range("data.valid_fraction", "no validation part", "one: a search is judged on it")
            .with_origin(contestant.file.display().to_string())
            .with_todo("raise data.valid_fraction or name data.valid"));
    }
    if loaded.config().model.is_closed_form() {
        return closed_form_on_validation(loaded, selection);
    }
    let mut config = loaded.stored();
    // A model that has learnt from the validation part cannot be judged on it.
    config.train.refit = false;
    let place = plan.out.join(&contestant.name);
    let report = runs::make(plan, &place, &format!("trial-{n}"), &config, &loaded.split().fingerprint, runner)?;
    Ok(report.and_then(|report| {
        let value = report["metrics"]["valid"][&selection.name].as_f64();
        value.ok_or_else(|| format!("its report has no {} on validation", selection.name))
    }))
}

/// A closed form is fitted here: a run of its own would learn from the validation part too.
fn closed_form_on_validation(loaded: Loaded, selection: &Selection) -> Result<std::result::Result<f64, String>> {
    let prepared = loaded.prepare()?;
    let job = prepared.job();
    let (pairs, histories) = (job.train_pairs()?, || job.split.histories(&[Part::Train]));
    let weights = job.split.recency_weights(&pairs);
    let data = Fit { train: &pairs, weights: weights.as_deref(), histories: &histories };
    let fitted = job.model.closed_form().map(|model| model.fit(&data)).transpose();
    let evaluator = job.evaluator(Part::Valid, &[Part::Train])?;
    let (Ok(Some(scorer)), Some(evaluator)) = (&fitted, evaluator) else {
        return Ok(Err(fitted.err().map_or_else(|| "it is no closed form".into(), |error| error.to_string())));
    };
    Ok(match evaluator.evaluate(&**scorer) {
        Ok(metrics) => metrics.get(&selection.name).ok_or_else(|| "the metric is missing".into()),
        Err(error) => Err(error.to_string()),
    })
}
