//! Devices, buffers and numeric operations on rows, columns and indices; nothing here knows of
//! users or items.
//!
//! One op is one file in [`ops`]: its formula, the f64 reference that defines it, the CPU path and
//! the cases it is tested on.

mod aligned;
pub mod buffer;
pub mod burn_bridge;
pub mod device;
mod element;
mod elementary;
mod error;
#[cfg(feature = "gpu")]
mod gpu;
pub mod ops;
mod parallel;
pub mod probe;
mod row_sum;
pub mod simd;
mod stored;
#[cfg(test)]
mod testing;
mod tile;

pub use buffer::Buffer;
pub use device::Device;
pub use error::{KernelError, Result};
#[cfg(feature = "gpu")]
pub use gpu::{Counts, Gpu};
pub use stored::{Bf16, F16};
