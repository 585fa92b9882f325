//! The log of the library on stderr, for `--verbose`. Without the flag nothing listens to it.

use tracing::level_filters::LevelFilter;

/// Listens to the library's events: those of interest to a user for 1, all of them for 2 and more.
pub(crate) fn listen(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let listener = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    listener.with_ansi(false).with_target(false).without_time().init();
}

/// True when the log is written: a progress bar would be torn by it.
pub(super) fn is_on() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}
