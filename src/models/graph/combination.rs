//! Layer combinations: how the K+1 layer vectors of each node become one, by fixed weights or by
//! learned attention.
//!
//! | kind | formula | parameters |
//! |---|---|---|
//! | uniform | mean of the layers | none |
//! | global | `sum_k softmax(theta)_k e_k` | `theta` |
//! | additive | `sum_k softmax_k(theta_k + q'tanh(W e_k + b)) e_k` | `theta, W, b, q`, for users and for items |
//! | dot | scaled dot-product self-attention of the layers, averaged | `theta, W_q, W_k, W_v`, for users and for items |
//!
//! Sources: He et al., LightGCN, eq. 4 (uniform); gradients in `docs/formulas.md`. We differ: every
//! attentive form has a global logit `theta_k` per layer beside its network, and the network's
//! share can be bounded to `bound * tanh(logit / bound)`, so that a node can only lean away from
//! the global weights. All forms start as plain LightGCN: `theta = 0` and a network whose output is
//! 0 but whose gradient is not.

use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::adam_tangent::{AdamStart, adam_tangent};
use gcnrec_kernels::ops::combine::{
    AdditiveShape, DotShape, Gradients, Layers, Motion, Pooled, Reached, Workspace, attention, global_backward,
    global_forward, global_tangent, global_weights, weighted_sum, weighted_sum_direct,
};
use gcnrec_kernels::ops::copy_rows::copy_into;
use gcnrec_kernels::{Buffer, Device};

use super::init::normal;
use super::lightgcn;
use crate::error::Result;
use crate::models::state::State;

/// A layer combination with its parameters, their gradients and their optimiser's moments.
#[derive(Clone)]
pub(crate) struct Combination {
    layers: usize,
    dim: usize,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// The mean of the layers.
    Uniform,
    /// One weight per layer.
    Global { theta: Parameters },
    /// One network for users, one for items.
    Additive { shape: AdditiveShape, groups: [Parameters; 2] },
    /// One attention for users, one for items.
    Dot { shape: DotShape, groups: [Parameters; 2] },
}

/// Memory of the ops, kept from step to step; a fresh one is as good.
#[derive(Default)]
pub(crate) struct Scratch {
    additive: Workspace<AdditiveShape>,
    dot: Workspace<DotShape>,
}

/// One flat array of parameters; the first K+1 are the global logits.
#[derive(Clone)]
struct Parameters {
    value: Buffer<f32>,
    gradient: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
}

impl Parameters {
    fn new(device: &Device, value: Vec<f32>) -> Self {
        let zeros = || device.zeros(value.len());
        Parameters { gradient: zeros(), m: zeros(), v: zeros(), value: device.upload(&value) }
    }
}

/// The rows of a batch, users first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowGroups {
    /// Rows `0..n_users` belong to users.
    pub n_users: usize,
    /// Number of rows.
    pub n_rows: usize,
}

/// The layers of a batch's rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLayers<'a> {
    /// `[n_rows, dim]` each, layer 0 first.
    pub hops: &'a [Buffer<f32>],
    /// Which of the rows are users.
    pub rows: RowGroups,
}

impl<'a> BatchLayers<'a> {
    fn all(self, dim: usize) -> Layers<'a> {
        Layers { dim, hops: self.hops, range: 0..self.rows.n_rows }
    }

    /// The rows of users and those of items.
    fn groups(self, dim: usize) -> [Layers<'a>; 2] {
        let RowGroups { n_users, n_rows } = self.rows;
        [0..n_users, n_users..n_rows].map(|range| Layers { dim, hops: self.hops, range })
    }
}

