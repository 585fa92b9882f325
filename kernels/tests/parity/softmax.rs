//! The softmax losses: all items, in the batch, with and without a bias.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxMotion, SoftmaxReference, SoftmaxWorkspace, softmax_backward,
    softmax_forward, softmax_tangent,
};

use crate::{assert_close, assert_same_bits, indices, numbers, on_each, wide};

struct Case {
    n_q: usize,
    n_c: usize,
    dim: usize,
    biased: bool,
    tau: f32,
    t2: f32,
}

impl Case {
    /// Lists of 0 to 6 positives, repeats allowed; or one for each query, itself.
    fn lists(&self, batch: bool) -> (Vec<u32>, Vec<u32>) {
        let mut list_ptr = vec![0u32];
        for q in 0..self.n_q as u32 {
            list_ptr.push(list_ptr[q as usize] + if batch { 1 } else { q * 5 % 7 });
        }
        let n = list_ptr[self.n_q] as usize;
        let positive = if batch { (0..n as u32).collect() } else { indices(4, n, self.n_c) };
        (list_ptr, positive)
    }
}

fn cases() -> Vec<Case> {
    let case = |n_q, n_c, dim, biased, tau, t2| Case { n_q, n_c, dim, biased, tau, t2 };
    vec![
        case(1, 1, 1, false, 0.25, 1.0),
        case(7, 300, 63, true, 0.25, 1.0),
        case(65, 65, 64, false, 0.15, 1.0),
        case(130, 2000, 65, false, 0.25, 1.0),
        case(3, 129, 128, true, 0.5, 0.7),
    ]
}

#[test]
fn losses_gradients_and_tangents_agree_with_the_reference() {
    on_each(|device| {
        for (case, batch) in cases().iter().flat_map(|case| [(case, false), (case, case.n_q == case.n_c)]) {
            let Case { n_q, n_c, dim, .. } = *case;
            let what = format!("{} {n_q} queries, {n_c} candidates, dim {dim}, batch {batch}", device.name());
            let config = SoftmaxConfig { tau: case.tau, t2: case.t2 };
            let scale = (1.0 / dim as f32).sqrt();
            let rows = |seed, n: usize| -> Vec<f32> { numbers(seed, n * dim).iter().map(|x| x * scale).collect() };
            let (q, c, q_dot, c_dot) = (rows(1, n_q), rows(2, n_c), rows(5, n_q), rows(6, n_c));
            let (list_ptr, positive) = case.lists(batch);
            let weights = numbers(3, positive.len());
            // One candidate in nine is ruled out; positives stay, or their loss would be infinite.
            let ruled_out = |j: usize| case.biased && j % 9 == 4 && !positive.contains(&(j as u32));
            let bias: Vec<f32> = numbers(7, n_c)
                .iter()
                .enumerate()
                .map(|(j, &b)| if ruled_out(j) { f32::NEG_INFINITY } else { b })
                .collect();
            let bias = case.biased.then_some(bias);

            let (on_q, on_c) = (device.upload(&q), device.upload(&c));
            let (on_ptr, on_positive) = (device.upload(&list_ptr), device.upload(&positive));
            let on_bias = bias.as_ref().map(|bias| device.upload(bias));
            let run = || {
                let mut work = SoftmaxWorkspace::default();
                let (mut loss, mut d_q, mut d_c) = (Buffer::default(), Buffer::default(), Buffer::default());
                let mut dot = Buffer::default();
                let (candidate_bias, list_ptr, positive) = (on_bias.as_ref(), &on_ptr, &on_positive);
                let input = SoftmaxInput { dim, config, q: &on_q, c: &on_c, candidate_bias, list_ptr, positive };
                softmax_forward(device, &input, &mut work, &mut loss).unwrap();
                let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
                softmax_backward(device, &input, &device.upload(&weights), &mut work, gradients).unwrap();
                let motion = SoftmaxMotion { q: &device.upload(&q_dot), c: &device.upload(&c_dot) };
                softmax_tangent(device, &input, motion, &mut work, &mut dot).unwrap();
                [loss, d_q, d_c, dot].map(|values| device.read(&values))
            };
            let [loss, d_q, d_c, dot] = run();
            assert_same_bits(|| run().concat(), &what);

            let (q, c, bias) = (wide(&q), wide(&c), bias.map(|bias| wide(&bias)));
            let (candidate_bias, list_ptr, positive) = (bias.as_deref(), &list_ptr[..], &positive[..]);
            let exact = SoftmaxReference { dim, config, q: &q, c: &c, candidate_bias, list_ptr, positive };
            // Scores below 10 in f32, and sums of 2,000 exponentials.
            assert_close(&loss, &exact.loss(), 2e-5, &what);
            let (expected_q, expected_c) = exact.backward(&wide(&weights));
            assert_close(&d_q, &expected_q, 5e-5, &what);
            assert_close(&d_c, &expected_c, 5e-5, &what);
            assert_close(&dot, &exact.tangent(&wide(&q_dot), &wide(&c_dot)), 5e-5, &what);
        }
    });
}

#[test]
fn positives_that_are_no_candidates_are_refused() {
    on_each(|device| {
        let config = SoftmaxConfig { tau: 1.0, t2: 1.0 };
        let (q, c) = (device.zeros(2), device.zeros(4));
        let (mut work, mut loss) = (SoftmaxWorkspace::default(), Buffer::default());
        let (list_ptr, positive) = (device.upload(&[0, 1]), device.upload(&[2]));
        let (list_ptr, positive) = (&list_ptr, &positive);
        let input = SoftmaxInput { dim: 2, config, q: &q, c: &c, candidate_bias: None, list_ptr, positive };
        let refused = softmax_forward(device, &input, &mut work, &mut loss).unwrap_err();
        assert_eq!(refused.to_string(), "softmax_forward: index 2 in positive is outside 0..2");
    });
}
