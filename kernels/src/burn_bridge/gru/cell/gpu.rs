//! One position of gated units on a GPU: the kernels of the layer, whose sequences have one position
//! each.

use super::GruCell;
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, indices};
use crate::burn_bridge::gru::SAVED;
use crate::burn_bridge::gru::gpu::{Kept, cell_gradient_kernel, cell_kernel};
use crate::gpu::cubes::copy_kernel;
use crate::gpu::{Gpu, cubes_for, launch};

impl Passes<3> for GruCell {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [x, u, state]: [Rows<'_>; 3]) -> Made<Kept> {
        let (rows, width, len) = (state.rows, state.columns, state.values.len());
        let firsts: Vec<u32> = (0..rows as u32).collect();
        let kept = Kept { saved: empty(gpu, len * SAVED), before: empty(gpu, len), firsts: indices(gpu, &firsts) };
        let (states, current) = (empty(gpu, len), empty(gpu, len));
        // SAFETY: the copy has as many numbers as the states. The kernel stays below them; every
        // row is a sequence's only one, and has gates in `x` and `u` and a place in the results.
        unsafe {
            let n = len as u32;
            launch!(gpu, cubes_for(len), copy_kernel, state.values.argument(), current.argument(), 0u32, 0u32, n);
            launch!(
                gpu,
                cubes_for(len),
                cell_kernel,
                x.values.argument(),
                u.values.argument(),
                kept.firsts.argument(),
                current.argument(),
                states.argument(),
                kept.before.argument(),
                kept.saved.argument(),
                0u32,
                rows as u32,
                width as u32
            );
        }
        Made { values: states, columns: width, kept }
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [x, u, state]: [Rows<'_>; 3],
        kept: &Kept,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 3] {
        let (len, gates) = (state.values.len(), x.values.len());
        let (d_x, d_u, d_state) = (empty(gpu, gates), empty(gpu, u.values.len()), empty(gpu, len));
        // Nothing comes from a later position, and what goes to an earlier one is the gradient of
        // `u` once more.
        let (through, d_step) = (empty(gpu, len), empty(gpu, gates));
        // SAFETY: as in the forward pass.
        unsafe {
            launch!(
                gpu,
                cubes_for(len),
                cell_gradient_kernel,
                gradient.values.argument(),
                kept.saved.argument(),
                kept.before.argument(),
                through.argument(),
                kept.firsts.argument(),
                d_state.argument(),
                d_x.argument(),
                d_u.argument(),
                d_step.argument(),
                0u32,
                state.rows as u32,
                0u32,
                state.columns as u32
            );
        }
        [d_x, d_u, d_state]
    }
}
