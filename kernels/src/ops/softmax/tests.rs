use super::*;
use crate::KernelError;
use crate::testing::{assert_close, inner, moved, numbers, same_bits, wide};

/// A problem with lists of 0, 1, 2, .. positives, some of them twice in one list.
struct Case {
    dim: usize,
    config: SoftmaxConfig,
    q: Vec<f32>,
    c: Vec<f32>,
    bias: Option<Vec<f32>>,
    list_ptr: Vec<u32>,
    positive: Vec<u32>,
    weights: Vec<f32>,
    q_dot: Vec<f32>,
    c_dot: Vec<f32>,
}

impl Case {
    fn new(n_q: usize, n_c: usize, dim: usize, t2: f32, biased: bool) -> Self {
        let mut list_ptr = vec![0];
        let mut positive = Vec::new();
        for query in 0..n_q {
            positive.extend((0..query % 5).map(|i| ((query * 31 + i / 2 * 17) % n_c) as u32));
            list_ptr.push(positive.len() as u32);
        }
        let weights = numbers(3, positive.len());
        let (q_dot, c_dot) = (numbers(4, n_q * dim), numbers(5, n_c * dim));
        let (q, c, bias) = (numbers(1, n_q * dim), numbers(2, n_c * dim), biased.then(|| numbers(6, n_c)));
        Case { dim, config: SoftmaxConfig { tau: 0.3, t2 }, q, c, bias, list_ptr, positive, weights, q_dot, c_dot }
    }

    /// loss, d_q, d_c, loss_dot; `kept` bounds the exponentials that the forward pass keeps.
    fn run(&self, kept: usize) -> Vec<Vec<f32>> {
        let cpu = Device::Cpu;
        let [q, c, weights, q_dot, c_dot] =
            [&self.q, &self.c, &self.weights, &self.q_dot, &self.c_dot].map(|v| cpu.upload(v));
        let (list_ptr, positive) = (cpu.upload(&self.list_ptr), cpu.upload(&self.positive));
        let bias = self.bias.as_ref().map(|b| cpu.upload(b));
        let mut workspace = SoftmaxWorkspace::default();
        let (mut loss, mut loss_dot) = (cpu.zeros(positive.len()), cpu.zeros(positive.len()));
        let (mut d_q, mut d_c) = (cpu.zeros(q.len()), cpu.zeros(c.len()));
        let (dim, config, candidate_bias) = (self.dim, self.config, bias.as_ref());
        let (list_ptr, positive) = (&list_ptr, &positive);
        let input = SoftmaxInput { dim, config, q: &q, c: &c, candidate_bias, list_ptr, positive };
        cpu_forward(&Call::new("test", &input).unwrap(), &mut workspace, loss.host_mut(), kept);
        // Between forward and backward, so that it is seen to leave the forward state alone.
        let motion = SoftmaxMotion { q: &q_dot, c: &c_dot };
        softmax_tangent(&cpu, &input, motion, &mut workspace, &mut loss_dot).unwrap();
        let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
        softmax_backward(&cpu, &input, &weights, &mut workspace, gradients).unwrap();
        [loss, d_q, d_c, loss_dot].iter().map(|b| cpu.read(b)).collect()
    }

    fn reference(&self) -> Vec<Vec<f64>> {
        let [q, c, weights, q_dot, c_dot] =
            [&self.q, &self.c, &self.weights, &self.q_dot, &self.c_dot].map(|v| wide(v));
        let bias = self.bias.as_ref().map(|b| wide(b));
        let (dim, config, candidate_bias) = (self.dim, self.config, bias.as_deref());
        let (list_ptr, positive) = (&self.list_ptr[..], &self.positive[..]);
        let exact = SoftmaxReference { dim, config, q: &q, c: &c, candidate_bias, list_ptr, positive };
        let (d_q, d_c) = exact.backward(&weights);
        vec![exact.loss(), d_q, d_c, exact.tangent(&q_dot, &c_dot)]
    }
}

