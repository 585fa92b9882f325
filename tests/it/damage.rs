//! A thousand damages to the checkpoint of a real run: each is refused with exit code 6 and one
//! line, or changes nothing.

use std::fs;
use std::path::Path;

use gcnrec::Recommender;

use crate::trust::{CASES, Draws, fail, gcnrec, succeed, train};

const FILES: [&str; 5] = ["manifest.json", "model.safetensors", "ids.json", "seen.safetensors", "config.toml"];

/// One changed bit, one changed byte, one byte less or more, or the end cut off.
fn damaged(bytes: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = draws.below(bytes.len());
    match draws.below(5) {
        0 => bytes[at] ^= 1 << draws.below(8),
        1 => bytes[at] = bytes[at].wrapping_add(1 + draws.below(255) as u8),
        2 => drop(bytes.remove(at)),
        3 => bytes.insert(at, draws.next() as u8),
        _ => bytes.truncate(at),
    }
    bytes
}

fn recommend(run: &Path) -> std::process::Command {
    let mut command = gcnrec();
    command.arg("recommend").arg(run).args(["--user", "user-0001", "--output", "json"]);
    command
}

#[test]
fn a_thousand_damages_are_refused_or_change_nothing() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    succeed(train(&CASES[0], &run, false));
    // An older checkpoint would stand in for the damaged one, which another test looks at.
    fs::remove_dir_all(run.join("best.old")).unwrap();
    let answer = |recommender: &Recommender| {
        let users: Vec<&str> = recommender.users().iter().map(String::as_str).collect();
        recommender.top_k(&users, 10).into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    let expected = answer(&Recommender::open(&run).unwrap());
    let printed = succeed(recommend(&run)).stdout;
    let (mut draws, mut n_refused, mut n_harmless) = (Draws(7), 0, 0);
    for n in 0..1000 {
        let path = run.join("best").join(FILES[n % FILES.len()]);
        let good = fs::read(&path).unwrap();
        fs::write(&path, damaged(&good, &mut draws)).unwrap();
        let through_the_program = n % 25 == 0;
        match Recommender::open(&run) {
            Ok(recommender) => {
                assert_eq!(answer(&recommender), expected, "damage {n} to {}", path.display());
                if through_the_program {
                    assert_eq!(succeed(recommend(&run)).stdout, printed);
                }
                n_harmless += 1;
            }
            Err(error) => {
                let line = error.to_string();
                assert_eq!(error.exit_code(), 6, "{line}");
                assert!(line.contains(FILES[n % FILES.len()]) && !line.contains('\n'), "{line}");
                if through_the_program {
                    assert_eq!(fail(recommend(&run), 6), format!("error: {line}"));
                }
                n_refused += 1;
            }
        }
        fs::write(&path, good).unwrap();
    }
    println!("{n_refused} refused, {n_harmless} harmless");
    // Only white space of the manifest carries no meaning.
    assert!(n_refused > 900 && n_refused + n_harmless == 1000);
    assert_eq!(answer(&Recommender::open(&run).unwrap()), expected);
}

#[test]
fn an_older_checkpoint_that_stands_in_is_never_silent() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    succeed(train(&CASES[0], &run, false));
    fs::write(run.join("best/ids.json"), "{}").unwrap();
    let output = succeed(recommend(&run));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("best.old") && stderr.contains("ids.json"), "{stderr}");
}

#[test]
fn resuming_from_two_damaged_checkpoints_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let run = base.path().join("run");
    succeed(train(&CASES[1], &run, false));
    for folder in ["last", "last.old"] {
        fs::write(run.join(folder).join("model.safetensors"), "").unwrap();
    }
    let line = fail(train(&CASES[1], &run, true), 6);
    assert!(line.contains("last/model.safetensors"), "{line}");
    // One of them is enough, and the run says which one it took.
    fs::remove_dir_all(run.join("last")).unwrap();
    fs::rename(run.join("best"), run.join("elsewhere")).unwrap();
    fs::rename(run.join("elsewhere"), run.join("best")).unwrap();
    assert!(fail(train(&CASES[1], &run, true), 6).contains("last.old/model.safetensors"));
}
