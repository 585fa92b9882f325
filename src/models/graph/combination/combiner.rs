//! A layer combination in a model: its parameters, their gradients and their optimiser's moments.

use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::adam_tangent::{AdamStart, adam_tangent};
use gcnrec_kernels::ops::combine::{Pooled, Reached};
use gcnrec_kernels::ops::copy_rows::copy_into;
use gcnrec_kernels::{Buffer, Device};

use super::Kind;
use super::parts::{BatchLayers, Input, Parameters, Scratch, Sizes};
use crate::error::Result;
use crate::models::graph::lightgcn;
use crate::models::state::State;

/// A layer combination with its parameters, their gradients and their optimiser's moments.
#[derive(Clone)]
pub(crate) struct Combiner {
    kind: &'static dyn Kind,
    sizes: Sizes,
    groups: Vec<Parameters>,
}

impl Combiner {
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
        let (kind, sizes) = (config.combination.0, Sizes::of(config, dim, bound));
        let equal = vec![0.0; sizes.layers + 1];
        let groups = (0..kind.n_groups()).map(|group| {
            // Groups draw from streams of their own; stream 0 belongs to the embeddings.
            let mut random = seed.stream(Purpose::Init, 1, group as u64);
            Parameters::new(device, &kind.start(&sizes, prior.unwrap_or(&equal), &mut random))
        });
        Combiner { kind, sizes, groups: groups.collect() }
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
        let Combiner { kind, sizes, groups } = self;
        device.resize(pooled, layers.rows.n_rows * sizes.dim);
        device.resize(attention, layers.rows.n_rows * (sizes.layers + 1));
        kind.forward(&Input { device, sizes, layers }, groups, Pooled { pooled, attention }, scratch)
    }

    /// The vector-Jacobian product: from the gradient of the pooled rows to `direct[k]` of every
    /// layer's rows, and to the parameters, whose gradient is kept for [`Combiner::adam`]. Call
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
        let Combiner { kind, sizes, groups } = self;
        for layer in direct.iter_mut() {
            device.resize(layer, layers.rows.n_rows * sizes.dim);
        }
        kind.backward(&Input { device, sizes, layers }, groups, reached, direct, scratch)
    }

    /// The Jacobian-vector product: how the pooled rows move when the layers' rows move along
    /// `hops_dot` and the parameters along `parameters_dot` (one flat array per group, as in
    /// [`Combiner::save`]).
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
        let Combiner { kind, sizes, groups } = self;
        device.resize(pooled_dot, layers.rows.n_rows * sizes.dim);
        kind.tangent(&Input { device, sizes, layers }, groups, (hops_dot, parameters_dot), pooled_dot, scratch)
    }

    /// One Adam step on the parameters with the gradient of the last `backward`. With `prior_fixed`
    /// the global logits stay where they are; what the kind holds never moves.
    ///
    /// # Errors
    /// Those of the ops.
    pub(crate) fn adam(&mut self, device: &Device, config: &AdamConfig, step: u64, prior_fixed: bool) -> Result<()> {
        self.hold_fixed(device, prior_fixed)?;
        for group in &mut self.groups {
            adam_step(device, config, step, &group.gradient, &mut group.m, &mut group.v, &mut group.value)?;
        }
        Ok(())
    }

    /// Sets the gradient of what must not move to zero.
    fn hold_fixed(&mut self, device: &Device, prior_fixed: bool) -> Result<()> {
        let prior = 0..if prior_fixed { self.sizes.layers + 1 } else { 0 };
        let held = self.kind.held(&self.sizes);
        for group in &mut self.groups {
            for range in [&prior, &held] {
                copy_into(device, &device.zeros(range.len()), range.start, &mut group.gradient)?;
            }
        }
        Ok(())
    }

    /// How the parameters move when the gradient of their last Adam step moves along the gradient
    /// that is kept here: one array per group, for [`Combiner::tangent`]. `before` is the
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
        let groups = self.groups.iter().zip(&before.groups);
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
        self.groups.iter().map(|group| device.zeros(group.value.len())).collect()
    }

    /// Columns of a row.
    pub(crate) fn dim(&self) -> usize {
        self.sizes.dim
    }

    /// The weights that are the same for every node: fixed or global. Empty for per-node kinds.
    pub(crate) fn alpha(&self, device: &Device) -> Vec<f32> {
        self.kind.shared_weights(&self.sizes, &self.logits(device).unwrap_or_default()).unwrap_or_default()
    }

    /// True where every layer has the same weight, of every node and at all times.
    pub(crate) fn is_uniform(&self) -> bool {
        self.fixed().is_some_and(|weights| weights.iter().all(|&weight| weight == weights[0]))
    }

    /// The weights, where they are the same for every node and never learned.
    pub(crate) fn fixed(&self) -> Option<Vec<f32>> {
        if self.groups.is_empty() { self.kind.shared_weights(&self.sizes, &[]) } else { None }
    }

    /// The global logits, where there are any.
    pub(crate) fn logits(&self, device: &Device) -> Option<Vec<f32>> {
        self.groups.first().map(|group| device.read(&group.value)[..=self.sizes.layers].to_vec())
    }

    /// Number of trained scalars.
    pub(crate) fn n_parameters(&self) -> usize {
        self.groups.iter().map(|group| group.value.len()).sum()
    }

    /// The gradient of the last `backward`, one flat array per group.
    #[cfg(test)]
    pub(crate) fn gradients(&self, device: &Device) -> Vec<Vec<f32>> {
        self.groups.iter().map(|group| device.read(&group.gradient)).collect()
    }

    /// Puts parameters (and moments, if `training`) under `combination.*`.
    pub(crate) fn save(&self, device: &Device, state: &mut State, training: bool) {
        for (index, group) in self.groups.iter().enumerate() {
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

    /// Takes back what [`Combiner::save`] put.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another combination.
    pub(crate) fn load(&mut self, device: &Device, state: &State, training: bool) -> Result<()> {
        for (index, group) in self.groups.iter_mut().enumerate() {
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
        let kind = config.combination.0;
        let length = kind.n_parameters(&Sizes::of(config, dim, 0.0));
        let mut names = (0..kind.n_groups()).map(|group| format!("combination.{group}.value"));
        names.try_for_each(|name| state.f32(&name, &[length]).map(drop))
    }

    #[cfg(test)]
    pub(super) fn groups_mut(&mut self) -> &mut [Parameters] {
        &mut self.groups
    }
}
