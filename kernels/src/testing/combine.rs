//! One set of shapes, and one way to difference, for all combinations of layers.

use std::ops::Range;

use super::{inner, moved, numbers};
use crate::{Buffer, Device};

/// (rows, range, dim, layers): a row short of a chunk, one more, many groups, an empty range.
pub(crate) fn shapes() -> Vec<(usize, Range<usize>, usize, usize)> {
    vec![
        (7, 2..7, 1, 0),
        (131, 0..129, 7, 3),
        (257, 13..257, 16, 1),
        (131, 3..130, 63, 2),
        (130, 1..129, 64, 3),
        (67, 0..67, 65, 8),
        (5, 3..3, 4, 2),
    ]
}

pub(crate) fn hops(seed: u64, n_hops: usize, len: usize) -> Vec<Vec<f32>> {
    (0..n_hops as u64).map(|k| numbers(seed * 100 + k, len)).collect()
}

pub(crate) fn upload(hops: &[Vec<f32>]) -> Vec<Buffer<f32>> {
    hops.iter().map(|h| Device::Cpu.upload(h)).collect()
}

pub(crate) fn moved_all(hops: &[Vec<f64>], by: &[Vec<f64>], step: f64) -> Vec<Vec<f64>> {
    hops.iter().zip(by).map(|(h, b)| moved(h, b, step)).collect()
}

pub(crate) fn inner_all(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| inner(a, b)).sum()
}

/// Compares a gradient and a tangent with central differences of `pooled(hops, parameters)`, one
/// number at a time.
pub(crate) fn difference(
    pooled: impl Fn(&[Vec<f64>], &[f64]) -> Vec<f64>,
    (hops, parameters): (&[Vec<f64>], &[f64]),
    (g, direct, d_parameters): (&[f64], &[Vec<f64>], &[f64]),
    (hops_dot, parameters_dot, pooled_dot): (&[Vec<f64>], &[f64], &[f64]),
) {
    let step = 1e-5;
    let slope = |hops: (&[Vec<f64>], &[Vec<f64>]), parameters: (&[f64], &[f64])| -> f64 {
        (inner(&pooled(hops.0, parameters.0), g) - inner(&pooled(hops.1, parameters.1), g)) / (2.0 * step)
    };
    for k in 0..hops.len() {
        for at in 0..hops[k].len() {
            let (mut up, mut down) = (hops.to_vec(), hops.to_vec());
            up[k][at] += step;
            down[k][at] -= step;
            let found = slope((&up, &down), (parameters, parameters));
            assert!((found - direct[k][at]).abs() < 2e-8, "hop {k} at {at}: {found} {}", direct[k][at]);
        }
    }
    for at in 0..parameters.len() {
        let (mut up, mut down) = (parameters.to_vec(), parameters.to_vec());
        up[at] += step;
        down[at] -= step;
        let found = slope((hops, hops), (&up, &down));
        assert!((found - d_parameters[at]).abs() < 2e-8, "parameter {at}: {found} {}", d_parameters[at]);
    }
    let at = |step: f64| pooled(&moved_all(hops, hops_dot, step), &moved(parameters, parameters_dot, step));
    for ((ahead, behind), dot) in at(step).iter().zip(at(-step)).zip(pooled_dot) {
        assert!(((ahead - behind) / (2.0 * step) - dot).abs() < 2e-8);
    }
}
