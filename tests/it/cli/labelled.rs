//! A comparison on labelled rows, which judges every run as `gcnrec train` judges it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use gcnrec::internals::data::world::Config;
use gcnrec::{Seed, World};
use serde_json::Value;
use tempfile::TempDir;

use super::case::{gcnrec, words};
use crate::configs::data_folder;

/// The run files of `configs/debias/world`, made smaller, on a demo world that is written to files:
/// its biased log, and rows of random exposure with labels.
fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Config::default();
    (demo.n_users, demo.n_items, demo.n_communities, demo.interactions_per_user) = (60, 60, 3, 10);
    let split = World::generate(&demo, 0.0, Seed(1)).unwrap().split;
    let write = |name: &str, header: &str, log: &gcnrec::Log| {
        let mut text = format!("{header}\n");
        for (row, (user, item)) in log.pairs().enumerate() {
            let label = log.ratings.get(row).map_or(String::new(), |label| format!(",{label}"));
            writeln!(text, "{},{}{label}", split.users.key(user.0), split.items.key(item.0)).unwrap();
        }
        fs::write(folder.path().join(name), text).unwrap();
    };
    write("train.csv", "user,item", &split.train);
    write("random.csv", "user,item,rating", &split.uniform);
    let data = "[data]\ntrain = \"train.csv\"\nuniform = \"random.csv\"\nformat = \"csv\"\n";
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/debias/world");
    for name in ["plain.toml", "ips.toml"] {
        let text = fs::read_to_string(shipped.join(name)).unwrap();
        assert!(text.contains("dim = 32") && text.contains("max_epochs = 300"), "{text}");
        let small = text.replace("dim = 32", "dim = 8").replace("max_epochs = 300", "max_epochs = 30");
        fs::write(folder.path().join(name), format!("{data}{small}")).unwrap();
    }
    folder
}

fn run(folder: &Path, line: &str) -> Output {
    gcnrec(folder).args(words(line)).output().unwrap()
}

fn succeed(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    assert!(output.status.success(), "gcnrec {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn a_comparison_of_labelled_runs_picks_and_reports_what_train_does() {
    let folder = files();
    let folder = folder.path();
    succeed(folder, "train plain.toml --seed 2021 --out t");
    let line = "compare plain.toml ips.toml --seeds 2 --out c";
    let printed = succeed(folder, line);
    for part in ["model (auc)", "no user values", "users have no value of their own"] {
        assert!(printed.contains(part), "{part} is not in\n{printed}");
    }
    let (trained, compared) = (json(folder, "t/report.json"), json(folder, "c/plain/seed-2021/report.json"));
    assert_eq!((&trained["selection_metric"], &trained["protocol"]["selected_on"]), (&"auc".into(), &"uniform".into()));
    for key in ["best_epoch", "selection_metric", "protocol", "metrics", "learning_curve"] {
        assert_eq!(trained[key], compared[key], "{key}");
    }
    assert!(trained["metrics"]["test"]["ndcg@5"].is_f64());
    let document = json(folder, "c/compare.json");
    let difference = |document: &Value| document["models"][1]["difference"].clone();
    assert_eq!(
        (&document["metric"], &document["models"][0]["runs"][1]["metrics"]),
        (&"auc".into(), &trained["metrics"]["test"])
    );
    assert_eq!(difference(&document).get("users"), None);
    assert_eq!(difference(&document)["per_seed"].as_array().unwrap().len(), 2);

    // The finished runs stand: a metric that is tested, or a selection that is the same, changes
    // none of them.
    succeed(folder, &format!("{line} --resume --metric ndcg@5 --set train.metric=auc"));
    let by_user = json(folder, "c/compare.json");
    assert_eq!(by_user["metric"], "ndcg@5");
    assert!(difference(&by_user)["users"]["n"].as_u64().unwrap() > 1, "{by_user}");
    succeed(folder, &format!("{line} --resume --metric nll"));
    assert_eq!(json(folder, "c/compare.json")["metric"], "nll");
    let refused = run(folder, &format!("{line} --resume --metric rmse"));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(
        said.contains("--metric: found rmse, expected a metric that plain.toml reports; give one of nll, auc"),
        "{said}"
    );
}

/// Every run file for Coat, made shorter, by both commands. Skipped where the data are absent.
#[test]
fn the_debiasing_run_files_are_judged_alike_by_train_and_compare() {
    let Some(data) = data_folder().filter(|data| data.join("coat").is_dir()) else {
        println!("skipped: no coat in $GCNREC_DATA or ../shared/data");
        return;
    };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/debias");
    let is_run_file = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "toml");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&shipped).unwrap().map(|entry| entry.unwrap().path()).filter(is_run_file).collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let succeed = |command: &[&str], files: &[PathBuf], out: &str| {
        let short = ["--set", "train.max_epochs=4", "--set", "train.validate_from=1", "--out", out];
        let mut line = gcnrec(folder);
        line.args(command).args(files).args(short).env("GCNREC_DATA", &data);
        let output = line.output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    succeed(&["compare", "--seeds", "1"], &files, "all");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_string();
        succeed(&["train"], &[file], &name);
        let trained = json(folder, &format!("{name}/report.json"));
        let compared = json(folder, &format!("all/{name}/seed-2020/report.json"));
        for key in ["best_epoch", "selection_metric", "protocol", "metrics", "learning_curve"] {
            assert!(!trained[key].is_null(), "{name}: {key}");
            assert_eq!(trained[key], compared[key], "{name}: {key}");
        }
    }
}

