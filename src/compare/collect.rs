//! Results of a comparison: means over seeds, paired differences to the first model, tests, costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use gcnrec_graphs::Seed;
use serde_json::Value;

use super::Plan;
use super::contestants::Contestant;
use super::metric::Tested;
use super::runs::RunResult;
use super::statistics::{Spread, holm, paired_t, sign_flip};
use crate::data::{self, Part, Split};
use crate::error::{RecError, Result};
use crate::recommend::Recommender;
use crate::report::{Compared, Comparison, Cost, Difference, Run, SeedTest, Summary, Tuned, Tuning, UserTest};
use crate::run::{Loaded, Run as Training};
use crate::train;

/// Values of the tested metric by user's name.
type ByUser = BTreeMap<String, f64>;

/// The test metrics of a finished run, and the tested one by user.
type OfSeed = (BTreeMap<String, f64>, ByUser);

/// What is known of a model's finished runs, by seed.
type Scores = BTreeMap<u64, OfSeed>;

/// Puts everything together. `results` come seed by seed, in each the models in their order.
pub fn collect(
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
        let run = run_of(plan, result);
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
        compared.insight = train::insight(&job, recommender.scorer())?;
    }
    let named = |(user, value): (gcnrec_graphs::UserId, f64)| (job.split.users.key(user.0).to_string(), value);
    Ok(by_user.into_iter().map(named).collect())
}

fn run_of(plan: &Plan, result: &RunResult) -> Run {
    let folder = result.folder.strip_prefix(&plan.out).unwrap_or(&result.folder);
    let run = Run { seed: result.seed, folder: folder.display().to_string(), ..Run::default() };
    let report = match &result.report {
        Err(problem) => return Run { error: Some(problem.clone()), ..run },
        Ok(report) => report,
    };
    let metrics = report["metrics"]["test"].as_object();
    let real = |(name, value): (&String, &Value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN));
    Run {
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

fn compare_with_first(models: &mut [Compared], scores: &[Scores], metric: Tested, seed: Seed) {
    let Some((first, others)) = scores.split_first() else { return };
    let mut differences: Vec<Option<Difference>> =
        others.iter().map(|other| difference(first, other, metric, seed)).collect();
    let users: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.users?.p)).collect();
    let seeds: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.seeds?.p)).collect();
    let (mut users, mut seeds) = (holm(&users).into_iter(), holm(&seeds).into_iter());
    for difference in differences.iter_mut().flatten() {
        if let Some(test) = &mut difference.users {
            test.p_corrected = users.next().expect("every test over users should have been corrected");
        }
        if let Some(test) = &mut difference.seeds {
            test.p_corrected = seeds.next().expect("every test over seeds should have been corrected");
        }
    }
    for (compared, difference) in models.iter_mut().skip(1).zip(differences) {
        compared.difference = difference;
    }
}

/// A model against the first on their common seeds.
fn difference(first: &Scores, other: &Scores, metric: Tested, seed: Seed) -> Option<Difference> {
    let common: Vec<(&OfSeed, &OfSeed)> = first.iter().filter_map(|(seed, a)| Some((a, other.get(seed)?))).collect();
    if common.is_empty() {
        return None;
    }
    let of_metric = |name: &str| -> Vec<f64> {
        common.iter().filter_map(|((a, _), (b, _))| Some(b.get(name)? - a.get(name)?)).collect()
    };
    let per_seed = of_metric(&metric.to_string());
    let is_better = |difference: &&f64| if metric.higher_is_better() { **difference > 0.0 } else { **difference < 0.0 };
    let names = common[0].1.0.keys();
    Some(Difference {
        mean: Spread::of(&per_seed).mean,
        metrics: names.map(|name| (name.clone(), Spread::of(&of_metric(name)).mean)).collect(),
        users: metric.over_users().map(|_| over_users(&common, seed)),
        seeds: paired_t(&per_seed).map(|test| SeedTest {
            n: per_seed.len(),
            n_better: per_seed.iter().filter(is_better).count(),
            t: test.t,
            p: test.p,
            p_corrected: test.p,
        }),
        per_seed,
    })
}