impl Combination {
    /// A fresh combination that weighs all layers alike.
    ///
    /// `prior` gives the global logits, `[layers + 1]`; `bound` limits how far a node may leave
    /// them (0: no limit).
    pub(crate) fn new(
        device: &Device,
        config: &lightgcn::Config,
        dim: usize,
        prior: Option<&[f32]>,
        bound: f32,
        seed: Seed,
    ) -> Self {
        let (layers, hidden) = (config.layers, config.attention.hidden);
        let theta = match prior {
            Some(prior) => prior.to_vec(),
            None => vec![0.0; layers + 1],
        };
        // Two groups draw from two streams; stream 0 belongs to the embeddings.
        let random = |group: u64, n, std| normal(seed.stream(Purpose::Init, 1, group), n, std);
        let kind = match config.combination {
            lightgcn::Combination::Uniform => Kind::Uniform,
            lightgcn::Combination::Global => Kind::Global { theta: Parameters::new(device, theta) },
            lightgcn::Combination::Additive => {
                let shape = AdditiveShape { dim, hidden, layers, temperature: config.attention.temperature, bound };
                let groups = [0, 1].map(|group| {
                    // q = 0 weighs all layers alike; a random W lets q learn.
                    let network = random(group, hidden * dim, (1.0 / dim as f32).sqrt());
                    Parameters::new(device, [&theta[..], &network, &vec![0.0; 2 * hidden]].concat())
                });
                Kind::Additive { shape, groups }
            }
            lightgcn::Combination::Dot => {
                let shape = DotShape { dim, key_dim: hidden, layers, bound };
                let groups = [0, 1].map(|group| {
                    // W_q = 0, W_k random, W_v = I: uniform weights, but no gradient is dead.
                    let keys = random(group, dim * hidden, (1.0 / dim as f32).sqrt());
                    let identity: Vec<f32> =
                        (0..dim * dim).map(|i| if i / dim == i % dim { 1.0 } else { 0.0 }).collect();
                    Parameters::new(device, [&theta[..], &vec![0.0; dim * hidden], &keys, &identity].concat())
                });
                Kind::Dot { shape, groups }
            }
        };
        Combination { layers, dim, kind }
    }

