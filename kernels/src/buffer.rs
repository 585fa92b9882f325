//! A one-dimensional array on a device. Matrices are row-major; ops take their width as `dim`.

use crate::aligned::Lines;

/// What a buffer can hold: plain numbers of 2 or 4 bytes for which any bits are a value.
///
/// # Safety
/// All of that must hold: memory of a buffer is reused without being cleared.
pub unsafe trait Element: Copy + Default + Send + Sync + std::fmt::Debug + 'static {}
// SAFETY: 4 bytes, any bits are a value.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for u32 {}

/// An array on a device. Which device is known to who made it; an op refuses nothing but sizes.
#[derive(Debug, Clone)]
pub struct Buffer<T: Element> {
    storage: Storage<T>,
}

#[derive(Debug, Clone)]
enum Storage<T: Element> {
    Host(Lines<T>),
}

impl<T: Element> Buffer<T> {
    pub(crate) fn from_host(values: Lines<T>) -> Self {
        Buffer { storage: Storage::Host(values) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::Host(values) => values.as_slice().len(),
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
        }
    }

    /// The elements of a buffer in host memory, to be overwritten.
    pub(crate) fn host_mut(&mut self) -> &mut [T] {
        match &mut self.storage {
            Storage::Host(values) => values.as_mut_slice(),
        }
    }

    pub(crate) fn host_lines(&mut self) -> &mut Lines<T> {
        match &mut self.storage {
            Storage::Host(values) => values,
        }
    }
}

impl<T: Element> Default for Buffer<T> {
    fn default() -> Self {
        Buffer::from_host(Lines::default())
    }
}
