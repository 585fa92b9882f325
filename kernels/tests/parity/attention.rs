//! The layer combinations.

use std::ops::Range;

use gcnrec_kernels::ops::combine::additive::{
    additive_backward_reference, additive_reference, additive_tangent_reference,
};
use gcnrec_kernels::ops::combine::weighted::{layer_dots_reference, weighted_sum_reference};
use gcnrec_kernels::ops::combine::{
    AdditiveShape, AdditiveWorkspace, additive_backward, additive_forward, additive_tangent, layer_dots, weighted_sum,
    weighted_sum_direct,
};

use crate::{assert_close, assert_same_bits, numbers, on_each, upload_all, wide, wide_all};

/// (rows, range, dim, hidden, layers, bound): one row, an empty range, more rows than a chunk, widths around a tile.
fn shapes() -> Vec<(usize, Range<usize>, usize, usize, usize, f32)> {
    vec![
        (7, 2..7, 1, 3, 0, 0.0),
        (131, 0..129, 7, 17, 3, 0.0),
        (700, 13..700, 64, 64, 3, 0.2),
        (131, 3..130, 63, 65, 2, 0.0),
        (67, 0..67, 65, 130, 8, 0.5),
        (5, 3..3, 4, 8, 2, 0.0),
        (5, 4..5, 128, 8, 1, 0.0),
    ]
}

pub fn hops(seed: u64, n_hops: usize, len: usize) -> Vec<Vec<f32>> {
    (0..n_hops as u64).map(|k| numbers(seed * 100 + k, len)).collect()
}

pub fn cut(all: &[Vec<f32>], dim: usize, range: &Range<usize>) -> Vec<Vec<f32>> {
    all.iter().map(|values| values[range.start * dim..range.end * dim].to_vec()).collect()
}

#[test]
fn one_weight_per_layer_pools_and_hands_back() {
    on_each(|device| {
        for (n_rows, range, dim, _, layers, _) in shapes() {
            let (alpha, e, g) = (numbers(7, layers + 1), hops(1, layers + 1, n_rows * dim), numbers(8, n_rows * dim));
            let (on_e, on_g, mut pooled) =
                (upload_all(device, &e), device.upload(&g), device.upload(&vec![9.0; g.len()]));
            weighted_sum(device, dim, &alpha, &on_e, range.clone(), &mut pooled).unwrap();
            let (found, own) = (device.read(&pooled), range.start * dim..range.end * dim);
            let expected = weighted_sum_reference(&wide(&alpha), &wide_all(&cut(&e, dim, &range)));
            assert_close(&found[own.clone()], &expected, 1e-6, "pooled");
            assert!(found[..own.start].iter().chain(&found[own.end..]).all(|&x| x == 9.0));
            weighted_sum_direct(device, dim, alpha[0], &on_g, range.clone(), &mut pooled).unwrap();
            let expected: Vec<f64> = g[own.clone()].iter().map(|&g| f64::from(g) * f64::from(alpha[0])).collect();
            assert_close(&device.read(&pooled)[own.clone()], &expected, 1e-6, "direct");
            let mut dots = Vec::new();
            layer_dots(device, dim, &on_e, &on_g, range.clone(), &mut dots).unwrap();
            let dots: Vec<f32> = dots.iter().map(|&dot| dot as f32).collect();
            let expected = layer_dots_reference(&wide_all(&cut(&e, dim, &range)), &wide(&g[own]));
            // Up to 44,000 products below 1 in partial sums of some hundred.
            assert_close(&dots, &expected, 1e-4, "dots");
        }
    });
}

#[test]
fn additive_attention_agrees_with_its_reference_in_all_three_passes() {
    on_each(|device| {
        for (n_rows, range, dim, hidden, layers, bound) in shapes() {
            let shape = AdditiveShape { dim, hidden, layers, temperature: 0.8, bound };
            let what = format!("{} {shape:?}", device.name());
            let scale = (1.0 / dim as f32).sqrt();
            let parameters: Vec<f32> = numbers(3, shape.n_parameters()).iter().map(|p| p * scale).collect();
            let (e, e_dot) = (hops(1, layers + 1, n_rows * dim), hops(2, layers + 1, n_rows * dim));
            let (g, moved) = (numbers(8, n_rows * dim), numbers(9, shape.n_parameters()));
            let own = range.start * dim..range.end * dim;
            let inside = wide_all(&cut(&e, dim, &range));

            let (on_e, on_parameters, on_g) = (upload_all(device, &e), device.upload(&parameters), device.upload(&g));
            let run = || {
                let work = &mut AdditiveWorkspace::default();
                let mut pooled = device.upload(&vec![9.0; n_rows * dim]);
                let mut attention = device.upload(&vec![9.0; n_rows * (layers + 1)]);
                additive_forward(
                    device,
                    &shape,
                    &on_parameters,
                    &on_e,
                    range.clone(),
                    &mut pooled,
                    &mut attention,
                    work,
                )
                .unwrap();
                let mut direct = upload_all(device, &hops(4, layers + 1, n_rows * dim));
                let mut d_parameters = device.upload(&vec![9.0; shape.n_parameters()]);
                let d = (&mut direct[..], &mut d_parameters);
                additive_backward(
                    device,
                    &shape,
                    &on_parameters,
                    &on_e,
                    range.clone(),
                    &attention,
                    &on_g,
                    d.0,
                    d.1,
                    work,
                )
                .unwrap();
                let mut d_pooled = device.upload(&vec![9.0; n_rows * dim]);
                let (on_dot, on_moved) = (upload_all(device, &e_dot), device.upload(&moved));
                additive_tangent(
                    device,
                    &shape,
                    &on_parameters,
                    &on_e,
                    range.clone(),
                    &on_dot,
                    &on_moved,
                    &mut d_pooled,
                    work,
                )
                .unwrap();
                let mut all = vec![device.read(&pooled), device.read(&attention), device.read(&d_parameters)];
                all.push(device.read(&d_pooled));
                all.extend(direct.iter().map(|direct| device.read(direct)));
                all
            };
            let all = run();
            assert_same_bits(|| run().concat(), &what);

            let (pooled, attention) = additive_reference(&shape, &wide(&parameters), &inside);
            // Products of up to 128 columns and activations to a few parts in a million.
            assert_close(&all[0][own.clone()], &pooled, 2e-5, &what);
            assert!(all[0][..own.start].iter().chain(&all[0][own.end..]).all(|&x| x == 9.0), "{what}");
            let weights = range.start * (layers + 1)..range.end * (layers + 1);
            assert_close(&all[1][weights], &attention, 2e-5, &what);
            let (direct, d_parameters) =
                additive_backward_reference(&shape, &wide(&parameters), &inside, &wide(&g[own.clone()]));
            // Sums over up to 700 rows of 4 layers.
            assert_close(&all[2], &d_parameters, 2e-4, &what);
            for (found, expected) in all[4..].iter().zip(&direct) {
                assert_close(&found[own.clone()], expected, 5e-5, &what);
            }
            let moving = wide_all(&cut(&e_dot, dim, &range));
            let expected = additive_tangent_reference(&shape, &wide(&parameters), &inside, &moving, &wide(&moved));
            assert_close(&all[3][own.clone()], &expected, 1e-4, &what);
        }
    });
}
