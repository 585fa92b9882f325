//! A run from its settings to its folder: the one way to train, to judge again and to repeat.
//!
//! The road and its order of checks stand at [`Run`].

#[cfg(test)]
mod coat_tests;
mod destination;
mod device;
mod finished;
mod judge;
mod loaded;
mod origin;
mod prepared;
mod repeat;
mod report;
mod resumed;
mod setup;

pub use destination::Destination;
pub use finished::Finished;
pub use judge::{Judged, JudgedPart};
pub use loaded::Loaded;
pub use prepared::Prepared;
pub use repeat::repeat;
pub use setup::Run;
