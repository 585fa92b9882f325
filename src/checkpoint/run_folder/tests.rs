use super::super::disk::FullDisk;
use super::*;
use serde_json::json;

fn run_in(path: &Path) -> RunFolder {
    let run = RunFolder::create(path, false, false).unwrap();
    run.write_config("seed = 1\n").unwrap();
    run.append_metrics(&json!({"epoch": 1})).unwrap();
    fs::create_dir(run.best()).unwrap();
    fs::write(run.best().join("manifest.json"), "{}").unwrap();
    run
}

#[test]
fn a_run_is_kept_without_force_and_replaced_with_it() {
    let base = tempfile::tempdir().unwrap();
    let run = run_in(&base.path().join("a/b"));
    let refused = RunFolder::create(run.path(), false, false).unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("--force") && refused.to_string().contains("--resume"), "{refused}");
    assert_eq!(RunFolder::create(run.path(), false, true).unwrap().read_metrics().unwrap(), [json!({"epoch": 1})]);
    assert!(RunFolder::create(run.path(), true, true).is_err());
    replace(run.path());
    assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
}

/// Replaces a run as a training does that has its first model at once.
fn replace(path: &Path) {
    let mut new = RunFolder::create(path, true, false).unwrap();
    new.take_place().unwrap();
    assert_eq!(new.path(), path);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_run_answers_until_the_one_that_replaces_it_takes_its_place() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    let old = run_in(&path);
    let mut new = RunFolder::create(&path, true, false).unwrap();
    assert_eq!(new.path(), base.path().join("run.new"));
    new.write_config("seed = 2\n").unwrap();
    assert!(old.read_config().unwrap().contains("seed = 1") && old.best().is_dir());
    // A training that was ended before its first model leaves its start; the next one removes
    // it.
    new = RunFolder::create(&path, true, false).unwrap();
    assert_eq!(fs::read_dir(new.path()).unwrap().count(), 0);
    new.write_config("seed = 3\n").unwrap();
    new.take_place().unwrap();
    new.take_place().unwrap();
    assert!(new.read_config().unwrap().contains("seed = 3"));
    assert_eq!((new.path(), path.join("best").exists()), (&*path, false));
    // One that came to nothing leaves the old one as it was.
    let failed = RunFolder::create(&path, true, false).unwrap();
    failed.write_config("seed = 4\n").unwrap();
    failed.append_metrics(&json!({"epoch": 1})).unwrap();
    assert!(failed.discard().unwrap());
    assert!(new.read_config().unwrap().contains("seed = 3"));
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
}

#[test]
fn what_lies_where_a_replacement_would_be_written_is_not_touched() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    run_in(&path);
    for name in ["run.new", "run.replaced"] {
        let thesis = base.path().join(name).join("thesis.txt");
        fs::create_dir_all(thesis.parent().unwrap()).unwrap();
        fs::write(&thesis, "years of work").unwrap();
        let error = RunFolder::create(&path, true, false).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(name), "{error}");
        assert!(thesis.exists());
        fs::remove_dir_all(thesis.parent().unwrap()).unwrap();
    }
    // Ended between the two renames: the old run is named and never forgotten.
    fs::rename(&path, base.path().join("run.replaced")).unwrap();
    let error = RunFolder::create(&path, false, false).unwrap_err();
    assert!(error.to_string().contains("rename it back"), "{error}");
}

#[test]
fn a_run_with_a_checkpoint_or_an_epoch_is_not_discarded() {
    let base = tempfile::tempdir().unwrap();
    let run = run_in(&base.path().join("run"));
    assert!(!run.discard().unwrap() && run.best().is_dir());
    let unborn = RunFolder::create(&base.path().join("other"), false, false).unwrap();
    unborn.write_config("seed = 1\n").unwrap();
    assert!(unborn.discard().unwrap() && !unborn.path().exists());
}

#[test]
fn members_are_runs_of_their_own_and_go_with_the_run() {
    let base = tempfile::tempdir().unwrap();
    let run = run_in(&base.path().join("run"));
    run_in(&run.member("1"));
    fs::create_dir_all(run.member("2")).unwrap();
    fs::write(run.member("2").join("thesis.txt"), "years of work").unwrap();
    assert_eq!(RunFolder::create(run.path(), true, false).unwrap_err().exit_code(), 2);
    fs::remove_file(run.member("2").join("thesis.txt")).unwrap();
    RunFolder::create(run.path(), false, true).unwrap();
    assert!(run.member("1").join("config.toml").exists());
    replace(run.path());
    assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
}

