//! Failures of a GPU: caught panics of its runtime, and devices that are too small.

use std::sync::OnceLock;

/// Why a thread that serves a device died. Its runtime does not tell: whatever is read afterwards
/// is zeros.
pub(super) static BROKEN: OnceLock<String> = OnceLock::new();

/// Sees to it, once per process, that a panic on a thread which serves a device is kept for
/// [`super::Gpu::check`] instead of being printed. Other panics go where they went.
pub(super) fn watch_service_threads() {
    static WATCHED: std::sync::Once = std::sync::Once::new();
    WATCHED.call_once(|| {
        let _alone = HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name().is_some_and(|name| name.starts_with("DSD-")) {
                let _ = BROKEN.set(one_line(&reason(panic.payload())));
            } else {
                hook(panic);
            }
        }));
    });
}

/// What is wrong where `(largest array, all)` bytes are asked of a device that has room for as
/// many, if anything is.
pub(super) fn no_room(there: (u128, Option<u128>), asked: (u128, u128), what: &str) -> Option<String> {
    let gigabytes = |bytes: u128| format!("{:.2} GB", bytes as f64 / 1e9);
    let problem = match there {
        (page, _) if asked.0 > page => {
            format!("found room for arrays of {}, expected {} in one array", gigabytes(page), gigabytes(asked.0))
        }
        (_, Some(memory)) if asked.1 > memory => {
            format!("found {} of memory, expected {}", gigabytes(memory), gigabytes(asked.1))
        }
        _ => return None,
    };
    Some(format!("{problem} for {what}; lower --dim, --layers or --batch-size, or use --device cpu"))
}

/// The first line of a failure.
pub(super) fn one_line(error: &dyn std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    format!("it failed ({}); try again, or use --device cpu", text.lines().next().unwrap_or_default())
}

/// One at a time: the process has one hook for panics.
static HOOK: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Runs what panics where it should return an error, and keeps the panic from the screen.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let _alone = HOOK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    done.map_err(|panic| reason(&*panic))
}

/// The first line of what a panic says.
fn reason(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("no reason given").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_what_is_there_and_what_is_needed() {
        let gb = |n: u128| n * 1_000_000_000;
        let found = |asked| no_room((gb(2), Some(gb(8))), asked, "a test");
        assert_eq!(found((gb(2), gb(8))), None);
        let todo = "for a test; lower --dim, --layers or --batch-size, or use --device cpu";
        let expected = format!("found room for arrays of 2.00 GB, expected 3.00 GB in one array {todo}");
        assert_eq!(found((gb(3), gb(9))), Some(expected));
        assert_eq!(found((gb(1), gb(9))), Some(format!("found 8.00 GB of memory, expected 9.00 GB {todo}")));
        assert_eq!(no_room((gb(2), None), (gb(1), gb(9)), "a test"), None, "a driver that does not say is believed");
    }
}
