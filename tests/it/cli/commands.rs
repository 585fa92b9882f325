//! Each command on the demo world, as a newcomer would type it, with a few epochs.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use super::case::{gcnrec, words};

fn run(folder: &Path, line: &str) -> Output {
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    assert!(output.status.success(), "gcnrec {line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn stdout(folder: &Path, line: &str) -> String {
    String::from_utf8(run(folder, line).stdout).unwrap()
}

/// A folder with a run in `runs/lightgcn-1`, made once for all tests that only read it, and what
/// the program printed.
fn demo() -> &'static (TempDir, String) {
    static DEMO: OnceLock<(TempDir, String)> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let printed = stdout(folder.path(), "train --attn-layers --epochs 3");
        (folder, printed)
    })
}

#[test]
fn train_needs_no_data_and_ends_in_a_table_a_run_folder_and_recommendations() {
    let (folder, printed) = demo();
    for words in
        ["metric", "ndcg@20", "recall@10", "recommended:", "model: lightgcn, epoch 3 of 3", "run: runs/lightgcn-1"]
    {
        assert!(printed.contains(words), "{words} is not in\n{printed}");
    }
    let run = folder.path().join("runs/lightgcn-1");
    for name in
        ["config.toml", "metrics.jsonl", "report.json", "report.html", "best/manifest.json", "last/manifest.json"]
    {
        assert!(run.join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().count(), 3, "a line for each epoch");
}

#[test]
fn the_report_has_the_fields_that_others_read() {
    let (folder, _) = demo();
    let text = fs::read_to_string(folder.path().join("runs/lightgcn-1/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["model"], "lightgcn");
    assert_eq!(report["seed"], 2020);
    assert_eq!(report["dataset"]["n_users"], 1000);
    assert_eq!(report["protocol"]["selected_on"], "valid");
    assert_eq!(report["epochs_run"], 3);
    assert_eq!(report["config"]["model"]["lightgcn"]["combination"], "additive");
    let changed: Vec<&str> =
        report["changed"].as_array().unwrap().iter().filter_map(|row| row["key"].as_str()).collect();
    assert!(changed.contains(&"train.max_epochs") && changed.contains(&"model.lightgcn.combination"), "{changed:?}");
    assert_eq!(report["layer_weights"]["mean"].as_array().unwrap().len(), 4);
    for (part, metric) in [("valid", "ndcg@20"), ("test", "recall@20"), ("test", "precision@10")] {
        let value = report["metrics"][part][metric].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&value), "{part} {metric} {value}");
    }
    for name in ["load_s", "train_s", "epoch_s_median", "evaluate_s"] {
        assert!(report["timing"][name].as_f64().unwrap() >= 0.0, "{name}");
    }
    assert!(report["evaluation_share"].as_f64().unwrap() > 0.0);
}

#[test]
fn evaluate_finds_the_numbers_of_the_report_again() {
    let (folder, _) = demo();
    let text = fs::read_to_string(folder.path().join("runs/lightgcn-1/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    for part in ["test", "valid"] {
        let line = format!("evaluate runs/lightgcn-1 --part {part} --output json");
        let rows: Vec<Value> = serde_json::from_str(&stdout(folder.path(), &line)).unwrap();
        let ndcg = rows.iter().find(|row| row["metric"] == "ndcg@20").unwrap()[part].as_f64().unwrap();
        let expected = report["metrics"][part]["ndcg@20"].as_f64().unwrap();
        // The table shows five digits.
        assert!((ndcg - expected).abs() < 1e-5, "{part}: {ndcg}, the report says {expected}");
    }
    let few = stdout(folder.path(), "evaluate runs/lightgcn-1 --metrics recall --k 5,50 --output csv");
    assert_eq!(
        few.lines().map(|line| line.split(',').next().unwrap()).collect::<Vec<_>>(),
        ["metric", "recall@5", "recall@50"]
    );
}

#[test]
fn evaluate_says_what_picked_the_epoch_of_a_sequential_model() {
    let folder = tempfile::tempdir().unwrap();
    let line = "train --model gru4rec --epochs 1 --set model.gru4rec.dim=4 --set model.gru4rec.hidden=4 --out run \
                --set data.demo.n_users=50 --set data.demo.n_items=60 --set data.demo.n_communities=2 \
                --set data.demo.interactions_per_user=8";
    run(folder.path(), line);
    for part in ["test", "valid"] {
        let output = run(folder.path(), &format!("evaluate run --part {part}"));
        let (printed, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(printed.contains("selected on validation"), "{printed}");
        assert!(!said.contains("has learnt from the validation pairs"), "{said}");
    }
}

#[test]
fn recommend_answers_for_a_user_for_a_file_of_users_and_for_a_history() {
    let (folder, _) = demo();
    let one = stdout(folder.path(), "recommend runs/lightgcn-1 --user user-0001 -k 3 --output csv");
    assert_eq!(one.lines().next(), Some("rank,item,title,score"));
    assert_eq!(one.lines().count(), 4);

    fs::write(folder.path().join("users.txt"), "user-0001\nuser-0002\n").unwrap();
    let many = stdout(folder.path(), "recommend runs/lightgcn-1 --users users.txt -k 3 --output csv");
    let first: Vec<&str> = many.lines().skip(1).take(3).map(|line| line.strip_prefix("user-0001,").unwrap()).collect();
    assert_eq!(first, one.lines().skip(1).collect::<Vec<_>>(), "alone and among others a user gets the same");

    let rows: Vec<Value> = serde_json::from_str(&stdout(
        folder.path(),
        "recommend runs/lightgcn-1 --history Jazz~001,Jazz~002 -k 5 --output json",
    ))
    .unwrap();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row["item"] != "Jazz 001" && row["item"] != "Jazz 002"), "{rows:?}");
}

#[test]
fn many_users_are_answered_whoever_else_is_in_their_file() {
    let (folder, _) = demo();
    let place = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("runs/lightgcn-1");
    let line = |rest: &str| format!("recommend {} {rest}", run_folder.display());
    // One user among 5,000 lines is unknown.
    let names: Vec<String> = (0..5000).map(|n| format!("user-{:04}", n % 900 + 1)).collect();
    fs::write(place.path().join("users.txt"), names[..4500].join("\n") + "\nnobody\n" + &names[4500..].join("\n"))
        .unwrap();
    let output = run(place.path(), &line("--users users.txt -k 2 -o lists.csv"));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: 1 of 5001 users are not in this run and were left out: \"nobody\""), "{said}");
    let text = fs::read_to_string(place.path().join("lists.csv")).unwrap();
    assert_eq!(text.lines().next(), Some("user,rank,item,title,score"));
    let of_row = |line: &str| line.split(',').next().unwrap().to_string();
    let users: Vec<String> = text.lines().skip(1).map(of_row).collect();
    let expected: Vec<String> = names.iter().flat_map(|name| [name.clone(), name.clone()]).collect();
    assert_eq!(users, expected, "in the order of the file, across its blocks");
    let alone = stdout(place.path(), &line("--user user-0321 -k 2 --output csv"));
    let of_user: Vec<&str> = text.lines().filter_map(|row| row.strip_prefix("user-0321,")).take(2).collect();
    assert_eq!(alone.lines().skip(1).collect::<Vec<_>>(), of_user);

    run(place.path(), &line("--all -k 3 -o lists.jsonl"));
    let text = fs::read_to_string(place.path().join("lists.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), 3000);
    assert!(rows[2]["user"] == rows[0]["user"] && rows[2]["rank"] == 3 && rows[0]["score"].is_f64(), "{}", rows[2]);
    let all: Vec<Value> = serde_json::from_str(&stdout(place.path(), &line("--all -k 3 --output json"))).unwrap();
    assert_eq!(all, rows);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3, "nothing unfinished is left");
}

