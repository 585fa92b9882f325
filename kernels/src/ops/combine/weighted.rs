//! Weights per layer that are the same for every row: uniform (`1 / (K + 1)`), global
//! (`softmax(theta)`, worked out on the host) or given.

use std::ops::Range;

use rayon::prelude::*;

use super::groups::{CHUNK, rows};
use super::layers::{Layers, expect_range};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};
use crate::simd::{dot_blocks, mul_add};

#[cfg(feature = "gpu")]
pub(super) mod gpu;

/// The definition: `pooled_i = sum_k alpha_k e_ik`, for all rows.
pub fn weighted_sum_reference(alpha: &[f64], hops: &[Vec<f64>]) -> Vec<f64> {
    (0..hops[0].len()).map(|i| alpha.iter().zip(hops).map(|(a, hop)| a * hop[i]).sum()).collect()
}

/// The definition of [`layer_dots`], for all rows.
pub fn layer_dots_reference(hops: &[Vec<f64>], g: &[f64]) -> Vec<f64> {
    hops.iter().map(|hop| hop.iter().zip(g).map(|(e, g)| e * g).sum()).collect()
}

/// Pools the layers with one weight each: `pooled_i = sum_k alpha_k e_ik` for the rows of `range`;
/// other rows stay.
///
/// It is linear: its tangent along a motion of the hops is the same op on that motion.
///
/// # Shapes
/// - `alpha`: `[K + 1]`, `hops`: K + 1 times `[S, dim]`, `pooled`: `[S, dim]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when
/// `range` leaves the rows or there are more than nine hops.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eq. 4.
pub fn weighted_sum(device: &Device, alpha: &[f32], layers: &Layers<'_>, pooled: &mut Buffer<f32>) -> Result<()> {
    layers.expect("weighted_sum", alpha.len())?;
    expect_len("weighted_sum", "pooled", pooled.len(), layers.hops[0].len())?;
    pool(device, alpha, layers, false, pooled);
    Ok(())
}

/// As [`weighted_sum`], without its checks; with `add`, added to what is there.
pub(super) fn pool(device: &Device, alpha: &[f32], layers: &Layers<'_>, add: bool, pooled: &mut Buffer<f32>) {
    let cells = layers.cells();
    match device {
        Device::Cpu => {
            let (first, width) = (cells.start, (CHUNK * layers.dim).max(1));
            pooled.host_mut()[cells].par_chunks_mut(width).enumerate().for_each(|(chunk, pooled)| {
                let from = first + chunk * width;
                for (k, (&alpha, hop)) in alpha.iter().zip(layers.hops).enumerate() {
                    accumulate(alpha, &hop.host()[from..from + pooled.len()], add || k > 0, pooled);
                }
            });
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            for (k, (&alpha, hop)) in alpha.iter().zip(layers.hops).enumerate() {
                gpu::accumulate(gpu, alpha, hop, cells.clone(), add || k > 0, pooled);
            }
        }
    }
}

crate::dispatch! { fn accumulate(alpha: f32, from: &[f32], add: bool, out: &mut [f32]) = accumulate_body }

#[inline(always)]
fn accumulate_body<const FUSED: bool>(alpha: f32, from: &[f32], add: bool, out: &mut [f32]) {
    if add {
        out.iter_mut().zip(from).for_each(|(out, &x)| *out = mul_add::<FUSED>(alpha, x, *out));
    } else {
        out.iter_mut().zip(from).for_each(|(out, &x)| *out = alpha * x);
    }
}

