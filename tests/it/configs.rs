//! Run files that users start from: each is read and takes two steps. And the table of keys: it
//! says what the program does.

use std::fs;
use std::path::{Path, PathBuf};

use gcnrec::internals::compare::Search;
use gcnrec::internals::config::PRESETS;
use gcnrec::internals::models::Procedure;
use gcnrec::{Destination, Loaded, Observer, RecError, Run, Sources, Stop};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where the benchmark data are, if they are anywhere.
pub fn data_folder() -> Option<PathBuf> {
    std::env::var_os("GCNREC_DATA")
        .map(PathBuf::from)
        .or_else(|| Some(root().join("../shared/data")))
        .filter(|f| f.is_dir())
}

fn run_files() -> Vec<PathBuf> {
    let folders = [
        "configs",
        "configs/presets",
        "configs/compare/lastfm",
        "configs/compare/ml-100k",
        "configs/debias",
        "configs/debias/implicit",
        "configs/debias/simulation",
        "configs/debias/world",
    ];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Run {
    let folder = data_folder().map(|folder| ("GCNREC_DATA".to_string(), folder.to_str().unwrap().to_string()));
    let sources =
        Sources { run_file: Some(file.into()), environment: folder.into_iter().collect(), ..Sources::default() };
    let run = Run::resolve(&sources, Destination::default()).unwrap_or_else(|error| panic!("{error}"));
    run.check_unread().unwrap_or_else(|error| panic!("{error}"));
    run.on_cpu()
}

/// Stops a run after its second step.
struct TwoSteps<'a> {
    stop: &'a Stop,
    n_steps: usize,
}

impl Observer for TwoSteps<'_> {
    fn on_step(&mut self, _: u64, _: usize, loss: f64) {
        assert!(loss.is_finite());
        self.n_steps += 1;
        if self.n_steps == 2 {
            self.stop.ask(1);
        }
    }
}

/// Two steps of training, or the whole of a closed form; of a fusion those of every member.
fn take_two_steps(loaded: Loaded) {
    let (config, split) = (loaded.config().clone(), loaded.split().clone());
    if let Procedure::Fusion(fusion) = config.model.procedure() {
        for member in fusion.members() {
            let objective = (!member.model.is_closed_form()).then(|| member.loss());
            let config = config.clone().with(|own| (own.model, own.objective) = (member.model.clone(), objective));
            take_two_steps(Run::settled(config).on_cpu().with_split(split.clone()).unwrap());
        }
        return;
    }
    let stop = Stop::default();
    let mut two_steps = TwoSteps { stop: &stop, n_steps: 0 };
    match loaded.prepare().unwrap().train_in_memory(&mut two_steps, &stop) {
        Ok(_) => assert!(config.model.is_closed_form(), "it should have been stopped"),
        Err(RecError::Interrupted { code: 1, .. }) => assert_eq!(two_steps.n_steps, 2),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_run_file_is_read_and_takes_two_steps() {
    let files = run_files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let run = read(&file);
        match run.check_files() {
            Ok(()) => take_two_steps(run.load().unwrap()),
            Err(error) => println!("skipped the steps of {}: {error}", file.display()),
        }
    }
}

#[test]
fn the_search_over_layers_is_one_that_a_comparison_can_use() {
    let search = Search::read(&root().join("configs/compare/layers.toml")).unwrap();
    assert_eq!(search.keys().collect::<Vec<_>>(), ["model.lightgcn.layers"]);
}

#[test]
fn every_preset_is_a_file_and_every_file_a_preset() {
    let mut files: Vec<String> = run_files()
        .iter()
        .filter(|file| file.parent().unwrap().ends_with("presets"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    files.sort();
    let mut presets: Vec<String> = PRESETS.iter().map(|name| name.to_string()).collect();
    presets.sort();
    assert_eq!(files, presets);
}

#[test]
fn the_table_of_keys_is_what_the_rows_of_the_program_say() {
    let page = root().join("configs/README.md");
    let text = fs::read_to_string(&page).unwrap();
    let start = text.find("| key |").expect("the page should have a table of keys");
    let rows = text[start..].split_inclusive('\n').take_while(|line| line.starts_with('|'));
    let end = start + rows.map(str::len).sum::<usize>();
    let table = crate::keys::table();
    if std::env::var_os("RENEW_KEY_TABLE").is_some() {
        return fs::write(&page, [&text[..start], &table, &text[end..]].concat()).unwrap();
    }
    for (ours, theirs) in text[start..end].lines().zip(table.lines()) {
        assert_eq!(ours, theirs, "renew configs/README.md: RENEW_KEY_TABLE=1 cargo test --test it table_of_keys");
    }
    assert_eq!(
        text[start..end].len(),
        table.len(),
        "renew configs/README.md: RENEW_KEY_TABLE=1 cargo test --test it table_of_keys"
    );
}
