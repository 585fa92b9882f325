//! What a kind of attention does on a GPU, with all rows at once.

use std::fmt::Debug;

use super::{Pooled, Reached};
use crate::Buffer;
use crate::gpu::Gpu;
use crate::ops::combine::layers::{Gradients, Layers, Motion};

/// The three passes of a kind. Sealed, as [`super::Passes`] is.
pub trait OnGpu {
    /// Arrays kept from call to call.
    type GpuScratch: Debug + Clone + Default + Send + Sync;

    /// [`super::forward`] on a GPU, of some rows and checked sizes.
    fn forward_on(
        &self,
        gpu: &Gpu,
        parameters: &Buffer<f32>,
        layers: &Layers<'_>,
        out: Pooled<'_>,
        scratch: &mut Self::GpuScratch,
    );

    /// [`super::backward`] on a GPU, of some rows and checked sizes.
    fn backward_on(
        &self,
        gpu: &Gpu,
        parameters: &Buffer<f32>,
        layers: &Layers<'_>,
        reached: Reached<'_>,
        gradients: Gradients<'_>,
        scratch: &mut Self::GpuScratch,
    );

    /// [`super::tangent`] on a GPU, of some rows and checked sizes.
    fn tangent_on(
        &self,
        gpu: &Gpu,
        parameters: &Buffer<f32>,
        layers: &Layers<'_>,
        motion: Motion<'_>,
        d_pooled: &mut Buffer<f32>,
        scratch: &mut Self::GpuScratch,
    );
}
