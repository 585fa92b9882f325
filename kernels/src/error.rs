//! Errors of the ops: wrong sizes, indices and arguments, and devices that fail.

/// An op was called with buffers that do not fit, or a device cannot do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// Two arguments of an op disagree about a size.
    #[error("{op}: {argument} has {found} elements, expected {expected}")]
    Shape {
        /// The op's name.
        op: &'static str,
        /// The argument that does not fit.
        argument: &'static str,
        /// Its number of elements.
        found: usize,
        /// The number the other arguments imply.
        expected: usize,
    },
    /// An index points outside the rows it selects from.
    #[error("{op}: index {index} in {argument} is outside 0..{bound}")]
    Index {
        /// The op's name.
        op: &'static str,
        /// The argument that holds the index.
        argument: &'static str,
        /// The index.
        index: usize,
        /// One past the largest legal index.
        bound: usize,
    },
    /// An argument has the right size, but not a value the op is defined for.
    #[error("{op}: {argument} {problem}")]
    Argument {
        /// The op's name.
        op: &'static str,
        /// The argument.
        argument: &'static str,
        /// What was found and what is expected.
        problem: String,
    },
    /// A row of an argument, or of what the op computes, holds a value that is not a number.
    #[error("{op}: {argument} of row {row} are not all numbers")]
    NotANumber {
        /// The op's name.
        op: &'static str,
        /// What was not a number.
        argument: &'static str,
        /// The first row where that is so.
        row: usize,
    },
    /// The device is not there, lost, or too small.
    #[error("device {device}: {problem}")]
    Device {
        /// The device as the user names it (`cpu`, `cuda:0`).
        device: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

/// The result of an op.
pub type Result<T, E = KernelError> = std::result::Result<T, E>;

/// Checks one length.
pub(crate) fn expect_len(op: &'static str, argument: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(KernelError::Shape { op, argument, found, expected }) }
}

/// Checks that `found` is a matrix of whole rows of `dim`, and counts them.
pub(crate) fn expect_rows(op: &'static str, argument: &'static str, found: usize, dim: usize) -> Result<usize> {
    expect_dim(op, dim)?;
    expect_len(op, argument, found, found / dim * dim)?;
    Ok(found / dim)
}

/// Checks that rows have at least one column.
pub(crate) fn expect_dim(op: &'static str, dim: usize) -> Result<()> {
    if dim == 0 {
        Err(KernelError::Argument { op, argument: "dim", problem: "is 0, expected 1 or more".into() })
    } else {
        Ok(())
    }
}

/// Checks that every index of a buffer on a GPU selects one of `bound` rows, by what is known since
/// its upload.
#[cfg(feature = "gpu")]
pub(crate) fn expect_largest(
    op: &'static str,
    argument: &'static str,
    indices: &crate::Buffer<u32>,
    bound: usize,
) -> Result<()> {
    if indices.is_empty() {
        return Ok(());
    }
    let largest = indices.array().largest() as usize;
    if largest < bound { Ok(()) } else { Err(KernelError::Index { op, argument, index: largest, bound }) }
}

/// Checks that every index selects one of `bound` rows.
pub(crate) fn expect_indices(op: &'static str, argument: &'static str, indices: &[u32], bound: usize) -> Result<()> {
    // The maximum is one vector pass; which index is too large matters only once one is.
    let largest = indices.iter().fold(0, |largest, &index| largest.max(index)) as usize;
    if indices.is_empty() || largest < bound {
        Ok(())
    } else {
        Err(KernelError::Index { op, argument, index: largest, bound })
    }
}
