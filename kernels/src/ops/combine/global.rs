//! Learned weights per layer, the same for every row: `alpha = softmax(theta)`,
//! `pooled_i = sum_k alpha_k e_ik`.
//!
//! On a GPU `theta` and its gradient stay on the device: no pass waits for the host.

use super::layers::{Gradients, Layers, Motion};
use super::weighted::{layer_dots, pool, weighted_sum, weighted_sum_direct};
use super::weights::softmax_reference;
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

/// Pools the layers with learned weights (formula in the module's doc).
///
/// # Shapes
/// - `theta`: `[K + 1]`; `pooled`: `[S, dim]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when the
/// range leaves the rows or there are more than nine hops.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eq. 4, where the weights may be learned; the softmax is ours.
pub fn global_forward(
    device: &Device,
    theta: &Buffer<f32>,
    layers: &Layers<'_>,
    pooled: &mut Buffer<f32>,
) -> Result<()> {
    let op = "global_forward";
    layers.expect(op, theta.len())?;
    expect_len(op, "pooled", pooled.len(), layers.hops[0].len())?;
    match device {
        Device::Cpu => weighted_sum(device, &global_weights(theta.host()), layers, pooled),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            gpu::forward(gpu, theta, layers, pooled);
            Ok(())
        }
    }
}

/// The vector-Jacobian product: `direct_k = alpha_k g`,
/// `d theta_k = alpha_k (s_k - sum_j alpha_j s_j)` with `s_k = sum_i <g_i, e_ik>`.
///
/// # Shapes
/// - `g`: `[S, dim]`
///
/// # Errors
/// As [`global_forward`].
pub fn global_backward(
    device: &Device,
    theta: &Buffer<f32>,
    layers: &Layers<'_>,
    g: &Buffer<f32>,
    gradients: Gradients<'_>,
) -> Result<()> {
    let op = "global_backward";
    layers.expect(op, theta.len())?;
    layers.expect_alike(op, "direct", gradients.direct)?;
    expect_len(op, "g", g.len(), layers.hops[0].len())?;
    expect_len(op, "d_theta", gradients.parameters.len(), theta.len())?;
    match device {
        Device::Cpu => {
            let alpha = wide_weights(theta);
            for (direct, &alpha) in gradients.direct.iter_mut().zip(&alpha) {
                weighted_sum_direct(device, layers.dim, alpha as f32, g, layers.range.clone(), direct)?;
            }
            let mut dots = Vec::new();
            layer_dots(device, layers, g, &mut dots)?;
            let d_theta = centred(&alpha, &dots);
            gradients.parameters.host_mut().iter_mut().zip(d_theta).for_each(|(to, d)| *to = d as f32);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::backward(gpu, theta, layers, g, gradients),
    }
    Ok(())
}

/// The Jacobian-vector product: `pooled_dot_i = sum_k alpha_k e_dot_ik + alpha_dot_k e_ik` with
/// `alpha_dot = alpha (theta_dot - sum_j alpha_j theta_dot_j)`.
///
/// # Shapes
/// - `d_pooled`: `[S, dim]`, of which the rows of the range are written
///
/// # Errors
/// As [`global_forward`].
pub fn global_tangent(
    device: &Device,
    theta: &Buffer<f32>,
    layers: &Layers<'_>,
    motion: Motion<'_>,
    d_pooled: &mut Buffer<f32>,
) -> Result<()> {
    let op = "global_tangent";
    layers.expect(op, theta.len())?;
    layers.expect_alike(op, "d_hops", motion.hops)?;
    expect_len(op, "d_theta", motion.parameters.len(), theta.len())?;
    expect_len(op, "d_pooled", d_pooled.len(), layers.hops[0].len())?;
    match device {
        Device::Cpu => {
            let alpha = wide_weights(theta);
            let d_theta: Vec<f64> = motion.parameters.host().iter().map(|&d| f64::from(d)).collect();
            let narrow = |x: &[f64]| x.iter().map(|&x| x as f32).collect::<Vec<_>>();
            let moved = Layers { hops: motion.hops, ..layers.clone() };
            weighted_sum(device, &narrow(&alpha), &moved, d_pooled)?;
            pool(device, &narrow(&centred(&alpha, &d_theta)), layers, true, d_pooled);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::tangent(gpu, theta, layers, motion, d_pooled),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

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
        let layers = Layers { dim, hops: &e, range: range.clone() };
        global_forward(&cpu, &on_theta, &layers, &mut pooled).unwrap();
        let gradients = Gradients { direct: &mut direct, parameters: &mut d_theta };
        global_backward(&cpu, &on_theta, &layers, &g, gradients).unwrap();
        let motion = Motion { hops: &e_dot, parameters: &moved };
        global_tangent(&cpu, &on_theta, &layers, motion, &mut d_pooled).unwrap();
        [pooled, d_theta, d_pooled].iter().chain(&direct).map(|b| cpu.read(b)).collect()
    }

    /// Sums of at most 18 products of numbers below 1; the gradient of theta sums up to 15,860 of
    /// them in blocks of f32.
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
        let (hops, theta) = ([cpu.zeros(6)], cpu.zeros(2));
        let layers = Layers { dim: 3, hops: &hops, range: 0..2 };
        let refused = global_forward(&cpu, &theta, &layers, &mut cpu.zeros(6)).unwrap_err();
        assert_eq!(refused.to_string(), "global_forward: hops has 1 elements, expected 2");
    }
}
