//! Where numbers live and are computed: a run-time choice, never a type parameter.

use crate::aligned::Lines;
use crate::buffer::{Buffer, Element};
use crate::simd;

/// A place to compute. Cheap to clone; every clone names the same device.
#[derive(Debug, Clone)]
pub enum Device {
    /// This machine's processor: the rayon pool that is current when an op is called.
    Cpu,
}

impl Device {
    /// The name a user types: `cpu`, `cuda:0`, `vulkan:1`.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
        }
    }

    /// The instruction set or architecture that decides the last bits of a result; recorded in every manifest.
    pub fn arithmetic(&self) -> &'static str {
        match self {
            Device::Cpu => simd::isa().name(),
        }
    }

    /// Copies values to the device.
    pub fn upload<T: Element>(&self, values: &[T]) -> Buffer<T> {
        match self {
            Device::Cpu => Buffer::from_host(Lines::from_slice(values)),
        }
    }

    /// A buffer of `len` zeros.
    pub fn zeros<T: Element>(&self, len: usize) -> Buffer<T> {
        match self {
            Device::Cpu => Buffer::from_host(Lines::zeros(len)),
        }
    }

    /// Replaces a buffer's contents and length; host memory is allocated again only when it grows.
    pub fn write<T: Element>(&self, buffer: &mut Buffer<T>, values: &[T]) {
        match self {
            Device::Cpu => buffer.host_lines().write(values),
        }
    }

    /// Makes a buffer `len` long for an op that overwrites all of it; the contents are unspecified.
    pub fn resize<T: Element>(&self, buffer: &mut Buffer<T>, len: usize) {
        match self {
            Device::Cpu => buffer.host_lines().resize(len),
        }
    }

    /// Copies a buffer back to the host. On a GPU this waits for everything queued before it.
    pub fn read<T: Element>(&self, buffer: &Buffer<T>) -> Vec<T> {
        match self {
            Device::Cpu => buffer.host().to_vec(),
        }
    }

    /// As [`Device::read`], into memory that is kept from call to call.
    pub fn read_into<T: Element>(&self, buffer: &Buffer<T>, values: &mut Vec<T>) {
        values.clear();
        match self {
            Device::Cpu => values.extend_from_slice(buffer.host()),
        }
    }
}
