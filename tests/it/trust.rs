//! Small runs of the real program, for tests that kill it, damage what it wrote, and compare.

#![allow(dead_code)] // `failpoints` is a program of its own and uses a part

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A run to kill: its name and its flags beyond the common ones.
pub struct Case {
    pub name: &'static str,
    pub flags: &'static [&'static str],
}

/// Attention learnt on the training loss; negatives from the batch; attention fitted on held-out
/// pairs, then two more stages.
pub const CASES: [Case; 3] = [
    Case { name: "attention", flags: &["--attn-layers", "--batch-size", "16"] },
    Case { name: "ssm", flags: &["--loss", "ssm", "--batch-size", "128", "--set", "model.lightgcn.edge_dropout=0.1"] },
    Case { name: "held-out", flags: &["--attn-layers=dot", "--loss", "bpr", "--batch-size", "256", "--refit"] },
];

const COMMON: &[&str] = &[
    "--epochs",
    "8",
    "--dim",
    "8",
    "--layers",
    "2",
    "--threads",
    "1",
    "--set",
    "data.demo.n_users=80",
    "--set",
    "data.demo.n_items=60",
    "--set",
    "data.demo.interactions_per_user=12",
    "--set",
    "train.checkpoint_seconds=0",
    "--set",
    "train.checkpoint_every_steps=2",
    "--set",
    "train.validate_every=1",
    "--set",
    "train.patience=4",
];

/// The program, without anything from the environment that would configure it.
pub fn gcnrec() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gcnrec"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GCNREC_") {
            command.env_remove(name);
        }
    }
    command
}

pub fn train(case: &Case, out: &Path, resume: bool) -> Command {
    let mut command = gcnrec();
    command.arg("train").args(COMMON).args(case.flags).arg("--out").arg(out);
    if resume {
        command.arg("--resume");
    }
    command
}

pub fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Runs to the end; never a panic, and errors are one line.
pub fn output(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_ne!(output.status.code(), Some(101), "a panic: {stderr}");
    output
}

pub fn succeed(command: Command) -> Output {
    let output = output(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The error line of a command that fails with this exit code.
pub fn fail(command: Command, code: i32) -> String {
    let output = output(command);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    errors[0].to_string()
}

/// What two runs must have in common: the bytes of the weights, the metrics of the report, every
/// line of `metrics.jsonl` without its seconds.
#[derive(Debug, PartialEq)]
pub struct End {
    pub weights: Vec<u8>,
    pub report: BTreeMap<String, Value>,
    pub lines: Vec<Value>,
}

pub fn end(run: &Path) -> End {
    let report: Value = serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    let facts = ["seed", "dataset", "protocol", "best_epoch", "epochs_run", "metrics", "layer_weights"];
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for name in ["seconds", "examples_per_s", "validate_s"] {
            line.as_object_mut().unwrap().shift_remove(name);
        }
        line
    };
    End {
        weights: fs::read(run.join("best/model.safetensors")).unwrap(),
        report: facts.iter().map(|fact| (fact.to_string(), report.get(fact).cloned().unwrap_or_default())).collect(),
        lines: lines.lines().map(line).collect(),
    }
}

/// A stream of numbers that is the same in every test run (splitmix64).
pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// From 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
