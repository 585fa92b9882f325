//! `gcnrec compare` and fusions from outside, on a small demo world.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::case::{Case, gcnrec, judge_all, words};

const WORLD: &str = "[data.demo]\nn_users = 60\nn_items = 60\nn_communities = 3\ninteractions_per_user = 10\n";

/// A run file on the small world with few epochs.
fn file(model: &str) -> String {
    format!("{WORLD}[train]\nmax_epochs = 4\nvalidate_every = 2\nrefit = true\n[eval]\nk = [10, 20]\n{model}")
}

fn files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lightgcn = |keys: &str| file(&format!("[model.lightgcn]\ndim = 8\n{keys}"));
    for (name, text) in [
        ("plain.toml", lightgcn("layers = 2\n")),
        ("attention.toml", lightgcn("layers = 2\ncombination = \"global\"\n")),
        ("ease.toml", file("[model.ease]\nl2 = 20\n")),
        ("hot.toml", lightgcn("layers = 1\n").replace("[train]\n", "[train]\nlearning_rate = 1e30\n")),
        (
            "search.toml",
            "[search]\n\"model.lightgcn.layers\" = [1, 2]\n\"model.ease.l2\" = { from = 5.0, to = 80.0, log = true }\n"
                .into(),
        ),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn run(folder: &Path, line: &str) -> Output {
    let output = gcnrec(folder).args(words(line)).output().unwrap();
    assert!(output.status.success(), "gcnrec {line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// The document without what a clock or the system's memory says.
fn timeless(mut document: Value) -> Value {
    for model in document["models"].as_array_mut().unwrap() {
        model["cost"] = Value::Null;
        for run in model["runs"].as_array_mut().unwrap() {
            ["train_s", "evaluate_s", "peak_rss_mb"].iter().for_each(|key| run[*key] = Value::Null);
        }
    }
    document
}

#[test]
fn a_comparison_pairs_seeds_reports_what_failed_and_comes_out_the_same_when_it_is_resumed() {
    let folder = files();
    let folder = folder.path();
    let line = "compare plain.toml attention.toml ease.toml hot.toml --seeds 2 --out c";
    let printed = String::from_utf8(run(folder, line).stdout).unwrap();
    for part in ["model (ndcg@20)", "plain", "attention", "p users", "comparison: c/compare.html", "loss is "] {
        assert!(printed.contains(part), "{part} is not in\n{printed}");
    }
    let first = json(folder, "c/compare.json");
    assert_eq!((&first["schema"], &first["seeds"]), (&1.into(), &serde_json::json!([2020, 2021])));
    let report = json(folder, "c/attention/seed-2021/report.json");
    let run_of = |model: usize, seed: usize| &first["models"][model]["runs"][seed];
    assert_eq!(run_of(1, 1)["metrics"]["ndcg@20"], report["metrics"]["test"]["ndcg@20"]);
    let ndcg = |model: usize, seed: usize| run_of(model, seed)["metrics"]["ndcg@20"].as_f64().unwrap();
    let difference = (ndcg(1, 0) - ndcg(0, 0) + ndcg(1, 1) - ndcg(0, 1)) / 2.0;
    let reported = first["models"][1]["difference"]["mean"].as_f64().unwrap();
    assert!((difference - reported).abs() < 1e-12, "{difference} {reported}");
    // The test over users has averaged the same numbers over other rows: its interval lies around
    // the same mean where all users count in both seeds.
    assert_eq!(first["models"][2]["difference"]["per_seed"].as_array().unwrap().len(), 2);
    assert!(run_of(3, 0)["error"].as_str().unwrap().contains("loss"), "{}", run_of(3, 0));
    assert_eq!(first["models"][3].get("difference"), None);

    let page = fs::read_to_string(folder.join("c/compare.html")).unwrap();
    assert!(page.contains("by activity of the user") && page.contains("Some lists") && !page.contains("<script"));
    // One run is lost, one was stopped before its report: both come out as they were.
    fs::remove_dir_all(folder.join("c/plain/seed-2021")).unwrap();
    fs::remove_file(folder.join("c/attention/seed-2020/report.json")).unwrap();
    fs::remove_file(folder.join("c/compare.json")).unwrap();
    run(folder, &format!("{line} --resume"));
    assert_eq!(timeless(json(folder, "c/compare.json")), timeless(first));
}

#[test]
fn a_comparison_in_which_everything_failed_is_written_and_ends_with_one() {
    let folder = files();
    let output = gcnrec(folder.path()).args(words("compare hot.toml ease.toml --seeds 1 --out c")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("1 of 2 runs failed, among them all of hot") && last.contains("--resume"), "{said}");
    assert!(folder.path().join("c/compare.html").is_file());
    assert_eq!(json(folder.path(), "c/compare.json")["models"][1]["name"], "ease");
}

#[test]
fn a_search_gives_every_model_the_same_number_of_trials_and_looks_at_validation_only() {
    let folder = files();
    let folder = folder.path();
    run(folder, "compare plain.toml ease.toml --seeds 1 --out c --tune 3 --search search.toml");
    let document = json(folder, "c/compare.json");
    let trials = |model: usize| document["models"][model]["tuned"]["trials"].as_array().unwrap().clone();
    // Two layers are the file's own and one the only other choice: the search over layers is
    // exhausted after two trials.
    assert_eq!((trials(0).len(), trials(1).len()), (2, 3));
    for model in [0, 1] {
        let best = trials(model).iter().map(|trial| trial["valid"].as_f64().unwrap()).fold(0.0, f64::max);
        let chosen = &document["models"][model]["tuned"]["values"];
        let trial = trials(model).into_iter().find(|trial| trial["values"] == *chosen).unwrap();
        assert_eq!(trial["valid"].as_f64(), Some(best));
    }
    // A trial has not learnt from the validation pairs.
    assert_eq!(json(folder, "c/plain/trial-1/report.json")["protocol"]["refit"], false);
    assert_eq!(json(folder, "c/plain/seed-2020/report.json")["protocol"]["refit"], true);
}

#[test]
fn a_fusion_is_trained_saved_served_judged_and_repeated() {
    let folder = files();
    let folder = folder.path();
    let members = "[[model.fusion.members]]\nmodel.lightgcn = { layers = 1, dim = 8 }\n[[model.fusion.members]]\nmodel.ease.l2 = 20\n";
    fs::write(folder.join("fusion.toml"), file(members)).unwrap();
    let said = String::from_utf8(run(folder, "train fusion.toml --out f").stderr).unwrap();
    assert!(said.contains("member 2 of 2: ease") && said.contains("weights fitted on validation"), "{said}");
    let report = json(folder, "f/report.json");
    assert_eq!((&report["model"], &report["protocol"]["refit"]), (&"fusion".into(), &true.into()));
    let config = fs::read_to_string(folder.join("f/config.toml")).unwrap();
    assert!(config.contains("members"), "{config}");
    // Nothing outside `best` is needed to answer.
    fs::remove_dir_all(folder.join("f/members")).unwrap();
    let rows: Value = serde_json::from_slice(&run(folder, "evaluate f --output json").stdout).unwrap();
    let ndcg =
        rows.as_array().unwrap().iter().find(|row| row["metric"] == "ndcg@20").unwrap()["test"].as_f64().unwrap();
    assert!((ndcg - report["metrics"]["test"]["ndcg@20"].as_f64().unwrap()).abs() < 1e-12);
    let list = String::from_utf8(run(folder, "recommend f --user user-0001 -k 3").stdout).unwrap();
    assert_eq!(list.lines().count(), 4, "{list}");
    let verdict = String::from_utf8(run(folder, "verify f").stdout).unwrap();
    assert!(verdict.starts_with("identical"), "{verdict}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_key_that_differs() {
    let case = |name: &str, line: &str, second: &str| {
        Case::new(name, line).file("a.toml", file("[model.ease]\n")).file("b.toml", second)
    };
    let b = |line: &str| file("[model.popularity]\n") + line;
    judge_all(
        &[
            case("a comparison of nothing", "compare", "").refused(2, &["<RUN.toml>", "see gcnrec compare --help"]),
            case("no seeds", "compare a.toml b.toml --seeds 0 --out c", &b("")).refused(2, &["'0'", "--seeds"]),
            case("resume without the folder of the comparison", "compare a.toml --resume", "").refused(2, &["--out"]),
            case("a search without a number of trials", "compare a.toml --search s.toml", "").refused(2, &["--tune"]),
            case(
                "other data in a comparison",
                "compare a.toml b.toml --out c",
                &b("").replace("n_items = 60", "n_items = 70"),
            )
            .refused(4, &["b.toml: data.demo.n_items: found 70, expected 60, as in a.toml"]),
            case(
                "another protocol in a comparison",
                "compare a.toml b.toml --out c",
                &b("").replace("[10, 20]", "[5]"),
            )
            .refused(4, &["b.toml: eval.k: found [5], expected [10, 20], as in a.toml"]),
            case("a metric that nobody reports", "compare a.toml b.toml --metric ndcg@7 --out c", &b(""))
                .refused(4, &["--metric: found ndcg@7", "eval.k"]),
            case("a run file of a comparison that is not there", "compare a.toml no.toml --out c", "")
                .refused(3, &["no.toml is not there"]),
            case("a folder that is taken", "compare a.toml b.toml --out d", &b(""))
                .file("d/thesis.txt", "years of work")
                .refused(2, &["d is not empty", "--resume"]),
            case("a file for the folder of a comparison", "compare a.toml b.toml --out d", &b(""))
                .file("d", "years of work")
                .refused(2, &["d is a file", "another --out"]),
            case(
                "a comparison to go on with in a folder of something else",
                "compare a.toml b.toml --out d --resume",
                &b(""),
            )
            .file("d/thesis.txt", "years of work")
            .refused(2, &["d is not empty and holds no comparison"]),
            case("a comparison to go on with in a training's run", "compare a.toml b.toml --out d --resume", &b(""))
                .file("d/config.toml", "seed = 1\n")
                .file("d/compare.json", "{}")
                .refused(2, &["d is not empty and holds no comparison"]),
            case("a seed for all runs of a comparison", "compare a.toml b.toml --set seed=5 --out c", &b(""))
                .refused(2, &["--set seed=5", "--first-seed"]),
            case(
                "a setting that nothing reads in a comparison",
                "compare a.toml b.toml --out c",
                &b("").replace("[train]", "[train]\nblock = [8, 8]"),
            )
            .refused(2, &["b.toml", "train.block does not fit"]),
            case("a search for a key of no model", "compare a.toml b.toml --tune 2 --search s.toml --out c", &b(""))
                .file("s.toml", "[search]\n\"model.mf.dim\" = [8, 16]\n")
                .refused(4, &["s.toml: model.mf.dim", "fits none of the files"]),
            case("a search with a wrong range", "compare a.toml --tune 2 --search s.toml --out c", "")
                .file("s.toml", "[search]\n\"model.ease.l2\" = { from = 9, to = 1 }\n")
                .refused(4, &["s.toml: model.ease.l2", "from below to"]),
            case("a search file that is not there", "compare a.toml --tune 2 --search s.toml --out c", "")
                .refused(3, &["s.toml is not there"]),
            case(
                "a fusion of a fusion",
                "train b.toml --out c",
                &file("[model.fusion]\nmembers = [{}, { model.fusion = {} }]\n"),
            )
            .refused(4, &["model.fusion.members.model", "no fusion itself"]),
        ],
        None,
    );
}

#[test]
fn a_comparison_of_files_that_are_not_there_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = gcnrec(folder.path()).args(["compare", "nope.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!folder.path().join("runs").exists());
}
