//! Ops over rows: copies, sums of segments, lengths, optimisers.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::adam::{AdamConfig, adagrad_step, adam_step, adam_step_reference, sgd_step};
use gcnrec_kernels::ops::copy_rows::{copy_into, fill_column, spread_rows};
use gcnrec_kernels::ops::gather::{gather_indices, gather_reference, gather_rows};
use gcnrec_kernels::ops::normalize::{
    normalize_rows, normalize_rows_backward, normalize_rows_backward_reference, normalize_rows_reference,
    normalize_rows_tangent,
};
use gcnrec_kernels::ops::row_set::RowSet;
use gcnrec_kernels::ops::scale_rows::{add_scaled_rows, add_scaled_rows_reference, scale_all, scale_rows};
use gcnrec_kernels::ops::segments::{
    Segments, segment_sum_rows, segment_weighted_rows, segment_weighted_rows_reference,
};
use gcnrec_kernels::ops::signed_coefficients::signed_coefficients;

use crate::{DIMS, assert_close, assert_same_bits, indices, numbers, on_each, wide};

#[test]
fn rows_are_copied_exactly() {
    on_each(|device| {
        for dim in DIMS {
            let x = numbers(1, 97 * dim);
            let (list, picked): (Vec<u32>, _) = ((0..97).filter(|row| row % 5 != 1).collect(), indices(2, 203, 97));
            let mut set = RowSet::new(device, 97);
            set.assign(device, &list).unwrap();
            let (on_x, mut y) = (device.upload(&x), Buffer::default());
            gather_rows(device, dim, &on_x, &set, &mut y).unwrap();
            assert_close(&device.read(&y), &gather_reference(dim, &wide(&x), &list), 0.0, "gather_rows");
            let mut back = Buffer::default();
            spread_rows(device, dim, &set, &y, &mut back).unwrap();
            let expected: Vec<f64> =
                x.iter().enumerate().map(|(at, &x)| if at / dim % 5 == 1 { 0.0 } else { f64::from(x) }).collect();
            assert_close(&device.read(&back), &expected, 0.0, "spread_rows");
            gather_indices(device, dim, &on_x, &device.upload(&picked), &mut y).unwrap();
            assert_close(&device.read(&y), &gather_reference(dim, &wide(&x), &picked), 0.0, "gather_indices");
        }
        let refused = gather_indices(device, 2, &device.zeros(6), &device.upload(&[0, 3]), &mut Buffer::default());
        assert_eq!(refused.unwrap_err().to_string(), "gather_indices: index 3 in indices is outside 0..3");
    });
}

/// One element more than 65,535 cubes of 256 units reach.
#[test]
fn more_elements_than_an_axis_of_the_grid_holds_are_all_treated() {
    let n = 65_535 * 256 + 1;
    on_each(|device| {
        let mut y = Buffer::default();
        let x: Vec<f32> = (0..n).map(|at| (at % 1000) as f32).collect();
        scale_all(device, 2.0, &device.upload(&x), &mut y);
        assert!(device.read(&y).iter().zip(&x).all(|(y, x)| *y == 2.0 * x), "{}", device.name());
    });
}

#[test]
fn blocks_and_columns_land_where_they_should() {
    on_each(|device| {
        let mut target = device.upload(&[0.0f32; 9]);
        copy_into(device, &device.upload(&[1.0, 2.0]), 3, &mut target).unwrap();
        fill_column(device, 7.0, 1, 3, 3, &mut target).unwrap();
        assert_eq!(device.read(&target), [0.0, 7.0, 0.0, 1.0, 7.0, 0.0, 0.0, 7.0, 0.0]);
        let mut out = Buffer::default();
        let (slope, weight) = (device.upload(&[2.0, 3.0]), device.upload(&[0.5, 1.0]));
        signed_coefficients(device, &[1.0, -1.0], &slope, &weight, &mut out).unwrap();
        assert_eq!(device.read(&out), [1.0, 3.0, -1.0, -3.0]);
    });
}

#[test]
fn rows_are_scaled_and_normalised_both_ways() {
    on_each(|device| {
        for dim in DIMS {
            let what = format!("{} dim {dim}", device.name());
            let (scale, mut x, v) = (numbers(1, 70), numbers(2, 70 * dim), numbers(3, 70 * dim));
            x[5 * dim..6 * dim].fill(0.0);
            let mut expected = wide(&v);
            add_scaled_rows_reference(dim, &wide(&scale), &wide(&x), &mut expected);
            let (on_scale, on_x, on_v) = (device.upload(&scale), device.upload(&x), device.upload(&v));
            let mut sum = device.upload(&v);
            add_scaled_rows(device, dim, &on_scale, &on_x, &mut sum).unwrap();
            assert_close(&device.read(&sum), &expected, 3e-7, &what);
            scale_rows(device, dim, &on_scale, &on_x, &mut sum).unwrap();
            let product: Vec<f64> =
                x.iter().enumerate().map(|(at, &x)| f64::from(x) * f64::from(scale[at / dim])).collect();
            assert_close(&device.read(&sum), &product, 2e-7, &what);

            let (y, norms) = normalize_rows_reference(dim, &wide(&x));
            let dx = normalize_rows_backward_reference(dim, &y, &norms, &wide(&v));
            let (mut on_y, mut on_norms, mut on_dx, mut tangent) = Default::default();
            normalize_rows(device, dim, &on_x, &mut on_y, &mut on_norms).unwrap();
            // A few roundings of numbers below 1; lengths reach 7.
            assert_close(&device.read(&on_y), &y, 1e-6, &what);
            assert_close(&device.read(&on_norms), &norms, 2e-6, &what);
            normalize_rows_backward(device, dim, &on_y, &on_norms, &on_v, &mut on_dx).unwrap();
            normalize_rows_tangent(device, dim, &on_y, &on_norms, &on_v, &mut tangent).unwrap();
            assert_eq!(device.read(&on_dx), device.read(&tangent), "{what}");
            // One column has no direction to move in: a difference of equals over a length that may
            // be small.
            let tolerance = if dim == 1 { 1e-3 } else { 2e-5 };
            assert_close(&device.read(&on_dx), &dx, tolerance, &what);
        }
    });
}

