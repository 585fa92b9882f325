//! AutoDebias' imputation term: `strength * sum over all pairs of w2_ui (s_ui - m_c)^2`, `w2_ui = exp((c_u + c_i + c_[observed]) / 5)`, where the imputed
//! value `m_c = tanh(phi_c)` depends on the class of the pair: a -1, nothing, or a +1 was observed.
//!
//! All pairs are those of the batch's users with its items, observed ones included. The weight of an unobserved pair is a user's factor times an item's
//! factor, and its imputed value is a constant, so the sum over all pairs is a form in small matrices of the embeddings' width (SPEC C.4c); observed
//! pairs, whose class is another, are corrected one by one. The cost is that of the observed pairs and of `(users + items) * dim^2`.
//!
//! Source: as [`super::autodebias`]; the closed form is ours.

use std::sync::Arc;

use gcnrec_graphs::Seed;

use super::autodebias::{SOFTENING, kaiming, normal};
use super::config::Autodebias;
use super::meta_adam::MetaAdam;
use crate::error::Result;
use crate::objectives::{AuxiliaryTerm, Nodes, Parameters, Reduction};
use crate::samplers::Batch;

/// Classes of pairs: the index of their value in `phi`.
const UNOBSERVED: usize = 1;

/// The imputation term with its weights and values.
pub(super) struct Imputation {
    nodes: Nodes,
    dim: usize,
    strength: f64,
    reduction: Reduction,
    /// What the reduction makes of the strength in this batch.
    scale: f64,
    frozen_epochs: u64,
    labels: Option<Arc<Vec<f32>>>,
    /// Users, items, then unobserved and observed.
    weights: MetaAdam,
    /// Of -1, of unobserved pairs, of +1.
    values: MetaAdam,
    block: Block,
    weight_gradient: Vec<f64>,
    value_gradient: [f64; 3],
}

/// The rows of a batch and the observed pairs among them.
#[derive(Default)]
struct Block {
    nodes: Vec<u32>,
    n_users: usize,
    slot_of: Vec<u32>,
    /// (slot of the user, slot of the item, class).
    observed: Vec<(usize, usize, usize)>,
}

/// Weighted moments of one side's rows: the matrix `sum_r f_r x_r x_r'` and the vector `sum_r f_r x_r`.
struct Moments {
    matrix: Vec<f64>,
    vector: Vec<f64>,
}

impl Imputation {
    pub(super) fn new(
        config: &Autodebias,
        nodes: Nodes,
        dim: usize,
        labels: Option<Arc<Vec<f32>>>,
        reduction: Reduction,
        strength: f64,
        seed: Seed,
    ) -> Self {
        let mut weights = kaiming(seed, 3, nodes.n_users);
        weights.extend(kaiming(seed, 4, nodes.n_items));
        weights.extend(normal(seed, 5, 2, 1e-3));
        Imputation {
            nodes,
            dim,
            strength,
            reduction,
            scale: strength,
            frozen_epochs: config.frozen_epochs,
            labels,
            weight_gradient: vec![0.0; weights.len()],
            weights: MetaAdam::new(weights, config.imputation_rate, config.imputation_decay),
            values: MetaAdam::new(normal(seed, 6, 3, 1e-3), config.value_rate, config.value_decay),
            block: Block { slot_of: vec![0; nodes.len()], ..Block::default() },
            value_gradient: [0.0; 3],
        }
    }

    /// The factor of every row of the block, and those of unobserved and of observed pairs.
    fn factors(&self) -> (Vec<f64>, [f64; 2]) {
        let factor = |parameter: usize| (self.weights.value[parameter] / SOFTENING).exp();
        let rows = self.block.nodes.iter().map(|&node| factor(node as usize)).collect();
        (rows, [factor(self.nodes.len()), factor(self.nodes.len() + 1)])
    }

    fn imputed(&self) -> [f64; 3] {
        [0, 1, 2].map(|class| self.values.value[class].tanh())
    }

    /// [`AuxiliaryTerm::forward`] in f64.
    pub(super) fn value(&self, x: &[f64]) -> f64 {
        let (factor, [unseen, seen]) = self.factors();
        let imputed = self.imputed();
        let [users, items] = self.sides();
        let of_items = self.moments(items.clone(), &factor, x, x);
        let (m, total) = (imputed[UNOBSERVED], items.map(|slot| factor[slot]).sum::<f64>());
        let mut sum = 0.0;
        for user in users {
            let row = self.row(x, user);
            let form = dot(row, &times(&of_items.matrix, row)) - 2.0 * m * dot(row, &of_items.vector) + m * m * total;
            sum += unseen * factor[user] * form;
        }
        for &(user, item, class) in &self.block.observed {
            let (s, both) = (dot(self.row(x, user), self.row(x, item)), factor[user] * factor[item]);
            sum += both * (seen * (s - imputed[class]).powi(2) - unseen * (s - m).powi(2));
        }
        self.scale * sum
    }