/// Two models that are paired by the users of their common seeds.
fn over_users(common: &[(&OfSeed, &OfSeed)], seed: Seed) -> UserTest {
    let mut by_user: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for ((_, a), (_, b)) in common {
        for (user, value) in b {
            if let Some(first) = a.get(user) {
                by_user.entry(user).or_default().push(value - first);
            }
        }
    }
    let users: Vec<f64> = by_user.values().map(|values| Spread::of(values).mean).collect();
    let Spread { mean, deviation } = Spread::of(&users);
    let margin = 1.96 * deviation / (users.len() as f64).sqrt();
    let p = sign_flip(&users, seed);
    UserTest { n: users.len(), low: mean - margin, high: mean + margin, p, p_corrected: p }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ndcg() -> Tested {
        Tested::parse("--metric", "ndcg@20").unwrap()
    }

    fn scores(by_seed: &[(u64, &[(&str, f64)])]) -> Scores {
        let of = |users: &[(&str, f64)]| {
            let mean = users.iter().map(|(_, value)| value).sum::<f64>() / users.len() as f64;
            let by_user = users.iter().map(|&(user, value)| (user.to_string(), value)).collect();
            (BTreeMap::from([("ndcg@20".to_string(), mean)]), by_user)
        };
        by_seed.iter().map(|&(seed, users)| (seed, of(users))).collect()
    }

    #[test]
    fn differences_are_paired_by_seed_and_by_user() {
        let first =
            scores(&[(1, &[("a", 0.5), ("b", 0.25)]), (2, &[("a", 0.5), ("b", 0.75)]), (3, &[("a", 1.0), ("b", 1.0)])]);
        // Seed 3 has failed here. Differences: seed 1 .25 and 0 (mean .125), seed 2 .25 and .25
        // (mean .25).
        let other = scores(&[(1, &[("a", 0.75), ("b", 0.25)]), (2, &[("a", 0.75), ("b", 1.0)])]);
        let difference = difference(&first, &other, ndcg(), Seed(1)).unwrap();
        assert_eq!(difference.per_seed, [0.125, 0.25]);
        assert_eq!(difference.mean, 0.1875);
        // Users: a .25, b .125; two of the four sign patterns are as far away.
        let users = difference.users.unwrap();
        assert_eq!((users.n, users.p), (2, 0.5));
        // Deviation .0884, error .0625, 1.96 of it .1225.
        assert!((users.low - (0.1875 - 0.1225)).abs() < 1e-12, "{}", users.low);
        let seeds = difference.seeds.unwrap();
        assert_eq!((seeds.n, seeds.n_better), (2, 2));
        // Mean .1875, error .0625: t = 3; with one degree P = 1 - 2/pi atan 3 = .2048.
        assert!((seeds.t - 3.0).abs() < 1e-12 && (seeds.p - 0.20483).abs() < 1e-5);
        assert!(super::difference(&first, &Scores::new(), ndcg(), Seed(1)).is_none());
    }

    #[test]
    fn the_correction_counts_every_model_that_could_be_compared() {
        let first = scores(&[(1, &[("a", 0.0), ("b", 0.0), ("c", 0.0)])]);
        let better = scores(&[(1, &[("a", 0.5), ("b", 0.25), ("c", 1.0)])]);
        let mut models = vec![Compared::default(), Compared::default(), Compared::default(), Compared::default()];
        let all = [first, better.clone(), Scores::new(), better];
        compare_with_first(&mut models, &all, ndcg(), Seed(1));
        // Two of eight sign patterns: .25, twice: both are corrected by 2.
        let corrected: Vec<_> =
            models.iter().map(|m| m.difference.as_ref().map(|d| d.users.unwrap().p_corrected)).collect();
        assert_eq!(corrected, [None, Some(0.5), None, Some(0.5)]);
    }

    #[test]
    fn a_metric_of_rows_is_tested_over_seeds_alone_and_less_of_a_loss_is_better() {
        let run = |nll: f64| (BTreeMap::from([("nll".to_string(), nll)]), ByUser::new());
        let first = Scores::from([(1, run(0.5)), (2, run(0.75))]);
        let other = Scores::from([(1, run(0.25)), (2, run(0.625))]);
        let difference = difference(&first, &other, Tested::parse("--metric", "nll").unwrap(), Seed(1)).unwrap();
        assert_eq!((difference.mean, difference.users), (-0.1875, None));
        // -.25 and -.125: mean -.1875, error .0625.
        let seeds = difference.seeds.unwrap();
        assert_eq!((seeds.n_better, seeds.t), (2, -3.0));
    }
}
