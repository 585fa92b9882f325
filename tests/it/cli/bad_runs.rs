//! Run folders that are not there, are something else, or are damaged; users and items that nobody
//! has heard of.

use std::fs;
use std::path::Path;

use super::case::{Case, copy, gcnrec, judge_all, words};

/// A finished run of a small model on the demo world, in `FOLDER/run`.
fn trained(folder: &Path) {
    let line = "train --model mf --dim 4 --epochs 1 --out run --set data.demo.n_users=50 --set data.demo.n_items=60 \
                --set data.demo.n_communities=2 --set data.demo.interactions_per_user=8";
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_a_run_was_not_trained_with_is_refused() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    judge_all(
        &[Case::new("candidates of a file that the run does not name", "evaluate run --candidates given")
            .refused(3, &["file of candidates is not there", "--candidates-file"])],
        Some(&base.path().join("run")),
    );
}

#[test]
fn folders_that_hold_no_run_are_refused_by_name() {
    let line = Case::new;
    judge_all(
        &[
            line("recommend from nothing", "recommend nope --user 1")
                .refused(3, &["run folder nope is not there", "train first"]),
            line("evaluate nothing", "evaluate nope").refused(3, &["run folder nope is not there"]),
            line("inspect nothing", "inspect nope").refused(3, &["nope is not there"]),
            line("item vectors of nothing", "train --model sasrec --init-items nope")
                .refused(3, &["nope is not there", "train first"]),
            line("item vectors of a folder of something else", "train --model sasrec --init-items a")
                .file("a/b", "")
                .refused(3, &["holds no trained model"]),
            line("recommend from a file", "recommend a --user 1")
                .file("a", "")
                .refused(3, &["a: found a file, expected the folder of a run"]),
            line("evaluate a file", "evaluate a").file("a", "").refused(3, &["a: found a file, expected the folder"]),
            line("similar items from nothing", "similar nope --item 1").refused(3, &["run folder nope is not there"]),
            line("recommend from a folder of something else", "recommend a --user 1")
                .file("a/b", "")
                .refused(3, &["holds no trained model"]),
            line("evaluate a folder of something else", "evaluate a")
                .file("a/b", "")
                .refused(3, &["config.toml of a run in a is not there"]),
            line("inspect a folder of something else", "inspect a")
                .file("a/b", "")
                .refused(3, &["checkpoint in a is not there"]),
            line("train into a folder of something else", "train --out a --force")
                .file("a/b", "")
                .refused(2, &["a is not a run folder (it holds \"b\")", "another --out"]),
            line("train into a file", "train --out a")
                .file("a", "")
                .refused(2, &["a is not a run folder (it is a file)"]),
            line("train below a file", "train --out a/b").file("a", "").refused(1, &["a/b: cannot"]),
            line("resume somebody else's folder", "train --out a --resume")
                .file("a/config.toml", "[server]\n")
                .refused(2, &["a is not a run folder"]),
        ],
        None,
    );
}

