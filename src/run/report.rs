//! The report of a run: data, protocol, metrics, time, memory and warnings.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checkpoint::RunFolder;
use crate::config::Config;
use crate::data::Part;
use crate::error::Result;
use crate::eval::{Metrics, SelectedOn};
use crate::report::{Changed, CurvePoint, DatasetFacts, ProtocolFacts, Report, Stage, Timing};
use crate::train::{self, Job, Outcome};

/// Gathers everything that a run says about itself; `load_s` are the seconds of reading its data.
///
/// # Errors
/// Those of reading `metrics.jsonl` back.
pub(super) fn of(job: &Job, outcome: &Outcome, load_s: f64, folder: &RunFolder) -> Result<Report> {
    let split = &job.split;
    let mut report = Report::new(job.model.name(), job.seed.0, job.device.name());
    report.dataset = DatasetFacts {
        fingerprint: split.fingerprint.clone(),
        n_users: split.n_users(),
        n_items: split.n_items(),
        n_train: split.train.len(),
        n_learnt: split.train.len() + if outcome.protocol.refit { split.valid.len() } else { 0 },
        n_valid: split.valid.len(),
        n_test: split.test.len(),
    };
    report.reading = split.files.clone();
    report.protocol = ProtocolFacts {
        candidates: outcome.protocol.candidates.to_string(),
        exclude_seen: outcome.protocol.exclude_seen,
        selected_on: match outcome.protocol.selected_on {
            SelectedOn::Valid => "valid",
            SelectedOn::None => "none",
            SelectedOn::Uniform => "uniform",
        }
        .into(),
        refit: outcome.protocol.refit,
        n_eval_users: outcome.protocol.n_eval_users,
    };
    (report.best_epoch, report.epochs_run) = (outcome.best_epoch, outcome.epochs_run);
    let parts = [("valid", &outcome.valid), ("test", &outcome.test)];
    report.metrics =
        parts.into_iter().filter_map(|(part, metrics)| Some((part.into(), named(metrics.as_ref()?)))).collect();
    for undefined in &outcome.undefined {
        report.metrics.entry(undefined.part.into()).or_default().insert(undefined.metric.clone(), f64::NAN);
    }
    report.popularity = train::popularity(job)?.into_iter().map(|(part, worth)| (part, named(&worth))).collect();
    let lines = folder.read_metrics()?;
    report.timing = Timing {
        load_s,
        train_s: outcome.train_s,
        epoch_s_median: median_seconds(&lines).unwrap_or(outcome.epoch_s_median),
        evaluate_s: outcome.evaluate_s,
    };
    report.evaluation_share = outcome.evaluation_share;
    report.peak_rss_mb = peak_rss_mb();
    report.n_parameters = outcome.n_parameters;
    let analysis = train::analyse(job, &*outcome.scorer)?;
    (report.insight, report.standard_errors) = (analysis.insight, analysis.standard_errors);
    report.layer_weights = outcome.layer_weights.clone();
    report.example_weights = outcome.example_weights.as_ref().map(|learned| learned.table.clone()).unwrap_or_default();
    if outcome.protocol.selected_on != SelectedOn::None {
        report.selection_metric = Some(job.train.metric.clone());
    }
    report.learning_curve = learning_curve(&lines, &job.train.metric);
    report.stages = stages(job, outcome)?;
    (report.config, report.changed) = settings(&job.config_toml)?;
    report.warnings = job.notes()?;
    report.warnings.extend(outcome.warnings.clone());
    report.warnings.extend(outcome.undefined.iter().map(ToString::to_string));
    // Labelled rows are judged one by one, and nothing is left out of them.
    if split.n_overlap > 0 && job.eval.exclude_seen && !split.labelled {
        report.warnings.push(format!(
            "{} test pairs are also in the training or the validation part; they stay in the denominator and cannot be found; \
             where items return, set eval.exclude_seen = false",
            split.n_overlap
        ));
    }
    Ok(report)
}

/// The complete configuration, and what of it is not a default.
fn settings(config_toml: &str) -> Result<(Value, Vec<Changed>)> {
    // As it was written: a relative path is one of files that GCNREC_DATA found.
    let config: Config = toml::from_str(config_toml).expect("what a run was resolved to should be a configuration");
    let changed = config.not_defaults()?.into_iter().map(|(key, value, default)| Changed { key, value, default });
    let whole = toml::from_str(config_toml).expect("what was read as a configuration should be TOML");
    Ok((whole, changed.collect()))
}

