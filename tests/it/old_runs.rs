//! Run folders of older programs: they open and answer as they did, and an unfinished one goes on.
//!
//! `tests/data/old-runs/make.py` made them with the program of that time; it says how.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gcnrec::{Device, Recommender};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::case::copy;
use crate::trust::{gcnrec, succeed};

/// Items and scores, best first.
type Ranking = Vec<(String, f64)>;

/// What the older program answered from a run.
#[derive(Deserialize)]
struct Answers {
    users: BTreeMap<String, Ranking>,
    history: Vec<String>,
    for_history: Ranking,
    similar_to: String,
    similar: Ranking,
}

/// How the older program ended the unfinished run.
#[derive(Deserialize)]
struct End {
    best_epoch: u64,
    metrics: BTreeMap<String, BTreeMap<String, f64>>,
    losses: Vec<f64>,
}

fn old_run(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/old-runs").join(name)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What the older program said of a run.
fn expected<T: DeserializeOwned>(name: &str) -> T {
    read_json(&old_run(&format!("{name}.json")))
}

fn read_toml(path: &Path) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// True on the instruction set that the old runs were made with; another one may differ in the last
/// bits of a score, and in the order of items that are that near to each other.
fn has_their_arithmetic() -> bool {
    Device::Cpu.arithmetic() == "x86-64 avx2 fma"
}

/// Equal to the bit on the same instruction set, otherwise to the fourth digit: 3 epochs of 32-bit
/// sums in another order.
fn assert_near(found: f64, expected: f64, what: &str) {
    let tolerance = if has_their_arithmetic() { 0.0 } else { 1e-5 + 1e-4 * expected.abs() };
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, the older program has {expected}");
}

/// Scores are written with as many digits as a 32-bit number has.
fn assert_same(found: &[(String, f32)], expected: &Ranking, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for ((item, score), (old_item, old_score)) in found.iter().zip(expected) {
        assert_near(f64::from(*score), f64::from(*old_score as f32), what);
        assert!(item == old_item || !has_their_arithmetic(), "{what}: {item}, the older program has {old_item}");
    }
}

fn assert_same_answers(run: &Path, answers: &Answers) {
    let recommender = Recommender::open(run).unwrap();
    assert!(!answers.users.is_empty());
    for (user, expected) in &answers.users {
        assert_same(&recommender.for_user(user, 10).unwrap(), expected, user);
    }
    let history: Vec<&str> = answers.history.iter().map(String::as_str).collect();
    assert_same(&recommender.for_history(&history, 10).unwrap(), &answers.for_history, "a history");
    assert_same(&recommender.similar_items(&answers.similar_to, 10).unwrap(), &answers.similar, "similar items");
}

#[test]
fn old_runs_open_and_give_the_same_lists_and_scores() {
    for name in ["additive", "fusion"] {
        assert_same_answers(&old_run(name), &expected(name));
    }
}

/// A newer program may write more keys; those of the older one keep their values.
fn assert_holds(found: &toml::Table, old: &toml::Table, path: &str) {
    for (key, value) in old {
        match (found.get(key), value) {
            (Some(toml::Value::Table(found)), toml::Value::Table(old)) => {
                assert_holds(found, old, &format!("{path}{key}."))
            }
            (found, old) => assert_eq!(found, Some(old), "{path}{key}"),
        }
    }
}

#[test]
fn the_configuration_of_an_old_run_is_read_back_as_it_was() {
    for name in ["additive", "fusion", "unfinished"] {
        let (old, folder) = (old_run(name).join("config.toml"), tempfile::tempdir().unwrap());
        let run = folder.path().join("run");
        let mut command = gcnrec();
        command.arg("train").arg(&old).arg("--out").arg(&run);
        succeed(command);
        assert_holds(&read_toml(&run.join("config.toml")), &read_toml(&old), "");
    }
}

#[test]
fn an_unfinished_old_run_goes_on_and_ends_as_the_old_program_ended_it() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    copy(&old_run("unfinished"), &run);
    let mut command = gcnrec();
    command.args(["train", "--resume", "--out"]).arg(&run);
    succeed(command);
    let (end, report): (End, serde_json::Value) = (expected("unfinished"), read_json(&run.join("report.json")));
    if has_their_arithmetic() {
        assert_eq!(report["best_epoch"], end.best_epoch);
        assert_eq!(serde_json::from_value::<BTreeMap<_, _>>(report["metrics"].clone()).unwrap(), end.metrics);
    }
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let losses = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64());
    let losses: Vec<f64> = losses.collect::<Option<_>>().unwrap();
    assert_eq!(losses.len(), end.losses.len());
    losses.iter().zip(&end.losses).for_each(|(loss, old)| assert_near(*loss, *old, "a loss"));
    if has_their_arithmetic() {
        assert_same_answers(&run, &expected("unfinished"));
    }
}
