//! The definition of the softmax losses: plain loops in f64.

use super::SoftmaxConfig;

/// What all passes read, in f64: fields as in [`super::SoftmaxInput`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct SoftmaxReference<'a> {
    pub dim: usize,
    pub config: SoftmaxConfig,
    pub q: &'a [f64],
    pub c: &'a [f64],
    pub candidate_bias: Option<&'a [f64]>,
    pub list_ptr: &'a [u32],
    pub positive: &'a [u32],
}

fn log_sum_exp(scores: &[f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + scores.iter().map(|s| (s - largest).exp()).sum::<f64>().ln()
}

impl SoftmaxReference<'_> {
    /// Scores of one query against all candidates.
    fn scores(&self, q: &[f64], c: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
        let score = |(j, c): (usize, &[f64])| {
            let product: f64 = c.iter().zip(q).map(|(c, q)| c * q).sum();
            product / f64::from(self.config.tau) + bias.map_or(0.0, |bias| bias[j])
        };
        c.chunks(self.dim).enumerate().map(score).collect()
    }

    /// The definition of [`super::softmax_forward`].
    pub fn loss(&self) -> Vec<f64> {
        let SoftmaxReference { dim, config, q, c, list_ptr, positive, .. } = *self;
        let mut loss = Vec::new();
        for (query, ends) in list_ptr.windows(2).enumerate() {
            let scores = self.scores(&q[query * dim..(query + 1) * dim], c, self.candidate_bias);
            let log_sum = log_sum_exp(&scores);
            for &p in &positive[ends[0] as usize..ends[1] as usize] {
                loss.push(f64::from(config.t2) * log_sum - scores[p as usize]);
            }
        }
        loss
    }

    /// The definition of [`super::softmax_backward`]: `(d_q, d_c)`.
    pub fn backward(&self, weights: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let SoftmaxReference { dim, config, q, c, list_ptr, positive, .. } = *self;
        let (mut d_q, mut d_c) = (vec![0.0; q.len()], vec![0.0; c.len()]);
        for (query, ends) in list_ptr.windows(2).enumerate() {
            let own = query * dim..(query + 1) * dim;
            let scores = self.scores(&q[own.clone()], c, self.candidate_bias);
            let log_sum = log_sum_exp(&scores);
            let examples = ends[0] as usize..ends[1] as usize;
            let total: f64 = weights[examples.clone()].iter().sum();
            let mut d_scores: Vec<f64> =
                scores.iter().map(|s| f64::from(config.t2) * total * (s - log_sum).exp()).collect();
            examples.for_each(|e| d_scores[positive[e] as usize] -= weights[e]);
            for (j, d) in d_scores.iter().enumerate() {
                for column in 0..dim {
                    d_q[own.start + column] += d * c[j * dim + column] / f64::from(config.tau);
                    d_c[j * dim + column] += d * q[own.start + column] / f64::from(config.tau);
                }
            }
        }
        (d_q, d_c)
    }

    /// The definition of [`super::softmax_tangent`].
    pub fn tangent(&self, q_dot: &[f64], c_dot: &[f64]) -> Vec<f64> {
        let SoftmaxReference { dim, config, q, c, list_ptr, positive, .. } = *self;
        let mut loss_dot = Vec::new();
        for (query, ends) in list_ptr.windows(2).enumerate() {
            let own = query * dim..(query + 1) * dim;
            let scores_now = self.scores(&q[own.clone()], c, self.candidate_bias);
            let log_sum = log_sum_exp(&scores_now);
            let by_query = self.scores(&q_dot[own.clone()], c, None);
            let by_candidate = self.scores(&q[own], c_dot, None);
            let scores_dot: Vec<f64> = by_query.iter().zip(&by_candidate).map(|(a, b)| a + b).collect();
            let mean: f64 = scores_now.iter().zip(&scores_dot).map(|(s, d)| (s - log_sum).exp() * d).sum();
            for &p in &positive[ends[0] as usize..ends[1] as usize] {
                loss_dot.push(f64::from(config.t2) * mean - scores_dot[p as usize]);
            }
        }
        loss_dot
    }
}
