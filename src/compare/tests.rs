//! A comparison judges a run file as a training does, and fails where it compares nothing.

use super::*;
use crate::config::Sources;
use crate::report::Run as Finished;
use crate::run::{Destination, Run};

fn model(name: &str, errors: &[Option<&str>]) -> Compared {
    let runs = errors.iter().map(|error| Finished { error: error.map(String::from), ..Finished::default() }).collect();
    Compared { name: name.into(), runs, ..Compared::default() }
}

fn outcome(models: Vec<Compared>) -> Option<String> {
    check_models(&models, Path::new("c")).err().map(|error| {
        assert_eq!(error.exit_code(), 1);
        error.to_string()
    })
}

#[test]
fn a_comparison_without_a_run_of_the_first_model_has_failed() {
    let (failed, done) = (Some("loss is NaN"), None);
    let todo = "mend the run file, remove the failed runs, and go on with --resume";
    let all = outcome(vec![model("a", &[failed, failed])]).unwrap();
    assert_eq!(all, format!("c: 2 of 2 runs failed: loss is NaN; {todo}"));
    let first = outcome(vec![model("a", &[failed, failed]), model("b", &[done, failed])]).unwrap();
    let whose = "among them all of a, which the others are compared with";
    assert_eq!(first, format!("c: 3 of 4 runs failed, {whose}: loss is NaN; {todo}"));
}

#[test]
fn a_comparison_stands_where_the_first_model_has_a_run() {
    assert_eq!(outcome(vec![model("a", &[None, Some("x")]), model("b", &[Some("x"), Some("x")])]), None);
}

/// Every run file that is shipped: all of `configs/` but what a search may choose.
fn shipped(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => files.extend(shipped(&path)),
            Some(extension) if extension == "toml" && !path.ends_with("layers.toml") => files.push(path),
            _ => {}
        }
    }
    files.sort();
    files
}

#[test]
fn every_shipped_run_file_is_judged_as_train_judges_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("GCNREC_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let environment = vec![("GCNREC_DATA".to_string(), folder.to_str().unwrap().to_string())];
    let (mut latest, mut n_labelled): (Option<(crate::data::Config, _)>, usize) = (None, 0);
    for file in shipped(&root.join("configs")) {
        let sources = Sources { run_file: Some(file.clone()), environment: environment.clone(), ..Sources::default() };
        let trained = Run::resolve(&sources, Destination::default()).unwrap().on_cpu();
        if let Err(error) = trained.check_files() {
            println!("skipped {}: {error}", file.display());
            continue;
        }
        let (seed, data) = (trained.config().seed, trained.config().data.clone());
        let split = match &latest {
            Some((config, split)) if *config == data => std::sync::Arc::clone(split),
            _ => trained.split().unwrap(),
        };
        latest = Some((data, split.clone()));
        let trained = trained.with_split(split.clone()).unwrap();

        let plan = Plan { files: vec![file.clone()], environment: environment.clone(), ..Plan::default() };
        let compared = contestants::configured(&plan, &file, &[], seed).unwrap().on_cpu().with_split(split).unwrap();
        let compared = contestants::entered(&plan, &file, &compared, &[]).unwrap();
        assert_eq!(&compared.config, trained.config(), "{}", file.display());
        assert_eq!(compared.metric.to_string(), trained.config().train.metric, "{}", file.display());
        if trained.split().labelled {
            let eval = &trained.config().eval;
            assert_eq!((compared.metric.to_string().as_str(), eval.k.as_slice()), ("auc", &[5][..]));
            n_labelled += 1;
        }
    }
    assert!(n_labelled > 0 || !folder.join("coat").is_dir());
}
