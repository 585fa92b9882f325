use super::*;
use crate::KernelError;
use crate::testing::combine::{difference, hops, inner_all, shapes, upload};
use crate::testing::wide_all;
use crate::testing::{assert_close, inner, numbers, same_bits, wide};

/// Divided by the root of the width, so that scores stay near 1 and the softmax off its flat ends.
fn parameters(shape: &DotShape, seed: u64) -> Vec<f32> {
    let scale = 1.5 / (shape.dim as f32).sqrt();
    numbers(seed, shape.n_parameters()).iter().map(|x| scale * x).collect()
}

fn variants(dim: usize, key_dim: usize, layers: usize) -> [DotShape; 2] {
    [0.0, 0.8].map(|bound| DotShape { dim, key_dim, layers, bound })
}

/// pooled, attention, d_parameters, d_pooled, direct..; rows that are not written hold 9.
fn run(shape: &DotShape, n_rows: usize, range: &Range<usize>) -> Vec<Vec<f32>> {
    let cpu = Device::Cpu;
    let (dim, n_hops) = (shape.dim, shape.n_hops());
    let nines = |len: usize| cpu.upload(&vec![9.0; len]);
    let parameters_now = cpu.upload(&parameters(shape, 1));
    let (hops, d_hops) = (upload(&hops(2, n_hops, n_rows * dim)), upload(&hops(3, n_hops, n_rows * dim)));
    let (g, moved) = (cpu.upload(&numbers(4, n_rows * dim)), cpu.upload(&numbers(5, shape.n_parameters())));
    let (mut pooled, mut attention, mut d_pooled) = (nines(n_rows * dim), nines(n_rows * n_hops), nines(n_rows * dim));
    let (mut direct, mut d_parameters) = (vec![nines(n_rows * dim); n_hops], nines(shape.n_parameters()));
    let w = &mut DotWorkspace::default();
    dot_forward(&cpu, shape, &parameters_now, &hops, range.clone(), &mut pooled, &mut attention, w).unwrap();
    dot_backward(&cpu, shape, &parameters_now, &hops, range.clone(), &attention, &g, &mut direct, &mut d_parameters, w)
        .unwrap();
    dot_tangent(&cpu, shape, &parameters_now, &hops, range.clone(), &d_hops, &moved, &mut d_pooled, w).unwrap();
    [pooled, attention, d_parameters, d_pooled].iter().chain(&direct).map(|b| cpu.read(b)).collect()
}

/// Scores sum `key_dim` products of sums of `dim` terms, with an absolute error near 1e-6; a parameter's gradient sums up to 244 rows of terms of a few units, each with that
/// relative error, and terms cancel: hence the larger absolute part.
#[test]
fn the_cpu_path_agrees_with_the_reference_and_leaves_other_rows_alone() {
    for (n_rows, range, dim, layers) in shapes() {
        for (shape, key_dim) in [5, 33].into_iter().flat_map(|h| variants(dim, h, layers).map(|s| (s, h))) {
            let (found, n_hops) = (run(&shape, n_rows, &range), layers + 1);
            let cut = |v: &[f32], width: usize| v[range.start * width..range.end * width].to_vec();
            let cuts =
                |seed| wide_all(&hops(seed, n_hops, n_rows * dim).iter().map(|h| cut(h, dim)).collect::<Vec<_>>());
            let (now, moved) = (wide(&parameters(&shape, 1)), wide(&numbers(5, shape.n_parameters())));
            let (e, e_dot, g) = (cuts(2), cuts(3), wide(&cut(&numbers(4, n_rows * dim), dim)));
            let what = |name: &str| format!("{name} of {n_rows} rows, dim {dim}, key_dim {key_dim}, layers {layers}");
            let (pooled, attention) = dot_reference(&shape, &now, &e);
            assert_close(&what("pooled"), &cut(&found[0], dim), &pooled, 1e-5, 1e-5);
            assert_close(&what("attention"), &cut(&found[1], n_hops), &attention, 3e-6, 1e-5);
            let (direct, d_parameters) = dot_backward_reference(&shape, &now, &e, &g);
            assert_close(&what("d_parameters"), &found[2], &d_parameters, 2e-4, 2e-5);
            let d_pooled = dot_tangent_reference(&shape, &now, &e, &e_dot, &moved);
            assert_close(&what("d_pooled"), &cut(&found[3], dim), &d_pooled, 1e-4, 2e-5);
            for (k, direct) in direct.iter().enumerate() {
                assert_close(&what("direct"), &cut(&found[4 + k], dim), direct, 5e-5, 2e-5);
            }
            for written in [&found[0], &found[3]].into_iter().chain(&found[4..]) {
                assert!(written[..range.start * dim].iter().chain(&written[range.end * dim..]).all(|&x| x == 9.0));
            }
        }
    }
}

