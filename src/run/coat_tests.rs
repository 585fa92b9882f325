//! The run files of `configs/debias` on Coat, over split seeds: `cargo test --lib coat --
//! --nocapture` prints the numbers. `GCNREC_SEEDS` says how many seeds, 3 where it says nothing.
//! Skipped where the data are absent, in `$GCNREC_DATA` and in `../shared/data`.

use std::path::Path;

use super::{Destination, Run};
use crate::config::Sources;
use crate::train::{Silent, Stop};

const METRICS: [&str; 3] = ["nll", "auc", "ndcg@5"];

/// The test metrics of a run file under a seed.
fn run(name: &str, folder: &str, seed: u64) -> [f64; 3] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/debias").join(name).with_extension("toml");
    let sources = Sources {
        run_file: Some(file),
        environment: vec![("GCNREC_DATA".into(), folder.into())],
        set: vec![format!("seed={seed}")],
        ..Sources::default()
    };
    let outcome = Run::resolve(&sources, Destination::default())
        .and_then(|run| run.on_cpu().load()?.prepare()?.train_in_memory(&mut Silent, &Stop::default()))
        .unwrap_or_else(|error| panic!("{error}"));
    let test = outcome.test.unwrap();
    let found = METRICS.map(|metric| test.get(metric).unwrap());
    println!(
        "{name} seed {seed}: nll {:.4} auc {:.4} ndcg@5 {:.4} epoch {}",
        found[0], found[1], found[2], outcome.best_epoch
    );
    found
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// Gains of a method over MF on the biased log, seed by seed; a smaller NLL is a gain.
fn gains(found: &[[f64; 3]], base: &[[f64; 3]], metric: usize) -> Vec<f64> {
    let sign = if metric == 0 { -1.0 } else { 1.0 };
    found.iter().zip(base).map(|(row, base)| sign * (row[metric] - base[metric])).collect()
}

#[test]
fn autodebias_beats_mf_on_the_biased_log_of_coat() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data").to_string();
    let mut folders = std::env::var("GCNREC_DATA").into_iter().chain([beside]);
    let Some(folder) = folders.find(|folder| Path::new(folder).join("coat").is_dir()) else {
        println!("skipped: no coat in $GCNREC_DATA or ../shared/data");
        return;
    };
    let n_seeds: u64 = std::env::var("GCNREC_SEEDS").map_or(3, |text| text.parse().unwrap());
    let over_seeds = |name: &str| -> Vec<[f64; 3]> { (0..n_seeds).map(|seed| run(name, &folder, seed)).collect() };
    let (base, found) = (over_seeds("biased"), over_seeds("autodebias"));
    for (at, metric) in METRICS.iter().enumerate() {
        let column = |rows: &[[f64; 3]]| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
        let (a, b, gains) = (column(&base), column(&found), gains(&found, &base, at));
        let t = mean(&gains) / (deviation(&gains) / (gains.len() as f64).sqrt());
        println!(
            "{metric}: biased {:.4} ({:.4}), autodebias {:.4} ({:.4}), paired gain {:+.4}, t {t:.1}",
            mean(&a),
            deviation(&a),
            mean(&b),
            deviation(&b),
            mean(&gains)
        );
    }
    let better = |metric: usize| {
        let gains = gains(&found, &base, metric);
        mean(&gains) > 2.0 * deviation(&gains) / (gains.len() as f64).sqrt()
    };
    assert!(better(0) || better(2), "neither NLL nor NDCG@5 is better by two standard errors");
}
