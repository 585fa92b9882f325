//! The inner step and the look-ahead in plain f64 loops: every pair is visited, every layer is a
//! product with a dense matrix. Finite differences of [`World::look_ahead`] are what the
//! hypergradients are compared with.

use gcnrec_kernels::ops::adam::{AdamConfig, adam_step_reference};
use gcnrec_kernels::ops::adam_tangent::adam_tangent_reference;
use gcnrec_kernels::ops::combine::{AdditiveShape, Definition};

/// Adam's moments and the number of the step about to be taken; gradient descent where there are
/// none.
#[derive(Clone)]
pub(crate) struct Optimizer {
    pub config: AdamConfig,
    pub moments: Option<(u64, Vec<f64>, Vec<f64>)>,
}

impl Optimizer {
    /// The parameters after a step.
    fn step(&self, parameters: &[f64], gradient: &[f64]) -> Vec<f64> {
        let mut moved = parameters.to_vec();
        match self.moments.clone() {
            None => {
                let rate = f64::from(self.config.learning_rate);
                moved.iter_mut().zip(gradient).for_each(|(p, g)| *p -= rate * g);
            }
            Some((t, mut m, mut v)) => adam_step_reference(&self.config, t, gradient, &mut m, &mut v, &mut moved),
        }
        moved
    }

    /// How they move when the gradient moves along `dot`.
    fn motion(&self, gradient: &[f64], dot: &[f64]) -> Vec<f64> {
        match self.moments.clone() {
            None => dot.iter().map(|d| -f64::from(self.config.learning_rate) * d).collect(),
            Some((t, m, v)) => adam_tangent_reference(&self.config, t, gradient, &m, &v, dot),
        }
    }
}

/// A model with its data at one point of training.
#[derive(Clone)]
pub(crate) struct World {
    pub n_users: usize,
    pub n_items: usize,
    pub dim: usize,
    pub layers: usize,
    /// Dense `[n_nodes, n_nodes]`.
    pub adjacency: Vec<f64>,
    /// Shape and parameters of users' and items' attention; the mean of the layers where there is
    /// none.
    pub attention: Option<(AdditiveShape, [Vec<f64>; 2], [Optimizer; 2])>,
    pub base: Vec<f64>,
    pub optimizer: Optimizer,
    /// (user, item, label).
    pub examples: Vec<(usize, usize, f64)>,
    pub uniform: Vec<(usize, usize, f64)>,
    pub l2: f64,
    pub strength: f64,
    /// True when the last two columns are biases and constants.
    pub biases: bool,
}

/// What is learned.
#[derive(Clone)]
pub(crate) struct Meta {
    /// One weight per example.
    pub weights: Vec<f64>,
    /// `c` of users, items, unobserved, observed.
    pub imputation: Vec<f64>,
    /// `phi` of -1, unobserved, +1.
    pub values: [f64; 3],
}

