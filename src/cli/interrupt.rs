//! Ctrl-C and the request to terminate: the first one asks the run to stop after a checkpoint, the
//! second one ends the process at once.

use gcnrec::Result;
use gcnrec::train::Stop;

use super::output::say;

fn ask(stop: &Stop, code: u8) {
    if stop.asked().is_some() {
        std::process::exit(code.into());
    }
    stop.ask(code);
    say("stopping after the next checkpoint; once more ends at once");
}

/// Listens from now on. The exit code is 130 for Ctrl-C and 143 for a request to terminate.
///
/// # Errors
/// [`gcnrec::RecError::Io`] when the system refuses.
#[cfg(unix)]
pub(super) fn listen(stop: &Stop) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};

    let refused = |source| gcnrec::RecError::Io { path: "signals".into(), doing: "listen to", source };
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(refused)?;
    let stop = stop.clone();
    let listener = move || signals.forever().for_each(|signal| ask(&stop, if signal == SIGTERM { 143 } else { 130 }));
    std::thread::Builder::new().name("signals".into()).spawn(listener).map_err(refused)?;
    Ok(())
}

/// Listens from now on. The exit code is 130: this system does not tell the reasons apart.
///
/// # Errors
/// [`gcnrec::RecError::Io`] when the system refuses.
#[cfg(not(unix))]
pub(super) fn listen(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    ctrlc::set_handler(move || ask(&stop, 130)).map_err(|error| gcnrec::RecError::Io {
        path: "signals".into(),
        doing: "listen to",
        source: std::io::Error::other(error),
    })
}
