//! Failpoints for tests: at the n-th change to the disk or the n-th training step the process ends,
//! or the disk is full.
//!
//! A program without the feature `failpoints` has nothing of this: both functions are empty there.
//! The feature is refused in builds without debug assertions, so that no release can have it. It
//! reads the environment variable `FAILPOINT`: `write:12:kill` ends the process in the middle of
//! the twelfth change, `write:9:full` makes the ninth change and all later ones fail for want of
//! space, `step:5:kill` ends it after the fifth step.

use std::io;

/// Stands before every change to the disk. `torn` does a part of the change: what a process that is
/// killed in the middle leaves behind.
///
/// # Errors
/// "No space left" where a test asked for it.
#[cfg(not(any(test, feature = "failpoints")))]
#[inline(always)]
pub(super) fn change(_torn: impl FnOnce()) -> io::Result<()> {
    Ok(())
}

/// Stands after every training step.
#[cfg(not(any(test, feature = "failpoints")))]
#[inline(always)]
pub(crate) fn step() {}

#[cfg(any(test, feature = "failpoints"))]
pub(crate) use on_purpose::*;

#[cfg(any(test, feature = "failpoints"))]
mod on_purpose {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::io;

    static WRITES: AtomicU64 = AtomicU64::new(0);
    static STEPS: AtomicU64 = AtomicU64::new(0);

    thread_local! {
        /// Changes that this thread may still make; every one after them fails.
        static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// What `FAILPOINT` asks for.
    struct Plan {
        at_write: Option<u64>,
        at_step: Option<u64>,
        full: bool,
    }

    fn plan() -> &'static Plan {
        static PLAN: OnceLock<Plan> = OnceLock::new();
        PLAN.get_or_init(|| {
            let text = std::env::var("FAILPOINT").unwrap_or_default();
            let words: Vec<&str> = text.split(':').collect();
            match words[..] {
                [place @ ("write" | "step"), n, action @ ("kill" | "full")] => {
                    let n = Some(n.parse().expect("FAILPOINT should hold a number, as in write:12:kill"));
                    let at = |name| if place == name { n } else { None };
                    Plan { at_write: at("write"), at_step: at("step"), full: action == "full" }
                }
                [""] => Plan { at_write: None, at_step: None, full: false },
                _ => panic!("FAILPOINT should be like write:12:kill, write:9:full or step:5:kill"),
            }
        })
    }

    fn full() -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
    }

    /// Lets `n` changes of this thread happen and fails every later one; `None` lets all happen.
    #[cfg(test)]
    pub(crate) fn fill_disk_after(n: Option<u64>) {
        LEFT.set(n);
    }

    /// Stands before every change to the disk. See the empty form.
    pub(crate) fn change(torn: impl FnOnce()) -> io::Result<()> {
        match LEFT.get() {
            None => {}
            Some(0) => {
                torn();
                return Err(full());
            }
            Some(left) => LEFT.set(Some(left - 1)),
        }
        let n = WRITES.fetch_add(1, Ordering::Relaxed) + 1;
        match plan() {
            Plan { at_write: Some(at), full: true, .. } if n >= *at => {
                torn();
                Err(full())
            }
            Plan { at_write: Some(at), full: false, .. } if n == *at => {
                torn();
                std::process::abort()
            }
            _ => Ok(()),
        }
    }

    /// Stands after every training step. See the empty form.
    pub(crate) fn step() {
        if plan().at_step == Some(STEPS.fetch_add(1, Ordering::Relaxed) + 1) {
            std::process::abort();
        }
    }
}
