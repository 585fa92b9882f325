//! Learned weights per layer that are the same for every row: `alpha = softmax(theta)`, `pooled_i = sum_k alpha_k e_ik`.
//!
//! On a GPU `theta` and its gradient stay on the device: no pass waits for the host.

use std::ops::Range;

use super::weighted::{layer_dots, pool, weighted_sum, weighted_sum_direct};
use super::{check_hops, softmax_reference};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};

#[cfg(feature = "gpu")]
mod gpu;

/// The definition of [`global_forward`], for all rows.
pub fn global_reference(theta: &[f64], hops: &[Vec<f64>]) -> Vec<f64> {
    super::weighted::weighted_sum_reference(&softmax_reference(theta), hops)
}

/// The definition of [`global_backward`]: `(direct, d_theta)`.
pub fn global_backward_reference(theta: &[f64], hops: &[Vec<f64>], g: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let alpha = softmax_reference(theta);
    let direct = alpha.iter().map(|a| g.iter().map(|g| a * g).collect()).collect();
    (direct, centred(&alpha, &super::weighted::layer_dots_reference(hops, g)))
}

/// The definition of [`global_tangent`].
pub fn global_tangent_reference(theta: &[f64], hops: &[Vec<f64>], d_hops: &[Vec<f64>], d_theta: &[f64]) -> Vec<f64> {
    let alpha = softmax_reference(theta);
    let still = super::weighted::weighted_sum_reference(&alpha, d_hops);
    let moved = super::weighted::weighted_sum_reference(&centred(&alpha, d_theta), hops);
    still.iter().zip(&moved).map(|(still, moved)| still + moved).collect()
}

/// `alpha_k (x_k - sum_j alpha_j x_j)`.
fn centred(alpha: &[f64], x: &[f64]) -> Vec<f64> {
    let mean: f64 = alpha.iter().zip(x).map(|(a, x)| a * x).sum();
    alpha.iter().zip(x).map(|(a, x)| a * (x - mean)).collect()
}

/// `softmax(theta)`, with sums in f64.
pub fn global_weights(theta: &[f32]) -> Vec<f32> {
    softmax_reference(&theta.iter().map(|&logit| f64::from(logit)).collect::<Vec<_>>())
        .into_iter()
        .map(|weight| weight as f32)
        .collect()
}

/// The same in f64, from the weights that [`global_weights`] rounded.
fn wide_weights(theta: &Buffer<f32>) -> Vec<f64> {
    global_weights(theta.host()).into_iter().map(f64::from).collect()
}

/// Pools the layers with learned weights (formula in the module's doc); rows outside `range` stay.
///
/// # Shapes
/// - `theta`: `[K + 1]`, `hops`: K + 1 times `[S, dim]`, `pooled`: `[S, dim]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when `range` leaves the rows or there are more than nine hops.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eq. 4, where the weights may be learned; the softmax is ours.
pub fn global_forward(
    device: &Device,
    dim: usize,
    theta: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    pooled: &mut Buffer<f32>,
) -> Result<()> {
    let op = "global_forward";
    check_hops(op, "hops", dim, theta.len(), hops, &range)?;
    expect_len(op, "pooled", pooled.len(), hops[0].len())?;
    match device {
        Device::Cpu => weighted_sum(device, dim, &global_weights(theta.host()), hops, range, pooled),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::forward(gpu, theta, hops, range.start * dim..range.end * dim, pooled);
            Ok(())
        }
    }
}

