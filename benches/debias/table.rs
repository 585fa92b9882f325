//! Run files over seeds, side by side.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gcnrec::internals::train::Outcome;
use gcnrec::{Destination, Loaded, Run, Silent, Sources, Stop};

/// What the command line asks for.
pub struct Asked {
    /// Seeds, from 0.
    pub n_seeds: u64,
    /// Names of run files; none means all.
    pub names: Vec<String>,
    /// Settings that win over those of the files.
    pub set: Vec<String>,
}

impl Asked {
    pub fn read(words: &[String], default_seeds: u64) -> Asked {
        let mut asked = Asked { n_seeds: default_seeds, names: Vec::new(), set: Vec::new() };
        for word in words {
            match word.parse() {
                Ok(n_seeds) => asked.n_seeds = n_seeds,
                Err(_) if word.contains('=') => asked.set.push(word.clone()),
                Err(_) => asked.names.push(word.clone()),
            }
        }
        asked
    }

    /// The run files of a folder under `configs/debias` that were asked for; `base` always, and
    /// first: the others are compared with it.
    pub fn files(&self, folder: &str, base: &str) -> Vec<PathBuf> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/debias").join(folder);
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let wanted = |name: &String| self.names.is_empty() || self.names.contains(name) || name == base;
        files.retain(|file| file.is_file() && wanted(&stem(file)));
        files.sort_by_key(|file| (stem(file) != base, stem(file)));
        files
    }

    /// A run file under a seed, with the settings that were asked for. Settings of another method
    /// than the file's do not touch it.
    pub fn resolve(&self, file: &Path, seed: u64) -> Run {
        let text = std::fs::read_to_string(file).unwrap();
        let fits = |setting: &&String| match setting.strip_prefix("debias.").and_then(|rest| rest.split('.').next()) {
            Some(method) => text.contains(&format!("[debias.{method}]")),
            None => true,
        };
        let mut set: Vec<String> = self.set.iter().filter(fits).cloned().collect();
        set.push(format!("seed={seed}"));
        let environment = std::env::var("GCNREC_DATA").ok().map(|folder| ("GCNREC_DATA".to_string(), folder));
        let sources = Sources {
            run_file: Some(file.into()),
            environment: environment.into_iter().collect(),
            set,
            ..Sources::default()
        };
        Run::resolve(&sources, Destination::default()).unwrap_or_else(|error| panic!("{error}")).on_cpu()
    }
}

pub fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Trains what a file says on its data, which have labelled rows to pick the epoch with.
pub fn train(loaded: Loaded) -> Outcome {
    let outcome = loaded.prepare().and_then(|run| run.train_in_memory(&mut Silent, &Stop::default()));
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// One metric over the seeds: mean, deviation, and what it gains over the base: mean, on how many
/// seeds, t.
pub fn cell(name: &str, values: &[f64], base: Option<&[f64]>, lower_is_better: bool) -> String {
    let mut cell = format!("  {name} {:.4} ({:.4})", mean(values), deviation(values));
    if let Some(base) = base {
        let sign = if lower_is_better { -1.0 } else { 1.0 };
        let gains: Vec<f64> = values.iter().zip(base).map(|(value, base)| sign * (value - base)).collect();
        let better = gains.iter().filter(|gain| **gain > 0.0).count();
        let t = mean(&gains) / (deviation(&gains) / (gains.len() as f64).sqrt());
        cell += &format!(" [{:+.4}, {better}, {t:.1}]", mean(&gains));
    }
    cell
}

/// The test metrics of the run files of a folder; the AUC of the validation part too, which is what
/// settings are picked by.
pub fn of_files(title: &str, folder: &str, asked: &Asked) {
    const METRICS: [&str; 3] = ["nll", "auc", "ndcg@5"];
    let mut base: Vec<Vec<f64>> = Vec::new();
    println!(
        "{title}, {} split seeds: mean (deviation) [paired gain over biased, better on, t] {}",
        asked.n_seeds,
        asked.set.join(" ")
    );
    for file in asked.files(folder, "biased") {
        let started = Instant::now();
        let (mut found, mut valid, mut epochs) = (vec![Vec::new(); METRICS.len()], Vec::new(), Vec::new());
        for seed in 0..asked.n_seeds {
            let outcome = train(asked.resolve(&file, seed).load().unwrap_or_else(|error| panic!("{error}")));
            let test = outcome.test.unwrap();
            found.iter_mut().zip(METRICS).for_each(|(found, name)| found.push(test.get(name).unwrap()));
            valid.push(outcome.valid.unwrap().get("auc").unwrap());
            epochs.push(outcome.best_epoch as f64);
        }
        let seconds = started.elapsed().as_secs_f64() / asked.n_seeds as f64;
        let cells = METRICS
            .iter()
            .enumerate()
            .map(|(at, name)| cell(name, &found[at], base.get(at).map(Vec::as_slice), *name == "nll"));
        let line: String = cells.collect();
        println!(
            "{:<16}{line}  valid auc {:.4}, epoch {:.0}, {seconds:.1} s a run",
            stem(&file),
            mean(&valid),
            mean(&epochs)
        );
        if base.is_empty() {
            base = found;
        }
    }
}