#[test]
fn similar_lists_other_items() {
    let (folder, _) = demo();
    let rows: Vec<Value> =
        serde_json::from_str(&stdout(folder.path(), "similar runs/lightgcn-1 --item Jazz~001 -k 4 --output json"))
            .unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["item"] != "Jazz 001"), "{rows:?}");
}

#[test]
fn inspect_shows_runs_data_files_and_run_files() {
    let (folder, _) = demo();
    let run = stdout(folder.path(), "inspect runs/lightgcn-1");
    for words in ["checkpoint", "layer weights", "graph"] {
        assert!(run.contains(words), "{words} is not in\n{run}");
    }
    fs::write(folder.path().join("f.csv"), "user,item\na,x\nb,x\nb,y\nc,z\n").unwrap();
    // The best checkpoint was written before the end; the run is over all the same.
    let finished = stdout(folder.path(), "inspect runs/lightgcn-1 --output csv");
    assert!(finished.contains("checkpoint,progress.done,true"), "{finished}");
    let data = stdout(folder.path(), "inspect f.csv --output csv");
    // a-x-b-y hang together, c-z stand apart.
    for row in ["graph,users,3", "graph,items,3", "graph,pairs,4", "graph,components,2"] {
        assert!(data.contains(row), "{row} is not in\n{data}");
    }
    fs::write(folder.path().join("r.toml"), "[data]\n").unwrap();
    assert!(stdout(folder.path(), "inspect r.toml").contains("test pairs"));
}

