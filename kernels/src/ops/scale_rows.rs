//! Row scaling: each row times a number of its own, stored or added.

use rayon::prelude::*;

use crate::dispatch;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::{ELEMENTS_PER_TASK, ROWS_PER_TASK};
use crate::simd::mul_add;
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// The definition: `y[r] += scale[r] * x[r]`, in plain loops.
pub fn add_scaled_rows_reference(dim: usize, scale: &[f64], x: &[f64], y: &mut [f64]) {
    for (index, (y, x)) in y.iter_mut().zip(x).enumerate() {
        *y += scale[index / dim] * x;
    }
}

/// Adds each row of `x`, times its own number: `y[r] += scale[r] * x[r]`. This is the gradient of
/// the squared norms of a batch's rows.
///
/// # Shapes
/// - `scale`: `[n_rows]`; `x`, `y`: `[n_rows, dim]`
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when these disagree.
pub fn add_scaled_rows(
    device: &Device,
    dim: usize,
    scale: &Buffer<f32>,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "add_scaled_rows";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x.len(), scale.len() * dim)?;
    expect_len(OP, "y", y.len(), scale.len() * dim)?;
    each_row(device, dim, scale, x, y, true);
    Ok(())
}

/// Multiplies each row by its own number: `y[r] = scale[r] * x[r]`.
///
/// # Shapes
/// - `scale`: `[n_rows]`; `x`: `[n_rows, dim]`; `y`: `[n_rows, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` does not have one row per number.
pub fn scale_rows(
    device: &Device,
    dim: usize,
    scale: &Buffer<f32>,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
) -> Result<()> {
    expect_dim("scale_rows", dim)?;
    expect_len("scale_rows", "x", x.len(), scale.len() * dim)?;
    device.resize(y, x.len());
    each_row(device, dim, scale, x, y, false);
    Ok(())
}

/// Multiplies every number: `y = factor * x`.
///
/// # Shapes
/// - `y` becomes as long as `x`
pub fn scale_all(device: &Device, factor: f32, x: &Buffer<f32>, y: &mut Buffer<f32>) {
    device.resize(y, x.len());
    match device {
        Device::Cpu => {
            let tasks = y.host_mut().par_chunks_mut(ELEMENTS_PER_TASK).zip(x.host().par_chunks(ELEMENTS_PER_TASK));
            tasks.for_each(|(y, x)| y.iter_mut().zip(x).for_each(|(y, x)| *y = factor * x));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::scale_all(gpu, factor, x, y),
    }
}

fn each_row(device: &Device, dim: usize, scale: &Buffer<f32>, x: &Buffer<f32>, y: &mut Buffer<f32>, add: bool) {
    match device {
        Device::Cpu => {
            let work = if add { add_scaled } else { scaled };
            let rows = scale.host().par_chunks(ROWS_PER_TASK).zip(x.host().par_chunks(ROWS_PER_TASK * dim));
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows);
            tasks.for_each(|(y, (scale, x))| work(dim, scale, x, y));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::each_row(gpu, dim, scale, x, y, add),
    }
}

dispatch! {
    fn add_scaled(dim: usize, scale: &[f32], x: &[f32], y: &mut [f32]) = add_scaled_body
}

#[inline(always)]
fn add_scaled_body<const FUSED: bool>(dim: usize, scale: &[f32], x: &[f32], y: &mut [f32]) {
    for ((y, x), &scale) in y.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(scale) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = mul_add::<FUSED>(scale, x, *y);
        }
    }
}

dispatch! {
    fn scaled(dim: usize, scale: &[f32], x: &[f32], y: &mut [f32]) = scaled_body
}

#[inline(always)]
fn scaled_body<const FUSED: bool>(dim: usize, scale: &[f32], x: &[f32], y: &mut [f32]) {
    for ((y, x), &scale) in y.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(scale) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = scale * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DIMS, assert_close, numbers, same_bits_of, wide};

    const CPU: Device = Device::Cpu;

    #[test]
    fn each_row_is_scaled_by_its_own_number() {
        // 2 * (1, 2) = (2, 4); -1 * (3, 4) = (-3, -4); added to tens.
        let (scale, x) = (CPU.upload(&[2.0, -1.0]), CPU.upload(&[1.0, 2.0, 3.0, 4.0]));
        let mut y = CPU.upload(&[10.0; 4]);
        add_scaled_rows(&CPU, 2, &scale, &x, &mut y).unwrap();
        assert_eq!(CPU.read(&y), [12.0, 14.0, 7.0, 6.0]);
        scale_rows(&CPU, 2, &scale, &x, &mut y).unwrap();
        assert_eq!(CPU.read(&y), [2.0, 4.0, -3.0, -4.0]);
    }

    #[test]
    fn every_width_agrees_with_the_reference_on_any_number_of_threads() {
        for dim in DIMS {
            let (scale, x, start) = (numbers(1, 101), numbers(2, 101 * dim), numbers(3, 101 * dim));
            let mut expected = wide(&start);
            add_scaled_rows_reference(dim, &wide(&scale), &wide(&x), &mut expected);
            let mut product = vec![0.0; x.len()];
            add_scaled_rows_reference(dim, &wide(&scale), &wide(&x), &mut product);
            let (scale, x) = (CPU.upload(&scale), CPU.upload(&x));
            let added = same_bits_of(|| {
                let mut y = CPU.upload(&start);
                add_scaled_rows(&CPU, dim, &scale, &x, &mut y).unwrap();
                CPU.read(&y)
            });
            // One or two roundings of numbers below 2.
            assert_close(&format!("dim {dim}"), &added, &expected, 2e-7, 2e-7);
            let mut y = Buffer::default();
            scale_rows(&CPU, dim, &scale, &x, &mut y).unwrap();
            assert_close(&format!("dim {dim}"), y.host(), &product, 1e-7, 1e-7);
        }
    }

    #[test]
    fn every_number_is_scaled_alike() {
        let mut y = CPU.zeros(1);
        scale_all(&CPU, -2.0, &CPU.upload(&[1.0, 0.5, 0.0]), &mut y);
        assert_eq!(CPU.read(&y), [-2.0, -1.0, 0.0]);
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (scale, x, mut y) = (CPU.zeros(2), CPU.zeros(6), CPU.zeros(5));
        let refused = add_scaled_rows(&CPU, 3, &scale, &x, &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "add_scaled_rows: y has 5 elements, expected 6");
        let refused = scale_rows(&CPU, 2, &scale, &x, &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "scale_rows: x has 6 elements, expected 4");
    }
}
