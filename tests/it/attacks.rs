//! Run folders that somebody wrote to do harm, checksums fitting: each is refused with exit code 6
//! before it costs memory or time, or answers with scores that are numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fuzz_seeds::checks;
use crate::trust::{CASES, fail, output, train};

#[test]
fn every_changed_shape_is_refused_and_no_changed_number_does_harm() {
    let (mut n_all, mut n_refused, mut wrong) = (0, 0, Vec::new());
    for model in 0..checks::model_names().len() {
        for (n, attack) in checks::attacks::attacks(model).into_iter().enumerate() {
            // What must be refused is tried in full, and of what may be opened every third: the
            // fuzz target has the rest.
            if !attack.is_refused && n % 3 != 0 {
                continue;
            }
            println!("{}", attack.name);
            let started = Instant::now();
            let refused = checks::open(&attack.files);
            if attack.is_refused && !refused {
                wrong.push(format!("{} was opened", attack.name));
            }
            if started.elapsed() > Duration::from_secs(5) {
                wrong.push(format!("{} took {:?}", attack.name, started.elapsed()));
            }
            (n_all, n_refused) = (n_all + 1, n_refused + usize::from(refused));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{n_refused} of {n_all} were refused");
    assert!(n_all > 3000 && n_refused > n_all / 2, "{n_refused} of {n_all}");
}

/// Under a limit of address space an allocation of what a header claims ends in an abort.
#[test]
fn the_program_refuses_them_within_the_memory_that_it_has() {
    let base = tempfile::tempdir().unwrap();
    let mut codes = BTreeMap::new();
    for model in 0..checks::model_names().len() {
        let attacks = checks::attacks::attacks(model);
        let every = attacks.len() / 12;
        for attack in attacks.iter().step_by(every.max(1)) {
            checks::write(&attack.files, base.path());
            let mut command = Command::new("sh");
            let limited = "ulimit -v 4000000; exec \"$0\" recommend \"$1\" --user a --output json";
            command.args(["-c", limited, env!("CARGO_BIN_EXE_gcnrec")]).arg(base.path());
            let output = output(command);
            let code = output.status.code();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(code, Some(0 | 1 | 3 | 6)), "{}: {code:?}: {stderr}", attack.name);
            assert!(code == Some(6) || !attack.is_refused, "{}: {code:?}", attack.name);
            *codes.entry(code).or_insert(0) += 1;
        }
    }
    println!("{codes:?}");
    assert!(codes[&Some(6)] > 100, "{codes:?}");
}

/// Changes files of a checkpoint and makes the checksums fit again.
pub fn change_files(folder: &Path, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let mut files = fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect();
    change(&mut files);
    checks::seal(&mut files);
    checks::write(&files, folder);
}

/// Replaces one value of a checkpoint's manifest.
pub fn change_fact(folder: &Path, pointer: &str, value: Value) {
    change_files(folder, |files| {
        let mut manifest = Value::Object(checks::manifest_of(files));
        *manifest.pointer_mut(pointer).unwrap() = value;
        files.insert("manifest.json".into(), manifest.to_string().into_bytes());
    });
}

#[test]
fn a_run_does_not_go_on_from_progress_that_it_cannot_have_made() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    let case = &CASES[2];
    assert!(output(train(case, &run, false)).status.success());
    fs::remove_dir_all(run.join("last.old")).unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(run.join("last/manifest.json")).unwrap()).unwrap();
    for (pointer, value) in [
        ("/facts/progress/chosen/epoch", json!(u64::MAX)),
        ("/facts/progress/chosen/epochs_run", json!(u64::MAX)),
        ("/facts/progress/epoch", json!(u64::MAX)),
        ("/facts/progress/epochs_run", json!(u64::MAX)),
        ("/facts/progress/n_examples", json!(u64::MAX)),
        ("/facts/progress/metrics_lines", json!(1u64 << 40)),
        ("/facts/progress/prior", json!([0.0, 0.0, 0.0, 0.0, 0.0])),
        ("/facts/progress/stage", json!("nap")),
        ("/state/step", json!(u64::MAX)),
    ] {
        let before = manifest.pointer(pointer).unwrap().clone();
        change_fact(&run.join("last"), pointer, value.clone());
        let line = fail(train(case, &run, true), 6);
        assert!(line.contains("progress") || line.contains("step"), "{pointer} = {value}: {line}");
        change_fact(&run.join("last"), pointer, before);
    }
    assert!(output(train(case, &run, true)).status.success());
}