#[test]
fn force_touches_no_folder_that_holds_anything_else() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("run");
    for stranger in ["thesis.txt", "best/thesis.txt", "last/deep/thesis.txt", "report.pdf"] {
        let run = run_in(&path);
        let thesis = path.join(stranger);
        fs::create_dir_all(thesis.parent().unwrap()).unwrap();
        fs::write(&thesis, "years of work").unwrap();
        for (force, resume) in [(true, false), (false, true), (false, false)] {
            assert_eq!(RunFolder::create(&path, force, resume).unwrap_err().exit_code(), 2, "{stranger}");
        }
        assert!(thesis.exists() && run.best().join("manifest.json").exists());
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_folder_with_somebody_elses_config_is_not_a_run() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("config.toml"), "[server]\n").unwrap();
    assert!(RunFolder::create(base.path(), true, false).is_err());
    assert!(base.path().join("config.toml").exists());
}

#[cfg(unix)]
#[test]
fn a_link_is_never_followed_for_removal() {
    let base = tempfile::tempdir().unwrap();
    let (run, other) = (run_in(&base.path().join("run")), base.path().join("other"));
    fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&other, run.last()).unwrap();
    assert!(RunFolder::create(run.path(), true, false).is_err());
    assert!(other.exists());
}

#[test]
fn a_run_killed_at_its_first_write_can_be_replaced() {
    let base = tempfile::tempdir().unwrap();
    fs::write(base.path().join("config.toml.tmp"), "see").unwrap();
    assert!(RunFolder::create(base.path(), false, false).is_err());
    RunFolder::create(base.path(), true, false).unwrap();
}

#[test]
fn a_file_in_the_way_is_a_clear_error() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(RunFolder::create(&file, true, false).unwrap_err().exit_code(), 2);
    let below = RunFolder::create(&file.join("run"), false, false).unwrap_err();
    assert!(below.to_string().contains("file/run: cannot"), "{below}");
    assert!(RunFolder::open(&base.path().join("nothing")).unwrap_err().to_string().contains("run folder"));
}

#[test]
fn the_next_free_number_is_above_the_highest() {
    let base = tempfile::tempdir().unwrap();
    let runs = base.path().join("runs");
    let next =
        |name: &str| RunFolder::next_free(&runs, name).unwrap().file_name().unwrap().to_str().unwrap().to_string();
    assert_eq!(next("demo"), "demo-1");
    fs::create_dir(runs.join("demo-7")).unwrap();
    fs::create_dir(runs.join("demo-old-9")).unwrap();
    assert_eq!(next("demo"), "demo-8");
    assert_eq!(next("../x"), "..-x-1");
    assert_eq!(next(".."), "run-1");
}

#[test]
fn metrics_are_cut_to_the_lines_that_the_checkpoint_knows() {
    let base = tempfile::tempdir().unwrap();
    let run = RunFolder::create(base.path(), false, false).unwrap();
    run.cut_metrics(0).unwrap();
    for epoch in 1..=3 {
        run.append_metrics(&json!({"epoch": epoch, "loss": 0.5})).unwrap();
    }
    run.append_metrics_on(&FullDisk::after(0), &json!({"epoch": 4})).unwrap_err();
    assert_eq!(run.read_metrics().unwrap().len(), 3, "half a line is no line");
    run.cut_metrics(2).unwrap();
    let text = fs::read_to_string(base.path().join("metrics.jsonl")).unwrap();
    assert_eq!(text, "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2,\"loss\":0.5}\n");
    assert_eq!(run.cut_metrics(3).unwrap_err().exit_code(), 6);
}

#[test]
fn config_and_report_are_read_back_as_written() {
    let base = tempfile::tempdir().unwrap();
    let run = RunFolder::create(base.path(), false, false).unwrap();
    run.write_config("seed = 1\n").unwrap();
    let text = run.read_config().unwrap();
    assert_eq!(text, format!("{MARK}\nseed = 1\n"));
    run.write_config(&text).unwrap();
    assert_eq!(run.read_config().unwrap(), text, "the mark is written once");
    assert_eq!(run.settings().unwrap(), "seed = 1\n");
    run.write_report("{}", "<html></html>").unwrap();
    assert_eq!(fs::read_to_string(base.path().join("report.json")).unwrap(), "{}");
}
