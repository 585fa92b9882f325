//! Scores of pairs, and the losses taken on them.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::loss_sum::LossSums;
use gcnrec_kernels::ops::pair_dots::{pair_dots, pair_dots_reference, pair_dots_tangent};
use gcnrec_kernels::ops::pair_loss::{bpr_forward, bpr_reference, bpr_tangent};
use gcnrec_kernels::ops::point_loss::{PointLoss, point_forward, point_reference, point_tangent};

use crate::{DIMS, assert_close, indices, numbers, on_each, wide};

#[test]
fn dots_and_their_tangent_agree_with_the_reference() {
    on_each(|device| {
        for dim in DIMS {
            let (x, x_dot) = (numbers(3, 50 * dim), numbers(6, 50 * dim));
            let (left, right) = (indices(4, 601, 50), indices(5, 601, 50));
            let (on_x, on_dot) = (device.upload(&x), device.upload(&x_dot));
            let (l, r, mut out) = (device.upload(&left), device.upload(&right), Buffer::default());
            pair_dots(device, dim, &on_x, &l, &r, &mut out).unwrap();
            let expected = pair_dots_reference(dim, &wide(&x), &left, &right);
            // At most 128 products below 1, about 13 roundings on the way of each.
            assert_close(&device.read(&out), &expected, 1e-5, &format!("{} dim {dim}", device.name()));
            pair_dots_tangent(device, dim, &on_x, &on_dot, &l, &r, &mut out).unwrap();
            // <x + d, y + e> - <x, y> - <d, e> is exactly the tangent, for products are bilinear.
            let moved: Vec<f64> = wide(&x).iter().zip(wide(&x_dot)).map(|(x, d)| x + d).collect();
            let (both, second) = (
                pair_dots_reference(dim, &moved, &left, &right),
                pair_dots_reference(dim, &wide(&x_dot), &left, &right),
            );
            let tangent: Vec<f64> = (0..601).map(|e| both[e] - expected[e] - second[e]).collect();
            assert_close(&device.read(&out), &tangent, 2e-5, &format!("{} tangent, dim {dim}", device.name()));
        }
    });
}

/// Exponentials of Vulkan are right to 3 + 2|x| units in the last place: at |x| = 20 that is 2.6e-6
/// of a number below 1e-8.
#[test]
fn pairwise_and_pointwise_losses_agree_with_the_reference_far_out_too() {
    let n = 10_007;
    let s: Vec<f32> = (0..n).map(|i| -300.0 + 600.0 * (i as f32 / (n - 1) as f32)).collect();
    let zeros = vec![0.0f32; n];
    let y: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    on_each(|device| {
        let (on_s, on_zeros, on_y) = (device.upload(&s), device.upload(&zeros), device.upload(&y));
        let (mut loss, mut slope, mut dot) = (Buffer::default(), Buffer::default(), Buffer::default());
        bpr_forward(device, &on_s, &on_zeros, &mut loss, &mut slope).unwrap();
        let (expected, expected_slope): (Vec<f64>, Vec<f64>) = s.iter().map(|&s| bpr_reference(s.into(), 0.0)).unzip();
        assert_close(&device.read(&loss), &expected, 2e-6, "bpr");
        assert_close(&device.read(&slope), &expected_slope, 2e-6, "bpr slope");
        bpr_tangent(device, &slope, &on_y, &on_zeros, &mut dot).unwrap();
        let moved: Vec<f64> = expected_slope.iter().zip(&y).map(|(slope, &y)| slope * f64::from(y)).collect();
        assert_close(&device.read(&dot), &moved, 2e-6, "bpr tangent");
        for kind in [PointLoss::Squared, PointLoss::Logistic] {
            point_forward(device, kind, &on_s, &on_y, &mut loss, &mut slope).unwrap();
            let reference = s.iter().zip(&y).map(|(&s, &y)| point_reference(kind, s.into(), y.into()));
            let (expected, expected_slope): (Vec<f64>, Vec<f64>) = reference.unzip();
            assert_close(&device.read(&loss), &expected, 2e-6, "point");
            assert_close(&device.read(&slope), &expected_slope, 2e-6, "point slope");
            point_tangent(device, &slope, &on_y, &mut dot).unwrap();
            let moved: Vec<f64> = expected_slope.iter().zip(&y).map(|(slope, &y)| slope * f64::from(y)).collect();
            assert_close(&device.read(&dot), &moved, 2e-6, "point tangent");
        }
    });
}

#[test]
fn sums_of_losses_wait_on_the_device_and_come_in_the_order_of_the_steps() {
    on_each(|device| {
        let mut sums = LossSums::default();
        let loss: Vec<f32> = (0..1000).map(|i| (i % 4) as f32).collect();
        let (thousand, empty) = (device.upload(&loss), device.upload(&[]));
        let before = device.counts().unwrap();
        assert_eq!(sums.push(device, &thousand).unwrap(), None);
        assert_eq!(sums.push(device, &empty).unwrap(), None);
        assert_eq!(device.counts().unwrap().host_reads, before.host_reads);
        // 250 times 0 + 1 + 2 + 3; halves of whole numbers below 2^24 are exact.
        assert_eq!(sums.take(device).unwrap(), [1500.0, 0.0]);
        assert!(sums.take(device).unwrap().is_empty());
    });
}
