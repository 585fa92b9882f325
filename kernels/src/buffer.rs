//! A one-dimensional array on a device. Matrices are row-major; ops take their width as `dim`.

/// What a buffer can hold.
pub trait Element: Copy + Default + Send + Sync + std::fmt::Debug + 'static {}
impl Element for f32 {}
impl Element for u32 {}

/// An array on a device. Which device is known to who made it; an op refuses nothing but sizes.
#[derive(Debug, Clone)]
pub struct Buffer<T: Element> {
    storage: Storage<T>,
}

#[derive(Debug, Clone)]
enum Storage<T> {
    Host(Vec<T>),
}

impl<T: Element> Buffer<T> {
    pub(crate) fn from_host(values: Vec<T>) -> Self {
        Buffer { storage: Storage::Host(values) }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.storage {
            Storage::Host(values) => values.len(),
        }
    }

    /// True when there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of a buffer in host memory.
    pub(crate) fn host(&self) -> &[T] {
        match &self.storage {
            Storage::Host(values) => values,
        }
    }

    /// The elements of a buffer in host memory, to be overwritten.
    pub(crate) fn host_mut(&mut self) -> &mut [T] {
        match &mut self.storage {
            Storage::Host(values) => values,
        }
    }

    pub(crate) fn host_vec(&mut self) -> &mut Vec<T> {
        match &mut self.storage {
            Storage::Host(values) => values,
        }
    }
}

impl<T: Element> Default for Buffer<T> {
    fn default() -> Self {
        Buffer::from_host(Vec::new())
    }
}