#[test]
fn names_and_titles_of_any_length_and_kind_are_printed_and_drive_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (long, loud) = ("x".repeat(70_000), "\u{1b}[31mred\u{9b}2J");
    let items = [&*long, loud, "plain", "other"];
    let mut text = String::from("user,item\n");
    for user in 0..12 {
        (0..3).for_each(|n| text += &format!("\u{1b}[1mu{user},{}\n", items[(user + n) % 4]));
    }
    let titles = items.map(|item| format!("{item},\u{1b}]0;title of {item}\n"));
    fs::write(folder.path().join("f.csv"), text + &format!("{long},plain\n{long},other\n")).unwrap();
    fs::write(folder.path().join("t.csv"), format!("item,title\n{}", titles.concat())).unwrap();
    let train = run(folder.path(), "train --data f.csv --items t.csv --model popularity --out run");
    for output in
        [train, run(folder.path(), "recommend run --history plain"), run(folder.path(), "recommend run --all")]
    {
        for printed in [output.stdout, output.stderr] {
            let printed = String::from_utf8(printed).unwrap();
            assert!(!printed.contains(['\u{1b}', '\u{9b}']), "{}", printed.chars().take(2000).collect::<String>());
        }
    }
}

#[test]
fn devices_lists_the_processor() {
    let folder = tempfile::tempdir().unwrap();
    assert!(stdout(folder.path(), "devices").lines().any(|line| line.starts_with("cpu ")));
}

#[test]
fn the_second_run_gets_the_next_number_and_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let line = "train --model mf --dim 8 --epochs 2 --seed 7";
    run(folder.path(), line);
    run(folder.path(), &format!("{line} --threads 1"));
    let metrics = |run: &str| {
        let text = fs::read_to_string(folder.path().join(run).join("report.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["metrics"].clone()
    };
    assert_eq!(metrics("runs/mf-1"), metrics("runs/mf-2"));
}

#[test]
fn results_go_to_stdout_and_everything_else_to_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "train --model popularity --output json");
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows.iter().any(|row| row["metric"] == "ndcg@20"), "{rows:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("data: the built-in demo world: 1000 users"), "{said}");
    // Where the model is, whatever the table is printed as.
    assert!(said.contains("model: popularity, computed at once, "), "{said}");
    assert!(said.ends_with("run: runs/popularity-1\n"), "{said}");
}

