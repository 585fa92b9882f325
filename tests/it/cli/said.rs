//! What the program does with data that a model meets for the first time, and that it says so.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::case::{Case, gcnrec, judge_all, words};

/// Runs a command in a folder with these files; answers stdout.
fn run(folder: &Path, line: &str) -> String {
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    assert!(output.status.success(), "gcnrec {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    folder
}

fn report(folder: &Path, run: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(run).join("report.json")).unwrap()).unwrap()
}

fn warnings(report: &Value) -> String {
    report["warnings"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// 30 users with 6 of 18 items each.
fn train_rows() -> String {
    let mut text = String::from("user,item\n");
    for user in 0..30 {
        (0..6).for_each(|at| writeln!(text, "u{user},i{}", (user * 5 + at * at) % 18).unwrap());
    }
    text
}

#[test]
fn users_and_items_without_a_training_row_are_counted_and_no_seed_answers_for_them() {
    let files = folder(&[
        ("train.csv", &train_rows()),
        ("test.csv", "user,item\nu0,cold1\nnewuser,i3\nnewuser,cold2\nu1,i16\n"),
    ]);
    let at = files.path();
    let models = ["mf", "lightgcn --epochs 2", "gru4rec --epochs 1", "fpmc --epochs 1", "item_knn"];
    for (n, model) in models.iter().enumerate() {
        let mut lists = Vec::new();
        for seed in [1, 2] {
            let line = format!(
                "train --train train.csv --test test.csv --valid-fraction 0 --out r{n}-{seed} --seed {seed} --model {model}"
            );
            run(at, &line);
            let said = warnings(&report(at, &format!("r{n}-{seed}")));
            assert!(said.contains("1 of 3 users of the test part have no training row"), "{model}: {said}");
            assert!(
                said.contains("2 of 4 items of the test part have no training row: they rank last"),
                "{model}: {said}"
            );
            lists.push(run(at, &format!("recommend r{n}-{seed} --user newuser --k 5 --output csv")));
            let all = run(at, &format!("recommend r{n}-{seed} --user u3 --k 100 --output csv"));
            let last: Vec<&str> = all.lines().rev().take(2).collect();
            assert!(last.iter().all(|line| line.contains("cold")), "{model}: {all}");
            let similar = gcnrec(at).args(words(&format!("similar r{n}-{seed} --item cold1"))).output().unwrap();
            let error = String::from_utf8_lossy(&similar.stderr).into_owned();
            assert!(!similar.status.success() && error.contains("no training row"), "{model}: {error}");
        }
        assert_eq!(lists[0], lists[1], "{model}: popularity is that of the data");
    }
}

/// 80 users who go back and forth between two items of their own.
fn again() -> String {
    let mut text = String::from("user,item,timestamp\n");
    for user in 0..80 {
        (0..10).for_each(|at| writeln!(text, "{user},s{user}{},{at}", ["a", "b"][at % 2]).unwrap());
    }
    text
}

#[test]
fn models_that_read_an_order_keep_repeats_and_rank_what_returns() {
    let files = folder(&[("again.csv", &again())]);
    let at = files.path();
    let train = "train --data again.csv --split leave_one_out --set eval.metrics=[\"hit\"] --set eval.k=[1]";
    run(at, &format!("{train} --model markov --out m --set train.metric=hit@1"));
    let markov = report(at, "m");
    assert_eq!(
        (&markov["metrics"]["test"]["hit@1"], &markov["dataset"]["n_train"]),
        (&Value::from(1.0), &Value::from(640))
    );
    let said = warnings(&markov);
    assert!(
        said.contains("80 of 80 test rows are items that their user had before: seen items are ranked too"),
        "{said}"
    );
    run(at, &format!("{train} --model popularity --out p --set train.metric=hit@1"));
    let said = warnings(&report(at, "p"));
    assert!(said.contains("640 of 800 rows of again.csv repeat a pair of user and item and were dropped"), "{said}");
    // The recorded settings give the recorded data.
    run(at, "evaluate m");
    run(at, "evaluate p");
}

#[test]
fn a_random_split_under_a_model_that_reads_an_order_is_said() {
    let files = folder(&[("f.csv", &train_rows())]);
    run(files.path(), "train --data f.csv --model markov --out m");
    let said = warnings(&report(files.path(), "m"));
    assert!(said.contains("held-out rows were drawn at random, and markov reads an order"), "{said}");
    assert!(said.contains("the data have no times: markov takes the order of the rows for that of time"), "{said}");
    run(files.path(), "train --data f.csv --model ease --out e");
    assert!(!warnings(&report(files.path(), "e")).contains("reads an order"));
}

#[test]
fn users_who_have_every_item_are_left_out_of_draws_and_counted() {
    let mut text = String::from("user,item\nsome,i1\nsome,i2\n");
    (0..20).for_each(|item| writeln!(text, "all,i{item}").unwrap());
    let files = folder(&[("f.csv", &text)]);
    run(files.path(), "train --train f.csv --valid-fraction 0 --model mf --loss bpr --epochs 2 --out m");
    let said = warnings(&report(files.path(), "m"));
    assert!(said.contains("1 users have every item that can be drawn as a negative"), "{said}");
    let line = "train --train f.csv --valid-fraction 0 --model mf --loss bpr --epochs 2 --out m";
    judge_all(
        &[Case::new("nobody lacks an item", line)
            .file("f.csv", "user,item\na,1\na,2\nb,1\nb,2\n")
            .refused(3, &["no item that some user does not have"])],
        None,
    );
}

#[test]
fn a_model_that_diverged_in_its_last_step_is_not_kept() {
    let files = folder(&[("f.csv", &train_rows())]);
    for model in ["gru4rec", "fpmc"] {
        let line = format!(
            "train --train f.csv --valid-fraction 0 --model {model} --epochs 1 --lr 1e30 --out {model} --set train.batch_size=100000"
        );
        let output = gcnrec(files.path()).args(words(&line)).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{model}: {error}");
        assert!(error.contains("lower the learning rate"), "{model}: {error}");
        assert!(!files.path().join(model).join("best").exists(), "{model}");
    }
}
