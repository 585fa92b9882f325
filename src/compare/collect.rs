//! Results of a comparison: means over seeds, paired differences to the first model, tests, costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use gcnrec_graphs::Seed;
use serde_json::Value;

use super::Plan;
use super::contestants::Contestant;
use super::metric::Tested;
use super::paired::{ByUser, Scores, compare_with_first};
use super::runs::RunResult;
use super::statistics::Spread;
use crate::data::{self, Part, Split};
use crate::error::{RecError, Result};
use crate::recommend::Recommender;
use crate::report::{Compared, Comparison, Cost, Run, Summary, Tuned, Tuning};
use crate::run::{Loaded, Run as Training};
use crate::train;

/// Puts everything together. `results` come seed by seed, in each the models in their order.
pub(crate) fn collect(
    plan: &Plan,
    contestants: Vec<Contestant>,
    tuned: Vec<Option<Tuned>>,
    results: Vec<RunResult>,
    tuning: Option<Tuning>,
) -> Result<Comparison> {
    let metric = contestants[0].metric;
    let n = contestants.len();
    let mut data = Data::default();
    let mut scores: Vec<Scores> = vec![Scores::new(); n];
    let mut models: Vec<Compared> = Vec::new();
    let mut warnings = Vec::new();
    for (contestant, tuned) in contestants.iter().zip(tuned) {
        let (name, model) = (contestant.name.clone(), contestant.config.model.name().to_string());
        models.push(Compared {
            name,
            file: contestant.file.display().to_string(),
            model,
            tuned,
            ..Compared::default()
        });
    }
    for (at, result) in results.iter().enumerate().map(|(position, result)| (position % n, result)) {
        let run = run_of(plan, result, &metric.to_string());
        if let Ok(report) = &result.report {
            let is_first = models[at].n_finished() == 0;
            let by_user = look(&mut data, result, metric, is_first.then_some(&mut models[at]))?;
            if is_first {
                shown_of(report, &mut models[at]);
            }
            scores[at].insert(result.seed, (run.metrics.clone(), by_user));
        }
        models[at].runs.push(run);
    }
    for (compared, scores) in models.iter_mut().zip(&scores) {
        compared.metrics = summaries(scores);
        compared.cost = cost(compared, &results);
    }
    compare_with_first(&mut models, &scores, metric, Seed(plan.seeds[0]));
    let reported = results.iter().find_map(|result| result.report.as_ref().ok());
    let of_report = |key: &str| reported.map(|report| report[key].clone()).unwrap_or_default();
    warnings.extend(closed_form_warning(&contestants));
    Ok(Comparison {
        schema: 1,
        gcnrec: env!("CARGO_PKG_VERSION").into(),
        metric: metric.to_string(),
        seeds: plan.seeds.clone(),
        dataset: serde_json::from_value(of_report("dataset")).unwrap_or_default(),
        protocol: serde_json::from_value(of_report("protocol")).unwrap_or_default(),
        tuning,
        // Of a report of an older version there is none.
        popularity: serde_json::from_value(of_report("popularity")["test"].clone()).unwrap_or_default(),
        models,
        warnings,
    })
}

/// Models that are trained by steps learn from the training pairs alone where `refit` is off;
/// closed forms always learn from the validation pairs too.
fn closed_form_warning(contestants: &[Contestant]) -> Option<String> {
    // Labelled rows are nobody's to learn from.
    let closed = contestants.iter().find(|one| one.config.model.is_closed_form() && !one.labelled)?;
    let trained = contestants
        .iter()
        .find(|contestant| !contestant.config.model.is_closed_form() && !contestant.config.train.refit)?;
    Some(format!(
        "{} learns from the validation pairs too, {} does not: set train.refit for an equal chance",
        closed.name, trained.name
    ))
}

/// The data of the seed at hand, so that models on the same data share them.
#[derive(Default)]
struct Data {
    latest: Option<(data::Config, u64, Arc<Split>)>,
}

impl Data {
    /// A finished run with its data.
    fn of(&mut self, result: &RunResult) -> Result<Loaded> {
        let training = Training::settled(result.config.clone()).on_cpu();
        let (config, seed) = (&result.config.data, result.seed);
        if let Some((latest, its_seed, split)) = &self.latest
            && latest == config
            && *its_seed == seed
        {
            return training.with_split(split.clone());
        }
        let loaded = training.load()?;
        self.latest = Some((config.clone(), seed, loaded.split().clone()));
        Ok(loaded)
    }
}

