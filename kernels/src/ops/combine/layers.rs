//! The rows of all layers that a combination treats, and what belongs to them.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::error::{KernelError, Result, expect_len};

/// Most layers above layer 0.
pub const MAX_LAYERS: usize = 8;

pub(super) const MAX_HOPS: usize = MAX_LAYERS + 1;

/// The layers of a batch's rows, and which of the rows to treat: users and items have parameters of
/// their own.
#[derive(Debug, Clone)]
pub struct Layers<'a> {
    /// Columns of a row.
    pub dim: usize,
    /// K + 1 matrices `[S, dim]`, layer 0 first.
    pub hops: &'a [Buffer<f32>],
    /// The rows to treat; what is written elsewhere stays as it is.
    pub range: Range<usize>,
}

/// A motion of what a combination reads.
#[derive(Debug, Clone, Copy)]
pub struct Motion<'a> {
    /// Of the layers: K + 1 times `[S, dim]`.
    pub hops: &'a [Buffer<f32>],
    /// Of the parameters, as they lie.
    pub parameters: &'a Buffer<f32>,
}

/// The gradients of what a combination reads.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of the layers: K + 1 times `[S, dim]`, of which the rows of the range are overwritten.
    pub direct: &'a mut [Buffer<f32>],
    /// Of the parameters, as they lie; overwritten.
    pub parameters: &'a mut Buffer<f32>,
}

impl Layers<'_> {
    /// Checks that these are `n_hops` equal matrices of whole rows which hold the range; returns
    /// their number of rows.
    pub(super) fn expect(&self, op: &'static str, n_hops: usize) -> Result<usize> {
        self.expect_hops(op, "hops", self.hops, n_hops)
    }

    /// As [`Layers::expect`], of other matrices that should be like these.
    pub(super) fn expect_alike(&self, op: &'static str, argument: &'static str, hops: &[Buffer<f32>]) -> Result<()> {
        self.expect_hops(op, argument, hops, self.hops.len())?;
        expect_len(op, argument, hops[0].len(), self.hops[0].len())
    }

    fn expect_hops(
        &self,
        op: &'static str,
        argument: &'static str,
        hops: &[Buffer<f32>],
        n_hops: usize,
    ) -> Result<usize> {
        if n_hops == 0 || n_hops > MAX_HOPS {
            return Err(KernelError::Index { op, argument: "layers", index: n_hops.wrapping_sub(1), bound: MAX_HOPS });
        }
        expect_len(op, argument, hops.len(), n_hops)?;
        let n_rows = hops[0].len() / self.dim.max(1);
        for hop in hops {
            expect_len(op, argument, hop.len(), n_rows * self.dim)?;
        }
        expect_range(op, &self.range, n_rows)?;
        Ok(n_rows)
    }

    /// The elements of the range in a matrix `[S, dim]`.
    pub(super) fn cells(&self) -> Range<usize> {
        self.range.start * self.dim..self.range.end * self.dim
    }
}

/// Checks that the rows of a range are rows of a matrix.
pub(super) fn expect_range(op: &'static str, range: &Range<usize>, n_rows: usize) -> Result<()> {
    if range.start > range.end || range.end > n_rows {
        return Err(KernelError::Index { op, argument: "range", index: range.end, bound: n_rows + 1 });
    }
    Ok(())
}
