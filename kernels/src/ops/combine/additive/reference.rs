//! The definition of additive attention: plain loops in f64, for all rows.

use super::AdditiveShape;
use crate::ops::combine::attention::Definition;
use crate::ops::combine::weights::{bounded_reference, softmax_reference};

/// What one row makes of its layers: per layer the activations and the score, then the weights.
struct Row {
    hidden: Vec<Vec<f64>>,
    scores: Vec<f64>,
    weights: Vec<f64>,
}

fn row(shape: &AdditiveShape, parameters: &[f64], hops: &[Vec<f64>], i: usize) -> Row {
    let (w, b, q) = (&parameters[shape.weight()], &parameters[shape.bias()], &parameters[shape.query()]);
    let mut row = Row { hidden: Vec::new(), scores: Vec::new(), weights: Vec::new() };
    for hop in hops {
        let e = &hop[i * shape.dim..(i + 1) * shape.dim];
        let unit = |u: usize| (0..shape.dim).map(|c| w[u * shape.dim + c] * e[c]).sum::<f64>() + b[u];
        let hidden: Vec<f64> = (0..shape.hidden).map(|u| unit(u).tanh()).collect();
        row.scores.push(hidden.iter().zip(q).map(|(h, q)| h * q).sum());
        row.hidden.push(hidden);
    }
    let logit =
        |(k, &s): (usize, &f64)| (parameters[k] + bounded_reference(s, shape.bound).0) / f64::from(shape.temperature);
    let logits: Vec<f64> = row.scores.iter().enumerate().map(logit).collect();
    row.weights = softmax_reference(&logits);
    row
}

impl Definition for AdditiveShape {
    fn reference(&self, parameters: &[f64], hops: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
        let (mut pooled, mut attention) = (Vec::new(), Vec::new());
        for i in 0..hops[0].len() / self.dim {
            let row = row(self, parameters, hops, i);
            for c in i * self.dim..(i + 1) * self.dim {
                pooled.push(row.weights.iter().zip(hops).map(|(a, hop)| a * hop[c]).sum());
            }
            attention.extend(row.weights);
        }
        (pooled, attention)
    }

    fn backward_reference(&self, parameters: &[f64], hops: &[Vec<f64>], g: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let dim = self.dim;
        let (w, q) = (&parameters[self.weight()], &parameters[self.query()]);
        let mut direct = vec![vec![0.0; g.len()]; hops.len()];
        let mut d = vec![0.0; parameters.len()];
        for i in 0..g.len() / dim {
            let row = row(self, parameters, hops, i);
            let g = &g[i * dim..(i + 1) * dim];
            let p: Vec<f64> = hops.iter().map(|hop| g.iter().zip(&hop[i * dim..]).map(|(g, e)| g * e).sum()).collect();
            let mean: f64 = row.weights.iter().zip(&p).map(|(a, p)| a * p).sum();
            for (k, hop) in hops.iter().enumerate() {
                let zeta = row.weights[k] * (p[k] - mean) / f64::from(self.temperature);
                d[k] += zeta;
                let d_score = zeta * bounded_reference(row.scores[k], self.bound).1;
                for c in 0..dim {
                    direct[k][i * dim + c] += row.weights[k] * g[c];
                }
                for u in 0..self.hidden {
                    let h = row.hidden[k][u];
                    let delta = d_score * q[u] * (1.0 - h * h);
                    d[self.query().start + u] += d_score * h;
                    d[self.bias().start + u] += delta;
                    for c in 0..dim {
                        d[self.weight().start + u * dim + c] += delta * hop[i * dim + c];
                        direct[k][i * dim + c] += delta * w[u * dim + c];
                    }
                }
            }
        }
        (direct, d)
    }

    fn tangent_reference(
        &self,
        parameters: &[f64],
        hops: &[Vec<f64>],
        d_hops: &[Vec<f64>],
        d_parameters: &[f64],
    ) -> Vec<f64> {
        let dim = self.dim;
        let [(w, w_dot), (_, b_dot), (q, q_dot)] =
            [self.weight(), self.bias(), self.query()].map(|part| (&parameters[part.clone()], &d_parameters[part]));
        let mut pooled_dot = vec![0.0; hops[0].len()];
        for i in 0..hops[0].len() / dim {
            let row = row(self, parameters, hops, i);
            let mut logits_dot = Vec::new();
            for (k, (hop, hop_dot)) in hops.iter().zip(d_hops).enumerate() {
                let mut score_dot = 0.0;
                for u in 0..self.hidden {
                    let h = row.hidden[k][u];
                    let moved =
                        |c: usize| w[u * dim + c] * hop_dot[i * dim + c] + w_dot[u * dim + c] * hop[i * dim + c];
                    let u_dot = (0..dim).map(moved).sum::<f64>() + b_dot[u];
                    score_dot += q_dot[u] * h + q[u] * (1.0 - h * h) * u_dot;
                }
                logits_dot.push(d_parameters[k] + bounded_reference(row.scores[k], self.bound).1 * score_dot);
            }
            let mean: f64 = row.weights.iter().zip(&logits_dot).map(|(a, l)| a * l).sum();
            for (k, &a) in row.weights.iter().enumerate() {
                let a_dot = a * (logits_dot[k] - mean) / f64::from(self.temperature);
                for c in i * dim..(i + 1) * dim {
                    pooled_dot[c] += a_dot * hops[k][c] + a * d_hops[k][c];
                }
            }
        }
        pooled_dot
    }
}