/// Six users with six items each, and rows of random exposure that are rated as `rating` says.
fn one_class(rating: impl Fn(usize) -> u8) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut train, mut random) = ("user,item\n".to_string(), "user,item,rating\n".to_string());
    for user in 0..6 {
        (0..6).for_each(|item| writeln!(train, "u{user},i{}", (user + item) % 9).unwrap());
        (6..9).for_each(|item| writeln!(random, "u{user},i{},{}", (user + item) % 9, rating(user)).unwrap());
    }
    fs::write(folder.path().join("train.csv"), train).unwrap();
    fs::write(folder.path().join("random.csv"), random).unwrap();
    folder
}

const ONE_CLASS: &str =
    "train --train train.csv --uniform random.csv --model mf --epochs 2 --set data.uniform_ratios=[1,1,1] --out r";

#[test]
fn a_validation_part_of_one_class_is_refused_before_training_and_nll_judges_it() {
    let folder = one_class(|_| 5);
    let folder = folder.path();
    let refused = run(folder, ONE_CLASS);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    for part in ["validation part: found", "all positive", "train.metric = \"auc\"", "set train.metric = \"nll\""] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("epoch 1") && !folder.join("r").exists(), "{said}");

    // The advice works: AUC is not defined and says so, and the rest is reported.
    let output = run(folder, &format!("{ONE_CLASS} --set train.metric=nll"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let report = json(folder, "r/report.json");
    for part in ["valid", "test"] {
        let metrics = report["metrics"][part].as_object().unwrap();
        assert!(metrics["nll"].is_f64() && metrics["ndcg@5"] == 1.0 && metrics["auc"].is_null(), "{metrics:?}");
        let warned = format!("auc is not defined on the {part} part: ");
        let warnings = report["warnings"].as_array().unwrap();
        assert!(warnings.iter().any(|warning| warning.as_str().unwrap().starts_with(&warned)), "{warnings:?}");
        assert!(said.contains(&warned), "{said}");
    }
    let judged = run(folder, "evaluate r");
    assert!(judged.status.success());
    assert!(String::from_utf8(judged.stderr).unwrap().contains("auc is not defined on the test part"));
    assert!(!String::from_utf8(judged.stdout).unwrap().contains("auc"));
    let verified = run(folder, "verify r");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn a_test_part_without_a_positive_row_has_no_ranking_and_no_auc() {
    // Rows that teach and judge are drawn; where all are negative so is every part.
    let folder = one_class(|_| 1);
    let output = run(folder.path(), &format!("{ONE_CLASS} --set train.metric=nll"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let test = &json(folder.path(), "r/report.json")["metrics"]["test"];
    assert!(test["nll"].is_f64() && test["auc"].is_null() && test["ndcg@5"].is_null(), "{test}");
    assert!(run(folder.path(), "train --train train.csv --uniform random.csv --model ease --out e").status.success());
}
