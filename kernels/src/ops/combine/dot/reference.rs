//! The definition of dot attention: plain loops in f64, for all rows, in the form of the paper
//! (every line of `P V`, then their mean).

use super::DotShape;
use crate::ops::combine::attention::Definition;
use crate::ops::combine::weights::{bounded_reference, softmax_reference};

/// `a [n, k] . b [k, m]`.
fn times(a: &[f64], b: &[f64], k: usize, m: usize) -> Vec<f64> {
    (0..a.len() / k * m).map(|at| (0..k).map(|t| a[at / m * k + t] * b[t * m + at % m]).sum()).collect()
}

fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
    let rows = a.len() / columns;
    (0..a.len()).map(|at| a[at % rows * columns + at / rows]).collect()
}

fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The layers of row `i` as one matrix `[K + 1, dim]`.
fn layers(hops: &[Vec<f64>], dim: usize, i: usize) -> Vec<f64> {
    hops.iter().flat_map(|hop| &hop[i * dim..(i + 1) * dim]).copied().collect()
}

/// Queries, keys, values, scores and softmax of one row.
struct Row {
    x: Vec<f64>,
    queries: Vec<f64>,
    keys: Vec<f64>,
    values: Vec<f64>,
    scores: Vec<f64>,
    softmax: Vec<f64>,
}

fn row(shape: &DotShape, parameters: &[f64], hops: &[Vec<f64>], i: usize) -> Row {
    let (n, dim, key_dim) = (hops.len(), shape.dim, shape.key_dim);
    let x = layers(hops, dim, i);
    let queries = times(&x, &parameters[shape.query()], dim, key_dim);
    let keys = times(&x, &parameters[shape.key()], dim, key_dim);
    let values = times(&x, &parameters[shape.value()], dim, dim);
    let root = (key_dim as f64).sqrt();
    let scores: Vec<f64> = times(&queries, &transposed(&keys, key_dim), key_dim, n).iter().map(|s| s / root).collect();
    let logits: Vec<f64> =
        scores.iter().enumerate().map(|(at, &s)| parameters[at % n] + bounded_reference(s, shape.bound).0).collect();
    let softmax = logits.chunks(n).flat_map(softmax_reference).collect();
    Row { x, queries, keys, values, scores, softmax }
}

/// The mean of the lines of a matrix.
fn mean(lines: &[f64], columns: usize) -> Vec<f64> {
    let n = lines.len() / columns;
    (0..columns).map(|c| lines.iter().skip(c).step_by(columns).sum::<f64>() / n as f64).collect()
}

impl Definition for DotShape {
    fn reference(&self, parameters: &[f64], hops: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
        let (mut pooled, mut attention) = (Vec::new(), Vec::new());
        for i in 0..hops[0].len() / self.dim {
            let row = row(self, parameters, hops, i);
            pooled.extend(mean(&times(&row.softmax, &row.values, hops.len(), self.dim), self.dim));
            attention.extend(mean(&row.softmax, hops.len()));
        }
        (pooled, attention)
    }

    fn backward_reference(&self, parameters: &[f64], hops: &[Vec<f64>], g: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (n, dim, key_dim) = (hops.len(), self.dim, self.key_dim);
        let mut direct = vec![Vec::new(); n];
        let mut d_parameters = vec![0.0; parameters.len()];
        for i in 0..g.len() / dim {
            let row = row(self, parameters, hops, i);
            // Each line of P V receives g / n.
            let d_lines: Vec<f64> =
                (0..n).flat_map(|_| g[i * dim..(i + 1) * dim].iter().map(|g| g / n as f64)).collect();
            let d_softmax = times(&d_lines, &transposed(&row.values, dim), dim, n);
            let d_values = times(&transposed(&row.softmax, n), &d_lines, n, dim);
            let mut d_scores = Vec::new();
            for at in 0..n * n {
                let line = at / n * n..(at / n + 1) * n;
                let mean: f64 = row.softmax[line.clone()].iter().zip(&d_softmax[line]).map(|(p, d)| p * d).sum();
                let d_logit = row.softmax[at] * (d_softmax[at] - mean);
                d_parameters[at % n] += d_logit;
                d_scores.push(d_logit * bounded_reference(row.scores[at], self.bound).1 / (key_dim as f64).sqrt());
            }
            let d_queries = times(&d_scores, &row.keys, n, key_dim);
            let d_keys = times(&transposed(&d_scores, n), &row.queries, n, key_dim);
            let mut d_x = vec![0.0; n * dim];
            for (d, part, width) in
                [(&d_queries, self.query(), key_dim), (&d_keys, self.key(), key_dim), (&d_values, self.value(), dim)]
            {
                d_x = plus(&d_x, &times(d, &transposed(&parameters[part.clone()], width), width, dim));
                let d_matrix = times(&transposed(&row.x, dim), d, n, width);
                d_parameters[part].iter_mut().zip(d_matrix).for_each(|(sum, d)| *sum += d);
            }
            direct.iter_mut().zip(d_x.chunks(dim)).for_each(|(direct, d)| direct.extend(d));
        }
        (direct, d_parameters)
    }

    fn tangent_reference(
        &self,
        parameters: &[f64],
        hops: &[Vec<f64>],
        d_hops: &[Vec<f64>],
        d_parameters: &[f64],
    ) -> Vec<f64> {
        let (n, dim, key_dim) = (hops.len(), self.dim, self.key_dim);
        let mut pooled_dot = Vec::new();
        for i in 0..hops[0].len() / dim {
            let row = row(self, parameters, hops, i);
            let x_dot = layers(d_hops, dim, i);
            let moved = |part: std::ops::Range<usize>, width: usize| {
                plus(
                    &times(&x_dot, &parameters[part.clone()], dim, width),
                    &times(&row.x, &d_parameters[part], dim, width),
                )
            };
            let (queries_dot, keys_dot) = (moved(self.query(), key_dim), moved(self.key(), key_dim));
            let scores_dot = plus(
                &times(&queries_dot, &transposed(&row.keys, key_dim), key_dim, n),
                &times(&row.queries, &transposed(&keys_dot, key_dim), key_dim, n),
            );
            let logit_dot = |at: usize| {
                let slope = bounded_reference(row.scores[at], self.bound).1;
                d_parameters[at % n] + slope * scores_dot[at] / (key_dim as f64).sqrt()
            };
            let softmax_dot = |at: usize| {
                let line = at / n * n..(at / n + 1) * n;
                row.softmax[at] * (logit_dot(at) - line.map(|j| row.softmax[j] * logit_dot(j)).sum::<f64>())
            };
            let softmax_dot: Vec<f64> = (0..n * n).map(softmax_dot).collect();
            let lines_dot = plus(
                &times(&softmax_dot, &row.values, n, dim),
                &times(&row.softmax, &moved(self.value(), dim), n, dim),
            );
            pooled_dot.extend(mean(&lines_dot, dim));
        }
        pooled_dot
    }
}
