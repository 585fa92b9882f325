//! The run files that users start from: each is read and takes two steps. And the table of keys: it says what the program does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gcnrec::compare::Search;
use gcnrec::config::{Config, PRESETS, Sources};
use gcnrec::models::Procedure;
use gcnrec::run::{Destination, Loaded, Run};
use gcnrec::train::{Observer, Stop};
use gcnrec::{RecError, debias, models, objectives};
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

fn read(file: &Path) -> Run {
    let folder = data_folder().map(|folder| ("GCNREC_DATA".to_string(), folder.to_str().unwrap().to_string()));
    let sources =
        Sources { run_file: Some(file.into()), environment: folder.into_iter().collect(), ..Sources::default() };
    let run = Run::resolve(&sources, Destination::default()).unwrap_or_else(|error| panic!("{error}"));
    run.check_unread().unwrap_or_else(|error| panic!("{error}"));
    run.on_cpu()
}

/// Stops a run after its second step.
struct TwoSteps<'a> {
    stop: &'a Stop,
    n_steps: usize,
}

impl Observer for TwoSteps<'_> {
    fn on_step(&mut self, _: u64, _: usize, loss: f64) {
        assert!(loss.is_finite());
        self.n_steps += 1;
        if self.n_steps == 2 {
            self.stop.ask(1);
        }
    }
}

/// Two steps of training, or the whole of a closed form; of a fusion those of every member.
fn take_two_steps(loaded: Loaded) {
    let (config, split) = (loaded.config().clone(), loaded.split().clone());
    if let Procedure::Fusion(fusion) = config.model.procedure() {
        for member in fusion.members() {
            let objective = (!member.model.is_closed_form()).then(|| member.loss());
            let config = Config { model: member.model.clone(), objective, ..config.clone() };
            take_two_steps(Run::settled(config).on_cpu().with_split(split.clone()).unwrap());
        }
        return;
    }
    let stop = Stop::default();
    let mut two_steps = TwoSteps { stop: &stop, n_steps: 0 };
    match loaded.prepare().unwrap().train_in_memory(&mut two_steps, &stop) {
        Ok(_) => assert!(config.model.is_closed_form(), "it should have been stopped"),
        Err(RecError::Interrupted { code: 1, .. }) => assert_eq!(two_steps.n_steps, 2),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_run_file_is_read_and_takes_two_steps() {
    let files = run_files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let run = read(&file);
        match run.check_files() {
            Ok(()) => take_two_steps(run.load().unwrap()),
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