/// Base table and attention.
type Point = (Vec<f64>, [Vec<f64>; 2]);

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl World {
    fn n_nodes(&self) -> usize {
        self.n_users + self.n_items
    }

    pub(crate) fn start(&self) -> Point {
        let parameters = self.attention.as_ref().map(|(_, parameters, _)| parameters.clone());
        (self.base.clone(), parameters.unwrap_or_default())
    }

    pub(crate) fn hops(&self, base: &[f64]) -> Vec<Vec<f64>> {
        let mut hops = vec![base.to_vec()];
        for layer in 0..self.layers {
            hops.push(self.propagated(&hops[layer]));
        }
        hops
    }

    fn propagated(&self, x: &[f64]) -> Vec<f64> {
        let (n, dim) = (self.n_nodes(), self.dim);
        let mut y = vec![0.0; n * dim];
        for (row, y) in y.chunks_exact_mut(dim).enumerate() {
            for (column, x) in x.chunks_exact(dim).enumerate() {
                let a = self.adjacency[row * n + column];
                y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
            }
        }
        y
    }

    /// The rows of users and of items.
    fn sides(&self) -> [std::ops::Range<usize>; 2] {
        [0..self.n_users * self.dim, self.n_users * self.dim..self.n_nodes() * self.dim]
    }

    pub(crate) fn pooled(&self, hops: &[Vec<f64>], parameters: &[Vec<f64>; 2]) -> Vec<f64> {
        let Some((shape, ..)) = &self.attention else {
            let mean = |at: usize| hops.iter().map(|hop| hop[at]).sum::<f64>() / hops.len() as f64;
            return (0..hops[0].len()).map(mean).collect();
        };
        let side = |group: usize| {
            let part: Vec<Vec<f64>> = hops.iter().map(|hop| hop[self.sides()[group].clone()].to_vec()).collect();
            shape.reference(&parameters[group], &part).0
        };
        [side(0), side(1)].concat()
    }

    /// From the gradient of the pooled rows to that of the base table and of the attention.
    fn back(&self, hops: &[Vec<f64>], parameters: &[Vec<f64>; 2], g: &[f64]) -> Point {
        let (mut direct, mut d_parameters) = (Vec::new(), [Vec::new(), Vec::new()]);
        match &self.attention {
            None => direct = vec![g.iter().map(|g| g / hops.len() as f64).collect(); hops.len()],
            Some((shape, ..)) => {
                let mut parts = Vec::new();
                for (group, range) in self.sides().into_iter().enumerate() {
                    let part: Vec<Vec<f64>> = hops.iter().map(|hop| hop[range.clone()].to_vec()).collect();
                    let found = shape.backward_reference(&parameters[group], &part, &g[range]);
                    parts.push(found.0);
                    d_parameters[group] = found.1;
                }
                direct.extend((0..hops.len()).map(|k| [parts[0][k].clone(), parts[1][k].clone()].concat()));
            }
        }
        let mut gradient = direct.pop().unwrap();
        while let Some(below) = direct.pop() {
            gradient = self.propagated(&gradient);
            gradient.iter_mut().zip(below).for_each(|(g, d)| *g += d);
        }
        self.hold(&mut gradient);
        (gradient, d_parameters)
    }

    /// The constant columns of biases have no gradient.
    fn hold(&self, gradient: &mut [f64]) {
        if self.biases {
            for (node, row) in gradient.chunks_exact_mut(self.dim).enumerate() {
                row[if node < self.n_users { self.dim - 1 } else { self.dim - 2 }] = 0.0;
            }
        }
    }

    pub(crate) fn row<'a>(&self, x: &'a [f64], node: usize) -> &'a [f64] {
        &x[node * self.dim..(node + 1) * self.dim]
    }

    fn score(&self, x: &[f64], user: usize, item: usize) -> f64 {
        dot(self.row(x, user), self.row(x, self.n_users + item))
    }

    fn push(&self, x: &[f64], user: usize, item: usize, slope: f64, g: &mut [f64]) {
        for (to, from) in [(user, self.n_users + item), (self.n_users + item, user)] {
            for column in 0..self.dim {
                g[to * self.dim + column] += slope * x[from * self.dim + column];
            }
        }
    }

    /// Class of a pair: 0 for an observed -1, 1 for unobserved, 2 for an observed +1.
    fn class(&self, user: usize, item: usize) -> usize {
        let observed = self.examples.iter().find(|&&(u, i, _)| (u, i) == (user, item));
        observed.map_or(1, |&(.., label)| if label > 0.0 { 2 } else { 0 })
    }

    fn imputation_weight(&self, meta: &Meta, user: usize, item: usize, class: usize) -> f64 {
        let c = &meta.imputation;
        let of_class = c[self.n_nodes() + usize::from(class != 1)];
        ((c[user] + c[self.n_users + item] + of_class) / 5.0).exp()
    }

    /// The training loss, weight decay included.
    pub(crate) fn loss(&self, point: &Point, meta: &Meta) -> f64 {
        let x = self.pooled(&self.hops(&point.0), &point.1);
        let each = self.examples.iter().zip(&meta.weights);
        let mut sum: f64 = each.map(|(&(u, i, y), w)| w * (self.score(&x, u, i) - y).powi(2)).sum();
        for (user, item) in (0..self.n_users).flat_map(|u| (0..self.n_items).map(move |i| (u, i))) {
            let class = self.class(user, item);
            let weight = self.imputation_weight(meta, user, item, class);
            sum += self.strength * weight * (self.score(&x, user, item) - meta.values[class].tanh()).powi(2);
        }
        let decayed = if self.biases { self.dim - 2 } else { self.dim };
        let norms: f64 = point.0.chunks_exact(self.dim).map(|row| dot(&row[..decayed], &row[..decayed])).sum();
        sum + 0.5 * self.l2 * norms
    }

    /// Its gradient.
    pub(crate) fn gradient(&self, point: &Point, meta: &Meta) -> Point {
        let hops = self.hops(&point.0);
        let x = self.pooled(&hops, &point.1);
        let mut g = vec![0.0; x.len()];
        for (&(u, i, y), w) in self.examples.iter().zip(&meta.weights) {
            self.push(&x, u, i, 2.0 * w * (self.score(&x, u, i) - y), &mut g);
        }
        for (user, item) in (0..self.n_users).flat_map(|u| (0..self.n_items).map(move |i| (u, i))) {
            let class = self.class(user, item);
            let weight = self.strength * self.imputation_weight(meta, user, item, class);
            let residual = self.score(&x, user, item) - meta.values[class].tanh();
            self.push(&x, user, item, 2.0 * weight * residual, &mut g);
        }
        let (mut base, parameters) = self.back(&hops, &point.1, &g);
        let decayed = if self.biases { self.dim - 2 } else { self.dim };
        for (g, row) in base.chunks_exact_mut(self.dim).zip(point.0.chunks_exact(self.dim)) {
            g.iter_mut().zip(row).take(decayed).for_each(|(g, x)| *g += self.l2 * x);
        }
        (base, parameters)
    }

    /// The point after the step.
    fn stepped(&self, gradient: &Point) -> Point {
        let base = self.optimizer.step(&self.base, &gradient.0);
        let parameters = match &self.attention {
            None => Default::default(),
            Some((_, now, optimizers)) => [0, 1].map(|group| optimizers[group].step(&now[group], &gradient.1[group])),
        };
        (base, parameters)
    }

    fn uniform_loss(&self, point: &Point) -> f64 {
        let x = self.pooled(&self.hops(&point.0), &point.1);
        self.uniform.iter().map(|&(u, i, y)| (self.score(&x, u, i) - y).powi(2)).sum()
    }

    /// The loss of the uniform log after the whole inner step.
    pub(crate) fn look_ahead(&self, meta: &Meta) -> f64 {
        self.uniform_loss(&self.stepped(&self.gradient(&self.start(), meta)))
    }

    /// The final embeddings and their motion in f64 (see `models::graph::meta`): `(F, F_dot)`.
    pub(crate) fn motion(&self, meta: &Meta) -> (Vec<f64>, Vec<f64>) {
        let start = self.start();
        let gradient = self.gradient(&start, meta);
        let ahead = self.stepped(&gradient);
        let hops_ahead = self.hops(&ahead.0);
        let x = self.pooled(&hops_ahead, &ahead.1);
        let mut g = vec![0.0; x.len()];
        for &(u, i, y) in &self.uniform {
            self.push(&x, u, i, 2.0 * (self.score(&x, u, i) - y), &mut g);
        }
        let wanted = self.back(&hops_ahead, &ahead.1, &g);
        let hops_dot = self.hops(&self.optimizer.motion(&gradient.0, &wanted.0));
        let hops = self.hops(&start.0);
        let pooled = self.pooled(&hops, &start.1);
        let Some((shape, now, optimizers)) = &self.attention else {
            return (pooled, self.pooled(&hops_dot, &start.1));
        };
        let side = |group: usize| {
            let range = self.sides()[group].clone();
            let part = |hops: &[Vec<f64>]| hops.iter().map(|hop| hop[range.clone()].to_vec()).collect::<Vec<_>>();
            let moved = optimizers[group].motion(&gradient.1[group], &wanted.1[group]);
            shape.tangent_reference(&now[group], &part(&hops), &part(&hops_dot), &moved)
        };
        (pooled, [side(0), side(1)].concat())
    }

    /// The derivative of the look-ahead with respect to every example's weight: how the example's
    /// loss moves along the motion.
    pub(crate) fn weight_gradient(&self, x: &[f64], x_dot: &[f64]) -> Vec<f64> {
        let moved = |&(u, i, y): &(usize, usize, f64)| {
            let item = self.n_users + i;
            let s_dot = dot(self.row(x_dot, u), self.row(x, item)) + dot(self.row(x, u), self.row(x_dot, item));
            2.0 * (self.score(x, u, i) - y) * s_dot
        };
        self.examples.iter().map(moved).collect()
    }
}
