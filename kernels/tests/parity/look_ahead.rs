//! What a look-ahead needs beside the ops of a step: the motion of an optimiser, losses over all
//! pairs, and weights of examples.

use gcnrec_kernels::ops::adam::AdamConfig;
use gcnrec_kernels::ops::adam_tangent::{AdamStart, adam_tangent, adam_tangent_reference};
use gcnrec_kernels::ops::all_pairs::{
    AllPairs, KnownPairs, all_pairs_gradient, all_pairs_gradient_reference, all_pairs_motion,
    all_pairs_motion_reference,
};
use gcnrec_kernels::ops::loss_weights::{loss_weights, loss_weights_reference};
use gcnrec_kernels::ops::shares::{share_below_zero, share_below_zero_reference};
use gcnrec_kernels::{Buffer, Device};

use crate::{assert_close, assert_same_bits, indices, numbers, on_each, wide};

/// The slope is a difference of two terms of which each is off by some 1e-7 of itself; where it is
/// small, the larger of the terms decides.
#[test]
fn the_motion_of_an_adam_step_agrees_with_the_reference_and_never_waits_for_the_host() {
    on_each(|device| {
        // Other tests count on the same device: this one opens its own.
        let device = &Device::open(&device.name()).unwrap();
        let n = 10_007;
        for (step, learning_rate) in [(1, 0.01), (7, 0.001)] {
            let config = AdamConfig { learning_rate, ..AdamConfig::default() };
            let g: Vec<f32> = numbers(1, n).iter().map(|g| g * 1e-3).collect();
            let begun = if step == 1 { 0.0 } else { 1.0 };
            let mut m: Vec<f32> = numbers(2, n).iter().map(|m| begun * m * 1e-3).collect();
            let mut v: Vec<f32> = numbers(3, n).iter().map(|v| begun * v * v * 1e-6).collect();
            let mut g = g;
            // Elements that never had a gradient stand still.
            for untouched in (0..n).step_by(11) {
                (g[untouched], m[untouched], v[untouched]) = (0.0, 0.0, 0.0);
            }
            let dot = numbers(4, n);
            let [on_g, on_m, on_v, on_dot] = [&g, &m, &v, &dot].map(|x| device.upload(x));
            let before = device.counts().unwrap();
            let mut motion = Buffer::default();
            let start = AdamStart { gradient: &on_g, m: &on_m, v: &on_v };
            adam_tangent(device, &config, step, start, &on_dot, &mut motion).unwrap();
            let after = device.counts().unwrap();
            assert_eq!((after.host_reads, after.bytes_up), (before.host_reads, before.bytes_up));
            let found = device.read(&motion);
            let expected = adam_tangent_reference(&config, step, &wide(&g), &wide(&m), &wide(&v), &wide(&dot));
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // A first step has one term alone; of a later one, a term is
                // `lr (1 - b1) |g_dot| / s` or less, and `s` is 1e-4 or more nearly everywhere.
                let term = if step == 1 { 0.0 } else { f64::from(learning_rate) * f64::from(dot[at].abs()) / 1e-4 };
                let off = (f64::from(*found) - expected).abs();
                assert!(off <= 1e-5 * (expected.abs() + term), "step {step} [{at}]: {found}, expected {expected}");
            }
            assert!(found.iter().step_by(11).all(|&moved| moved == 0.0));
        }
    });
}

/// (rows, left rows, columns, known pairs): no pair at all, a side without rows, more rows than a
/// part of a long sum, widths around a tile.
const SHAPES: [(usize, usize, usize, usize); 7] = [
    (12, 5, 3, 0),
    (7, 7, 4, 0),
    (2, 1, 1, 1),
    (301, 113, 7, 501),
    (2300, 1200, 64, 3001),
    (97, 31, 65, 203),
    (70, 1, 128, 40),
];

