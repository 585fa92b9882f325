//! A GPU as the ops see it: memory, launches and counters, the same for every runtime that CubeCL
//! has.
//!
//! Work is queued in order and nothing waits until numbers are read back. What fails on the device
//! is therefore seen late: the first failure is kept, nothing is launched after it, and
//! [`Gpu::check`] tells it.

mod array;
pub(crate) mod cubes;
mod failure;
mod launch;
mod runtime;
pub(crate) mod tile;

pub(crate) use array::GpuArray;
pub(crate) use launch::{UNITS, cubes_for, grid, launch};
pub(crate) use runtime::Client;
pub use runtime::{Counts, Gpu};
