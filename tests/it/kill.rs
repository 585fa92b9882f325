//! The program is killed (SIGKILL) at random moments, goes on with `--resume`, and ends with the
//! bits of a run that nobody disturbed.
//!
//! `GCNREC_KILLS=200 cargo test --release --test it kill` kills 200 times; without the variable it
//! is 10 times.

use std::path::Path;
use std::time::{Duration, Instant};

use gcnrec::Tensor;
use gcnrec::internals::checkpoint;

use crate::trust::{CASES, Case, Draws, End, end, start, succeed, train};

fn n_kills() -> usize {
    std::env::var("GCNREC_KILLS").map_or(10, |text| text.parse().unwrap())
}

/// Starts the program and kills it after a while. True when it was still running.
fn kill_after(case: &Case, run: &Path, resume: bool, wait: Duration) -> bool {
    let mut child = start(train(case, run, resume));
    std::thread::sleep(wait);
    child.kill().unwrap();
    // Killed by a signal: there is no exit code.
    let code = child.wait().unwrap().code();
    assert!(code.is_none() || code == Some(0), "{code:?}");
    code.is_none()
}

/// Where the run stands after a kill, for the account at the end.
fn state_of(run: &Path) -> &'static str {
    match (run.join("config.toml").exists(), checkpoint::exists(&run.join("last")), run.join("last.tmp").exists()) {
        (false, ..) => "before its folder",
        (true, false, _) => "before a checkpoint",
        (true, true, false) => "between checkpoints",
        (true, true, true) => "within a checkpoint",
    }
}

fn undisturbed(case: &Case, base: &Path) -> (End, Duration) {
    let run = base.join(format!("{}-whole", case.name));
    let started = Instant::now();
    succeed(train(case, &run, false));
    (end(&run), started.elapsed())
}

#[test]
fn a_run_that_is_killed_at_random_moments_ends_with_the_same_bits() {
    let base = tempfile::tempdir().unwrap();
    let whole: Vec<(End, Duration)> = CASES.iter().map(|case| undisturbed(case, base.path())).collect();
    let (mut draws, mut n_killed, mut n_runs) = (Draws(2020), 0, 0);
    let mut states = std::collections::BTreeMap::new();
    while n_killed < n_kills() {
        let (case, (expected, duration)) = (&CASES[n_runs % CASES.len()], &whole[n_runs % CASES.len()]);
        let run = base.path().join(format!("run-{n_runs}"));
        n_runs += 1;
        // One to three kills in a row, each within the time that a whole run takes.
        let mut resume = false;
        for _ in 0..1 + draws.below(3) {
            let was_running = kill_after(case, &run, resume, duration.mul_f64(draws.share()));
            resume = true;
            if !was_running {
                break;
            }
            n_killed += 1;
            *states.entry(state_of(&run)).or_insert(0) += 1;
        }
        succeed(train(case, &run, resume));
        assert!(&end(&run) == expected, "{}, run {n_runs}: it ended with other bits", case.name);
        std::fs::remove_dir_all(&run).unwrap();
    }
    println!("{n_killed} kills in {n_runs} runs, all resumed to the same bits; killed {states:?}");
}

/// The negative control: the comparison above fails when the optimiser's moments are lost between
/// the processes.
#[test]
fn a_run_that_loses_its_optimiser_moments_ends_with_other_bits() {
    let base = tempfile::tempdir().unwrap();
    let mut draws = Draws(1);
    for case in &CASES {
        let (expected, duration) = undisturbed(case, base.path());
        for attempt in 1.. {
            let run = base.path().join(format!("{}-{attempt}", case.name));
            kill_after(case, &run, false, duration.mul_f64(draws.share()));
            if !lose_moments(&run) {
                assert!(attempt < 100, "{}: no kill early in a stage", case.name);
                continue;
            }
            succeed(train(case, &run, true));
            let other = end(&run);
            assert!(other.lines != expected.lines, "{}: no epoch differs", case.name);
            // A first stage hands on only the layer weights of its best epoch, which may lie before
            // the kill: there the lines alone must differ.
            let handed_on = case.name == "held-out";
            assert!(handed_on || other.weights != expected.weights, "{}: the weights do not differ", case.name);
            break;
        }
    }
}

/// Zeroes the moments in the checkpoint of a run that was killed early in a stage, so that many
/// steps were still to come. False for another run.
fn lose_moments(run: &Path) -> bool {
    let last = run.join("last");
    if run.join("report.json").exists() || !checkpoint::exists(&last) {
        return false;
    }
    let mut contents = checkpoint::load(&last).unwrap();
    contents.facts.remove(checkpoint::RECOVERED_FROM);
    let progress = &contents.facts["progress"];
    // After the last step of a stage nothing reads its moments any more; in the first ones they are
    // hardly there.
    if progress["epoch"].as_u64().unwrap() > 1 || progress["epoch"] == 0 {
        return false;
    }
    let moments = contents.state.tensors.iter_mut().filter(|(name, _)| name.starts_with("adam."));
    let n_lost = moments.map(|(_, tensor)| match tensor {
        Tensor::F32 { values, .. } => values.fill(0.0),
        Tensor::U32 { .. } => panic!("moments are floats"),
    });
    assert_eq!(n_lost.count(), 2);
    checkpoint::save(&last, &contents).unwrap();
    true
}