#[test]
fn a_loss_over_all_pairs_agrees_with_its_reference() {
    on_each(|device| {
        for (n_rows, n_left, dim, n_known) in SHAPES {
            let what = format!("{} {n_rows} rows, {n_left} left, dim {dim}, {n_known} known", device.name());
            let scale = 1.0 / (dim as f32).sqrt();
            let [x, x_dot] =
                [1, 2].map(|seed| numbers(seed, n_rows * dim).iter().map(|x| x * scale).collect::<Vec<_>>());
            let factor: Vec<f64> = numbers(3, n_rows).iter().map(|&f| f64::from(f).exp()).collect();
            let left = indices(4, n_known, n_left.max(1));
            let right: Vec<u32> =
                indices(5, n_known, (n_rows - n_left).max(1)).iter().map(|&row| row + n_left as u32).collect();
            let known_target = wide(&numbers(6, n_known));
            let (weight, target) = ([0.8, 1.3], -0.4);
            let pairs =
                AllPairs { dim, n_left, factor: &factor, weight, target, known_target: &known_target, scale: 0.3 };
            let (on_x, on_dot) = (device.upload(&x), device.upload(&x_dot));
            let known = |device: &Device| {
                let mut known = KnownPairs::default();
                known.assign(device, n_rows, &left, &right).unwrap();
                known
            };
            let start = numbers(7, n_rows * dim);
            let run = || {
                let (mut known, mut gradient) = (known(device), device.upload(&start));
                all_pairs_gradient(device, &pairs, &mut known, &on_x, &mut gradient).unwrap();
                let motion = all_pairs_motion(device, &pairs, &mut known, &on_x, &on_dot).unwrap();
                let forms = motion.rows.iter().chain(&motion.known).flatten().map(|&form| form as f32);
                device.read(&gradient).into_iter().chain(forms).collect()
            };
            let found = assert_same_bits(run, &what);
            let known = known(&Device::Cpu);
            let expected = all_pairs_gradient_reference(&pairs, &known, &wide(&x));
            let (gradient, forms) = found.split_at(n_rows * dim);
            // Each number is a sum over up to 1,200 rows of terms below 1: 1e-5 of the largest of
            // them all, which others cancel down from.
            let largest = |values: &[f64]| values.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            let size = largest(&expected);
            for ((found, start), expected) in gradient.iter().zip(&start).zip(&expected) {
                let off = (f64::from(found - start) - expected).abs();
                assert!(off <= 1e-5 * (1.0 + size), "{what}: {} {expected}", found - start);
            }
            let motion = all_pairs_motion_reference(&pairs, &known, &wide(&x), &wide(&x_dot));
            let expected: Vec<f64> = motion.rows.iter().chain(&motion.known).flatten().copied().collect();
            let size = largest(&expected);
            for (found, expected) in forms.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() <= 1e-5 * (1.0 + size), "{what}: {found} {expected}");
            }
        }
    });
}

#[test]
fn weights_of_examples_agree_with_their_references_and_never_wait_for_the_host() {
    on_each(|device| {
        let device = &Device::open(&device.name()).unwrap();
        for n in [0, 1, 255, 2049] {
            let (x, mut y) = (numbers(1, n), Buffer::default());
            let on_x = device.upload(&x);
            let before = device.counts().unwrap().host_reads;
            share_below_zero(device, n as f64, &on_x, &mut y).unwrap();
            assert_eq!(device.counts().unwrap().host_reads, before);
            // A sum of up to 2,049 numbers below 1, by 256 units: some ten roundings each.
            assert_close(
                &device.read(&y),
                &share_below_zero_reference(n as f64, &wide(&x)),
                2e-6,
                &format!("shares of {n}"),
            );
            let none: Vec<f32> = x.iter().map(|x| x.abs()).collect();
            share_below_zero(device, 3.0, &device.upload(&none), &mut y).unwrap();
            assert!(device.read(&y).iter().all(|&share| share == 0.0), "nothing below zero has no share");
            for hidden in [1, 7, 100] {
                let parameters = wide(&numbers(2, 3 * hidden + 1));
                let losses: Vec<f32> = x.iter().map(|x| 4.0 * x.abs()).collect();
                let on_losses = device.upload(&losses);
                let before = device.counts().unwrap().host_reads;
                loss_weights(device, &parameters, 0.5, &on_losses, &mut y).unwrap();
                assert_eq!(device.counts().unwrap().host_reads, before);
                let expected = loss_weights_reference(&parameters, 0.5, &wide(&losses));
                // Sums of 100 products below 5.
                assert_close(&device.read(&y), &expected, 2e-5, &format!("{hidden} hidden units, {n} losses"));
            }
        }
    });
}
