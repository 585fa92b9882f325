//! What the process brings along: its environment, its current folder, its threads.

use std::path::{Path, PathBuf};

use gcnrec::checkpoint::check_folder;
use gcnrec::config::{Config, Resolved, Sources, resolve};
use gcnrec::{RecError, Result};

use super::output::say;

/// The variables of this program in the environment.
///
/// # Errors
/// [`RecError::Usage`] for one whose value is not UTF-8.
pub(super) fn environment() -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("GCNREC_")) else { continue };
        let value = value.into_string().map_err(|_| RecError::Usage {
            problem: format!("the environment variable {name} is not UTF-8"),
            todo: "set it to UTF-8 text".into(),
        })?;
        variables.push((name.to_string(), value));
    }
    Ok(variables)
}

/// The configuration of a finished run. Of the environment only what cannot change results counts: threads, device and the data folder.
///
/// # Errors
/// [`RecError::Missing`] when there is no such run; those of [`check_folder`] and of [`resolve`].
pub(super) fn of_run(run: &Path, flags: Vec<gcnrec::config::Flag>) -> Result<Resolved> {
    let file = run.join("config.toml");
    if !file.is_file() {
        check_folder(run)?;
        return Err(RecError::Missing {
            what: if run.is_dir() { "config.toml of a run in" } else { "run folder" },
            name: run.display().to_string(),
            todo: "give the folder that gcnrec train wrote, such as runs/lightgcn-1".into(),
        });
    }
    let kept = ["GCNREC_THREADS", "GCNREC_DEVICE", "GCNREC_DATA"];
    let environment = environment()?.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect();
    settle(&Sources { run_file: Some(file), environment, flags, ..Sources::default() })
}

/// Resolves, tells the notes, and starts the threads.
///
/// # Errors
/// Those of [`resolve`]; [`RecError::Resources`] when the threads cannot be started.
pub(super) fn settle(sources: &Sources) -> Result<Resolved> {
    let resolved = resolve(sources)?;
    resolved.notes.iter().for_each(|note| say(&format!("note: {note}")));
    start_threads(&resolved.config)?;
    Ok(resolved)
}

/// Starts the threads of the process for commands that need no configuration of a run: as many as `GCNREC_THREADS` says.
///
/// # Errors
/// As [`settle`].
pub(super) fn settle_machine() -> Result<Config> {
    let environment = environment()?.into_iter().filter(|(name, _)| name == "GCNREC_THREADS").collect();
    Ok(settle(&Sources { environment, ..Sources::default() })?.config)
}

fn start_threads(config: &Config) -> Result<()> {
    // This thread is one of them: what it asks for it begins at once, without waking another and sleeping meanwhile.
    let built = rayon::ThreadPoolBuilder::new().num_threads(config.threads).use_current_thread().build_global();
    built.map_err(|error| RecError::Resources {
        what: "threads".into(),
        found: error.to_string(),
        expected: match config.threads {
            0 => "one thread per core".into(),
            n => format!("{n} threads"),
        },
        todo: "try fewer with --threads or GCNREC_THREADS".into(),
    })
}

/// The data folder as a path.
pub(super) fn data_folder() -> Option<PathBuf> {
    std::env::var_os("GCNREC_DATA").filter(|text| !text.is_empty()).map(PathBuf::from)
}
