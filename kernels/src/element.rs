//! Numbers that a buffer can hold, as bytes and as indices.

/// What a buffer can hold: plain numbers, without padding, for which every pattern of bits is a
/// value.
pub trait Element: sealed::Sealed + Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    /// The largest of some indices; 0 for what is no index.
    #[doc(hidden)]
    fn largest(values: &[Self]) -> u32 {
        let _ = values;
        0
    }

    /// The numbers as they lie in memory.
    #[doc(hidden)]
    fn bytes(values: &[Self]) -> &[u8] {
        // SAFETY: the trait is sealed, and its types have no padding; the slice covers the same
        // memory for the same time.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }

    /// The inverse of [`Element::bytes`]; there may be more bytes than numbers.
    #[doc(hidden)]
    fn copy_from_bytes(bytes: &[u8], values: &mut [Self]) {
        let n = size_of_val(values);
        // SAFETY: the trait is sealed, and every pattern of bits is a value of its types; the slice
        // covers the memory of `values` alone.
        let target = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), n) };
        target.copy_from_slice(&bytes[..n]);
    }
}

pub(crate) mod sealed {
    /// Keeps other crates from adding elements that a device does not know.
    pub trait Sealed {}
}

impl sealed::Sealed for f32 {}
impl sealed::Sealed for u32 {}
impl Element for f32 {}
impl Element for u32 {
    fn largest(values: &[u32]) -> u32 {
        values.iter().fold(0, |largest, &value| largest.max(value))
    }
}
