//! The softmax losses: all items, in the batch, with and without a bias.

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxWorkspace, softmax_backward, softmax_backward_reference, softmax_forward, softmax_reference,
    softmax_tangent, softmax_tangent_reference,
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
                let (b, p, e) = (on_bias.as_ref(), &on_ptr, &on_positive);
                softmax_forward(device, dim, config, &on_q, &on_c, b, p, e, &mut work, &mut loss).unwrap();
                let w = device.upload(&weights);
                softmax_backward(device, dim, config, &on_q, &on_c, b, p, e, &w, &mut work, &mut d_q, &mut d_c)
                    .unwrap();
                let (m, n) = (device.upload(&q_dot), device.upload(&c_dot));
                softmax_tangent(device, dim, config, &on_q, &on_c, b, p, e, &m, &n, &mut work, &mut dot).unwrap();
                [loss, d_q, d_c, dot].map(|values| device.read(&values))
            };
            let [loss, d_q, d_c, dot] = run();
            assert_same_bits(|| run().concat(), &what);

            let (q, c, bias) = (wide(&q), wide(&c), bias.map(|bias| wide(&bias)));
            let bias = bias.as_deref();
            let expected = softmax_reference(dim, config, &q, &c, bias, &list_ptr, &positive);
            // Scores below 10 in f32, and sums of 2,000 exponentials.
            assert_close(&loss, &expected, 2e-5, &what);
            let (expected_q, expected_c) =
                softmax_backward_reference(dim, config, &q, &c, bias, &list_ptr, &positive, &wide(&weights));
            assert_close(&d_q, &expected_q, 5e-5, &what);
            assert_close(&d_c, &expected_c, 5e-5, &what);
            let (m, n) = (wide(&q_dot), wide(&c_dot));
            let expected = softmax_tangent_reference(dim, config, &q, &c, bias, &list_ptr, &positive, &m, &n);
            assert_close(&dot, &expected, 5e-5, &what);
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
        let refused =
            softmax_forward(device, 2, config, &q, &c, None, &list_ptr, &positive, &mut work, &mut loss).unwrap_err();
        assert_eq!(refused.to_string(), "softmax_forward: index 2 in positive is outside 0..2");
    });
}
