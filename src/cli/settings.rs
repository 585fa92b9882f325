//! Environment and threads of the process.

use std::path::Path;

use gcnrec::{Config, Destination, Flag, Run, Sources};
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
        let value = value.into_string().map_err(|_| {
            RecError::usage(format!("the environment variable {name} is not UTF-8"), "set it to UTF-8 text")
        })?;
        variables.push((name.to_string(), value));
    }
    Ok(variables)
}

/// The settings of a finished run, its notes told and the threads started.
///
/// # Errors
/// Those of [`Run::reopen`]; as [`settle`].
pub(super) fn of_run(run: &Path, flags: Vec<Flag>) -> Result<Run> {
    begin(Run::reopen(run, &environment()?, flags)?)
}

/// Resolves, tells the notes, and starts the threads.
///
/// # Errors
/// Those of [`Run::resolve`]; [`RecError::Resources`] when the threads cannot be started.
pub(super) fn settle(sources: &Sources, into: Destination) -> Result<Run> {
    begin(Run::resolve(sources, into)?)
}

/// Starts the threads of the process for commands that need no configuration of a run: as many as
/// `GCNREC_THREADS` says.
///
/// # Errors
/// As [`settle`].
pub(super) fn settle_machine() -> Result<()> {
    let environment = environment()?.into_iter().filter(|(name, _)| name == "GCNREC_THREADS").collect();
    settle(&Sources { environment, ..Sources::default() }, Destination::default()).map(drop)
}

fn begin(run: Run) -> Result<Run> {
    run.notes().iter().for_each(|note| say(&format!("note: {note}")));
    start_threads(run.config())?;
    Ok(run)
}

fn start_threads(config: &Config) -> Result<()> {
    // This thread is one of them: what it asks for it begins at once, without waking another and
    // sleeping meanwhile.
    let built = rayon::ThreadPoolBuilder::new().num_threads(config.threads).use_current_thread().build_global();
    built.map_err(|error| {
        RecError::resources(
            "threads",
            error.to_string(),
            match config.threads {
                0 => "one thread per core".into(),
                n => format!("{n} threads"),
            },
        )
        .with_todo("try fewer with --threads or GCNREC_THREADS")
    })
}