/// f32 scores are sums of up to 65 products, over tau = .3: absolute errors near 2e-5, which the
/// exponentials turn into relative ones. A gradient sums up to 600 terms of which the largest are a
/// few units.
#[test]
fn the_cpu_path_agrees_with_the_reference() {
    for (n_q, n_c, dim) in [(7, 11, 1), (13, 257, 7), (131, 601, 16), (5, 256, 63), (129, 300, 64), (259, 31, 65)] {
        for (t2, biased) in [(1.0, false), (1.2, true)] {
            let case = Case::new(n_q, n_c, dim, t2, biased);
            let (found, expected) = (case.run(KEPT), case.reference());
            for (i, what) in ["loss", "d_q", "d_c", "loss_dot"].iter().enumerate() {
                assert_close(what, &found[i], &expected[i], 6e-5, 3e-5);
            }
        }
    }
}

#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    // 20 tiles: 10 groups of two.
    let case = Case::new(137, 5_100, 17, 1.1, true);
    same_bits(|| case.run(KEPT));
}

#[test]
fn recomputed_exponentials_give_the_same_bits_as_kept_ones() {
    let case = Case::new(131, 601, 16, 1.1, true);
    assert_eq!(case.run(0), case.run(KEPT));
}

/// Two equal scores: loss ln 2; the gradient of the scores is (1/2 - 1, 1/2), so d_q = (-1/2 * 1 +
/// 1/2 * -1) / tau = -2 for q = 0, c = (1, -1), tau = .5.
#[test]
fn a_hand_worked_case() {
    let case = Case {
        dim: 1,
        config: SoftmaxConfig { tau: 0.5, t2: 1.0 },
        q: vec![0.0],
        c: vec![1.0, -1.0],
        bias: None,
        list_ptr: vec![0, 1],
        positive: vec![0],
        weights: vec![1.0],
        q_dot: vec![1.0],
        c_dot: vec![0.0, 0.0],
    };
    let found = case.run(KEPT);
    assert_close("loss", &found[0], &[2f64.ln()], 0.0, 2e-7);
    assert_eq!(found[1..], [vec![-2.0], vec![0.0, 0.0], vec![-2.0]]);
}

/// Step 1e-5 on a smooth loss with curvature up to (1/tau)^2 = 11: an error near 1e-9, rounding
/// near 1e-10.
#[test]
fn the_reference_gradient_and_tangent_match_central_differences() {
    let case = Case::new(7, 11, 5, 1.2, true);
    let (list_ptr, positive, bias) = (&case.list_ptr, &case.positive, case.bias.as_ref().map(|b| wide(b)));
    let [q, c, weights, q_dot, c_dot] = [&case.q, &case.c, &case.weights, &case.q_dot, &case.c_dot].map(|v| wide(v));
    let (dim, config, candidate_bias) = (case.dim, case.config, bias.as_deref());
    let loss = |q: &[f64], c: &[f64]| SoftmaxReference { dim, config, q, c, candidate_bias, list_ptr, positive }.loss();
    let step = 1e-5;
    let (d_q, d_c) = {
        let r = case.reference();
        (r[1].clone(), r[2].clone())
    };
    for (matrix, gradient) in [(0, &d_q), (1, &d_c)] {
        for at in 0..gradient.len() {
            let total = |sign: f64| {
                let (mut q, mut c) = (q.clone(), c.clone());
                if matrix == 0 {
                    q[at] += sign * step
                } else {
                    c[at] += sign * step
                }
                inner(&loss(&q, &c), &weights)
            };
            let difference = (total(1.0) - total(-1.0)) / (2.0 * step);
            assert!((difference - gradient[at]).abs() < 1e-7, "{matrix} {at}: {difference} {}", gradient[at]);
        }
    }
    let ahead = loss(&moved(&q, &q_dot, step), &moved(&c, &c_dot, step));
    let behind = loss(&moved(&q, &q_dot, -step), &moved(&c, &c_dot, -step));
    let loss_dot = &case.reference()[3];
    for e in 0..loss_dot.len() {
        assert!(((ahead[e] - behind[e]) / (2.0 * step) - loss_dot[e]).abs() < 1e-7);
    }
}

/// Both sides are the same sum of 137 * 601 products of f32 results; they may differ by the
/// rounding of its larger terms.
#[test]
fn backward_is_the_adjoint_of_tangent() {
    let case = Case::new(137, 601, 17, 1.0, false);
    let found: Vec<Vec<f64>> = case.run(KEPT).iter().map(|v| wide(v)).collect();
    let forward = inner(&wide(&case.weights), &found[3]);
    let backward = inner(&found[1], &wide(&case.q_dot)) + inner(&found[2], &wide(&case.c_dot));
    assert!((forward - backward).abs() < 1e-3 * (1.0 + forward.abs()), "{forward} {backward}");
}

