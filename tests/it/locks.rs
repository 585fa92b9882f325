//! Who may write into a folder of runs, and what becomes of a run whose parent is gone.
//!
//! `GCNREC_KILLS=60 cargo test --test it locks` kills a comparison 60 times; without the variable it
//! is 4 times.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::trust::{CASES, Draws, End, end, fail, gcnrec, start, succeed, train};

const FILE: &str = "[data.demo]\nn_users = 80\nn_items = 60\nn_communities = 3\ninteractions_per_user = 10\n\
                    [train]\nmax_epochs = 6\nvalidate_every = 2\ncheckpoint_seconds = 0.0\ncheckpoint_every_steps = 2\n\
                    batch_size = 16\n[model.lightgcn]\ndim = 8\n";
const NAMES: [&str; 2] = ["one", "two"];
const SEEDS: [&str; 2] = ["seed-2020", "seed-2021"];

fn compare(folder: &Path, out: &str, resume: bool) -> Command {
    let mut command = gcnrec();
    command.current_dir(folder).args(["compare", "one.toml", "two.toml", "--seeds", "2", "--threads", "1"]);
    command.args(["--out", out]);
    if resume {
        command.arg("--resume");
    }
    command
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, layers) in NAMES.iter().zip(["layers = 1\n", "layers = 2\n"]) {
        fs::write(folder.path().join(name).with_extension("toml"), format!("{FILE}{layers}")).unwrap();
    }
    folder
}

/// Everything that a comparison must bring to light whoever was killed meanwhile: its numbers
/// without seconds and megabytes, and the bits of its runs.
fn result(out: &Path) -> (Value, BTreeMap<String, End>) {
    let mut document: Value = serde_json::from_slice(&fs::read(out.join("compare.json")).unwrap()).unwrap();
    for model in document["models"].as_array_mut().unwrap() {
        model["cost"] = Value::Null;
        for run in model["runs"].as_array_mut().unwrap() {
            ["train_s", "evaluate_s", "peak_rss_mb", "folder"].iter().for_each(|key| run[*key] = Value::Null);
        }
    }
    let runs = NAMES.iter().flat_map(|name| SEEDS.map(|seed| format!("{name}/{seed}")));
    (document, runs.map(|run| (run.clone(), end(&out.join(run)))).collect())
}

#[test]
fn a_comparison_that_is_killed_alone_and_resumed_comes_out_the_same() {
    let folder = files();
    let started = Instant::now();
    succeed(compare(folder.path(), "whole", false));
    let duration = started.elapsed();
    let expected = result(&folder.path().join("whole"));
    let n_kills: usize = std::env::var("GCNREC_KILLS").map_or(4, |text| text.parse().unwrap());
    let mut draws = Draws(2027);
    for n in 0..n_kills {
        let out = format!("killed-{n}");
        let mut child = start(compare(folder.path(), &out, false));
        std::thread::sleep(duration.mul_f64(draws.share()));
        // SIGKILL for the comparison; nobody tells the run that it has started.
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = folder.path().join(&out).is_dir();
        succeed(compare(folder.path(), &out, begun));
        assert!(result(&folder.path().join(&out)) == expected, "kill {n} left another result");
    }
}

#[test]
fn a_replacement_that_is_killed_leaves_a_run_that_answers() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let training = |force: bool| {
        let mut command = train(&CASES[1], &run, false);
        if force {
            command.args(["--force", "--seed", "7"]);
        }
        command
    };
    let started = Instant::now();
    succeed(training(false));
    let duration = started.elapsed();
    let answer = || {
        let mut command = gcnrec();
        command.arg("recommend").arg(&run).args(["--user", "user-0001", "--output", "csv"]);
        succeed(command).stdout
    };
    let old = answer();
    let mut draws = Draws(3);
    for _ in 0..4 {
        let mut child = start(training(true));
        std::thread::sleep(duration.mul_f64(draws.share()));
        child.kill().unwrap();
        child.wait().unwrap();
        answer();
    }
    succeed(training(true));
    assert!(answer() != old, "another seed gives other scores");
    let left: Vec<_> = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["run"]);
}