#[test]
fn segments_add_up_in_the_order_of_their_entries() {
    let (n_segments, n_entries, n_rows) = (83, 1501, 60);
    // Segment 7 is a hub; segments past 70 are empty.
    let hub = (0..n_entries).map(|entry| entry % 2 == 0);
    let destination: Vec<u32> =
        indices(1, n_entries, 70).into_iter().zip(hub).map(|(s, hub)| if hub { 7 } else { s }).collect();
    let (source, coefficient) = (indices(2, n_entries, n_rows), numbers(3, n_entries));
    on_each(|device| {
        let mut segments = Segments::new();
        segments.assign(device, n_segments, &destination).unwrap();
        let (on_source, on_coefficient) = (device.upload(&source), device.upload(&coefficient));
        for dim in DIMS {
            let (x, x_entries) = (numbers(4, n_rows * dim), numbers(5, n_entries * dim));
            let found = assert_same_bits(
                || {
                    let mut y = Buffer::default();
                    let x = device.upload(&x);
                    segment_weighted_rows(device, dim, &segments, &on_source, &on_coefficient, &x, &mut y).unwrap();
                    device.read(&y)
                },
                "weighted",
            );
            let expected =
                segment_weighted_rows_reference(dim, n_segments, &destination, &source, &wide(&coefficient), &wide(&x));
            // The hub adds about 760 numbers below 1: 760 roundings of sums of about 16.
            assert_close(&found, &expected, 1e-4, &format!("{} weighted, dim {dim}", device.name()));
            let mut y = Buffer::default();
            segment_sum_rows(device, dim, &segments, &device.upload(&x_entries), &mut y).unwrap();
            let (ones, every): (_, Vec<u32>) = (vec![1.0; n_entries], (0..n_entries as u32).collect());
            let expected =
                segment_weighted_rows_reference(dim, n_segments, &destination, &every, &ones, &wide(&x_entries));
            assert_close(&device.read(&y), &expected, 1e-4, &format!("{} sum, dim {dim}", device.name()));
        }
        let outside = device.upload(&vec![60; n_entries]);
        let refused = segment_weighted_rows(
            device,
            1,
            &segments,
            &outside,
            &on_coefficient,
            &device.zeros(n_rows),
            &mut Buffer::default(),
        );
        assert_eq!(refused.unwrap_err().to_string(), "segment_weighted_rows: index 60 in source is outside 0..60");
    });
}

#[test]
fn optimisers_step_as_defined() {
    let n = 4099;
    let config = AdamConfig::default();
    let start = numbers(1, n);
    on_each(|device| {
        let (mut m, mut v, mut p) = (vec![0.0; n], vec![0.0; n], wide(&start));
        let (mut on_m, mut on_v, mut on_p) = (device.zeros(n), device.zeros(n), device.upload(&start));
        for step in 1..6 {
            let gradient = numbers(20 + step, n);
            adam_step_reference(&config, step, &wide(&gradient), &mut m, &mut v, &mut p);
            adam_step(device, &config, step, &device.upload(&gradient), &mut on_m, &mut on_v, &mut on_p).unwrap();
        }
        // Five updates, each a few roundings of numbers below 1.
        for (found, expected) in [(&on_m, &m), (&on_v, &v), (&on_p, &p)] {
            assert_close(&device.read(found), expected, 2e-6, &device.name());
        }
        let (mut squares, mut p) = (device.upload(&[0.0, 7.0]), device.upload(&[1.0, 1.0]));
        adagrad_step(device, 0.5, &device.upload(&[3.0, 3.0]), &mut squares, &mut p).unwrap();
        // 1 - .5 * 3 / 3 and 1 - .5 * 3 / 4.
        assert_close(&device.read(&p), &[0.5, 0.625], 1e-6, &device.name());
        assert_eq!(device.read(&squares), [9.0, 16.0]);
        let mut p = device.upload(&[1.0, 2.0]);
        sgd_step(device, 0.5, &device.upload(&[3.0, -1.0]), &mut p).unwrap();
        assert_eq!(device.read(&p), [-0.5, 2.5]);
    });
}