    /// The gradient of [`Imputation::value`].
    pub(super) fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let (factor, [unseen, seen]) = self.factors();
        let imputed = self.imputed();
        let mut gradient = vec![0.0; x.len()];
        let m = imputed[UNOBSERVED];
        let [users, items] = self.sides();
        for (side, other) in [(users.clone(), items.clone()), (items, users)] {
            let of_other = self.moments(other, &factor, x, x);
            for slot in side {
                let pulled = times(&of_other.matrix, self.row(x, slot));
                let scale = 2.0 * unseen * factor[slot];
                let target = &mut gradient[slot * self.dim..][..self.dim];
                for ((target, pulled), vector) in target.iter_mut().zip(pulled).zip(&of_other.vector) {
                    *target += scale * (pulled - m * vector);
                }
            }
        }
        for &(user, item, class) in &self.block.observed {
            let (s, both) = (dot(self.row(x, user), self.row(x, item)), factor[user] * factor[item]);
            let slope = 2.0 * both * (seen * (s - imputed[class]) - unseen * (s - m));
            for (to, from) in [(user, item), (item, user)] {
                for column in 0..self.dim {
                    gradient[to * self.dim + column] += slope * x[from * self.dim + column];
                }
            }
        }
        gradient.iter_mut().for_each(|gradient| *gradient *= self.scale);
        gradient
    }

    /// [`AuxiliaryTerm::tangent`] in f64.
    pub(super) fn motion(&mut self, x: &[f64], t: &[f64]) -> f64 {
        let imputed = self.imputed();
        let (factor, [unseen, seen]) = self.factors();
        let [users, items] = self.sides();
        let m = imputed[UNOBSERVED];
        let parameter: Vec<usize> = self.block.nodes.iter().map(|&node| node as usize).collect();
        let mut by_weight = vec![0.0; self.weights.value.len()];
        let mut by_value = [0.0; 3];
        let mut unseen_moved = 0.0;
        for (side, other) in [(users.clone(), items.clone()), (items, users.clone())] {
            let (plain, crossed) = (self.moments(other.clone(), &factor, x, x), self.moments(other, &factor, x, t));
            let is_users = side == users;
            for slot in side {
                let (row, row_dot) = (self.row(x, slot), self.row(t, slot));
                // sum over the other side of f (s - m) s_dot, and of f s_dot
                let bent = dot(row, &times(&plain.matrix, row_dot)) + dot(row, &times(&crossed.matrix, row));
                let straight = dot(row_dot, &plain.vector) + dot(row, &crossed.vector);
                let moved = 2.0 * unseen * factor[slot] * (bent - m * straight);
                by_weight[parameter[slot]] += moved;
                if is_users {
                    unseen_moved += moved;
                    by_value[UNOBSERVED] -= 2.0 * unseen * factor[slot] * straight;
                }
            }
        }
        let mut seen_moved = 0.0;
        for &(user, item, class) in &self.block.observed {
            let (u, i, u_dot, i_dot) = (self.row(x, user), self.row(x, item), self.row(t, user), self.row(t, item));
            let (s, s_dot, both) = (dot(u, i), dot(u_dot, i) + dot(u, i_dot), factor[user] * factor[item]);
            let taken = 2.0 * unseen * both * (s - m) * s_dot;
            let given = 2.0 * seen * both * (s - imputed[class]) * s_dot;
            for slot in [user, item] {
                by_weight[parameter[slot]] += given - taken;
            }
            (unseen_moved, seen_moved) = (unseen_moved - taken, seen_moved + given);
            by_value[class] -= 2.0 * seen * both * s_dot;
            by_value[UNOBSERVED] += 2.0 * unseen * both * s_dot;
        }
        by_weight[self.nodes.len()] = unseen_moved;
        by_weight[self.nodes.len() + 1] = seen_moved;
        by_weight.iter_mut().for_each(|moved| *moved *= self.scale / SOFTENING);
        for (class, moved) in by_value.iter_mut().enumerate() {
            *moved *= self.scale * (1.0 - imputed[class] * imputed[class]);
        }
        (self.weight_gradient, self.value_gradient) = (by_weight, by_value);
        self.scale * (unseen_moved + seen_moved)
    }

    /// Rows in f64, `[n_rows, dim]`.
    fn wide(rows: &[f32]) -> Vec<f64> {
        rows.iter().map(|&x| f64::from(x)).collect()
    }

    fn row<'a>(&self, x: &'a [f64], slot: usize) -> &'a [f64] {
        &x[slot * self.dim..(slot + 1) * self.dim]
    }

    /// Sums over a range of slots: of users or of items. With `y` the matrix is `sum f_r x_r y_r'` and the vector `sum f_r y_r`.
    fn moments(&self, slots: std::ops::Range<usize>, factor: &[f64], x: &[f64], y: &[f64]) -> Moments {
        let dim = self.dim;
        let mut moments = Moments { matrix: vec![0.0; dim * dim], vector: vec![0.0; dim] };
        for slot in slots {
            let (x, y) = (self.row(x, slot), self.row(y, slot));
            for (a, row) in moments.matrix.chunks_exact_mut(dim).enumerate() {
                let scaled = factor[slot] * x[a];
                row.iter_mut().zip(y).for_each(|(sum, y)| *sum += scaled * y);
            }
            moments.vector.iter_mut().zip(y).for_each(|(sum, y)| *sum += factor[slot] * y);
        }
        moments
    }

    fn sides(&self) -> [std::ops::Range<usize>; 2] {
        [0..self.block.n_users, self.block.n_users..self.block.nodes.len()]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `M x`, for a row-major square matrix.
fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

impl AuxiliaryTerm for Imputation {
    fn prepare(&mut self, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.scale = self.strength * f64::from(self.reduction.scale(batch.positives.len()));
        let (n_users, labels) = (self.nodes.n_users, &self.labels);
        let Block { nodes: rows, slot_of, observed, n_users: users_in } = &mut self.block;
        rows.clear();
        rows.extend_from_slice(nodes);
        *users_in = nodes.partition_point(|&node| (node as usize) < n_users);
        nodes.iter().enumerate().for_each(|(slot, &node)| slot_of[node as usize] = slot as u32);
        observed.clear();
        batch.each_pair(|pair, user, item| {
            let liked = labels.as_ref().is_none_or(|labels| labels[batch.edges[pair] as usize] > 0.0);
            let slot = |node: usize| slot_of[node] as usize;
            observed.push((slot(user as usize), slot(n_users + item as usize), if liked { 2 } else { 0 }));
        });
        Ok(())
    }

    fn forward(&self, rows: &[f32]) -> f64 {
        self.value(&Self::wide(rows))
    }

    fn backward(&self, rows: &[f32], gradient: &mut [f32]) {
        let added = self.gradient(&Self::wide(rows));
        gradient.iter_mut().zip(added).for_each(|(gradient, added)| *gradient += added as f32);
    }

    fn tangent(&mut self, rows: &[f32], rows_dot: &[f32]) -> f64 {
        self.motion(&Self::wide(rows), &Self::wide(rows_dot))
    }

    fn learns(&self, _epoch: u64) -> bool {
        true
    }

    fn learn(&mut self, epoch: u64) {
        self.values.step(&self.value_gradient);
        if epoch >= self.frozen_epochs {
            self.weights.step(&self.weight_gradient);
        }
    }

    fn imputed_values(&self) -> Option<[f64; 3]> {
        Some(self.imputed())
    }

    fn parameters(&self) -> Parameters {
        let mut saved = self.weights.save(["value", "m", "v", "step"]);
        saved.extend(self.values.save(["imputed", "imputed_m", "imputed_v", "imputed_step"]));
        saved
    }

    fn restore(&mut self, parameters: Parameters) {
        let mut saved = parameters.into_iter();
        self.weights.load(&mut saved);
        self.values.load(&mut saved);
    }
}

#[cfg(test)]
impl Imputation {
    /// The derivatives that the last `tangent` kept: of the weights' parameters and of the values'.
    pub(super) fn kept(&self) -> (&[f64], &[f64]) {
        (&self.weight_gradient, &self.value_gradient)
    }

    /// The parameters, to be changed.
    pub(super) fn meta(&mut self) -> (&mut Vec<f64>, &mut Vec<f64>) {
        (&mut self.weights.value, &mut self.values.value)
    }
}