#[test]
fn a_finished_run_is_never_overwritten_or_changed_by_accident() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    let line = Case::new;
    judge_all(
        &[
            line("train into a run", "train --out run")
                .refused(2, &["run already holds a run", "--force", "--resume", "another --out"]),
            line("resume with another setting", "train --out run --resume --lr 0.5")
                .refused(4, &["--lr: train.learning_rate: found 0.5", "resume it as it began"]),
            line("resume as another model", "train --out run --resume --model ease")
                .refused(4, &["as the run in run began"]),
            line("item vectors of another width", "train --model sasrec --dim 8 --init-items run")
                .refused(4, &["model.sasrec.dim: found 8, expected 4, the width of the item vectors", "--dim 4"]),
            line("item vectors for a model that has no use for them", "train --model ease --init-items run")
                .refused(2, &["train.init_items_from does not fit the model ease", "sasrec"]),
            line("an unknown user", "recommend run --user nobody")
                .refused(3, &["user \"nobody\" is not in this checkpoint", "pass a history"]),
            line("an unknown item in a history", "recommend run --history nothing")
                .refused(3, &["item \"nothing\" is not in this checkpoint"]),
            line("an empty history", "recommend run --history=")
                .refused(1, &["mf: a user it was not trained on needs a history"]),
            line("a history with an open quote", "recommend run --history \"item-1,2")
                .refused(2, &["--history: a quote is never closed"]),
            line("an unknown item", "similar run --item nothing")
                .refused(3, &["item \"nothing\" is not in this checkpoint"]),
            line("a missing file of users", "recommend run --users u.txt").refused(3, &["file u.txt is not there"]),
            line("an empty file of users", "recommend run --users u.txt")
                .file("u.txt", "\n")
                .refused(3, &["u.txt: found no user"]),
            line("a file of users in Latin-1", "recommend run --users u.txt")
                .file("u.txt", b"caf\xe9")
                .refused(3, &["u.txt:1: found a byte that is not UTF-8 at position 4"]),
            line("a file with one unknown user", "recommend run --users u.txt --strict")
                .file("u.txt", "user-0001\nnobody\n")
                .refused(3, &["user \"nobody\""]),
            line("a file of unknown users alone", "recommend run --users u.txt --to lists.csv")
                .file("u.txt", "nobody\nnobody else\n")
                .refused(3, &["u.txt: found 2 users, none of whom this run can answer"]),
            line("a file of users without end", "recommend run --users /dev/zero").refused(3, &["/dev/zero:1: found"]),
            line("lists as Parquet", "recommend run --all -o lists.parquet")
                .refused(2, &["-o lists.parquet: Parquet is not written yet", ".jsonl"]),
            line("lists in a folder", "recommend run --all -o d.csv")
                .file("d.csv/a", "")
                .refused(2, &["-o d.csv: this is a folder"]),
            line("an unknown metric for a run", "evaluate run --metrics ndgc")
                .refused(4, &["--metrics: unknown metric \"ndgc\"; did you mean \"ndcg\"?"]),
            line("a list of no length", "evaluate run --k 0").refused(4, &["--k: eval.k: found 0"]),
        ],
        Some(&base.path().join("run")),
    );
}

#[test]
fn a_run_that_comes_to_nothing_leaves_nothing_and_takes_no_run_away() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    let small = "--set data.demo.n_users=50 --set data.demo.n_items=60 --set data.demo.n_communities=2 \
                 --set data.demo.interactions_per_user=8";
    let once = "user,item,time\nu1,a,1\nu2,b,2\nu3,a,3\nu4,b,4\n";
    judge_all(
        &[
            Case::new(
                "a run that diverges in the place of another",
                &format!("train --lr 1e30 --out run --force {small}"),
            )
            .refused(1, &["loss is"]),
            Case::new("no history of two items", "train --train f.csv --model sasrec --out other")
                .file("f.csv", once)
                .refused(3, &["no history of two items"]),
            Case::new(
                "no history of two items in the place of a run",
                "train --train f.csv --model sasrec --out run --force",
            )
            .file("f.csv", once)
            .refused(3, &["no history of two items"]),
            Case::new("a singular matrix", "train --train f.csv --model ease --l2 1e-30 --out other")
                .file("f.csv", "user,item\nu,a\nu,b\nv,a\nv,b\nw,a\nw,b\nx,a\nx,b\n")
                .refused(4, &["model.ease.l2", "singular"]),
        ],
        Some(&base.path().join("run")),
    );
}

#[test]
fn a_run_answers_until_the_one_that_replaces_it_has_a_model() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    let run = |line: &str| {
        let output = gcnrec(base.path()).args(words(line)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = run("train --model popularity --out run --force");
    assert!(printed.ends_with("run: run\n"), "{printed}");
    assert!(run("inspect run").contains("popularity"));
    let names: Vec<_> = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["run"], "nothing is left beside it");
}

