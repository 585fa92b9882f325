//! Dot products of pairs of rows: the scores of a batch's examples.

use rayon::prelude::*;

use crate::dispatch;
#[cfg(feature = "gpu")]
use crate::error::expect_largest;
use crate::error::{Result, expect_indices, expect_len, expect_rows};
use crate::simd::dot_blocks;
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// Pairs that one task takes.
const PAIRS_PER_TASK: usize = 128;

/// The definition: `out[e] = sum over k of x[left[e], k] * x[right[e], k]`, in plain loops.
pub fn pair_dots_reference(dim: usize, x: &[f64], left: &[u32], right: &[u32]) -> Vec<f64> {
    let row = |index: u32| &x[index as usize * dim..][..dim];
    let dot = |(&left, &right): (&u32, &u32)| row(left).iter().zip(row(right)).map(|(a, b)| a * b).sum();
    left.iter().zip(right).map(dot).collect()
}

/// Dot product of each pair of rows: `out[e] = <x[left[e]], x[right[e]]>`.
///
/// The sum over columns is that of [`dot_blocks`]: the same bits on every instruction set.
///
/// # Shapes
/// - `x`: `[n_rows, dim]`; `left`, `right`: `[n]`; `out`: `[n]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when there are not as many left as right rows
/// or `x` is not made of whole rows, [`KernelError::Index`](crate::KernelError::Index) when an
/// index is outside them.
pub fn pair_dots(
    device: &Device,
    dim: usize,
    x: &Buffer<f32>,
    left: &Buffer<u32>,
    right: &Buffer<u32>,
    out: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "pair_dots";
    let n_rows = expect_rows(OP, "x", x.len(), dim)?;
    expect_len(OP, "right", right.len(), left.len())?;
    match device {
        Device::Cpu => {
            expect_indices(OP, "left", left.host(), n_rows)?;
            expect_indices(OP, "right", right.host(), n_rows)?;
            device.resize(out, left.len());
            let pairs = left.host().par_chunks(PAIRS_PER_TASK).zip(right.host().par_chunks(PAIRS_PER_TASK));
            let tasks = out.host_mut().par_chunks_mut(PAIRS_PER_TASK).zip(pairs);
            tasks.for_each(|(out, (left, right))| dots(dim, x.host(), left, right, out));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            expect_largest(OP, "left", left, n_rows)?;
            expect_largest(OP, "right", right, n_rows)?;
            device.resize(out, left.len());
            gpu::dots(gpu, dim, x, None, (left, right), out);
        }
    }
    Ok(())
}

