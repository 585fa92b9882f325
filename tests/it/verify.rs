//! `gcnrec verify` on runs of the real program: what is identical, what is different, and what it
//! is called.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::attacks::{change_fact, change_files};
use crate::trust::{CASES, fail, gcnrec, succeed, train};

fn verify(run: &Path) -> Command {
    let mut command = gcnrec();
    command.arg("verify").arg(run);
    command
}

/// 30 users with 8 of 40 items each, every rating 5.
fn ratings() -> String {
    let mut text = String::from("user,item,rating,timestamp\n");
    for user in 0..30 {
        for n in 0..8 {
            text.push_str(&format!("u{user},i{},5,{}\n", (user * 7 + n * n + n * (user % 3)) % 40, user * 10 + n));
        }
    }
    text
}

fn run_on_file(base: &Path, flags: &[&str]) -> std::path::PathBuf {
    let (file, run) = (base.join("ratings.csv"), base.join("run"));
    fs::write(&file, ratings()).unwrap();
    let mut command = gcnrec();
    command.arg("train").arg("--data").arg(&file).args(["--min-rating", "4", "--out"]).arg(&run).args(flags);
    succeed(command);
    run
}

const SMALL: &[&str] = &["--epochs", "3", "--dim", "4", "--layers", "1", "--set", "train.validate_every=1"];

#[test]
fn a_run_is_identical_to_its_repetition_and_a_part_of_it_too() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    succeed(train(&CASES[2], &run, false));
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let stdout = String::from_utf8(succeed(verify(&run)).stdout).unwrap();
    assert!(stdout.starts_with("identical: the data, ") && stdout.ends_with("and the test metrics\n"), "{stdout}");
    let mut some = verify(&run);
    some.args(["--steps", "1"]);
    assert_eq!(succeed(some).stdout, b"identical as far as it was repeated: the data and 1 epochs\n");
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), before, "nothing is written");
}

#[test]
fn one_changed_rating_is_found_and_named() {
    let base = tempfile::tempdir().unwrap();
    let run = run_on_file(base.path(), SMALL);
    succeed(verify(&run));
    let file = base.path().join("ratings.csv");
    // The last rating falls below the threshold: one interaction less.
    let text = ratings();
    let cut = text.rfind(",5,").unwrap();
    fs::write(&file, format!("{},3,{}", &text[..cut], &text[cut + 3..])).unwrap();
    let line = fail(verify(&run), 1);
    assert!(line.contains("different: the data changed"), "{line}");
    // A rating that changes no pair is still another file.
    fs::write(&file, format!("{},4,{}", &text[..cut], &text[cut + 3..])).unwrap();
    let line = fail(verify(&run), 1);
    assert!(line.contains("the rows of the part"), "{line}");
    fs::remove_file(&file).unwrap();
    fail(verify(&run), 3);
}

#[test]
fn another_seed_is_found_and_named() {
    let base = tempfile::tempdir().unwrap();
    let run = run_on_file(base.path(), SMALL);
    let file = run.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("seed = 2020", "seed = 2021")).unwrap();
    let line = fail(verify(&run), 1);
    assert!(line.contains("config.toml says seed = 2021, the run was trained with 2020"), "{line}");
}

#[test]
fn a_closed_form_is_verified_by_its_weights_and_its_report() {
    let base = tempfile::tempdir().unwrap();
    let run = run_on_file(base.path(), &["--model", "ease"]);
    assert_eq!(succeed(verify(&run)).stdout, b"identical: the data, the final weights and the test metrics\n");
    let report = run.join("report.json");
    let mut told: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    told["metrics"]["test"]["recall@20"] = json!(1.5);
    fs::write(&report, told.to_string()).unwrap();
    let line = fail(verify(&run), 1);
    assert!(line.contains("the test metric recall@20 is"), "{line}");
}

#[test]
fn what_is_no_run_is_refused() {
    let base = tempfile::tempdir().unwrap();
    fail(verify(&base.path().join("nothing")), 3);
    fail(verify(base.path()), 3);
}

/// Changes the names in a checkpoint.
fn change_names(folder: &Path, change: impl FnOnce(&mut Value)) {
    change_files(folder, |files| {
        let mut ids: Value = serde_json::from_slice(&files["ids.json"]).unwrap();
        change(&mut ids);
        files.insert("ids.json".into(), ids.to_string().into_bytes());
    });
}

fn swap(ids: &mut Value, kind: &str) {
    ids[kind].as_array_mut().unwrap().swap(0, 1);
}

/// The weights are those of the run, and what stands around them says something else.
#[test]
fn what_stands_around_the_weights_is_compared_too() {
    let base = tempfile::tempdir().unwrap();
    let run = run_on_file(base.path(), &["--model", "item_knn"]);
    let best = run.join("best");
    let mut sound = Vec::new();
    change_files(&best, |files| sound = files.clone().into_iter().collect());
    let differs = |change: &dyn Fn(), expected: &str| {
        change();
        let line = fail(verify(&run), 1);
        assert!(line.contains("different: ") && line.contains(expected), "{line}");
        for (name, bytes) in &sound {
            fs::write(best.join(name), bytes).unwrap();
        }
    };
    differs(&|| change_names(&best, |ids| swap(ids, "users")), "user 0 is");
    differs(&|| change_names(&best, |ids| swap(ids, "items")), "item 0 is");
    let titles = |ids: &mut Value| ids["titles"] = ids["items"].clone();
    differs(&|| change_names(&best, titles), "the title of item");
    differs(&|| change_fact(&best, "/facts/exclude_seen", json!(false)), "exclude_seen is true and in the run false");
    differs(&|| change_fact(&best, "/model", json!("rp3beta")), "the model is item_knn and in the run rp3beta");
    let other_item = |files: &mut std::collections::BTreeMap<String, Vec<u8>>| {
        let seen = files.get_mut("seen.safetensors").unwrap();
        let header = u64::from_le_bytes(seen[..8].try_into().unwrap()) as usize;
        // The first number: an item of the first user.
        seen[8 + header] ^= 1;
    };
    differs(&|| change_files(&best, other_item), "the seen items");
    succeed(verify(&run));
}
