//! What an op can refuse.

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
