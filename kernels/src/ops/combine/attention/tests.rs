use std::ops::Range;

use super::*;
use crate::KernelError;
use crate::ops::combine::{AdditiveShape, DotShape};
use crate::testing::combine::{difference, hops, inner_all, shapes, upload};
use crate::testing::{assert_close, inner, numbers, same_bits, wide, wide_all};

/// A kind as the tests vary it: `width` is the number of hidden units or of columns of a key.
trait Kind: Attention {
    /// Without a bound, and with one.
    fn variants(dim: usize, width: usize, layers: usize) -> [Self; 2];

    /// How large parameters may be before tanh or softmax reaches its flat ends.
    fn gentle(&self) -> f32;
}

impl Kind for AdditiveShape {
    fn variants(dim: usize, hidden: usize, layers: usize) -> [Self; 2] {
        [(0.0, 1.0), (0.8, 0.7)].map(|(bound, temperature)| AdditiveShape { dim, hidden, layers, temperature, bound })
    }

    fn gentle(&self) -> f32 {
        0.5
    }
}

impl Kind for DotShape {
    fn variants(dim: usize, key_dim: usize, layers: usize) -> [Self; 2] {
        [0.0, 0.8].map(|bound| DotShape { dim, key_dim, layers, bound })
    }

    /// Scores are sums of `dim` products, and should stay near 1.
    fn gentle(&self) -> f32 {
        1.5 / (self.dim as f32).sqrt()
    }
}

fn parameters(shape: &impl Kind, seed: u64) -> Vec<f32> {
    numbers(seed, shape.n_parameters()).iter().map(|x| shape.gentle() * x).collect()
}

/// pooled, attention, d_parameters, d_pooled, direct..; rows that are not written hold 9.
fn run(shape: &impl Kind, n_rows: usize, range: &Range<usize>) -> Vec<Vec<f32>> {
    let cpu = Device::Cpu;
    let (dim, n_hops, len) = (shape.dim(), shape.n_hops(), n_rows * shape.dim());
    let nines = |len: usize| cpu.upload(&vec![9.0; len]);
    let (now, moved) = (cpu.upload(&parameters(shape, 1)), cpu.upload(&numbers(5, shape.n_parameters())));
    let (hops, d_hops, g) =
        (upload(&hops(2, n_hops, len)), upload(&hops(3, n_hops, len)), cpu.upload(&numbers(4, len)));
    let (mut pooled, mut attention, mut d_pooled) = (nines(len), nines(n_rows * n_hops), nines(len));
    let (mut direct, mut d_parameters) = (vec![nines(len); n_hops], nines(shape.n_parameters()));
    let (layers, mut work) = (Layers { dim, hops: &hops, range: range.clone() }, Workspace::default());
    let out = Pooled { pooled: &mut pooled, attention: &mut attention };
    forward(&cpu, shape, &now, &layers, out, &mut work).unwrap();
    let reached = Reached { attention: &attention, g: &g };
    let gradients = Gradients { direct: &mut direct, parameters: &mut d_parameters };
    backward(&cpu, shape, &now, &layers, reached, gradients, &mut work).unwrap();
    let motion = Motion { hops: &d_hops, parameters: &moved };
    tangent(&cpu, shape, &now, &layers, motion, &mut d_pooled, &mut work).unwrap();
    [pooled, attention, d_parameters, d_pooled].iter().chain(&direct).map(|b| cpu.read(b)).collect()
}

