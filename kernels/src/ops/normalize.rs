//! Rows scaled to length one, with the derivative both ways.

use rayon::prelude::*;

use crate::dispatch;
use crate::error::{Result, expect_dim, expect_len, expect_rows};
use crate::parallel::ROWS_PER_TASK;
use crate::simd::{dot_blocks, mul_add};
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// Rows shorter than this count as zero rows: they are divided by it and get no derivative.
pub const SHORTEST: f32 = 1e-12;

/// The definition: `norms[r] = |x[r]|`, `y[r] = x[r] / max(norms[r], 1e-12)`, in plain loops.
/// Returns `(y, norms)`.
pub fn normalize_rows_reference(dim: usize, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let norms: Vec<f64> = x.chunks_exact(dim).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect();
    let y = x.iter().enumerate().map(|(index, x)| x / norms[index / dim].max(f64::from(SHORTEST))).collect();
    (y, norms)
}

/// The definition of the derivative: `dx[r] = (dy[r] - <dy[r], y[r]> y[r]) / norms[r]`, zero for a
/// zero row, in plain loops.
pub fn normalize_rows_backward_reference(dim: usize, y: &[f64], norms: &[f64], dy: &[f64]) -> Vec<f64> {
    let mut dx = Vec::with_capacity(y.len());
    for ((y, dy), &norm) in y.chunks_exact(dim).zip(dy.chunks_exact(dim)).zip(norms) {
        let dot: f64 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
        let inverse = if norm < f64::from(SHORTEST) { 0.0 } else { 1.0 / norm };
        dx.extend(y.iter().zip(dy).map(|(y, dy)| (dy - dot * y) * inverse));
    }
    dx
}

/// Scales every row to length one: `y[r] = x[r] / max(|x[r]|, 1e-12)`; a zero row stays zero.
///
/// # Shapes
/// - `x`: `[n_rows, dim]`; `y`: `[n_rows, dim]` and `norms`: `[n_rows]`, the lengths `|x[r]|`, both
///   resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when `x` is not made of whole rows.
pub fn normalize_rows(
    device: &Device,
    dim: usize,
    x: &Buffer<f32>,
    y: &mut Buffer<f32>,
    norms: &mut Buffer<f32>,
) -> Result<()> {
    let n_rows = expect_rows("normalize_rows", "x", x.len(), dim)?;
    device.resize(y, x.len());
    device.resize(norms, n_rows);
    match device {
        Device::Cpu => {
            let norms = norms.host_mut().par_chunks_mut(ROWS_PER_TASK);
            let rows = x.host().par_chunks(ROWS_PER_TASK * dim).zip(norms);
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows);
            tasks.for_each(|(y, (x, norms))| forward(dim, x, y, norms));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::forward(gpu, dim, x, y, norms),
    }
    Ok(())
}

/// The gradient with respect to the rows before scaling:
/// `dx[r] = (dy[r] - <dy[r], y[r]> y[r]) / |x[r]|`.
///
/// A zero row has no direction and so no derivative; it gets zero, where dividing by 1e-12 would
/// drown every other gradient.
///
/// # Shapes
/// - `y`, `dy`: `[n_rows, dim]`; `norms`: `[n_rows]`, as [`normalize_rows`] left them; `dx`:
///   `[n_rows, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when these disagree.
pub fn normalize_rows_backward(
    device: &Device,
    dim: usize,
    y: &Buffer<f32>,
    norms: &Buffer<f32>,
    dy: &Buffer<f32>,
    dx: &mut Buffer<f32>,
) -> Result<()> {
    project(("normalize_rows_backward", "dy"), device, dim, y, norms, dy, dx)
}

/// How the scaled rows move when the rows move by `x_dot`:
/// `y_dot[r] = (x_dot[r] - <x_dot[r], y[r]> y[r]) / |x[r]|`.
///
/// The derivative is a symmetric matrix, so this is the same map as [`normalize_rows_backward`].
///
/// # Shapes
/// - `y`, `x_dot`: `[n_rows, dim]`; `norms`: `[n_rows]`; `y_dot`: `[n_rows, dim]`, resized and
///   overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when these disagree.
pub fn normalize_rows_tangent(
    device: &Device,
    dim: usize,
    y: &Buffer<f32>,
    norms: &Buffer<f32>,
    x_dot: &Buffer<f32>,
    y_dot: &mut Buffer<f32>,
) -> Result<()> {
    project(("normalize_rows_tangent", "x_dot"), device, dim, y, norms, x_dot, y_dot)
}

/// Both maps; `op` and the name of `v` are for the refusal of wrong sizes.
fn project(
    (op, argument): (&'static str, &'static str),
    device: &Device,
    dim: usize,
    y: &Buffer<f32>,
    norms: &Buffer<f32>,
    v: &Buffer<f32>,
    out: &mut Buffer<f32>,
) -> Result<()> {
    expect_dim(op, dim)?;
    expect_len(op, "y", y.len(), norms.len() * dim)?;
    expect_len(op, argument, v.len(), y.len())?;
    device.resize(out, y.len());
    match device {
        Device::Cpu => {
            let chunk = ROWS_PER_TASK * dim;
            let rows =
                y.host().par_chunks(chunk).zip(v.host().par_chunks(chunk)).zip(norms.host().par_chunks(ROWS_PER_TASK));
            let tasks = out.host_mut().par_chunks_mut(chunk).zip(rows);
            tasks.for_each(|(out, ((y, v), norms))| remove_direction(dim, y, norms, v, out));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::project(gpu, dim, y, norms, v, out),
    }
    Ok(())
}

dispatch! {
    fn forward(dim: usize, x: &[f32], y: &mut [f32], norms: &mut [f32]) = forward_body
}

#[inline(always)]
fn forward_body<const FUSED: bool>(dim: usize, x: &[f32], y: &mut [f32], norms: &mut [f32]) {
    for ((x, y), norm) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)).zip(norms) {
        *norm = dot_blocks::<FUSED>(x, x).sqrt();
        let divisor = norm.max(SHORTEST);
        for (y, x) in y.iter_mut().zip(x) {
            *y = x / divisor;
        }
    }
}

