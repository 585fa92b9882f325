//! Runs whose data, or whose folder, lie elsewhere than when they were trained.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::trust::{fail, gcnrec, succeed};

/// 30 users with 8 of 40 items each: a training part and two of each user's items to find.
fn write_data(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let (mut train, mut test) = (String::from("user,item\n"), String::from("user,item\n"));
    for user in 0..30 {
        for n in 0..8 {
            let row = format!("u{user},i{}\n", (user * 7 + n * n + n * (user % 3)) % 40);
            if n < 6 { train.push_str(&row) } else { test.push_str(&row) }
        }
    }
    fs::write(folder.join("train.csv"), train).unwrap();
    fs::write(folder.join("test.csv"), test).unwrap();
}

fn command(words: &[&str], data_folder: Option<&Path>) -> Command {
    let mut command = gcnrec();
    command.args(words);
    if let Some(folder) = data_folder {
        command.env("GCNREC_DATA", folder);
    }
    command
}

const SMALL: [&str; 10] =
    ["--model", "lightgcn", "--dim", "4", "--layers", "1", "--epochs", "3", "--set", "train.validate_every=1"];

fn ndcg(evaluate: Command) -> f64 {
    let rows: Value = serde_json::from_slice(&succeed(evaluate).stdout).unwrap();
    rows.as_array().unwrap().iter().find(|row| row["metric"] == "ndcg@20").unwrap()["test"].as_f64().unwrap()
}

fn reported(run: &Path) -> f64 {
    let report: Value = serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    report["metrics"]["test"]["ndcg@20"].as_f64().unwrap()
}

#[test]
fn a_run_trained_on_one_machine_is_judged_on_another() {
    let base = tempfile::tempdir().unwrap();
    let (here, there) = (base.path().join("here"), base.path().join("there"));
    write_data(&here.join("shop"));
    let run = here.join("run");
    let words = ["train", "--train", "shop/train.csv", "--test", "shop/test.csv", "--out", run.to_str().unwrap()];
    succeed(command(&[&words[..], &SMALL].concat(), Some(&here)));
    for file in ["config.toml", "best/config.toml", "last/config.toml"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        assert!(text.contains("train = \"shop/train.csv\"") && text.contains("test = \"shop/test.csv\""), "{text}");
    }
    fs::rename(&here, &there).unwrap();
    let run = there.join("run");
    let at = run.to_str().unwrap();
    let evaluate = ["evaluate", at, "--output", "json"];
    assert!((ndcg(command(&evaluate, Some(&there))) - reported(&run)).abs() < 1e-12);
    let verdict = succeed(command(&["verify", at], Some(&there))).stdout;
    assert!(verdict.starts_with(b"identical: the data, 3 epochs"));
    succeed(command(&["train", "--resume", "--out", at], Some(&there)));
    let line = fail(command(&evaluate, None), 3);
    assert!(line.contains("set GCNREC_DATA") && line.contains("--train"), "{line}");
}

#[test]
fn files_that_moved_are_named_again_and_the_fingerprint_decides() {
    let base = tempfile::tempdir().unwrap();
    let (old, new) = (base.path().join("old"), base.path().join("new"));
    write_data(&old);
    let run = base.path().join("run");
    let at = run.to_str().unwrap();
    let of = |folder: &Path, name: &str| folder.join(name).to_str().unwrap().to_string();
    let words = ["train", "--train", &of(&old, "train.csv"), "--test", &of(&old, "test.csv"), "--out", at];
    succeed(command(&[&words[..], &SMALL].concat(), None));
    fs::rename(&old, &new).unwrap();
    let (train, test) = (of(&new, "train.csv"), of(&new, "test.csv"));
    let files = ["--train", &*train, "--test", &*test];
    let evaluate = |files: &[&str]| command(&[&["evaluate", at, "--output", "json"], files].concat(), None);
    let line = fail(evaluate(&[]), 3);
    assert!(line.contains("old/train.csv is not there") && line.contains("--train"), "{line}");
    assert!((ndcg(evaluate(&files)) - reported(&run)).abs() < 1e-12);
    assert!(succeed(command(&[&["verify", at][..], &files].concat(), None)).stdout.starts_with(b"identical"));
    // Interrupted before its report: what goes on is the same run.
    let before = fs::read(run.join("best/model.safetensors")).unwrap();
    fs::remove_file(run.join("report.json")).unwrap();
    let resume = [&["train", "--resume", "--out", at][..], &files].concat();
    succeed(command(&resume, None));
    assert_eq!(fs::read(run.join("best/model.safetensors")).unwrap(), before);
    // Without flags, where the variable says; whoever looks on is told.
    let output = succeed(command(&["evaluate", at], Some(&new)));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("old/train.csv is not there; ") && said.contains("new/train.csv is taken"), "{said}");
    // Another file is found out, whatever it is called.
    fs::write(&train, fs::read_to_string(&train).unwrap() + "u0,i39\n").unwrap();
    let line = fail(evaluate(&files), 3);
    assert!(line.contains("not those that the run was trained on") && line.contains("--train"), "{line}");
    fail(command(&[&["verify", at][..], &files].concat(), None), 1);
    let line = fail(command(&resume, None), 6);
    assert!(line.contains("the data are not those that the run began with"), "{line}");
}

#[test]
fn a_comparison_goes_on_with_data_that_moved() {
    let base = tempfile::tempdir().unwrap();
    let (old, new) = (base.path().join("old"), base.path().join("new"));
    write_data(&old);
    fs::write(
        base.path().join("e.toml"),
        "[data]\ntrain = \"train.csv\"\ntest = \"test.csv\"\n[model.ease]\nl2 = 20\n",
    )
    .unwrap();
    let compare = |folder: &Path, more: &[&str]| {
        let mut command = command(&[&["compare", "e.toml", "--seeds", "2", "--out", "c"], more].concat(), Some(folder));
        command.current_dir(base.path());
        command
    };
    succeed(compare(&old, &[]));
    let text = fs::read_to_string(base.path().join("c/e/seed-2021/config.toml")).unwrap();
    assert!(text.contains("train = \"train.csv\""), "{text}");
    fs::rename(&old, &new).unwrap();
    fs::remove_dir_all(base.path().join("c/e/seed-2021")).unwrap();
    succeed(compare(&new, &["--resume"]));
}

#[test]
fn a_run_that_took_the_cpu_by_itself_goes_on_when_the_cpu_is_named() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let at = run.to_str().unwrap();
    let world =
        ["--set", "data.demo.n_users=60", "--set", "data.demo.n_items=60", "--set", "data.demo.n_communities=3"];
    let world = [&world[..], &["--set", "data.demo.interactions_per_user=10"]].concat();
    succeed(command(&[&["train", "--out", at][..], &SMALL, &world].concat(), None));
    // A build without a GPU takes the cpu for `auto`; with one this asks for another device.
    if cfg!(not(any(feature = "cuda", feature = "vulkan"))) {
        succeed(command(&["train", "--out", at, "--resume", "--device", "cpu"], None));
    }
}