/// A run of many small epochs, once it has written its first.
fn long_run(run: &Path) -> Child {
    let mut command = train(&CASES[1], run, false);
    command.args(["--set", "train.max_epochs=100000", "--set", "train.patience=100000"]);
    command.args(["--set", "train.checkpoint_seconds=1e9", "--set", "train.checkpoint_every_steps=0"]);
    let child = start(without_epochs(command));
    wait_until("the run has begun", || fs::read(run.join("metrics.jsonl")).is_ok_and(|bytes| !bytes.is_empty()));
    child
}

/// The common flags name a number of epochs, and a flag stands once.
fn without_epochs(command: Command) -> Command {
    let mut plain = gcnrec();
    let mut words = command.get_args().map(|word| word.to_os_string()).collect::<Vec<_>>();
    let at = words.iter().position(|word| word == "--epochs").unwrap();
    words.drain(at..at + 2);
    plain.args(words);
    plain
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(120), "{what}: it never came to that");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_folder_in_which_a_training_runs_is_refused_with_its_process() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let mut child = long_run(&run);
    let taken = format!("process {} is writing into", child.id());
    let line = fail(train(&CASES[1], &run, true), 2);
    assert!(line.contains(&taken) && line.contains("another --out"), "{line}");
    let mut replacing = train(&CASES[1], &run, false);
    replacing.arg("--force");
    let line = fail(replacing, 2);
    assert!(line.contains(&taken), "{line}");
    signal("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(fs::read_to_string(run.join("lock")).unwrap(), "");
}

#[test]
fn a_terminal_that_is_gone_leaves_a_checkpoint() {
    // Under `nohup` the tests and all that they start outlive their terminal.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    if mask.is_none_or(|mask| mask & 1 == 1) {
        println!("skipped: this process does not hear of its terminal");
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let mut child = long_run(&run);
    assert!(!run.join("last").exists(), "only the signal should write one");
    signal("-HUP", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(129));
    assert!(run.join("last/manifest.json").is_file());
}

#[test]
fn a_run_ends_with_whoever_started_it_for_a_comparison() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let mut command = train(&CASES[1], &run, false);
    command.args(["--set", "train.max_epochs=100000", "--set", "train.patience=100000", "--obey-stdin"]);
    let mut command = without_epochs(command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the run has begun", || run.join("metrics.jsonl").exists());
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn ctrl_c_for_a_comparison_alone_stops_its_run_at_a_checkpoint() {
    let folder = files();
    for name in NAMES {
        let path = folder.path().join(name).with_extension("toml");
        let text =
            fs::read_to_string(&path).unwrap().replace("max_epochs = 6", "max_epochs = 100000\npatience = 100000");
        fs::write(&path, text).unwrap();
    }
    let mut child = start(compare(folder.path(), "c", false));
    let run = folder.path().join("c/one/seed-2020");
    wait_until("the run has begun", || run.join("metrics.jsonl").exists());
    let since = Instant::now();
    signal("-INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    let said = fs::read_to_string(folder.path().join("c/one/seed-2020.log")).unwrap();
    assert!(said.contains("error: interrupted; go on with --resume"), "{said}");
    assert!(run.join("last/manifest.json").is_file());
}

#[test]
fn a_request_to_terminate_is_heeded_while_a_closed_form_is_computed() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let mut command = gcnrec();
    command.args(["train", "--model", "ease", "--threads", "1", "--set", "data.demo.n_items=4000", "--out"]);
    let mut child = start({
        command.arg(&run).args(["--set", "data.demo.n_users=4000", "--set", "data.demo.interactions_per_user=20"]);
        command
    });
    wait_until("the folder is made", || run.join("config.toml").exists());
    let since = Instant::now();
    signal("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(!run.join("best").exists());
}

#[test]
fn epochs_of_two_trainings_in_one_folder_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    succeed(train(&CASES[0], &run, false));
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    // As another process would have left it: the second epoch twice, and one line less at the end.
    let twice = [&lines[..2], &lines[1..lines.len() - 1]].concat();
    fs::write(&path, twice.join("\n") + "\n").unwrap();
    let line = fail(train(&CASES[0], &run, true), 6);
    assert!(line.contains("line 3 is epoch 2 of stage train after epoch 2 of stage train"), "{line}");
}
