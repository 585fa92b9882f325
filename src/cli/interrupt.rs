//! Requests to stop: Ctrl-C, a request to terminate, a terminal that is gone, and for the runs of a
//! comparison what the comparison says.
//!
//! The first request asks a training to stop after a checkpoint; the second one, and the first one
//! where nothing is trained by steps, ends the process at once.

use std::io::{ErrorKind, Read};

use gcnrec::Stop;
use gcnrec::{RecError, Result};

use super::output::say;

/// The exit code of a process whose parent is gone; nobody sees it.
const ORPHANED: i32 = 1;

fn ask(stop: &Stop, code: u8) {
    let is_repeated = stop.asked().is_some();
    stop.ask(code);
    if is_repeated || !stop.is_heeded() {
        if !is_repeated {
            let todo = "a run goes on with --resume from its last checkpoint";
            say(&format!("error: {}", RecError::Interrupted { code, todo: todo.into() }));
        }
        std::process::exit(code.into());
    }
    say("stopping after the next checkpoint; once more ends at once");
}

fn refused(source: std::io::Error) -> RecError {
    RecError::Io { path: "signals".into(), doing: "listen to", source }
}

/// Listens from now on. The exit code is 130 for Ctrl-C, 143 for a request to terminate, 129 for a
/// terminal that is gone (unless the process was told to outlive it, as `nohup` does).
///
/// # Errors
/// [`RecError::Io`] when the system refuses.
#[cfg(unix)]
pub(super) fn listen(stop: &Stop) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || is_default(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(heard).map_err(refused)?;
    let stop = stop.clone();
    let code = |signal: i32| 128 + u8::try_from(signal).unwrap_or(2);
    let listener = move || signals.forever().for_each(|signal| ask(&stop, code(signal)));
    std::thread::Builder::new().name("signals".into()).spawn(listener).map_err(refused)?;
    Ok(())
}

/// True where the system says that a signal is not ignored; whoever started this process with an
/// ignored signal meant it.
#[cfg(unix)]
fn is_default(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 0)
}

/// Makes a write beyond the limit of a file's size (`ulimit -f`) an error that can be told: by
/// default the system ends the process without a word.
///
/// # Errors
/// [`RecError::Io`] when the system refuses.
#[cfg(unix)]
pub(crate) fn outlive_file_limits() -> Result<()> {
    // Whether it was heard does not matter: that somebody listens keeps the process alive.
    let heard = std::sync::Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, heard).map(drop).map_err(refused)
}

/// Nothing to do where there are no such limits.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub(crate) fn outlive_file_limits() -> Result<()> {
    Ok(())
}

/// Does from now on what a parent says on stdin: each byte is an exit code to stop with, and its end
/// is the end of the parent, and with it of this process. However the parent ends, the system closes
/// the pipe.
///
/// # Errors
/// [`RecError::Io`] when the system refuses.
pub(super) fn obey_stdin(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    let listener = move || {
        let mut code = [0];
        loop {
            match std::io::stdin().lock().read(&mut code) {
                Ok(1) => ask(&stop, code[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => std::process::exit(ORPHANED),
            }
        }
    };
    std::thread::Builder::new().name("parent".into()).spawn(listener).map_err(refused)?;
    Ok(())
}

/// Listens from now on. The exit code is 130: this system does not tell the reasons apart.
///
/// # Errors
/// [`RecError::Io`] when the system refuses.
#[cfg(not(unix))]
pub(super) fn listen(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || ask(&stop, 130)).map_err(|error| refused(std::io::Error::other(error)))
}