/// 4,999 rows are 40 chunks in 20 groups.
#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    let [_, shape] = variants(19, 13, 3);
    same_bits(|| run(&shape, 5_003, &(2..5_001)));
}

#[test]
fn the_reference_gradient_and_tangent_match_central_differences() {
    for shape in variants(5, 3, 2) {
        let now = wide(&parameters(&shape, 1));
        let (e, e_dot) = (wide_all(&hops(2, 3, 35)), wide_all(&hops(3, 3, 35)));
        let (g, moved) = (wide(&numbers(4, 35)), wide(&numbers(5, shape.n_parameters())));
        let (direct, d_parameters) = dot_backward_reference(&shape, &now, &e, &g);
        let pooled_dot = dot_tangent_reference(&shape, &now, &e, &e_dot, &moved);
        let pooled = |e: &[Vec<f64>], p: &[f64]| dot_reference(&shape, p, e).0;
        difference(pooled, (&e, &now), (&g, &direct, &d_parameters), (&e_dot, &moved, &pooled_dot));
        let adjoint = inner_all(&direct, &e_dot) + inner(&d_parameters, &moved);
        assert!((adjoint - inner(&g, &pooled_dot)).abs() < 1e-11);
        // Only differences of logits matter.
        assert!(d_parameters[shape.theta()].iter().sum::<f64>().abs() < 1e-12);
    }
}

/// On the CPU path: two sums of 129 * 17 products with f32 errors near 1e-5 each, which add up like a random walk.
#[test]
fn backward_is_the_adjoint_of_tangent() {
    let [_, shape] = variants(17, 16, 3);
    let found = wide_all(&run(&shape, 129, &(0..129)));
    let (e_dot, moved) = (wide_all(&hops(3, 4, 129 * 17)), wide(&numbers(5, shape.n_parameters())));
    let backward = inner_all(&found[4..], &e_dot) + inner(&found[2], &moved);
    let forward = inner(&wide(&numbers(4, 129 * 17)), &found[3]);
    assert!((backward - forward).abs() < 1e-3 * (1.0 + forward.abs()), "{backward} {forward}");
}

/// W_q = 0 and theta = 0: every score is 0, so each of the four layers weighs 1/4; W_v = I leaves the plain mean.
#[test]
fn zero_queries_and_an_identity_value_give_the_mean_of_the_layers() {
    let shape = DotShape { dim: 7, key_dim: 5, layers: 3, bound: 0.0 };
    let cpu = Device::Cpu;
    let mut now = parameters(&shape, 1);
    now[shape.theta()].fill(0.0);
    now[shape.query()].fill(0.0);
    now[shape.value()].iter_mut().enumerate().for_each(|(at, w)| *w = if at % 8 == 0 { 1.0 } else { 0.0 });
    let hops = hops(2, 4, 21);
    let (mut pooled, mut attention) = (cpu.zeros(21), cpu.zeros(12));
    let w = &mut DotWorkspace::default();
    dot_forward(&cpu, &shape, &cpu.upload(&now), &upload(&hops), 0..3, &mut pooled, &mut attention, w).unwrap();
    assert_eq!(cpu.read(&attention), [0.25; 12]);
    let mean: Vec<f64> = (0..21).map(|i| hops.iter().map(|h| f64::from(h[i])).sum::<f64>() / 4.0).collect();
    assert_close("pooled", &cpu.read(&pooled), &mean, 2e-7, 0.0);
}

#[test]
fn wrong_sizes_are_refused_by_name() {
    let shape = DotShape { dim: 3, key_dim: 2, layers: 1, bound: 0.0 };
    let cpu = Device::Cpu;
    let w = &mut DotWorkspace::default();
    let mut run = |n_parameters: usize, n_hops: usize, end: usize| {
        let (hops, now) = (vec![cpu.zeros(6); n_hops], cpu.zeros(n_parameters));
        dot_forward(&cpu, &shape, &now, &hops, 0..end, &mut cpu.zeros(6), &mut cpu.zeros(4), w)
    };
    // 2 + 3 * 2 + 3 * 2 + 3 * 3.
    let op = "dot_forward";
    assert_eq!(run(23, 2, 2), Ok(()));
    assert_eq!(run(22, 2, 2), Err(KernelError::Shape { op, argument: "parameters", found: 22, expected: 23 }));
    assert_eq!(run(23, 1, 2), Err(KernelError::Shape { op, argument: "hops", found: 1, expected: 2 }));
    assert_eq!(run(23, 2, 3), Err(KernelError::Index { op, argument: "range", index: 3, bound: 3 }));
}
