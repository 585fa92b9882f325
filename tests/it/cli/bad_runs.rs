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
                .refused(3, &["u.txt: found a byte that is not UTF-8 at offset 3"]),
            line("a file with one unknown user", "recommend run --users u.txt")
                .file("u.txt", "user-0001\nnobody\n")
                .refused(3, &["user \"nobody\""]),
            line("an unknown metric for a run", "evaluate run --metrics ndgc")
                .refused(4, &["--metrics: unknown metric \"ndgc\"; did you mean \"ndcg\"?"]),
            line("a list of no length", "evaluate run --k 0").refused(4, &["--k: eval.k: found 0"]),
        ],
        Some(&base.path().join("run")),
    );
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