/// The trainings of a run that was fine-tuned.
fn stages(job: &Job, outcome: &Outcome) -> Result<Vec<Stage>> {
    let Some(epochs) = outcome.finetuned else { return Ok(Vec::new()) };
    let (name, parts, learnt_from) = match outcome.protocol.refit {
        true => ("refit", &[Part::Train, Part::Valid][..], "train+valid"),
        false => ("train", &[Part::Train][..], "train"),
    };
    let fraction = job.train.finetune_recent_fraction;
    let n_newest = job.split.newest(parts, fraction, "train.finetune_recent_fraction")?.len();
    let stage =
        |name: &str, learnt_from: String, n_pairs, epochs| Stage { name: name.into(), learnt_from, n_pairs, epochs };
    let n_all = parts.iter().map(|&part| job.split.part(part).len()).sum();
    Ok(vec![
        stage(name, learnt_from.into(), n_all, outcome.best_epoch),
        stage("finetune", format!("newest {} % of {learnt_from}", 100.0 * fraction), n_newest, epochs),
    ])
}

fn named(metrics: &Metrics) -> BTreeMap<String, f64> {
    metrics.iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// The middle epoch of the whole run, whichever process ran it; none where no epoch was run here.
fn median_seconds(lines: &[Value]) -> Option<f64> {
    let mut seconds: Vec<f64> = lines.iter().filter_map(|line| line.get("seconds")?.as_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2)?;
    Some(if seconds.len().is_multiple_of(2) { (seconds[seconds.len() / 2 - 1] + middle) / 2.0 } else { *middle })
}

/// Loss and selecting metric of the stage that picked the epoch.
fn learning_curve(lines: &[Value], metric: &str) -> Vec<CurvePoint> {
    let point = |line: &Value| {
        Some(CurvePoint {
            epoch: line.get("epoch")?.as_u64()?,
            loss: line.get("loss")?.as_f64()?,
            metric: line.get("valid").and_then(|valid| valid.get(metric)).and_then(Value::as_f64),
        })
    };
    lines.iter().filter(|line| line.get("stage").and_then(Value::as_str) == Some("train")).filter_map(point).collect()
}

/// The most memory that the process had in use, in MB (10^6 bytes); 0 where the system does not
/// tell.
fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: Option<u64> = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.map_or(0, |kibibytes| kibibytes * 1024 / 1_000_000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_curve_is_that_of_the_stage_that_picked_the_epoch() {
        let lines = [
            json!({"stage": "layers", "epoch": 1, "loss": 9.0}),
            json!({"stage": "train", "epoch": 1, "loss": 0.5}),
            json!({"stage": "train", "epoch": 2, "loss": 0.25, "valid": {"ndcg@20": 0.125}}),
            json!({"stage": "refit", "epoch": 1, "loss": 8.0}),
        ];
        let curve = learning_curve(&lines, "ndcg@20");
        assert_eq!(
            curve,
            [
                CurvePoint { epoch: 1, loss: 0.5, metric: None },
                CurvePoint { epoch: 2, loss: 0.25, metric: Some(0.125) }
            ]
        );
    }

    #[test]
    fn a_relative_path_is_shown_as_it_stands() {
        let (_, changed) = settings("[data]\ntrain = \"coat/user.txt\"\n").unwrap();
        let shown: Vec<_> = changed.iter().map(|change| (change.key.as_str(), change.value.as_str())).collect();
        assert_eq!(shown, [("data.train", "\"coat/user.txt\"")]);
    }

    #[test]
    fn the_middle_epoch_is_that_of_every_process_of_the_run() {
        let lines = [
            json!({"epoch": 1, "seconds": 3.0}),
            json!({"epoch": 2, "seconds": 0.5}),
            json!({"epoch": 3, "seconds": 1.5}),
        ];
        assert_eq!(median_seconds(&lines), Some(1.5));
        // Of two, half of .5 + 3.
        assert_eq!(median_seconds(&lines[..2]), Some(1.75));
        assert_eq!(median_seconds(&[]), None);
    }

    #[test]
    fn a_process_uses_some_memory_where_the_system_tells() {
        assert!(peak_rss_mb() > 0 || !std::path::Path::new("/proc/self/status").exists());
    }
}
