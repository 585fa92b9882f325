//! A request to stop, shared between a run and whoever may interrupt it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Asks a run to stop after its next checkpoint. Cheap to clone; every clone is the same switch.
///
/// ```
/// let stop = gcnrec::Stop::default();
/// let elsewhere = stop.clone();
/// std::thread::spawn(move || elsewhere.ask(130)).join().unwrap();
/// assert_eq!(stop.asked(), Some(130));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Switch>);

#[derive(Debug, Default)]
struct Switch {
    code: AtomicU8,
    n_heeding: AtomicUsize,
}

impl Stop {
    /// Asks for a stop; the run ends with [`crate::RecError::Interrupted`] and this exit code (130
    /// for Ctrl-C, 143 for a termination request, 129 for a terminal that is gone).
    pub fn ask(&self, code: u8) {
        self.0.code.store(code, Ordering::Relaxed);
    }

    /// The exit code asked for, if any.
    pub fn asked(&self) -> Option<u8> {
        match self.0.code.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }

    /// True while somebody trains by steps and looks at this switch after each of them. Otherwise (a
    /// closed form is computed, data are read, a model is judged) there is nothing to save, and
    /// whoever owns the process may end it at once: a run goes on from its last checkpoint.
    pub fn is_heeded(&self) -> bool {
        self.0.n_heeding.load(Ordering::SeqCst) > 0
    }

    /// Says that the switch is looked at, as long as the value lives.
    pub(crate) fn heed(&self) -> Heeding {
        self.0.n_heeding.fetch_add(1, Ordering::SeqCst);
        Heeding(self.clone())
    }
}

/// Somebody who looks at the switch.
#[derive(Debug)]
pub(crate) struct Heeding(Stop);

impl Drop for Heeding {
    fn drop(&mut self) {
        self.0.0.n_heeding.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_heeded_as_long_as_somebody_looks() {
        let stop = Stop::default();
        assert!(!stop.is_heeded());
        let (first, second) = (stop.heed(), stop.clone().heed());
        drop(first);
        assert!(stop.is_heeded());
        drop(second);
        assert!(!stop.is_heeded());
    }
}