#[test]
fn help_names_every_flag_of_the_design() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        (
            "train",
            "--preset --data --train --valid --test --uniform --feedback --format --min-rating --valid-fraction --split --refit --model \
                   --attn-layers --layers --dim --loss --tau --epochs --batch-size --lr --l2 --debias --k --device --threads --seed --out \
                   --force --resume --set --output",
        ),
        (
            "evaluate",
            "--part --metrics --k --candidates --trec --run-file --qrels --output --data --train --valid --test --uniform --items",
        ),
        ("recommend", "--user --users --all --strict --history -k -o --to --output"),
        ("similar", "--item -k --output"),
        ("inspect", "--format --output"),
        ("verify", "--steps --data --train --valid --test --uniform --items"),
        ("devices", "--output"),
    ];
    for (command, flags) in flags {
        let help = stdout(folder.path(), &format!("{command} --help"));
        for flag in flags.split_whitespace() {
            let named = |end: &str| help.contains(&format!("{flag}{end}"));
            assert!([" ", "\n", ",", "["].into_iter().any(named), "{command} --help does not name {flag}\n{help}");
        }
        assert!(help.contains(&format!("gcnrec {command}")), "{command} --help shows no example");
    }
    assert!(stdout(folder.path(), "--help").contains("Exit codes:"));
    assert!(stdout(folder.path(), "--version").starts_with("gcnrec 0."));
}

#[test]
fn a_debiased_run_tells_what_its_examples_count() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "train --model mf --dim 8 --loss mse --debias autodebias --epochs 2 --set debias.autodebias.frozen_epochs=0";
    run(folder.path(), line);
    let file = |name: &str| fs::read_to_string(folder.path().join("runs/mf-1").join(name)).unwrap();
    let report: Value = serde_json::from_str(&file("report.json")).unwrap();
    let rows = report["example_weights"].as_array().unwrap();
    for feature in ["all", "item popularity", "imputed value"] {
        assert!(rows.iter().any(|row| row["feature"] == feature), "{feature} is not in {rows:?}");
    }
    let page = file("report.html");
    assert!(page.contains("What the training pairs count") && page.contains("Imputed labels"));
    assert!(file("weights.csv").lines().count() > 30_000, "a line for each training pair");
    // The folder is known for a run, whatever debiasing adds to it.
    run(folder.path(), &format!("{line} --out runs/mf-1 --force"));
    let shown = stdout(folder.path(), "inspect runs/mf-1 --output csv");
    for row in ["example weights,all", "example weights,\"imputed value, unobserved\""] {
        assert!(shown.contains(row), "{row} is not in\n{shown}");
    }
}

#[test]
fn a_closed_form_says_that_it_has_learnt_from_the_validation_pairs() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "train --model ease --out e");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("e/report.json")).unwrap()).unwrap();
    let n = |key: &str| report["dataset"][key].as_u64().unwrap();
    assert!(n("n_valid") > 0 && n("n_learnt") == n("n_train") + n("n_valid"), "{}", report["dataset"]);
    assert_eq!((&report["protocol"]["refit"], &report["protocol"]["selected_on"]), (&true.into(), &"none".into()));
    let judged = stdout(folder.path(), "evaluate e");
    assert!(judged.contains("nothing selected, learnt from training and validation pairs"), "{judged}");
    // Without a validation part there is nothing more to learn from.
    run(folder.path(), "train --model ease --set data.valid_fraction=0 --out f");
    let report: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("f/report.json")).unwrap()).unwrap();
    assert_eq!(report["protocol"]["refit"], false);
    assert_eq!(report["dataset"]["n_learnt"], report["dataset"]["n_train"]);
}

#[test]
fn a_report_tells_the_command_the_date_and_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|row| format!("u{},i{}\n", row % 5, row / 5)).collect();
    fs::write(folder.path().join("my log.csv"), format!("user,item\n{rows}")).unwrap();
    run(folder.path(), "train --data my~log.csv --model ease --out e");
    let text = fs::read_to_string(folder.path().join("e/report.json")).unwrap();
    let origin: Value = serde_json::from_str::<Value>(&text).unwrap()["origin"].take();
    assert_eq!(origin["command"], "gcnrec train --data 'my log.csv' --model ease --out e");
    let date = origin["date"].as_str().unwrap();
    assert!(date.len() == 20 && date > "2026" && date.ends_with('Z'), "{date}");
    let files = origin["files"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]["key"], &files[0]["lines"]), (1, &"data.path".into(), &41.into()));
    let page = fs::read_to_string(folder.path().join("e/report.html")).unwrap();
    assert!(page.contains("<h1>ease, seed 2020, on my log.csv, 5 users, 8 items</h1>"), "{page}");
}