/// Scores sum some dozen terms with an absolute error near 1e-6; a parameter's gradient sums up to
/// 244 rows of terms of a few units, each with that relative error, and terms cancel: hence the
/// larger absolute part.
fn agrees_with_the_reference_and_leaves_other_rows_alone<K: Kind>() {
    for (n_rows, range, dim, layers) in shapes() {
        for shape in [5, 33].into_iter().flat_map(|width| K::variants(dim, width, layers)) {
            let (found, n_hops) = (run(&shape, n_rows, &range), layers + 1);
            let cut = |v: &[f32], width: usize| v[range.start * width..range.end * width].to_vec();
            let cuts =
                |seed| wide_all(&hops(seed, n_hops, n_rows * dim).iter().map(|h| cut(h, dim)).collect::<Vec<_>>());
            let (now, moved) = (wide(&parameters(&shape, 1)), wide(&numbers(5, shape.n_parameters())));
            let (e, e_dot, g) = (cuts(2), cuts(3), wide(&cut(&numbers(4, n_rows * dim), dim)));
            let what = |name: &str| format!("{name} of {n_rows} rows, {shape:?}");
            let (pooled, attention) = shape.reference(&now, &e);
            assert_close(&what("pooled"), &cut(&found[0], dim), &pooled, 1e-5, 1e-5);
            assert_close(&what("attention"), &cut(&found[1], n_hops), &attention, 3e-6, 1e-5);
            let (direct, d_parameters) = shape.backward_reference(&now, &e, &g);
            assert_close(&what("d_parameters"), &found[2], &d_parameters, 2e-4, 2e-5);
            let d_pooled = shape.tangent_reference(&now, &e, &e_dot, &moved);
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

#[test]
fn the_cpu_path_agrees_with_the_reference_and_leaves_other_rows_alone() {
    agrees_with_the_reference_and_leaves_other_rows_alone::<AdditiveShape>();
    agrees_with_the_reference_and_leaves_other_rows_alone::<DotShape>();
}

/// 4,999 rows are 40 chunks in 20 groups.
#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    let ([_, additive], [_, dot]) = (AdditiveShape::variants(19, 13, 3), DotShape::variants(19, 13, 3));
    same_bits(|| run(&additive, 5_003, &(2..5_001)));
    same_bits(|| run(&dot, 5_003, &(2..5_001)));
}

fn reference_matches_central_differences<K: Kind>() {
    for shape in K::variants(5, 3, 2) {
        let now = wide(&parameters(&shape, 1));
        let (e, e_dot) = (wide_all(&hops(2, 3, 35)), wide_all(&hops(3, 3, 35)));
        let (g, moved) = (wide(&numbers(4, 35)), wide(&numbers(5, shape.n_parameters())));
        let (direct, d_parameters) = shape.backward_reference(&now, &e, &g);
        let pooled_dot = shape.tangent_reference(&now, &e, &e_dot, &moved);
        let pooled = |e: &[Vec<f64>], p: &[f64]| shape.reference(p, e).0;
        difference(pooled, (&e, &now), (&g, &direct, &d_parameters), (&e_dot, &moved, &pooled_dot));
        let adjoint = inner_all(&direct, &e_dot) + inner(&d_parameters, &moved);
        assert!((adjoint - inner(&g, &pooled_dot)).abs() < 1e-11);
        // Only differences of logits matter.
        assert!(d_parameters[shape.theta()].iter().sum::<f64>().abs() < 1e-12);
    }
}

#[test]
fn the_reference_gradient_and_tangent_match_central_differences() {
    reference_matches_central_differences::<AdditiveShape>();
    reference_matches_central_differences::<DotShape>();
}

/// On the CPU path: two sums of 129 * 17 products with f32 errors near 1e-5 each, which add up like
/// a random walk.
fn backward_is_adjoint<K: Kind>() {
    let [_, shape] = K::variants(17, 16, 3);
    let found = wide_all(&run(&shape, 129, &(0..129)));
    let (e_dot, moved) = (wide_all(&hops(3, 4, 129 * 17)), wide(&numbers(5, shape.n_parameters())));
    let backward = inner_all(&found[4..], &e_dot) + inner(&found[2], &moved);
    let forward = inner(&wide(&numbers(4, 129 * 17)), &found[3]);
    assert!((backward - forward).abs() < 1e-3 * (1.0 + forward.abs()), "{backward} {forward}");
}

#[test]
fn backward_is_the_adjoint_of_tangent() {
    backward_is_adjoint::<AdditiveShape>();
    backward_is_adjoint::<DotShape>();
}

/// Pools some rows, and answers (pooled, attention).
fn pool<K: Kind>(shape: &K, parameters: &[f32], hops: &[Vec<f32>]) -> (Vec<f32>, Vec<f32>) {
    let (cpu, hops, n_rows) = (Device::Cpu, upload(hops), hops[0].len() / shape.dim());
    let (mut pooled, mut attention) = (cpu.zeros(n_rows * shape.dim()), cpu.zeros(n_rows * shape.n_hops()));
    let layers = Layers { dim: shape.dim(), hops: &hops, range: 0..n_rows };
    let out = Pooled { pooled: &mut pooled, attention: &mut attention };
    forward(&cpu, shape, &cpu.upload(parameters), &layers, out, &mut Workspace::default()).unwrap();
    (cpu.read(&pooled), cpu.read(&attention))
}

/// q = 0 and theta = 0: every logit is 0, so each of the four layers weighs 1/4.
#[test]
fn a_zero_query_gives_uniform_weights() {
    let shape = AdditiveShape { dim: 7, hidden: 5, layers: 3, temperature: 1.0, bound: 0.0 };
    let mut now = parameters(&shape, 1);
    now[shape.theta()].fill(0.0);
    now[shape.query()].fill(0.0);
    assert_eq!(pool(&shape, &now, &hops(2, 4, 21)).1, [0.25; 12]);
}

/// Scores of +-500 with a bound of .5 leave the two weights of a row within e^(2 * .5) of each
/// other.
#[test]
fn the_bound_holds_for_huge_scores() {
    let shape = AdditiveShape { dim: 1, hidden: 1, layers: 1, temperature: 1.0, bound: 0.5 };
    let (_, attention) = pool(&shape, &[0.0, 0.0, 50.0, 0.0, 500.0], &[vec![1.0], vec![-1.0]]);
    let low = 1.0 / (1.0 + std::f64::consts::E);
    assert_close("attention", &attention, &[1.0 - low, low], 0.0, 1e-6);
}

/// W_q = 0 and theta = 0: every score is 0, so each of the four layers weighs 1/4; W_v = I leaves
/// the plain mean.
#[test]
fn zero_queries_and_an_identity_value_give_the_mean_of_the_layers() {
    let shape = DotShape { dim: 7, key_dim: 5, layers: 3, bound: 0.0 };
    let mut now = parameters(&shape, 1);
    now[shape.theta()].fill(0.0);
    now[shape.query()].fill(0.0);
    now[shape.value()].iter_mut().enumerate().for_each(|(at, w)| *w = if at % 8 == 0 { 1.0 } else { 0.0 });
    let hops = hops(2, 4, 21);
    let (pooled, attention) = pool(&shape, &now, &hops);
    assert_eq!(attention, [0.25; 12]);
    let mean: Vec<f64> = (0..21).map(|i| hops.iter().map(|h| f64::from(h[i])).sum::<f64>() / 4.0).collect();
    assert_close("pooled", &pooled, &mean, 2e-7, 0.0);
}

#[test]
fn wrong_sizes_are_refused_by_name() {
    fn refusal<K: Kind>(shape: &K, n_parameters: usize, n_hops: usize, end: usize) -> Result<()> {
        let cpu = Device::Cpu;
        let (hops, now, mut pooled, mut attention) =
            (vec![cpu.zeros(6); n_hops], cpu.zeros(n_parameters), cpu.zeros(6), cpu.zeros(4));
        let layers = Layers { dim: 3, hops: &hops, range: 0..end };
        let out = Pooled { pooled: &mut pooled, attention: &mut attention };
        forward(&cpu, shape, &now, &layers, out, &mut Workspace::default())
    }
    let shape = AdditiveShape { dim: 3, hidden: 2, layers: 1, temperature: 1.0, bound: 0.0 };
    let op = "additive_forward";
    // 2 + 2 * 3 + 2 + 2.
    assert_eq!(refusal(&shape, 12, 2, 2), Ok(()));
    assert_eq!(
        refusal(&shape, 11, 2, 2),
        Err(KernelError::Shape { op, argument: "parameters", found: 11, expected: 12 })
    );
    assert_eq!(refusal(&shape, 12, 3, 2), Err(KernelError::Shape { op, argument: "hops", found: 3, expected: 2 }));
    assert_eq!(refusal(&shape, 12, 2, 3), Err(KernelError::Index { op, argument: "range", index: 3, bound: 3 }));
    let (shape, op) = (DotShape { dim: 3, key_dim: 2, layers: 1, bound: 0.0 }, "dot_forward");
    // 2 + 3 * 2 + 3 * 2 + 3 * 3.
    assert_eq!(refusal(&shape, 23, 2, 2), Ok(()));
    assert_eq!(
        refusal(&shape, 22, 2, 2),
        Err(KernelError::Shape { op, argument: "parameters", found: 22, expected: 23 })
    );
    let other = DotShape { dim: 4, ..shape };
    assert_eq!(refusal(&other, 22, 2, 2), Err(KernelError::Shape { op, argument: "dim", found: 3, expected: 4 }));
}
