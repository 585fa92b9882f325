//! Numbers in the memory of a GPU: reserved, uploaded, read back and copied.

use std::sync::atomic::Ordering::Relaxed;

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::failure::one_line;
use super::runtime::each_runtime;
use super::{Gpu, cubes, cubes_for, launch};
use crate::element::Element;

/// Numbers in the memory of a GPU.
pub(crate) struct GpuArray {
    gpu: Gpu,
    handle: Handle,
    len: usize,
    /// Elements that the memory holds; more than `len` after a shorter problem.
    capacity: usize,
    /// The largest of uploaded indices; everything is possible in what a kernel wrote.
    largest: u32,
}

impl std::fmt::Debug for GpuArray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuArray").field("gpu", &self.gpu).field("len", &self.len).finish()
    }
}

impl Gpu {
    /// Memory for `capacity` elements, of unspecified contents.
    fn reserve<T: Element>(&self, capacity: usize) -> Handle {
        let bytes = (capacity.max(1) * size_of::<T>()).next_multiple_of(16);
        let largest = each_runtime!(self, client => client.properties().memory.max_page_size);
        if bytes as u64 > largest {
            let (bytes, largest) = (bytes as f64 / 1e9, largest as f64 / 1e9);
            self.fail(format!(
                "found room for arrays of {largest:.1} GB, expected {bytes:.1} GB; lower --dim, or use --device cpu"
            ));
            return each_runtime!(self, client => client.empty(16));
        }
        each_runtime!(self, client => client.empty(bytes))
    }

    /// An array of unspecified contents.
    pub(crate) fn empty<T: Element>(&self, len: usize) -> GpuArray {
        GpuArray { gpu: self.clone(), handle: self.reserve::<T>(len), len, capacity: len.max(1), largest: u32::MAX }
    }

    /// A copy of numbers in host memory.
    pub(crate) fn upload<T: Element>(&self, values: &[T]) -> GpuArray {
        if values.is_empty() {
            return self.empty::<T>(0);
        }
        let bytes = T::bytes(values);
        let largest_page = each_runtime!(self, client => client.properties().memory.max_page_size);
        if bytes.len() as u64 > largest_page {
            return self.empty::<T>(values.len());
        }
        self.0.counters.bytes_up.fetch_add(bytes.len() as u64, Relaxed);
        let handle = each_runtime!(self, client => client.create_from_slice(bytes));
        let (len, largest) = (values.len(), T::largest(values));
        GpuArray { gpu: self.clone(), handle, len, capacity: len, largest }
    }

    /// Numbers back to the host, after everything queued before. Zeros after a failure, which
    /// [`Gpu::check`] then tells.
    pub(crate) fn read<T: Element>(&self, array: &GpuArray, values: &mut Vec<T>) {
        values.clear();
        values.resize(array.len, T::default());
        if array.len == 0 || self.0.failure.get().is_some() {
            return;
        }
        self.0.counters.host_reads.fetch_add(1, Relaxed);
        self.0.counters.bytes_down.fetch_add(size_of_val(&values[..]) as u64, Relaxed);
        match each_runtime!(self, client => client.read_one(array.handle.clone())) {
            Ok(bytes) => T::copy_from_bytes(&bytes, values),
            Err(error) => self.fail(one_line(&error)),
        }
    }
}

impl GpuArray {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// An array in memory that somebody else reserved, and that holds `len` 32-bit floats from its
    /// first byte on.
    pub(crate) fn of_floats(gpu: &Gpu, handle: Handle, len: usize) -> GpuArray {
        GpuArray { gpu: gpu.clone(), handle, len, capacity: len, largest: u32::MAX }
    }

    /// The memory of the elements, 32-bit floats, without what is reserved beyond them.
    pub(crate) fn memory_of_floats(&self) -> Handle {
        let beyond = self.handle.size_in_used() - (self.len * size_of::<f32>()) as u64;
        if beyond == 0 { self.handle.clone() } else { self.handle.clone().offset_end(beyond) }
    }

    /// One past the largest index, where the array holds uploaded indices.
    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }

    /// Makes room for `len` elements, of unspecified contents; memory is reserved again only when
    /// it grows.
    pub(crate) fn resize<T: Element>(&mut self, len: usize) {
        if len > self.capacity {
            self.handle = self.gpu.reserve::<T>(len);
            self.capacity = len;
        }
        (self.len, self.largest) = (len, u32::MAX);
    }

    /// The array as a kernel's argument, in vectors of `width` elements.
    pub(crate) fn argument<R: Runtime>(&self, width: usize) -> ArrayArg<R> {
        // SAFETY: the memory holds at least `len` elements: kept by `empty`, `upload` and `resize`.
        unsafe { ArrayArg::from_raw_parts(self.handle.clone(), self.len / width) }
    }

    /// A copy in memory of its own. Nobody waits for it where the numbers fill whole words.
    pub(crate) fn duplicate<T: Element>(&self) -> GpuArray {
        let bytes = self.len * size_of::<T>();
        if !bytes.is_multiple_of(size_of::<u32>()) {
            let mut values = Vec::<T>::new();
            self.gpu.read(self, &mut values);
            return self.gpu.upload(&values);
        }
        let words = bytes / size_of::<u32>();
        let copy = GpuArray { largest: self.largest, ..self.gpu.empty::<T>(self.len) };
        // SAFETY: both arrays hold `len` elements, which are so many words; the kernel stays below
        // their number.
        unsafe {
            let (from, to) = (self.handle.clone(), copy.handle.clone());
            launch!(
                &self.gpu,
                cubes_for(words),
                cubes::copy_words_kernel,
                ArrayArg::from_raw_parts(from, words),
                ArrayArg::from_raw_parts(to, words)
            );
        }
        copy
    }
}