#[cfg(unix)]
#[test]
fn a_link_is_not_written_through() {
    let base = tempfile::tempdir().unwrap();
    // Names without blanks, which TREC files cannot hold.
    let rows = (0..60).map(|n| format!("u{},i{}\n", n / 6, (n / 6 * 7 + n % 6 * 3) % 20));
    fs::write(base.path().join("f.csv"), format!("user,item\n{}", rows.collect::<String>())).unwrap();
    let output = gcnrec(base.path()).args(words("train --data f.csv --model popularity --out run")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let thesis = base.path().join("thesis.txt");
    fs::write(&thesis, "years of work").unwrap();
    fs::create_dir(base.path().join("lists")).unwrap();
    for name in ["run.txt", "qrels.txt", "run.txt.tmp"] {
        std::os::unix::fs::symlink(&thesis, base.path().join("lists").join(name)).unwrap();
    }
    let output = gcnrec(base.path()).args(["evaluate", "run", "--trec", "lists"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work");
    assert!(fs::read_to_string(base.path().join("lists/run.txt")).unwrap().lines().count() > 10);
    // A comparison does not go on in a folder that leads elsewhere.
    fs::create_dir_all(base.path().join("c/e")).unwrap();
    fs::write(base.path().join("c/e/seed-2020.toml"), "").unwrap();
    std::os::unix::fs::symlink(&thesis, base.path().join("c/e/seed-2020.log")).unwrap();
    fs::write(base.path().join("e.toml"), "[model.ease]\n").unwrap();
    let output = gcnrec(base.path()).args(["compare", "e.toml", "--out", "c", "--resume"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("c holds the link c/e/seed-2020.log"), "{said}");
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work");
}

#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files_is_told_like_a_full_disk() {
    let base = tempfile::tempdir().unwrap();
    let mut shell = std::process::Command::new("sh");
    let line = "ulimit -f 4; exec \"$0\" train --model popularity --out run";
    let output = shell.current_dir(base.path()).args(["-c", line, env!("CARGO_BIN_EXE_gcnrec")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    let line = said.lines().last().unwrap();
    assert!(line.starts_with("error: run/") && line.contains(": cannot write: "), "{said}");
}

#[test]
fn a_damaged_checkpoint_ends_with_six_and_names_the_file() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 3] = [
        ("emptied", |bytes| bytes.clear()),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("with a flipped bit", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
    ];
    for name in ["manifest.json", "model.safetensors", "ids.json", "seen.safetensors", "config.toml"] {
        for (what, damage) in damages {
            let broken = tempfile::tempdir().unwrap();
            copy(&base.path().join("run"), broken.path());
            let best = broken.path().join("best");
            let mut bytes = fs::read(best.join(name)).unwrap();
            damage(&mut bytes);
            fs::write(best.join(name), bytes).unwrap();
            let case = |command: &str| {
                let case = Case::new(&format!("{command}: {name} {what}"), command);
                case.refused(6, &["run/best", if name == "manifest.json" { "" } else { name }])
            };
            judge_all(&[case("recommend run --user user-0001"), case("inspect run")], Some(broken.path()));
        }
    }
}

#[test]
fn checkpoints_that_lack_a_file_or_come_from_elsewhere_end_with_six() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    let refuse = |name: &str, says: &[&str], change: &dyn Fn(&Path)| {
        let broken = tempfile::tempdir().unwrap();
        copy(&base.path().join("run"), broken.path());
        change(&broken.path().join("best"));
        judge_all(&[Case::new(name, "recommend run --user user-0001").refused(6, says)], Some(broken.path()));
    };
    let rewrite = |from: &'static str, to: &'static str| {
        move |best: &Path| {
            let text = fs::read_to_string(best.join("manifest.json")).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(best.join("manifest.json"), text.replacen(from, to, 1)).unwrap();
        }
    };
    refuse("a missing file", &["ids.json", "missing"], &|best| fs::remove_file(best.join("ids.json")).unwrap());
    refuse("a newer version", &["run/best"], &rewrite("\"version\": 1", "\"version\": 99"));
    refuse("a foreign format", &["run/best"], &rewrite("\"format\": \"", "\"format\": \"not "));
}

#[test]
fn a_training_in_progress_is_no_damage() {
    let base = tempfile::tempdir().unwrap();
    trained(base.path());
    fs::remove_dir_all(base.path().join("run/best")).unwrap();
    let says = ["run/last: found a training in progress", "train --resume"];
    let case = |line: &str| Case::new(line, line).refused(3, &says);
    judge_all(&[case("recommend run --user user-0001"), case("evaluate run")], Some(&base.path().join("run")));
}
