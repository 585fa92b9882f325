//! The program ends at a chosen change to the disk or a chosen step, or finds the disk full there,
//! and goes on to the same bits.
//!
//! Needs a program with the hooks: `cargo test --features failpoints --test failpoints`.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "it/trust.rs"]
mod trust;

use std::os::unix::process::ExitStatusExt;

use gcnrec::internals::checkpoint;
use trust::{CASES, end, fail, output, succeed, train};

const SIGABRT: i32 = 6;

#[test]
fn the_process_may_end_at_any_change_and_at_any_step() {
    let base = tempfile::tempdir().unwrap();
    let case = &CASES[0];
    let whole = base.path().join("whole");
    succeed(train(case, &whole, false));
    let expected = end(&whole);
    let places = (1..).step_by(37).map(|n| format!("write:{n}:kill"));
    let steps = (1..40).step_by(7).map(|n| format!("step:{n}:kill"));
    for (n, place) in steps.chain(places).enumerate() {
        let run = base.path().join(format!("run-{n}"));
        let mut command = train(case, &run, false);
        command.env("FAILPOINT", &place);
        let status = output(command).status;
        if status.success() {
            assert!(place.starts_with("write") && n > 10, "{place} is after the end");
            return;
        }
        assert_eq!(status.signal(), Some(SIGABRT), "{place}");
        succeed(train(case, &run, true));
        assert_eq!(end(&run), expected, "{place}");
    }
}

#[test]
fn a_full_disk_is_exit_code_5_and_the_checkpoint_before_it_is_good() {
    let base = tempfile::tempdir().unwrap();
    for (n, at) in [1, 2, 3, 5, 8, 20, 33, 47, 60, 71].into_iter().enumerate() {
        let run = base.path().join(format!("run-{n}"));
        let mut command = train(&CASES[1], &run, false);
        command.env("FAILPOINT", format!("write:{at}:full"));
        let line = fail(command, 5);
        assert!(line.contains("no space left") && line.contains(&run.display().to_string()), "{line}");
        let last = run.join("last");
        if checkpoint::exists(&last) {
            checkpoint::load(&last).unwrap();
        }
        assert!(at < 47 || checkpoint::exists(&last), "change {at} should be after the first checkpoint");
        succeed(train(&CASES[1], &run, true));
    }
}
