//! An array that starts at a cache line, in large pages where the system grants them.
//!
//! A row of 64 numbers is then four lines; anywhere else it touches five, and every vector load
//! straddles two. Gathering rows of a matrix of many megabytes also visits a new 4 KiB page with
//! nearly every row; with pages of 2 MiB the address of each is at hand.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::element::Element;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

const ZERO: Line = Line([0; 64]);

/// A growing array of numbers in whole cache lines.
#[derive(Debug)]
pub(crate) struct Lines<T: Element> {
    lines: Vec<Line>,
    /// Numbers in use, which fit into the lines.
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Lines<T> {
    const PER_LINE: usize = 64 / size_of::<T>();

    pub(crate) fn zeros(len: usize) -> Self {
        let mut lines = Lines::default();
        lines.resize(len);
        lines
    }

    pub(crate) fn from_slice(values: &[T]) -> Self {
        let mut lines = Lines::default();
        lines.write(values);
        lines
    }

    /// Changes the length; what the array holds then is unspecified. Memory is allocated only for
    /// more lines than there ever were.
    pub(crate) fn resize(&mut self, len: usize) {
        let needed = len.div_ceil(Self::PER_LINE);
        if self.lines.capacity() < needed {
            // The old contents are not wanted: a new allocation is cheaper than one that is copied.
            self.lines = Vec::with_capacity(needed);
            prefer_large_pages(self.lines.spare_capacity_mut());
        }
        if self.lines.len() < needed {
            self.lines.resize(needed, ZERO);
        }
        self.len = len;
    }

    /// Takes over the values and their number.
    pub(crate) fn write(&mut self, values: &[T]) {
        self.resize(values.len());
        self.as_mut_slice().copy_from_slice(values);
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: `len` elements fit into the initialised lines, which are aligned to more than an
        // element; any bits are a value (`Element`).
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as in `as_slice`, and the lines are borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T: Element> Clone for Lines<T> {
    /// In large pages too, which a copy of the vector would not ask for.
    fn clone(&self) -> Self {
        Lines::from_slice(self.as_slice())
    }
}

impl<T: Element> Default for Lines<T> {
    fn default() -> Self {
        Lines { lines: Vec::new(), len: 0, element: PhantomData }
    }
}

/// Asks for large pages before the memory is first touched. Only advice: whatever the answer, the
/// memory is the same.
fn prefer_large_pages(memory: &mut [MaybeUninit<Line>]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        const LARGE: usize = 2 << 20;
        let bytes = size_of_val(memory);
        if bytes >= 2 * LARGE {
            let start = memory.as_mut_ptr().cast::<u8>();
            let skipped = start.align_offset(PAGE);
            // SAFETY: from the first whole page to the end of an allocation of this process; the
            // advice changes no contents.
            unsafe { libc::madvise(start.add(skipped).cast(), bytes - skipped, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::F16;

    #[test]
    fn an_array_starts_at_a_cache_line_and_keeps_what_was_written() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let lines = Lines::from_slice(&values);
            assert_eq!(lines.as_slice(), values);
            assert_eq!(lines.as_slice().as_ptr().addr() % 64, 0);
        }
        assert_eq!(Lines::<u32>::zeros(17).as_slice(), [0; 17]);
        assert_eq!(Lines::<F16>::zeros(33).as_slice().len(), 33);
    }

    #[test]
    fn an_array_shrinks_and_grows_again() {
        let mut lines = Lines::from_slice(&[1u32; 40]);
        lines.resize(40);
        assert_eq!(lines.as_slice(), [1; 40]);
        lines.resize(3);
        assert_eq!(lines.as_slice(), [1; 3]);
        lines.write(&[2; 50]);
        assert_eq!(lines.as_slice(), [2; 50]);
    }
}