/// Scores of +-300 / .3 overflow a plain exponential; the loss is then the distance to the best
/// score.
#[test]
fn large_scores_do_not_overflow() {
    let mut case = Case::new(7, 11, 5, 1.0, false);
    case.q.iter_mut().chain(&mut case.c).for_each(|x| *x *= 30.0);
    let (found, expected) = (case.run(KEPT), case.reference());
    // Scores near 1e4 carry an f32 error near 1e-3.
    assert_close("loss", &found[0], &expected[0], 5e-3, 1e-6);
    assert!(found.iter().flatten().all(|x| x.is_finite()));
}

/// Ruling out every candidate but the first 300 (a whole tile and more among them) equals not
/// having them.
#[test]
fn a_bias_of_minus_infinity_rules_candidates_out() {
    let few = Case::new(13, 300, 7, 1.0, false);
    let mut many = Case::new(13, 601, 7, 1.0, false);
    many.positive.clone_from(&few.positive);
    many.bias = Some((0..601).map(|j| if j < 300 { 0.0 } else { f32::NEG_INFINITY }).collect());
    let (few, many) = (few.run(KEPT), many.run(KEPT));
    let as_f64 = |v: &[f32]| wide(v);
    assert_close("loss", &many[0], &as_f64(&few[0]), 1e-6, 1e-6);
    assert_close("d_q", &many[1], &as_f64(&few[1]), 1e-5, 1e-5);
    assert!(many[2][300 * 7..].iter().all(|&d| d == 0.0));
}

#[test]
fn wrong_sizes_and_indices_are_refused_by_name() {
    let cpu = Device::Cpu;
    let config = SoftmaxConfig { tau: 1.0, t2: 1.0 };
    let run = |list_ptr: &[u32], positive: &[u32], n_q: usize| {
        let (q, c) = (cpu.zeros(n_q * 3), cpu.zeros(4 * 3));
        let (list_ptr, positive) = (cpu.upload(list_ptr), cpu.upload(positive));
        let (list_ptr, positive) = (&list_ptr, &positive);
        let input = SoftmaxInput { dim: 3, config, q: &q, c: &c, candidate_bias: None, list_ptr, positive };
        softmax_forward(&cpu, &input, &mut SoftmaxWorkspace::default(), &mut cpu.zeros(2))
    };
    let op = "softmax_forward";
    assert_eq!(run(&[0, 1, 2], &[0, 3], 2), Ok(()));
    assert_eq!(run(&[0, 1, 2], &[0, 4], 2), Err(KernelError::Index { op, argument: "positive", index: 4, bound: 4 }));
    assert_eq!(run(&[0, 1, 2], &[0, 1], 3), Err(KernelError::Shape { op, argument: "q", found: 9, expected: 6 }));
    assert_eq!(run(&[0, 3, 2], &[0, 1], 2), Err(KernelError::Index { op, argument: "list_ptr", index: 3, bound: 3 }));
    assert!(matches!(run(&[], &[], 0), Err(KernelError::Shape { argument: "list_ptr", .. })));
}

#[test]
fn a_backward_pass_of_another_size_than_the_forward_pass_is_refused() {
    let (cpu, config) = (Device::Cpu, SoftmaxConfig { tau: 1.0, t2: 1.0 });
    let (q, c) = (cpu.zeros(6), cpu.zeros(12));
    let (list_ptr, positive) = (cpu.upload(&[0, 1, 2]), cpu.upload(&[0, 1]));
    let (mut d_q, mut d_c) = (cpu.zeros(6), cpu.zeros(12));
    let (list_ptr, positive) = (&list_ptr, &positive);
    let input = SoftmaxInput { dim: 3, config, q: &q, c: &c, candidate_bias: None, list_ptr, positive };
    let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
    let refused = softmax_backward(&cpu, &input, &cpu.zeros(2), &mut SoftmaxWorkspace::default(), gradients);
    assert!(matches!(refused, Err(KernelError::Shape { argument: "dim of the last forward pass", .. })));
}
