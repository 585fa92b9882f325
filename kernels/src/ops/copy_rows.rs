//! Copies of numbers: one array into a range of another, the rows of a batch into a table, a number
//! into a column.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_dim, expect_len};
use crate::ops::row_set::{NO_SLOT, RowSet};
use crate::parallel::ROWS_PER_TASK;

#[cfg(feature = "gpu")]
pub(crate) mod gpu;

/// Copies `source` to `target[offset..]`.
///
/// # Errors
/// [`crate::KernelError::Shape`] when the range ends behind the target.
pub fn copy_into(device: &Device, source: &Buffer<f32>, offset: usize, target: &mut Buffer<f32>) -> Result<()> {
    let end = offset + source.len();
    expect_len("copy_into", "target", target.len(), end.max(target.len()))?;
    match device {
        Device::Cpu => target.host_mut()[offset..end].copy_from_slice(source.host()),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::copy(gpu, source, 0, target, offset, source.len()),
    }
    Ok(())
}

/// Sets `target[offset + row * stride] = value` for `n_rows` rows: a column that training must not
/// move, or one that is constant.
///
/// # Errors
/// [`crate::KernelError::Shape`] when the last row lies behind the target.
pub fn fill_column(
    device: &Device,
    value: f32,
    offset: usize,
    stride: usize,
    n_rows: usize,
    target: &mut Buffer<f32>,
) -> Result<()> {
    if n_rows == 0 {
        return Ok(());
    }
    let last = offset + (n_rows - 1) * stride;
    expect_len("fill_column", "target", target.len(), (last + 1).max(target.len()))?;
    match device {
        Device::Cpu => target.host_mut()[offset..=last].iter_mut().step_by(stride.max(1)).for_each(|v| *v = value),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::fill_column(gpu, value, offset, stride, n_rows, target),
    }
    Ok(())
}

/// Spreads the rows of a batch over a table that is zero elsewhere: `y[rows[s]] = x[s]`.
///
/// # Shapes
/// - `x`: `[rows.len(), dim]`; `y` becomes `[rows.n_rows(), dim]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when `x` does not have one row per member of `rows`.
pub fn spread_rows(device: &Device, dim: usize, rows: &RowSet, x: &Buffer<f32>, y: &mut Buffer<f32>) -> Result<()> {
    expect_dim("spread_rows", dim)?;
    expect_len("spread_rows", "x", x.len(), rows.len() * dim)?;
    device.resize(y, rows.n_rows() * dim);
    match device {
        Device::Cpu => {
            let x = x.host();
            let tasks =
                y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.slot_of.host().par_chunks(ROWS_PER_TASK));
            tasks.for_each(|(y, slots)| {
                for (y, &slot) in y.chunks_exact_mut(dim).zip(slots) {
                    match slot {
                        NO_SLOT => y.fill(0.0),
                        slot => y.copy_from_slice(&x[slot as usize * dim..][..dim]),
                    }
                }
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::spread_rows(gpu, dim, rows, x, y),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_land_in_a_table_of_zeros() {
        let device = Device::Cpu;
        let mut rows = RowSet::new(&device, 3);
        rows.assign(&device, &[0, 2]).unwrap();
        let mut y = device.upload(&[9.0; 6]);
        spread_rows(&device, 2, &rows, &device.upload(&[1.0, 2.0, 3.0, 4.0]), &mut y).unwrap();
        assert_eq!(device.read(&y), [1.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
    }

    #[test]
    fn a_block_lands_at_its_offset_and_never_behind_the_end() {
        let device = Device::Cpu;
        let mut target = device.zeros(5);
        copy_into(&device, &device.upload(&[1.0, 2.0]), 3, &mut target).unwrap();
        assert_eq!(device.read(&target), [0.0, 0.0, 0.0, 1.0, 2.0]);
        assert!(copy_into(&device, &device.upload(&[1.0, 2.0]), 4, &mut target).is_err());
    }

    #[test]
    fn a_column_is_filled_in_every_row() {
        let device = Device::Cpu;
        let mut target = device.zeros(6);
        fill_column(&device, 7.0, 1, 3, 2, &mut target).unwrap();
        assert_eq!(device.read(&target), [0.0, 7.0, 0.0, 0.0, 7.0, 0.0]);
        assert!(fill_column(&device, 7.0, 1, 3, 3, &mut target).is_err());
    }
}
