//! Row gathers: copies of chosen rows, one after the other.

use rayon::prelude::*;

use super::row_set::RowSet;
#[cfg(feature = "gpu")]
use crate::error::expect_largest;
use crate::error::{Result, expect_dim, expect_indices, expect_len, expect_rows};
use crate::parallel::ROWS_PER_TASK;
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// The definition: `y[e] = x[indices[e]]`, in plain loops.
pub fn gather_reference(dim: usize, x: &[f64], indices: &[u32]) -> Vec<f64> {
    indices.iter().flat_map(|&index| x[index as usize * dim..][..dim].iter().copied()).collect()
}

/// Copies the rows of a set: `y[s] = x[rows[s]]`.
///
/// # Shapes
/// - `x`: `[rows.n_rows(), dim]`; `y`: `[S, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` does not have the rows that the set
/// is taken from.
pub fn gather_rows(device: &Device, dim: usize, x: &Buffer<f32>, rows: &RowSet, y: &mut Buffer<f32>) -> Result<()> {
    expect_dim("gather_rows", dim)?;
    expect_len("gather_rows", "x", x.len(), rows.n_rows() * dim)?;
    gather(device, dim, x, &rows.rows, y);
    Ok(())
}

/// Copies rows by index, repeats allowed: `y[e] = x[indices[e]]`.
///
/// # Shapes
/// - `x`: `[n_rows, dim]`; `indices`: `[n]`; `y`: `[n, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` is not made of whole rows,
/// [`KernelError::Index`](crate::KernelError::Index) when an index is outside them.
pub fn gather_indices(
    device: &Device,
    dim: usize,
    x: &Buffer<f32>,
    indices: &Buffer<u32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    let n_rows = expect_rows("gather_indices", "x", x.len(), dim)?;
    match device {
        Device::Cpu => expect_indices("gather_indices", "indices", indices.host(), n_rows)?,
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => expect_largest("gather_indices", "indices", indices, n_rows)?,
    }
    gather(device, dim, x, indices, y);
    Ok(())
}

fn gather(device: &Device, dim: usize, x: &Buffer<f32>, indices: &Buffer<u32>, y: &mut Buffer<f32>) {
    device.resize(y, indices.len() * dim);
    match device {
        Device::Cpu => {
            let x = x.host();
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(indices.host().par_chunks(ROWS_PER_TASK));
            tasks.for_each(|(y, indices)| {
                for (y, &index) in y.chunks_exact_mut(dim).zip(indices) {
                    y.copy_from_slice(&x[index as usize * dim..][..dim]);
                }
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) if !indices.is_empty() => gpu::gather(gpu, dim, x, indices, y),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DIMS, assert_close, indices, numbers, same_bits_of, wide};

    const CPU: Device = Device::Cpu;

    #[test]
    fn a_row_may_be_copied_more_than_once() {
        let mut y = Buffer::default();
        gather_indices(&CPU, 2, &CPU.upload(&[1.0, 2.0, 3.0, 4.0]), &CPU.upload(&[1, 0, 1]), &mut y).unwrap();
        assert_eq!(CPU.read(&y), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn both_forms_agree_with_the_reference_on_any_number_of_threads() {
        for dim in DIMS {
            let x = numbers(1, 97 * dim);
            let list: Vec<u32> = (0..97).filter(|row| row % 5 != 1).collect();
            let mut set = RowSet::new(&CPU, 97);
            set.assign(&CPU, &list).unwrap();
            let (picked, buffer) = (indices(2, 203, 97), CPU.upload(&x));
            let rows = same_bits_of(|| {
                let mut y = CPU.upload(&[9.0; 3]);
                gather_rows(&CPU, dim, &buffer, &set, &mut y).unwrap();
                CPU.read(&y)
            });
            assert_close("gather_rows", &rows, &gather_reference(dim, &wide(&x), &list), 0.0, 0.0);
            let repeated = same_bits_of(|| {
                let mut y = Buffer::default();
                gather_indices(&CPU, dim, &buffer, &CPU.upload(&picked), &mut y).unwrap();
                CPU.read(&y)
            });
            assert_close("gather_indices", &repeated, &gather_reference(dim, &wide(&x), &picked), 0.0, 0.0);
        }
    }

    #[test]
    fn an_index_outside_the_rows_is_refused() {
        let (x, mut y) = (CPU.zeros(6), Buffer::default());
        let refused = gather_indices(&CPU, 2, &x, &CPU.upload(&[0, 3]), &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "gather_indices: index 3 in indices is outside 0..3");
        let refused = gather_indices(&CPU, 4, &x, &CPU.upload(&[0]), &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "gather_indices: x has 6 elements, expected 4");
        let refused = gather_rows(&CPU, 2, &x, &RowSet::new(&CPU, 4), &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "gather_rows: x has 6 elements, expected 8");
    }
}
