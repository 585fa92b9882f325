//! A request to stop, shared between a run and whoever may interrupt it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Asks a run to stop after its next checkpoint. Cheap to clone; every clone is the same switch.
///
/// ```
/// let stop = gcnrec::Stop::default();
/// let elsewhere = stop.clone();
/// std::thread::spawn(move || elsewhere.ask(130)).join().unwrap();
/// assert_eq!(stop.asked(), Some(130));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks for a stop; the run ends with [`crate::RecError::Interrupted`] and this exit code (130
    /// for Ctrl-C, 143 for a termination request).
    pub fn ask(&self, code: u8) {
        self.0.store(code, Ordering::Relaxed);
    }

    /// The exit code asked for, if any.
    pub fn asked(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }
}
