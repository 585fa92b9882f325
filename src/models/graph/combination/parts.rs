//! What the passes of a layer combination read and keep: rows of layers, sizes, parameters,
//! scratch.

use std::any::Any;

use gcnrec_kernels::ops::combine::Layers;
use gcnrec_kernels::{Buffer, Device};

use crate::models::graph::lightgcn;

/// Sizes and constants of a combination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Columns of a row.
    pub(super) dim: usize,
    /// K: layers above layer 0.
    pub(super) layers: usize,
    /// Width of the attention network, or of queries and keys.
    pub(super) hidden: usize,
    /// Softmax temperature of additive attention.
    pub(super) temperature: f32,
    /// How far a node may leave the global logits; 0 means no limit.
    pub(super) bound: f32,
}

impl Sizes {
    /// Of rows of `dim` columns, which has a place for biases as well.
    pub(crate) fn of(config: &lightgcn::Config, dim: usize, bound: f32) -> Self {
        let lightgcn::Attention { hidden, temperature, .. } = config.attention;
        Sizes { dim, layers: config.layers, hidden, temperature, bound }
    }
}

/// One flat array of parameters; the first K+1 are the global logits.
#[derive(Clone)]
pub(super) struct Parameters {
    pub(super) value: Buffer<f32>,
    pub(super) gradient: Buffer<f32>,
    pub(super) m: Buffer<f32>,
    pub(super) v: Buffer<f32>,
}

impl Parameters {
    pub(super) fn new(device: &Device, value: &[f32]) -> Self {
        let zeros = || device.zeros(value.len());
        Parameters { gradient: zeros(), m: zeros(), v: zeros(), value: device.upload(value) }
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

/// What a pass of a combination reads besides its parameters.
pub(super) struct Input<'a> {
    pub(super) device: &'a Device,
    pub(super) sizes: &'a Sizes,
    pub(super) layers: BatchLayers<'a>,
}

impl<'a> Input<'a> {
    /// All rows.
    pub(super) fn all(&self) -> Layers<'a> {
        Layers { dim: self.sizes.dim, hops: self.layers.hops, range: 0..self.layers.rows.n_rows }
    }

    /// The rows of users and those of items.
    pub(super) fn groups(&self) -> [Layers<'a>; 2] {
        let RowGroups { n_users, n_rows } = self.layers.rows;
        [0..n_users, n_users..n_rows].map(|range| Layers { range, ..self.all() })
    }
}

/// Memory of the ops, kept from step to step; a fresh one is as good.
#[derive(Default)]
pub(crate) struct Scratch(Option<Box<dyn Any + Send + Sync>>);

impl Scratch {
    /// What a kind keeps, made anew where another kind was here before.
    pub(super) fn of<T: Default + Send + Sync + 'static>(&mut self) -> &mut T {
        let kept = self.0.take().filter(|kept| kept.is::<T>());
        let kept = self.0.insert(kept.unwrap_or_else(|| Box::<T>::default()));
        kept.downcast_mut().expect("what another kind kept should have been replaced")
    }
}