/// The vector-Jacobian product: `direct_k = alpha_k g`, `d theta_k = alpha_k (s_k - sum_j alpha_j s_j)` with `s_k = sum_i <g_i, e_ik>`.
///
/// # Shapes
/// - `g`: `[S, dim]`; `direct`: K + 1 times `[S, dim]`, of which the rows of `range` are overwritten; `d_theta`: `[K + 1]`, overwritten
///
/// # Errors
/// As [`global_forward`].
#[allow(clippy::too_many_arguments)]
pub fn global_backward(
    device: &Device,
    dim: usize,
    theta: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    g: &Buffer<f32>,
    direct: &mut [Buffer<f32>],
    d_theta: &mut Buffer<f32>,
) -> Result<()> {
    let op = "global_backward";
    check_hops(op, "hops", dim, theta.len(), hops, &range)?;
    check_hops(op, "direct", dim, theta.len(), direct, &range)?;
    expect_len(op, "direct", direct[0].len(), hops[0].len())?;
    expect_len(op, "g", g.len(), hops[0].len())?;
    expect_len(op, "d_theta", d_theta.len(), theta.len())?;
    match device {
        Device::Cpu => {
            let alpha = wide_weights(theta);
            for (direct, &alpha) in direct.iter_mut().zip(&alpha) {
                weighted_sum_direct(device, dim, alpha as f32, g, range.clone(), direct)?;
            }
            let mut dots = Vec::new();
            layer_dots(device, dim, hops, g, range, &mut dots)?;
            let gradient = centred(&alpha, &dots);
            d_theta.host_mut().iter_mut().zip(gradient).for_each(|(d, gradient)| *d = gradient as f32);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::backward(gpu, theta, hops, range.start * dim..range.end * dim, g, direct, d_theta);
        }
    }
    Ok(())
}

