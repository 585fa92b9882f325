//! Commands around finished runs: what there is, what shells complete, manual pages.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::case::{Case, gcnrec, judge_all, words};

const SMALL: &str = "--set data.demo.n_users=60 --set data.demo.n_items=50 --set data.demo.interactions_per_user=8";

fn run(folder: &Path, line: &str) -> (String, String) {
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "gcnrec {line}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

#[test]
fn runs_are_listed_with_what_they_came_to_and_damaged_ones_are_named() {
    let place = tempfile::tempdir().unwrap();
    run(place.path(), &format!("train --model ease {SMALL} --set model.ease.l2=20"));
    run(place.path(), &format!("train --model mf --epochs 2 --dim 8 {SMALL} --out runs/group/mf/seed-1"));
    let runs = place.path().join("runs");
    fs::create_dir_all(runs.join("notes")).unwrap();
    for (name, config) in [("cut", "[model.ease\n"), ("begun", "[model.mf]\nlayers = 0\n")] {
        fs::create_dir_all(runs.join(name)).unwrap();
        fs::write(runs.join(name).join("config.toml"), config).unwrap();
    }
    let (printed, said) = run(place.path(), "runs --output json");
    let rows: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<Value>>();
    assert_eq!(column("run"), ["runs/begun", "runs/ease-1", "runs/group/mf/seed-1"]);
    assert_eq!(column("model"), ["mf", "ease", "mf"]);
    assert_eq!(column("state"), ["unfinished", "finished", "finished"]);
    assert_eq!(column("data"), ["demo", "demo", "demo"]);
    let report: Value = serde_json::from_str(&fs::read_to_string(runs.join("ease-1/report.json")).unwrap()).unwrap();
    assert_eq!(rows[1]["date"], report["origin"]["date"]);
    let metric = rows[1]["metric"].as_str().unwrap();
    assert_eq!(rows[1]["value"], report["metrics"]["test"][metric]);
    let warnings: Vec<&str> = said.lines().collect();
    assert_eq!(warnings.len(), 1, "{said}");
    assert!(warnings[0].starts_with("warning: runs/cut: left out: runs/cut/config.toml: "), "{said}");

    let (printed, _) = run(place.path(), "runs runs/group --output csv");
    assert_eq!(printed.lines().count(), 2);
    assert!(printed.contains("runs/group/mf/seed-1,mf,demo,finished,"), "{printed}");
}

#[test]
fn a_folder_without_runs_is_said() {
    judge_all(
        &[
            Case::new("no folder", "runs").refused(3, &["folder runs is not there", "train first"]),
            Case::new("no run", "runs here").file("here/notes.txt", "").refused(3, &["a run in here is not there"]),
            Case::new("a file", "runs f.csv").file("f.csv", "").refused(3, &["folder f.csv is not there"]),
        ],
        None,
    );
}

#[test]
fn shells_and_man_learn_the_commands() {
    let place = tempfile::tempdir().unwrap();
    assert!(run(place.path(), "completions bash").0.contains("complete -F _gcnrec"));
    assert!(run(place.path(), "completions zsh").0.starts_with("#compdef gcnrec"));
    assert!(run(place.path(), "man recommend").0.contains(".TH gcnrec-recommend 1"));
    let (printed, said) = run(place.path(), "man --out pages/man1");
    assert!(printed.is_empty() && said.contains("pages are in pages/man1"), "{said}");
    let page = fs::read_to_string(place.path().join("pages/man1/gcnrec-train.1")).unwrap();
    assert!(page.contains("\\-\\-attn\\-layers"), "{page}");
    judge_all(
        &[
            Case::new("an unknown shell", "completions dash").refused(2, &["dash", "bash", "zsh"]),
            Case::new("a page of nothing", "man trian").refused(4, &["unknown command", "did you mean \"train\"?"]),
        ],
        None,
    );
}