    /// Combines the layers of the given rows: `pooled` becomes `[n_rows, dim]`, `attention`
    /// `[n_rows, layers + 1]`.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn forward(
        &self,
        device: &Device,
        layers: BatchLayers<'_>,
        pooled: &mut Buffer<f32>,
        attention: &mut Buffer<f32>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let dim = self.dim;
        device.resize(pooled, layers.rows.n_rows * dim);
        device.resize(attention, layers.rows.n_rows * (self.layers + 1));
        match &self.kind {
            Kind::Uniform => weighted_sum(device, &self.mean(), &layers.all(dim), pooled)?,
            Kind::Global { theta } => global_forward(device, &theta.value, &layers.all(dim), pooled)?,
            Kind::Additive { shape, groups } => {
                for (group, layers) in groups.iter().zip(layers.groups(dim)) {
                    let out = Pooled { pooled, attention };
                    attention::forward(device, shape, &group.value, &layers, out, &mut scratch.additive)?;
                }
            }
            Kind::Dot { shape, groups } => {
                for (group, layers) in groups.iter().zip(layers.groups(dim)) {
                    let out = Pooled { pooled, attention };
                    attention::forward(device, shape, &group.value, &layers, out, &mut scratch.dot)?;
                }
            }
        }
        Ok(())
    }

    /// The vector-Jacobian product: from the gradient of the pooled rows to `direct[k]` of every
    /// layer's rows, and to the parameters, whose gradient is kept for [`Combination::adam`]. Call
    /// after `forward` on the same rows. Of uniform weights `direct` may have fewer layers: they
    /// are alike.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn backward(
        &mut self,
        device: &Device,
        layers: BatchLayers<'_>,
        reached: Reached<'_>,
        direct: &mut [Buffer<f32>],
        scratch: &mut Scratch,
    ) -> Result<()> {
        for layer in direct.iter_mut() {
            device.resize(layer, layers.rows.n_rows * self.dim);
        }
        let (dim, mean) = (self.dim, self.mean());
        match &mut self.kind {
            Kind::Uniform => {
                for (layer, &weight) in direct.iter_mut().zip(&mean) {
                    weighted_sum_direct(device, dim, weight, reached.g, 0..layers.rows.n_rows, layer)?;
                }
            }
            Kind::Global { theta: Parameters { value, gradient, .. } } => {
                let gradients = Gradients { direct, parameters: gradient };
                global_backward(device, value, &layers.all(dim), reached.g, gradients)?;
            }
            Kind::Additive { shape, groups } => {
                for (group, layers) in groups.iter_mut().zip(layers.groups(dim)) {
                    let gradients = Gradients { direct, parameters: &mut group.gradient };
                    let work = &mut scratch.additive;
                    attention::backward(device, shape, &group.value, &layers, reached, gradients, work)?;
                }
            }
            Kind::Dot { shape, groups } => {
                for (group, layers) in groups.iter_mut().zip(layers.groups(dim)) {
                    let gradients = Gradients { direct, parameters: &mut group.gradient };
                    let work = &mut scratch.dot;
                    attention::backward(device, shape, &group.value, &layers, reached, gradients, work)?;
                }
            }
        }
        Ok(())
    }

    /// The Jacobian-vector product: how the pooled rows move when the layers' rows move along
    /// `hops_dot` and the parameters along `parameters_dot` (one flat array per group, as in
    /// [`Combination::save`]).
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn tangent(
        &self,
        device: &Device,
        layers: BatchLayers<'_>,
        hops_dot: &[Buffer<f32>],
        parameters_dot: &[Buffer<f32>],
        pooled_dot: &mut Buffer<f32>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let dim = self.dim;
        device.resize(pooled_dot, layers.rows.n_rows * dim);
        match &self.kind {
            Kind::Uniform => {
                let moved = BatchLayers { hops: hops_dot, ..layers };
                weighted_sum(device, &self.mean(), &moved.all(dim), pooled_dot)?;
            }
            Kind::Global { theta } => {
                let motion = Motion { hops: hops_dot, parameters: &parameters_dot[0] };
                global_tangent(device, &theta.value, &layers.all(dim), motion, pooled_dot)?;
            }
            Kind::Additive { shape, groups } => {
                for ((group, layers), parameters) in groups.iter().zip(layers.groups(dim)).zip(parameters_dot) {
                    let (motion, work) = (Motion { hops: hops_dot, parameters }, &mut scratch.additive);
                    attention::tangent(device, shape, &group.value, &layers, motion, pooled_dot, work)?;
                }
            }
            Kind::Dot { shape, groups } => {
                for ((group, layers), parameters) in groups.iter().zip(layers.groups(dim)).zip(parameters_dot) {
                    let (motion, work) = (Motion { hops: hops_dot, parameters }, &mut scratch.dot);
                    attention::tangent(device, shape, &group.value, &layers, motion, pooled_dot, work)?;
                }
            }
        }
        Ok(())
    }

    /// One Adam step on the parameters with the gradient of the last `backward`. With `prior_fixed`
    /// the global logits stay where they are. A bounded dot attention keeps `W_v` at the identity:
    /// a node may lean from the global weights, but what it sums up are the layers themselves.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn adam(&mut self, device: &Device, config: &AdamConfig, step: u64, prior_fixed: bool) -> Result<()> {
        self.hold_fixed(device, prior_fixed)?;
        for group in self.groups_mut() {
            adam_step(device, config, step, &group.gradient, &mut group.m, &mut group.v, &mut group.value)?;
        }
        Ok(())
    }

    /// Sets the gradient of what must not move to zero.
    fn hold_fixed(&mut self, device: &Device, prior_fixed: bool) -> Result<()> {
        let prior = 0..if prior_fixed { self.layers + 1 } else { 0 };
        let value = match &self.kind {
            Kind::Dot { shape, .. } if shape.bound > 0.0 => shape.value(),
            _ => 0..0,
        };
        for group in self.groups_mut() {
            for range in [&prior, &value] {
                copy_into(device, &device.zeros(range.len()), range.start, &mut group.gradient)?;
            }
        }
        Ok(())
    }

    /// How the parameters move when the gradient of their last Adam step moves along the gradient
    /// that is kept here: one array per group, for [`Combination::tangent`]. `before` is the
    /// combination before that step, with the gradient of the step.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn motion(
        &mut self,
        device: &Device,
        before: &Self,
        config: &AdamConfig,
        step: u64,
    ) -> Result<Vec<Buffer<f32>>> {
        self.hold_fixed(device, false)?;
        let groups = self.groups().iter().zip(before.groups());
        let moved = groups.map(|(group, before)| {
            let mut motion = Buffer::default();
            let start = AdamStart { gradient: &before.gradient, m: &before.m, v: &before.v };
            adam_tangent(device, config, step, start, &group.gradient, &mut motion)?;
            Ok(motion)
        });
        moved.collect()
    }

    /// The motion of parameters that stand still.
    pub(crate) fn at_rest(&self, device: &Device) -> Vec<Buffer<f32>> {
        self.groups().iter().map(|group| device.zeros(group.value.len())).collect()
    }

    /// Columns of a row.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The weights that are the same for every node: uniform or global. Empty for per-node kinds.
    pub(crate) fn alpha(&self, device: &Device) -> Vec<f32> {
        match &self.kind {
            Kind::Uniform => self.mean(),
            Kind::Global { theta } => global_weights(&device.read(&theta.value)),
            Kind::Additive { .. } | Kind::Dot { .. } => Vec::new(),
        }
    }

    /// True where every layer has the same weight, of every node and at all times.
    pub(crate) fn is_uniform(&self) -> bool {
        matches!(self.kind, Kind::Uniform)
    }

    /// The weights, where they are the same for every node and never learned.
    pub(crate) fn fixed(&self) -> Option<Vec<f32>> {
        self.is_uniform().then(|| self.mean())
    }

    fn mean(&self) -> Vec<f32> {
        vec![1.0 / (self.layers + 1) as f32; self.layers + 1]
    }

    /// The global logits, where there are any.
    pub(crate) fn logits(&self, device: &Device) -> Option<Vec<f32>> {
        self.groups().first().map(|group| device.read(&group.value)[..=self.layers].to_vec())
    }

    /// Number of trained scalars.
    pub(crate) fn n_parameters(&self) -> usize {
        self.groups().iter().map(|group| group.value.len()).sum()
    }

    /// The gradient of the last `backward`, one flat array per group.
    #[cfg(test)]
    pub(crate) fn gradients(&self, device: &Device) -> Vec<Vec<f32>> {
        self.groups().iter().map(|group| device.read(&group.gradient)).collect()
    }

    /// Puts parameters (and moments, if `training`) under `combination.*`.
    pub(crate) fn save(&self, device: &Device, state: &mut State, training: bool) {
        for (index, group) in self.groups().iter().enumerate() {
            let mut put = |name: &str, buffer: &Buffer<f32>| {
                let values = device.read(buffer);
                state.put_f32(&format!("combination.{index}.{name}"), &[values.len()], values);
            };
            put("value", &group.value);
            if training {
                put("m", &group.m);
                put("v", &group.v);
            }
        }
    }

    /// Takes back what [`Combination::save`] put.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another combination.
    pub(crate) fn load(&mut self, device: &Device, state: &State, training: bool) -> Result<()> {
        for (index, group) in self.groups_mut().iter_mut().enumerate() {
            let get = |name: &str, buffer: &mut Buffer<f32>| -> Result<()> {
                let values = state.f32(&format!("combination.{index}.{name}"), &[buffer.len()])?;
                device.write(buffer, values);
                Ok(())
            };
            get("value", &mut group.value)?;
            if training {
                get("m", &mut group.m)?;
                get("v", &mut group.v)?;
            }
        }
        Ok(())
    }

    /// Refuses a frozen state that has other parameters than these settings ask for, before
    /// anything is made for them.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] with the first one.
    pub(crate) fn check(config: &lightgcn::Config, dim: usize, state: &State) -> Result<()> {
        let (prior, hidden) = (config.layers + 1, config.attention.hidden);
        let (n_groups, length) = match config.combination {
            lightgcn::Combination::Uniform => (0, 0),
            lightgcn::Combination::Global => (1, prior),
            lightgcn::Combination::Additive => (2, prior + hidden * dim + 2 * hidden),
            lightgcn::Combination::Dot => (2, prior + 2 * dim * hidden + dim * dim),
        };
        (0..n_groups).try_for_each(|group| state.f32(&format!("combination.{group}.value"), &[length]).map(drop))
    }

    fn groups(&self) -> &[Parameters] {
        match &self.kind {
            Kind::Uniform => &[],
            Kind::Global { theta } => std::slice::from_ref(theta),
            Kind::Additive { groups, .. } | Kind::Dot { groups, .. } => groups,
        }
    }

    fn groups_mut(&mut self) -> &mut [Parameters] {
        match &mut self.kind {
            Kind::Uniform => &mut [],
            Kind::Global { theta } => std::slice::from_mut(theta),
            Kind::Additive { groups, .. } | Kind::Dot { groups, .. } => groups,
        }
    }
}

#[cfg(test)]
mod tests;
