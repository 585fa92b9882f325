//! Devices, buffers and numeric operations. This crate has never heard of users or items: it knows rows, columns and indices.
//!
//! One op is one file in [`ops`]: its formula, the f64 reference that defines it, the CPU path and the cases it is tested on.

pub mod buffer;
pub mod device;
mod elementary;
mod error;
pub mod ops;
pub mod simd;
#[cfg(test)]
mod test_support;
mod tile;

pub use buffer::Buffer;
pub use device::Device;
pub use error::{KernelError, Result};
