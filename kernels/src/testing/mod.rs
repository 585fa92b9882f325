//! Helpers of the tests: numbers from a fixed recipe, awkward shapes, comparisons.

pub(crate) mod burn;
pub(crate) mod combine;
mod compare;
mod matrices;
mod numbers;

pub(crate) use compare::{DIMS, assert_close, bits, grid, inner, moved, same_bits, same_bits_of};
pub(crate) use matrices::awkward_square;
pub(crate) use numbers::{indices, numbers, wide, wide_all};
