//! The run files that users start from: each is read and takes two steps. And the table of keys: it says what the program does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gcnrec::compare::Search;
use gcnrec::config::{Config, PRESETS, Resolved, Sources, check_files, resolve};
use gcnrec::models::graph::{GraphLearner, Learning, Setup, WeightFit};
use gcnrec::models::{Fit, Learner, Procedure, sequential};
use gcnrec::objectives::Batching;
use gcnrec::samplers::PairOrder;
use gcnrec::train::config::Sampling;
use gcnrec::{Device, Seed, data, debias, models, objectives};
use toml::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the benchmark data are, if they are anywhere.
fn data_folder() -> Option<PathBuf> {
    std::env::var_os("GCNREC_DATA")
        .map(PathBuf::from)
        .or_else(|| Some(root().join("../shared/data")))
        .filter(|f| f.is_dir())
}

fn run_files() -> Vec<PathBuf> {
    let folders = [
        "configs",
        "configs/presets",
        "configs/compare/lastfm",
        "configs/compare/ml-100k",
        "configs/debias",
        "configs/debias/implicit",
        "configs/debias/simulation",
        "configs/debias/world",
    ];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Resolved {
    let folder = data_folder().map(|folder| ("GCNREC_DATA".to_string(), folder.to_str().unwrap().to_string()));
    let sources =
        Sources { run_file: Some(file.into()), environment: folder.into_iter().collect(), ..Sources::default() };
    let resolved = resolve(&sources).unwrap_or_else(|error| panic!("{error}"));
    resolved.check_unread().unwrap_or_else(|error| panic!("{error}"));
    resolved
}

/// Two steps of training, or the whole of a closed form.
fn take_two_steps(mut resolved: Resolved) {
    let seed = Seed(resolved.config.seed);
    let split = data::load(&resolved.config.data, seed).unwrap();
    resolved.settle(split.n_users(), split.n_items());
    if let Procedure::Fusion(fusion) = resolved.config.model.procedure() {
        for member in fusion.members() {
            let objective = (!member.model.is_closed_form()).then(|| member.loss());
            let config = Config { model: member.model.clone(), objective, ..resolved.config.clone() };
            take_two_steps(Resolved { config, ..resolved.clone() });
        }
        return;
    }
    let (config, train) = (&resolved.config, Arc::new(split.train_interactions().unwrap()));
    if let Some(model) = config.model.sequential() {
        let setup = sequential::Setup {
            histories: Arc::new(split.histories(&[data::Part::Train])),
            n_items: split.n_items(),
            batch_size: config.train.batch_size,
            learning_rate: config.train.learning_rate,
            seed,
            device: Device::Cpu,
        };
        let mut learner = model.learner(setup).unwrap();
        let report = learner.steps(0, 0..2).unwrap();
        assert!(report.loss.is_finite() && report.n_examples > 0);
        return;
    }
    let Some(model) = config.model.graph() else {
        let histories = || split.histories(&[data::Part::Train]);
        let model = config.model.closed_form().unwrap();
        model.fit(&Fit { train: &train, weights: None, histories: &histories }).unwrap();
        return;
    };
    let objective = config.objective.clone().unwrap();
    let dim = model.dim + if model.biases { 2 } else { 0 };
    let reduction = config.train.reduction;
    let biases = model.biases;
    let training =
        debias::Training { split: &split, pairs: train, objective: &objective, reduction, dim, biases, seed };
    let debias::Prepared { pairs: train, learning } = debias::prepare(&config.debias, &training).unwrap();
    let [users, items] = config.train.block;
    let order = match config.train.sampling {
        Sampling::Block => PairOrder::Blocks { users, items },
        _ => PairOrder::PairUniform,
    };
    let learning = Learning { optimizer: config.train.optimizer, ..learning };
    let setup = Setup {
        device: Device::Cpu,
        config: model,
        model: config.model.name(),
        batching: Batching { size: config.train.batch_size, order },
        learning_rate: config.train.learning_rate.unwrap(),
        objective: objective.clone(),
        train,
        weight_fit: WeightFit::OnTraining,
        prior: None,
        bound: 0.0,
        seed,
    };
    let mut learner = GraphLearner::with(setup, learning).unwrap();
    assert!(learner.steps_per_epoch() >= 2);
    let report = learner.steps(0, 0..2).unwrap();
    assert!(report.loss.is_finite() && report.n_examples > 0);
}

#[test]
fn every_run_file_is_read_and_takes_two_steps() {
    let files = run_files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let resolved = read(&file);
        match check_files(&resolved.config.data, None) {
            Ok(()) => take_two_steps(resolved),
            Err(error) => println!("skipped the steps of {}: {error}", file.display()),
        }
    }
}