/// The gradient that reaches one layer directly: `D_k = alpha_k g` on the rows of `range`; other
/// rows stay.
///
/// # Shapes
/// - `g`, `direct_k`: `[S, dim]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when the sizes disagree, [`crate::KernelError::Index`] when
/// `range` leaves the rows.
pub fn weighted_sum_direct(
    device: &Device,
    dim: usize,
    alpha_k: f32,
    g: &Buffer<f32>,
    range: Range<usize>,
    direct_k: &mut Buffer<f32>,
) -> Result<()> {
    let op = "weighted_sum_direct";
    let n_rows = g.len() / dim.max(1);
    expect_len(op, "g", g.len(), n_rows * dim)?;
    expect_len(op, "direct_k", direct_k.len(), g.len())?;
    expect_range(op, &range, n_rows)?;
    match device {
        Device::Cpu => {
            let (from, width) = (&g.host()[range.start * dim..range.end * dim], (CHUNK * dim).max(1));
            let to = &mut direct_k.host_mut()[range.start * dim..range.end * dim];
            to.par_chunks_mut(width)
                .zip(from.par_chunks(width))
                .for_each(|(to, from)| accumulate(alpha_k, from, false, to));
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::accumulate(gpu, alpha_k, g, range.start * dim..range.end * dim, false, direct_k),
    }
    Ok(())
}

/// How the loss answers to each layer's weight: `s_k = sum_i <g_i, e_ik>` over the rows of `range`.
///
/// With `alpha = softmax(theta)` and `m = sum_k alpha_k s_k`, `d theta_k = alpha_k (s_k - m)`.
///
/// # Shapes
/// - `hops`: K + 1 times `[S, dim]`, `g`: `[S, dim]`; `out` becomes `[K + 1]` (it also serves as
///   scratch, so keep it from call to call)
///
/// # Errors
/// As [`weighted_sum`].
pub fn layer_dots(device: &Device, layers: &Layers<'_>, g: &Buffer<f32>, out: &mut Vec<f64>) -> Result<()> {
    let Layers { dim, hops, ref range } = *layers;
    let n_hops = hops.len();
    layers.expect("layer_dots", n_hops)?;
    expect_len("layer_dots", "g", g.len(), hops[0].len())?;
    match device {
        Device::Cpu => {
            let n_chunks = range.len().div_ceil(CHUNK);
            out.clear();
            out.resize(n_chunks.max(1) * n_hops, 0.0);
            out.par_chunks_mut(n_hops).take(n_chunks).enumerate().for_each(|(chunk, sums)| {
                let from = range.start + chunk * CHUNK;
                let n = CHUNK.min(range.end - from);
                for (sum, hop) in sums.iter_mut().zip(hops) {
                    *sum = chunk_dot(dim, rows(g.host(), dim, from, n), rows(hop.host(), dim, from, n));
                }
            });
            for chunk in 1..n_chunks {
                for k in 0..n_hops {
                    out[k] += out[chunk * n_hops + k];
                }
            }
            out.truncate(n_hops);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => {
            let mut shares = Buffer::default();
            gpu::layer_dots(gpu, hops, g, layers.cells(), &mut shares);
            let sum = |shares: &[f32]| shares.iter().map(|&share| f64::from(share)).sum::<f64>();
            out.clear();
            out.extend(device.read(&shares).chunks_exact(gpu::DOT_CUBES).map(sum));
        }
    }
    Ok(())
}

crate::dispatch! { fn chunk_dot(dim: usize, g: &[f32], e: &[f32]) -> f64 = chunk_dot_body }

#[inline(always)]
fn chunk_dot_body<const FUSED: bool>(dim: usize, g: &[f32], e: &[f32]) -> f64 {
    let mut sum = 0.0;
    for (g, e) in g.chunks_exact(dim.max(1)).zip(e.chunks_exact(dim.max(1))) {
        sum += f64::from(dot_blocks::<FUSED>(g, e));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KernelError;
    use crate::testing::combine::{difference, hops, inner_all, shapes, upload};
    use crate::testing::wide_all;
    use crate::testing::{assert_close, inner, numbers, same_bits, wide};

    /// pooled, one direct gradient per layer, and the layer dots as f32.
    fn run(dim: usize, alpha: &[f32], hops: &[Vec<f32>], g: &[f32], range: &Range<usize>) -> Vec<Vec<f32>> {
        let (cpu, hops) = (Device::Cpu, upload(hops));
        let g = cpu.upload(g);
        let mut pooled = cpu.upload(&vec![9.0; g.len()]);
        let layers = Layers { dim, hops: &hops, range: range.clone() };
        weighted_sum(&cpu, alpha, &layers, &mut pooled).unwrap();
        let mut found = vec![cpu.read(&pooled)];
        for &alpha in alpha {
            let mut direct = cpu.upload(&vec![9.0; g.len()]);
            weighted_sum_direct(&cpu, dim, alpha, &g, range.clone(), &mut direct).unwrap();
            found.push(cpu.read(&direct));
        }
        let mut dots = Vec::new();
        layer_dots(&cpu, &layers, &g, &mut dots).unwrap();
        found.push(dots.iter().map(|&d| d as f32).collect());
        found
    }

    /// Sums of at most 9 products of numbers below 1 (pooled); sums over up to 244 rows of products
    /// of f32 rounding (dots).
    #[test]
    fn the_cpu_path_agrees_with_the_reference_and_leaves_other_rows_alone() {
        for (n_rows, range, dim, layers) in shapes() {
            let (alpha, hops, g) =
                (numbers(7, layers + 1), hops(1, layers + 1, n_rows * dim), numbers(8, n_rows * dim));
            let found = same_bits(|| run(dim, &alpha, &hops, &g, &range));
            let cut = |v: &[f32]| v[range.start * dim..range.end * dim].to_vec();
            let cuts: Vec<Vec<f32>> = hops.iter().map(|h| cut(h)).collect();
            let expected = weighted_sum_reference(&wide(&alpha), &wide_all(&cuts));
            assert_close("pooled", &cut(&found[0]), &expected, 1e-6, 1e-6);
            let dots = layer_dots_reference(&wide_all(&cuts), &wide(&cut(&g)));
            assert_close("dots", &found[layers + 2], &dots, 1e-5, 1e-5);
            for k in 0..=layers {
                let expected: Vec<f64> = cut(&g).iter().map(|&g| f64::from(g) * f64::from(alpha[k])).collect();
                assert_close("direct", &cut(&found[k + 1]), &expected, 1e-7, 1e-7);
            }
            for written in &found[..layers + 2] {
                assert!(written[..range.start * dim].iter().chain(&written[range.end * dim..]).all(|&x| x == 9.0));
            }
        }
    }

    /// The gradient with respect to alpha is the layer dots, with respect to hop k it is alpha_k g;
    /// the tangent is the op itself.
    #[test]
    fn the_reference_matches_central_differences() {
        let (hops, dots) = (wide_all(&hops(1, 3, 21)), wide_all(&hops(2, 3, 21)));
        let (alpha, alpha_dot, g) = (wide(&numbers(3, 3)), wide(&numbers(4, 3)), wide(&numbers(5, 21)));
        let direct: Vec<Vec<f64>> = alpha.iter().map(|a| g.iter().map(|g| a * g).collect()).collect();
        let s = layer_dots_reference(&hops, &g);
        let pooled_dot: Vec<f64> = weighted_sum_reference(&alpha, &dots)
            .iter()
            .zip(weighted_sum_reference(&alpha_dot, &hops))
            .map(|(a, b)| a + b)
            .collect();
        difference(
            |h, a| weighted_sum_reference(a, h),
            (&hops, &alpha),
            (&g, &direct, &s),
            (&dots, &alpha_dot, &pooled_dot),
        );
        let adjoint = inner_all(&direct, &dots) + inner(&s, &alpha_dot);
        assert!((adjoint - inner(&g, &pooled_dot)).abs() < 1e-12);
    }

    #[test]
    fn ten_hops_and_a_range_past_the_rows_are_refused() {
        let cpu = Device::Cpu;
        let many = vec![cpu.zeros(6); 10];
        let refusal = |alpha: &[f32], hops: &[Buffer<f32>], range| {
            weighted_sum(&cpu, alpha, &Layers { dim: 3, hops, range }, &mut cpu.zeros(6))
        };
        let refused = refusal(&[0.1; 10], &many, 0..2);
        assert_eq!(refused, Err(KernelError::Index { op: "weighted_sum", argument: "layers", index: 9, bound: 9 }));
        let refused = refusal(&[0.1; 2], &many[..2], 0..3);
        assert_eq!(refused, Err(KernelError::Index { op: "weighted_sum", argument: "range", index: 3, bound: 3 }));
        let refused = refusal(&[0.1; 2], &many[..3], 0..2);
        assert_eq!(refused, Err(KernelError::Shape { op: "weighted_sum", argument: "hops", found: 3, expected: 2 }));
    }
}