dispatch! {
    fn remove_direction(dim: usize, y: &[f32], norms: &[f32], v: &[f32], out: &mut [f32]) = remove_direction_body
}

#[inline(always)]
fn remove_direction_body<const FUSED: bool>(dim: usize, y: &[f32], norms: &[f32], v: &[f32], out: &mut [f32]) {
    let rows = y.chunks_exact(dim).zip(v.chunks_exact(dim)).zip(norms);
    for (out, ((y, v), &norm)) in out.chunks_exact_mut(dim).zip(rows) {
        let along = -dot_blocks::<FUSED>(y, v);
        let inverse = if norm < SHORTEST { 0.0 } else { 1.0 / norm };
        for ((out, &y), &v) in out.iter_mut().zip(y).zip(v) {
            *out = mul_add::<FUSED>(along, y, v) * inverse;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::on_both_widths;
    use crate::testing::{DIMS, assert_close, bits, numbers, same_bits_of, wide};

    const CPU: Device = Device::Cpu;

    #[test]
    fn a_row_gets_length_one_and_a_zero_row_stays_zero_without_a_derivative() {
        // |(3, 4)| = 5.
        let (mut y, mut norms, mut dx) = Default::default();
        normalize_rows(&CPU, 2, &CPU.upload(&[3.0, 4.0, 0.0, 0.0]), &mut y, &mut norms).unwrap();
        assert_eq!(CPU.read(&y), [0.6, 0.8, 0.0, 0.0]);
        assert_eq!(CPU.read(&norms), [5.0, 0.0]);
        // dy = (1, 0): <dy, y> = .6, dx = ((1 - .36) / 5, -.48 / 5) = (.128, -.096).
        normalize_rows_backward(&CPU, 2, &y, &norms, &CPU.upload(&[1.0, 0.0, 1.0, 1.0]), &mut dx).unwrap();
        // A division, a product and a sum, each rounded once.
        assert_close("dx", dx.host(), &[0.128, -0.096, 0.0, 0.0], 1e-7, 1e-7);
    }

    #[test]
    fn the_reference_derivative_agrees_with_central_differences() {
        let (dim, n_rows, step) = (7, 3, 1e-5);
        let (x, dy) = (wide(&numbers(1, n_rows * dim)), wide(&numbers(2, n_rows * dim)));
        let (y, norms) = normalize_rows_reference(dim, &x);
        let dx = normalize_rows_backward_reference(dim, &y, &norms, &dy);
        let value = |x: &[f64]| normalize_rows_reference(dim, x).0.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
        for index in 0..x.len() {
            let (mut up, mut down) = (x.clone(), x.clone());
            up[index] += step;
            down[index] -= step;
            let slope = (value(&up) - value(&down)) / (2.0 * step);
            // The differences are off by step^2 times the third derivative, and 1e-16 / step.
            assert!((slope - dx[index]).abs() < 1e-8, "[{index}] {slope} {}", dx[index]);
        }
    }

    #[test]
    fn every_width_agrees_with_the_reference_on_any_number_of_threads_and_any_vector_width() {
        for dim in DIMS {
            let mut x = numbers(3, 70 * dim);
            x[5 * dim..6 * dim].fill(0.0);
            let v = numbers(4, 70 * dim);
            let (y, norms) = normalize_rows_reference(dim, &wide(&x));
            let dx = normalize_rows_backward_reference(dim, &y, &norms, &wide(&v));
            let (x, v) = (CPU.upload(&x), CPU.upload(&v));
            let run = || {
                let (mut y, mut norms, mut dx, mut y_dot) = Default::default();
                normalize_rows(&CPU, dim, &x, &mut y, &mut norms).unwrap();
                normalize_rows_backward(&CPU, dim, &y, &norms, &v, &mut dx).unwrap();
                normalize_rows_tangent(&CPU, dim, &y, &norms, &v, &mut y_dot).unwrap();
                assert_eq!(CPU.read(&dx), CPU.read(&y_dot));
                [CPU.read(&y), CPU.read(&norms), CPU.read(&dx)].concat()
            };
            let found = same_bits_of(run);
            let n = 70 * dim;
            // A few roundings of numbers below 1; norms reach 7.
            assert_close("y", &found[..n], &y, 1e-6, 1e-6);
            assert_close("norms", &found[n..n + 70], &norms, 1e-6, 1e-6);
            if dim == 1 {
                // One column: the exact derivative is zero, a difference of equals divided by a
                // norm that may be small.
                assert!(found[n + 70..].iter().all(|dx| dx.abs() < 1e-4));
            } else {
                assert_close("dx", &found[n + 70..], &dx, 1e-5, 1e-5);
            }
            let (wide, narrow) = on_both_widths(run);
            assert_eq!(bits(&wide), bits(&narrow), "dim {dim}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let (mut y, mut norms) = Default::default();
        let refused = normalize_rows(&CPU, 4, &CPU.zeros(6), &mut y, &mut norms).unwrap_err();
        assert_eq!(refused.to_string(), "normalize_rows: x has 6 elements, expected 4");
        let refused = normalize_rows_tangent(&CPU, 2, &CPU.zeros(4), &CPU.zeros(2), &CPU.zeros(3), &mut y).unwrap_err();
        assert_eq!(refused.to_string(), "normalize_rows_tangent: x_dot has 3 elements, expected 4");
        assert!(y.is_empty());
    }
}
