//! A small matrix factorisation with biases in f64, for methods that need a second model: `s_ui =
//! p_u . q_i + b_u + b_i`.

use gcnrec_graphs::Seed;

use super::observed_weights::normal;
use crate::objectives::Nodes;

/// The shape of the model; its parameters are `[n_nodes, rank + 1]`, the bias last.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallMf {
    pub(super) nodes: Nodes,
    pub(super) rank: usize,
}

impl SmallMf {
    /// Parameters to start from: factors near 0, no biases. `index` keeps the draws of methods
    /// apart.
    pub(super) fn start(self, seed: Seed, index: u64) -> Vec<f32> {
        let mut value = normal(seed, index, self.nodes.len() * (self.rank + 1), 0.1);
        value.chunks_exact_mut(self.rank + 1).for_each(|row| row[self.rank] = 0.0);
        value
    }

    /// A node's vector, `[rank + 2]`: the score of a pair is the inner product of its user's and
    /// its item's.
    pub(super) fn row(self, value: &[f64], node: u32) -> Vec<f64> {
        let own = &value[node as usize * (self.rank + 1)..][..self.rank + 1];
        let (factors, bias) = (&own[..self.rank], own[self.rank]);
        let ends = if (node as usize) < self.nodes.n_users { [bias, 1.0] } else { [1.0, bias] };
        [factors, &ends].concat()
    }

    /// The score of a pair of nodes.
    pub(super) fn score(self, value: &[f64], (user, item): (u32, u32)) -> f64 {
        self.row(value, user).iter().zip(self.row(value, item)).map(|(a, b)| a * b).sum()
    }

    /// Adds the gradient of `weight (s - target)^2`.
    pub(super) fn push(self, value: &[f64], pair: (u32, u32), target: f64, weight: f64, gradient: &mut [f64]) {
        let slope = 2.0 * weight * (self.score(value, pair) - target);
        let width = self.rank + 1;
        let (user, item) = (pair.0 as usize * width, pair.1 as usize * width);
        for column in 0..self.rank {
            gradient[user + column] += slope * value[item + column];
            gradient[item + column] += slope * value[user + column];
        }
        gradient[user + self.rank] += slope;
        gradient[item + self.rank] += slope;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User 0 = (2, bias .5), item 0 (node 1) = (-1, bias .25): s = -2 + .75 = -1.25; with target 1
    /// and weight 3 the slope is 2 * 3 * -2.25 = -13.5.
    #[test]
    fn the_gradient_is_that_of_a_weighted_squared_error() {
        let model = SmallMf { nodes: Nodes { n_users: 1, n_items: 1 }, rank: 1 };
        let value = [2.0, 0.5, -1.0, 0.25];
        assert!((model.score(&value, (0, 1)) + 1.25).abs() < 1e-15);
        let mut gradient = vec![0.0; 4];
        model.push(&value, (0, 1), 1.0, 3.0, &mut gradient);
        assert_eq!(gradient, [13.5, -13.5, -27.0, -13.5]);
    }
}