/// The Jacobian-vector product: `pooled_dot_i = sum_k alpha_k e_dot_ik + alpha_dot_k e_ik`, `alpha_dot = alpha (theta_dot - sum_j alpha_j theta_dot_j)`.
///
/// # Shapes
/// - `d_hops`: K + 1 times `[S, dim]`; `d_theta`: `[K + 1]`; `d_pooled`: `[S, dim]`, of which the rows of `range` are written
///
/// # Errors
/// As [`global_forward`].
#[allow(clippy::too_many_arguments)]
pub fn global_tangent(
    device: &Device,
    dim: usize,
    theta: &Buffer<f32>,
    hops: &[Buffer<f32>],
    range: Range<usize>,
    d_hops: &[Buffer<f32>],
    d_theta: &Buffer<f32>,
    d_pooled: &mut Buffer<f32>,
) -> Result<()> {
    let op = "global_tangent";
    check_hops(op, "hops", dim, theta.len(), hops, &range)?;
    check_hops(op, "d_hops", dim, theta.len(), d_hops, &range)?;
    expect_len(op, "d_hops", d_hops[0].len(), hops[0].len())?;
    expect_len(op, "d_theta", d_theta.len(), theta.len())?;
    expect_len(op, "d_pooled", d_pooled.len(), hops[0].len())?;
    match device {
        Device::Cpu => {
            let alpha = wide_weights(theta);
            let d_theta: Vec<f64> = d_theta.host().iter().map(|&d| f64::from(d)).collect();
            let narrow = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
            weighted_sum(device, dim, &narrow(&alpha), d_hops, range.clone(), d_pooled)?;
            pool(device, dim, &narrow(&centred(&alpha, &d_theta)), hops, range, true, d_pooled);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let cells = range.start * dim..range.end * dim;
            gpu::tangent(gpu, theta, (hops, d_hops), cells, d_theta, d_pooled);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::combine::{difference, hops, inner_all, shapes, upload};
    use crate::testing::wide_all;
    use crate::testing::{assert_close, inner, numbers, same_bits, wide};

    /// pooled, d_theta, d_pooled, direct..; rows that are not written hold 9.
    fn run(dim: usize, theta: &[f32], n_rows: usize, range: &Range<usize>) -> Vec<Vec<f32>> {
        let cpu = Device::Cpu;
        let (len, n_hops) = (n_rows * dim, theta.len());
        let nines = |len: usize| cpu.upload(&vec![9.0; len]);
        let (e, e_dot) = (upload(&hops(1, n_hops, len)), upload(&hops(2, n_hops, len)));
        let (on_theta, g, moved) = (cpu.upload(theta), cpu.upload(&numbers(8, len)), cpu.upload(&numbers(9, n_hops)));
        let (mut pooled, mut d_theta, mut d_pooled) = (nines(len), nines(n_hops), nines(len));
        let mut direct = vec![nines(len); n_hops];
        global_forward(&cpu, dim, &on_theta, &e, range.clone(), &mut pooled).unwrap();
        global_backward(&cpu, dim, &on_theta, &e, range.clone(), &g, &mut direct, &mut d_theta).unwrap();
        global_tangent(&cpu, dim, &on_theta, &e, range.clone(), &e_dot, &moved, &mut d_pooled).unwrap();
        [pooled, d_theta, d_pooled].iter().chain(&direct).map(|b| cpu.read(b)).collect()
    }

    /// Sums of at most 18 products of numbers below 1; the gradient of theta sums up to 15,860 of them in blocks of f32.
    #[test]
    fn the_cpu_path_agrees_with_the_reference_and_leaves_other_rows_alone() {
        for (n_rows, range, dim, layers) in shapes() {
            let (theta, len) = (numbers(7, layers + 1), n_rows * dim);
            let found = same_bits(|| run(dim, &theta, n_rows, &range));
            let cut = |v: &[f32]| v[range.start * dim..range.end * dim].to_vec();
            let cuts = |seed| wide_all(&hops(seed, layers + 1, len).iter().map(|h| cut(h)).collect::<Vec<_>>());
            let (e, e_dot, g) = (cuts(1), cuts(2), wide(&cut(&numbers(8, len))));
            assert_close("pooled", &cut(&found[0]), &global_reference(&wide(&theta), &e), 2e-6, 2e-6);
            let (direct, d_theta) = global_backward_reference(&wide(&theta), &e, &g);
            assert_close("d_theta", &found[1], &d_theta, 2e-5, 1e-5);
            let d_pooled = global_tangent_reference(&wide(&theta), &e, &e_dot, &wide(&numbers(9, layers + 1)));
            assert_close("d_pooled", &cut(&found[2]), &d_pooled, 3e-6, 2e-6);
            for (found, direct) in found[3..].iter().zip(&direct) {
                assert_close("direct", &cut(found), direct, 1e-6, 1e-6);
            }
            for written in [&found[0], &found[2]].into_iter().chain(&found[3..]) {
                assert!(written[..range.start * dim].iter().chain(&written[range.end * dim..]).all(|&x| x == 9.0));
            }
        }
    }

    #[test]
    fn the_reference_gradient_and_tangent_match_central_differences() {
        let (e, e_dot) = (wide_all(&hops(1, 3, 21)), wide_all(&hops(2, 3, 21)));
        let (theta, theta_dot, g) = (wide(&numbers(3, 3)), wide(&numbers(4, 3)), wide(&numbers(5, 21)));
        let (direct, d_theta) = global_backward_reference(&theta, &e, &g);
        let pooled_dot = global_tangent_reference(&theta, &e, &e_dot, &theta_dot);
        let pooled = |e: &[Vec<f64>], theta: &[f64]| global_reference(theta, e);
        difference(pooled, (&e, &theta), (&g, &direct, &d_theta), (&e_dot, &theta_dot, &pooled_dot));
        let adjoint = inner_all(&direct, &e_dot) + inner(&d_theta, &theta_dot);
        assert!((adjoint - inner(&g, &pooled_dot)).abs() < 1e-12);
        // Only differences of logits matter.
        assert!(d_theta.iter().sum::<f64>().abs() < 1e-12);
    }

    #[test]
    fn equal_logits_give_the_mean_and_wrong_sizes_are_refused() {
        let cpu = Device::Cpu;
        assert_eq!(global_weights(&[5.0; 4]), [0.25; 4]);
        let refused = global_forward(&cpu, 3, &cpu.zeros(2), &[cpu.zeros(6)], 0..2, &mut cpu.zeros(6)).unwrap_err();
        assert_eq!(refused.to_string(), "global_forward: hops has 1 elements, expected 2");
    }
}
