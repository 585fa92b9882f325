//! What a kind of attention does on a GPU, with all rows at once.

use std::fmt::Debug;

use super::{Pooled, Reached};
use crate::Buffer;
use crate::gpu::Gpu;
use crate::ops::combine::layers::{Gradients, Layers, Motion};

/// What every pass reads on a GPU: parameters, and the rows of a range in all layers.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub(in crate::ops::combine) gpu: &'a Gpu,
    pub(in crate::ops::combine) parameters: &'a Buffer<f32>,
    pub(in crate::ops::combine) layers: &'a Layers<'a>,
}

/// The three passes of a kind. Sealed, as [`super::Passes`] is.
pub trait OnGpu {
    /// Arrays kept from call to call.
    type GpuScratch: Debug + Clone + Default + Send + Sync;

    /// [`super::forward`] on a GPU, of some rows and checked sizes.
    fn forward_on(&self, input: Input<'_>, out: Pooled<'_>, scratch: &mut Self::GpuScratch);

    /// [`super::backward`] on a GPU, of some rows and checked sizes.
    fn backward_on(
        &self,
        input: Input<'_>,
        reached: Reached<'_>,
        gradients: Gradients<'_>,
        scratch: &mut Self::GpuScratch,
    );

    /// [`super::tangent`] on a GPU, of some rows and checked sizes.
    fn tangent_on(
        &self,
        input: Input<'_>,
        motion: Motion<'_>,
        d_pooled: &mut Buffer<f32>,
        scratch: &mut Self::GpuScratch,
    );
}
