//! A one-dimensional array on a device. Matrices are row-major; ops take their width as `dim`.

use crate::aligned::Lines;
pub use crate::element::Element;
#[cfg(feature = "gpu")]
use crate::gpu::{Gpu, GpuArray};

/// An array on a device. Which device is known to who made it; an op refuses nothing but sizes.
#[derive(Debug, Clone)]
pub struct Buffer<T: Element> {
    storage: Storage<T>,
}

#[derive(Debug)]
enum Storage<T: Element> {
    Host(Lines<T>),
    #[cfg(feature = "gpu")]
    Gpu(GpuArray),
}

impl<T: Element> Clone for Storage<T> {
    fn clone(&self) -> Self {
        match self {
            Storage::Host(values) => Storage::Host(values.clone()),
            #[cfg(feature = "gpu")]
            Storage::Gpu(array) => Storage::Gpu(array.duplicate::<T>()),
        }
    }
}

/// Where the buffers of a call should be is up to who made them; an op that meets another place is
/// a mistake in this program.
#[cfg(feature = "gpu")]
const ELSEWHERE: &str = "buffers should live on the device that they are used on";

impl<T: Element> Buffer<T> {
    pub(crate) fn from_host(values: Lines<T>) -> Self {
        Buffer { storage: Storage::Host(values) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::Host(values) => values.as_slice().len(),
            #[cfg(feature = "gpu")]
            Storage::Gpu(array) => array.len(),
        }
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of a buffer in host memory.
    pub(crate) fn host(&self) -> &[T] {
        match &self.storage {
            Storage::Host(values) => values.as_slice(),
            #[cfg(feature = "gpu")]
            Storage::Gpu(_) => unreachable!("{ELSEWHERE}"),
        }
    }

    /// The elements of a buffer in host memory, to be overwritten.
    pub(crate) fn host_mut(&mut self) -> &mut [T] {
        match &mut self.storage {
            Storage::Host(values) => values.as_mut_slice(),
            #[cfg(feature = "gpu")]
            Storage::Gpu(_) => unreachable!("{ELSEWHERE}"),
        }
    }

    pub(crate) fn host_lines(&mut self) -> &mut Lines<T> {
        match &mut self.storage {
            Storage::Host(values) => values,
            #[cfg(feature = "gpu")]
            Storage::Gpu(_) => unreachable!("{ELSEWHERE}"),
        }
    }
}

#[cfg(feature = "gpu")]
impl<T: Element> Buffer<T> {
    pub(crate) fn from_gpu(array: GpuArray) -> Self {
        Buffer { storage: Storage::Gpu(array) }
    }

    /// The array of a buffer on a GPU.
    pub(crate) fn array(&self) -> &GpuArray {
        match &self.storage {
            Storage::Gpu(array) => array,
            Storage::Host(_) => unreachable!("{ELSEWHERE}"),
        }
    }

    /// Makes the buffer `len` long on a GPU, wherever it was; the contents are unspecified.
    pub(crate) fn resize_on(&mut self, gpu: &Gpu, len: usize) {
        match &mut self.storage {
            Storage::Gpu(array) => array.resize::<T>(len),
            Storage::Host(_) => self.storage = Storage::Gpu(gpu.empty::<T>(len)),
        }
    }

    /// The buffer as a kernel's argument, element by element.
    pub(crate) fn argument<R: cubecl::Runtime>(&self) -> cubecl::prelude::ArrayArg<R> {
        self.array().argument(1)
    }

    /// The buffer as a kernel's argument, in vectors of `width` elements.
    pub(crate) fn vectors<R: cubecl::Runtime>(&self, width: usize) -> cubecl::prelude::ArrayArg<R> {
        self.array().argument(width)
    }
}

impl<T: Element> Default for Buffer<T> {
    fn default() -> Self {
        Buffer::from_host(Lines::default())
    }
}