#[test]
fn the_search_over_layers_is_one_that_a_comparison_can_use() {
    let search = Search::read(&root().join("configs/compare/layers.toml")).unwrap();
    assert_eq!(search.keys().collect::<Vec<_>>(), ["model.lightgcn.layers"]);
}

#[test]
fn every_preset_is_a_file_and_every_file_a_preset() {
    let mut files: Vec<String> = run_files()
        .iter()
        .filter(|file| file.parent().unwrap().ends_with("presets"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    files.sort();
    let mut presets: Vec<String> = PRESETS.iter().map(|name| name.to_string()).collect();
    presets.sort();
    assert_eq!(files, presets);
}

/// Every default that is a value, by dotted key: of the whole, and of each model and each loss.
fn defaults() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut add = |config: Config| {
        let table: toml::Table = config.to_toml().unwrap().parse().unwrap();
        flatten("", &Value::Table(table), &mut found);
    };
    for name in models::Config::names() {
        add(Config { model: models::Config::named(name).unwrap(), ..Config::default() });
    }
    for name in debias::Config::names() {
        add(Config { debias: debias::Config::named(name).unwrap(), ..Config::default() });
    }
    for name in objectives::Config::names() {
        add(Config { objective: Some(objectives::Config::named(name).unwrap()), ..Config::default() });
    }
    found
}

fn flatten(key: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, found);
            }
        }
        value => {
            found.insert(key.into(), value.clone());
        }
    }
}

/// Equal as far as 32-bit numbers go: `1e-4` is written with more digits than it was given.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_float(), b.as_float()) {
        (Some(a), Some(b)) => a as f32 == b as f32,
        _ => a == b,
    }
}

#[test]
fn the_table_of_keys_is_complete_and_its_defaults_are_those_of_the_program() {
    let text = fs::read_to_string(root().join("configs/README.md")).unwrap();
    let mut rows = BTreeMap::new();
    for line in text.lines().skip_while(|line| !line.starts_with("| key |")).skip(2).take_while(|l| l.starts_with('|'))
    {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, takes, default, what] = cells[..] else { panic!("not four cells: {line}") };
        assert!(!takes.is_empty() && !what.is_empty(), "{line}");
        let before = rows.insert(key.trim_matches('`').to_string(), default.to_string());
        assert_eq!(before, None, "{key} stands there twice");
    }
    let (listed, known): (BTreeSet<String>, _) = (rows.keys().cloned().collect(), crate::keys::all());
    let missing: Vec<&String> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let gone: Vec<&String> = listed.difference(&known).collect();
    assert!(gone.is_empty(), "no longer a key: {gone:?}");

    let defaults = defaults();
    for (key, written) in &rows {
        match defaults.get(key) {
            // Words and not a value stand for a key that is not set.
            None => assert!(!written.starts_with('`') || written.contains("` for "), "{key} has no default: {written}"),
            Some(value) => {
                let parsed = written.strip_prefix('`').and_then(|text| text.strip_suffix('`')?.parse::<Value>().ok());
                let parsed = parsed.unwrap_or_else(|| panic!("{key}: {written} is no value; the default is {value}"));
                assert!(same(&parsed, value), "{key}: the table says {parsed}, the program {value}");
            }
        }
    }
}