/// Opens a finished run's model and judges every user, where the metric has a value for one; for
/// the page the groups and the lists too.
fn look(data: &mut Data, result: &RunResult, metric: Tested, page: Option<&mut Compared>) -> Result<ByUser> {
    let job = data.of(result)?.job()?;
    let recommender = Recommender::open(&result.folder)?;
    let missing = || {
        RecError::missing(
            "part",
            "test",
            "models are compared on a test part: name one with data.test or split one off",
        )
    };
    let evaluation = job.evaluator(Part::Test, &[Part::Train, Part::Valid])?.ok_or_else(missing)?;
    let by_user = match metric.over_users() {
        Some(metric) => evaluation.by_user(recommender.scorer(), metric)?,
        None => Vec::new(),
    };
    if let Some(compared) = page {
        compared.insight = train::analyse(&job, recommender.scorer())?.insight;
    }
    let named = |(user, value): (gcnrec_graphs::UserId, f64)| (job.split.users.key(user.0).to_string(), value);
    Ok(by_user.into_iter().map(named).collect())
}

fn run_of(plan: &Plan, result: &RunResult, tested: &str) -> Run {
    let folder = result.folder.strip_prefix(&plan.out).unwrap_or(&result.folder);
    let run = Run { seed: result.seed, folder: folder.display().to_string(), ..Run::default() };
    let report = match &result.report {
        Err(problem) => return Run { error: Some(problem.clone()), ..run },
        Ok(report) => report,
    };
    let metrics = report["metrics"]["test"].as_object();
    let real = |(name, value): (&String, &Value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN));
    let error = report["standard_errors"][tested].as_f64();
    let value = metrics.and_then(|metrics| metrics.get(tested)?.as_f64());
    Run {
        interval: value.zip(error).map(|(value, error)| (value - 1.96 * error, value + 1.96 * error)),
        best_epoch: report["best_epoch"].as_u64().unwrap_or(0),
        metrics: metrics.into_iter().flatten().map(real).collect(),
        train_s: report["timing"]["train_s"].as_f64().unwrap_or(f64::NAN),
        evaluate_s: report["timing"]["evaluate_s"].as_f64().unwrap_or(f64::NAN),
        peak_rss_mb: report["peak_rss_mb"].as_u64().unwrap_or(0),
        ..run
    }
}

/// What the page shows of a model's first finished run.
fn shown_of(report: &Value, compared: &mut Compared) {
    // A report of an older version may lack these; then the page does without.
    compared.learning_curve = serde_json::from_value(report["learning_curve"].clone()).unwrap_or_default();
    compared.layer_weights = serde_json::from_value(report["layer_weights"].clone()).ok();
}

fn summaries(scores: &Scores) -> BTreeMap<String, Summary> {
    let mut by_metric: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (name, &value) in scores.values().flat_map(|(metrics, _)| metrics) {
        by_metric.entry(name).or_default().push(value);
    }
    let summary = |values: &[f64]| {
        let Spread { mean, deviation } = Spread::of(values);
        // One value has no deviation.
        let deviation = if values.len() > 1 { deviation } else { f64::NAN };
        Summary { mean, deviation, n: values.len() }
    };
    by_metric.into_iter().map(|(name, values)| (name.clone(), summary(&values))).collect()
}

fn cost(compared: &Compared, results: &[RunResult]) -> Cost {
    let finished: Vec<&Run> = compared.runs.iter().filter(|run| run.error.is_none()).collect();
    let seconds: Vec<f64> = finished.iter().map(|run| run.train_s).collect();
    let folder = |run: &Run, result: &&RunResult| result.seed == run.seed && result.folder.ends_with(&run.folder);
    let n_parameters = |run: &&Run| {
        let result = results.iter().find(|result| folder(run, result))?;
        result.report.as_ref().ok()?["n_parameters"].as_u64()
    };
    Cost {
        train_s: if seconds.is_empty() { 0.0 } else { Spread::of(&seconds).mean },
        peak_rss_mb: finished.iter().map(|run| run.peak_rss_mb).max().unwrap_or(0),
        n_parameters: finished.iter().find_map(n_parameters).unwrap_or(0),
    }
}