/// How those dot products move when the rows move along `x_dot`: `out[e] = <x_dot[left[e]],
/// x[right[e]]> + <x[left[e]], x_dot[right[e]]>`.
///
/// # Shapes
/// As [`pair_dots`]; `x_dot`: as `x`
///
/// # Errors
/// As [`pair_dots`], and when `x_dot` is not as long as `x`.
pub fn pair_dots_tangent(
    device: &Device,
    dim: usize,
    x: &Buffer<f32>,
    x_dot: &Buffer<f32>,
    left: &Buffer<u32>,
    right: &Buffer<u32>,
    out: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "pair_dots_tangent";
    let n_rows = expect_rows(OP, "x", x.len(), dim)?;
    expect_len(OP, "x_dot", x_dot.len(), x.len())?;
    expect_len(OP, "right", right.len(), left.len())?;
    match device {
        Device::Cpu => {
            expect_indices(OP, "left", left.host(), n_rows)?;
            expect_indices(OP, "right", right.host(), n_rows)?;
            device.resize(out, left.len());
            let row = |x: &'_ Buffer<f32>, index: u32| index as usize * dim..index as usize * dim + x.len().min(dim);
            let pairs = left.host().par_iter().zip(right.host());
            out.host_mut().par_iter_mut().zip(pairs).with_min_len(PAIRS_PER_TASK).for_each(|(out, (&left, &right))| {
                let (l, r) = (row(x, left), row(x, right));
                let moved = dot_blocks::<false>(&x_dot.host()[l.clone()], &x.host()[r.clone()]);
                *out = moved + dot_blocks::<false>(&x.host()[l], &x_dot.host()[r]);
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            expect_largest(OP, "left", left, n_rows)?;
            expect_largest(OP, "right", right, n_rows)?;
            device.resize(out, left.len());
            gpu::dots(gpu, dim, x, Some(x_dot), (left, right), out);
        }
    }
    Ok(())
}

dispatch! {
    fn dots(dim: usize, x: &[f32], left: &[u32], right: &[u32], out: &mut [f32]) = dots_body
}

#[inline(always)]
fn dots_body<const FUSED: bool>(dim: usize, x: &[f32], left: &[u32], right: &[u32], out: &mut [f32]) {
    for ((out, &left), &right) in out.iter_mut().zip(left).zip(right) {
        *out = dot_blocks::<FUSED>(&x[left as usize * dim..][..dim], &x[right as usize * dim..][..dim]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::on_both_widths;
    use crate::testing::{DIMS, assert_close, bits, indices, numbers, same_bits_of, wide};

    const CPU: Device = Device::Cpu;

    #[test]
    fn a_tangent_is_the_central_difference_of_the_dots() {
        let (x, x_dot) = (numbers(1, 7 * 5), numbers(2, 7 * 5));
        let (left, right) = ([0u32, 3, 6, 2], [1u32, 3, 0, 5]);
        let wide = |x: &[f32], t: f64| -> Vec<f64> {
            x.iter().zip(&x_dot).map(|(&x, &d)| f64::from(x) + t * f64::from(d)).collect()
        };
        let at = |t: f64| pair_dots_reference(5, &wide(&x, t), &left, &right);
        let (above, below) = (at(1e-4), at(-1e-4));
        let mut out = Buffer::default();
        let (l, r) = (CPU.upload(&left), CPU.upload(&right));
        pair_dots_tangent(&CPU, 5, &CPU.upload(&x), &CPU.upload(&x_dot), &l, &r, &mut out).unwrap();
        for ((found, a), b) in CPU.read(&out).iter().zip(&above).zip(&below) {
            // ten products of numbers below 1 in f32: 1e-5 is a hundred roundings
            assert!((f64::from(*found) - (a - b) / 2e-4).abs() < 1e-5);
        }
    }

    #[test]
    fn a_pair_of_rows_gives_their_dot_product() {
        // (1, 2) . (3, -1) = 1; (3, -1) . (3, -1) = 10.
        let x = CPU.upload(&[1.0, 2.0, 3.0, -1.0]);
        let mut out = Buffer::default();
        pair_dots(&CPU, 2, &x, &CPU.upload(&[0, 1]), &CPU.upload(&[1, 1]), &mut out).unwrap();
        assert_eq!(CPU.read(&out), [1.0, 10.0]);
    }

    #[test]
    fn every_width_agrees_with_the_reference_on_any_number_of_threads_and_any_vector_width() {
        for dim in DIMS {
            let x = numbers(3, 50 * dim);
            let (left, right) = (indices(4, 601, 50), indices(5, 601, 50));
            let expected = pair_dots_reference(dim, &wide(&x), &left, &right);
            let (x, left, right) = (CPU.upload(&x), CPU.upload(&left), CPU.upload(&right));
            let run = || {
                let mut out = Buffer::default();
                pair_dots(&CPU, dim, &x, &left, &right, &mut out).unwrap();
                CPU.read(&out)
            };
            // At most 144 products below 1: sums below 64 with about 13 roundings on the way of
            // each product.
            assert_close(&format!("dim {dim}"), &same_bits_of(run), &expected, 1e-5, 1e-5);
            let (wide, narrow) = on_both_widths(run);
            assert_eq!(bits(&wide), bits(&narrow), "dim {dim}");
        }
    }

    #[test]
    fn pairs_that_do_not_fit_are_refused() {
        let (x, mut out) = (CPU.zeros(6), Buffer::default());
        let refused = pair_dots(&CPU, 2, &x, &CPU.upload(&[0, 1]), &CPU.upload(&[0]), &mut out).unwrap_err();
        assert_eq!(refused.to_string(), "pair_dots: right has 1 elements, expected 2");
        let refused = pair_dots(&CPU, 2, &x, &CPU.upload(&[0]), &CPU.upload(&[3]), &mut out).unwrap_err();
        assert_eq!(refused.to_string(), "pair_dots: index 3 in right is outside 0..3");
    }
}
