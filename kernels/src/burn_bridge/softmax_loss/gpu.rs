//! Softmax cross-entropy on a GPU: the kernels of [`crate::ops::softmax`] on the memory of Burn's
//! tensors. With a bias, items and queries get a column more.

use cubecl::prelude::*;

use super::{PLAIN, Scratch, SoftmaxLoss};
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, indices};
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::softmax::{SoftmaxGradients, SoftmaxInput, softmax_backward, softmax_forward};
use crate::{Buffer, Device};

/// What the backward pass needs.
#[derive(Debug)]
pub struct Kept {
    /// Which forward pass of the scratch this was.
    pass: u64,
    list_ptr: Buffer<u32>,
    positive: Buffer<u32>,
}

/// `to = from` without its last columns, or with more of them, which get the number of the row in
/// `last` or 1.
#[cube(launch_unchecked)]
fn columns_kernel(
    from: &Array<f32>,
    last: &Array<f32>,
    to: &mut Array<f32>,
    from_columns: u32,
    columns: u32,
    #[comptime] ones: bool,
) {
    let at = ABSOLUTE_POS;
    if at < to.len() {
        let (row, column) = (at / columns as usize, at % columns as usize);
        let mut value = f32::new(1.0);
        if column < from_columns as usize {
            value = from[row * from_columns as usize + column];
        } else if comptime!(!ones) {
            value = last[row];
        }
        to[at] = value;
    }
}

/// `to[row] = from[row, column]`.
#[cube(launch_unchecked)]
fn column_kernel(from: &Array<f32>, to: &mut Array<f32>, column: u32, columns: u32) {
    let at = ABSOLUTE_POS;
    if at < to.len() {
        to[at] = from[at * columns as usize + column as usize];
    }
}

/// Rows with a column more, or fewer columns.
fn with_columns(gpu: &Gpu, from: Rows<'_>, columns: usize, last: Option<&Buffer<f32>>) -> Buffer<f32> {
    let to = empty(gpu, from.rows * columns);
    // SAFETY: the kernel stays below the number of results; their rows are those of `from`, and
    // `last` has a number for each.
    unsafe {
        launch!(
            gpu,
            cubes_for(to.len()),
            columns_kernel,
            from.values.argument(),
            last.unwrap_or(from.values).argument(),
            to.argument(),
            from.columns as u32,
            columns as u32,
            last.is_none()
        );
    }
    to
}

/// The queries and items of a pass, as wide as each other.
struct Sides<'a> {
    device: Device,
    dim: usize,
    q: &'a Buffer<f32>,
    c: &'a Buffer<f32>,
}

impl<'a> Sides<'a> {
    fn input(&self, list_ptr: &'a Buffer<u32>, positive: &'a Buffer<u32>) -> SoftmaxInput<'a> {
        let Sides { dim, q, c, .. } = *self;
        SoftmaxInput { dim, config: PLAIN, q, c, candidate_bias: None, list_ptr, positive }
    }
}

impl SoftmaxLoss {
    fn losses_on(
        &self,
        sides: &Sides<'_>,
        (list_ptr, positive): (&Buffer<u32>, &Buffer<u32>),
        scratch: &mut Scratch,
    ) -> Buffer<f32> {
        let mut loss = Buffer::default();
        softmax_forward(&sides.device, &sides.input(list_ptr, positive), &mut scratch.workspace, &mut loss)
            .expect("the shapes should fit: checked in softmax_loss");
        scratch.pass += 1;
        loss
    }

    fn value_on(&self, gpu: &Gpu, sides: &Sides<'_>) -> Made<Kept> {
        let starts: Vec<u32> = (0..=self.targets.len() as u32).collect();
        let (list_ptr, positive) = (indices(gpu, &starts), indices(gpu, &self.targets));
        let mut scratch = self.scratch.lock();
        let values = self.losses_on(sides, (&list_ptr, &positive), &mut scratch);
        Made { values, columns: 1, kept: Kept { pass: scratch.pass, list_ptr, positive } }
    }

    fn gradients_on(&self, sides: &Sides<'_>, kept: &Kept, gradient: Rows<'_>) -> [Buffer<f32>; 2] {
        let Kept { pass, list_ptr, positive } = kept;
        let mut scratch = self.scratch.lock();
        if scratch.pass != *pass {
            // Another pass used the memory since: its sums are not ours.
            self.losses_on(sides, (list_ptr, positive), &mut scratch);
        }
        let (mut d_q, mut d_c) = (Buffer::default(), Buffer::default());
        let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
        let (input, workspace) = (sides.input(list_ptr, positive), &mut scratch.workspace);
        softmax_backward(&sides.device, &input, gradient.values, workspace, gradients)
            .expect("the shapes should fit: checked in softmax_loss");
        [d_q, d_c]
    }
}

impl Passes<2> for SoftmaxLoss {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [hidden, items]: [Rows<'_>; 2]) -> Made<Kept> {
        let device = Device::Gpu(gpu.clone());
        self.value_on(gpu, &Sides { device, dim: hidden.columns, q: hidden.values, c: items.values })
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [hidden, items]: [Rows<'_>; 2],
        kept: &Kept,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 2] {
        let device = Device::Gpu(gpu.clone());
        self.gradients_on(&Sides { device, dim: hidden.columns, q: hidden.values, c: items.values }, kept, gradient)
    }
}

impl Passes<3> for SoftmaxLoss {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [hidden, items, bias]: [Rows<'_>; 3]) -> Made<Kept> {
        let dim = hidden.columns + 1;
        let (q, c) = (with_columns(gpu, hidden, dim, None), with_columns(gpu, items, dim, Some(bias.values)));
        self.value_on(gpu, &Sides { device: Device::Gpu(gpu.clone()), dim, q: &q, c: &c })
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [hidden, items, bias]: [Rows<'_>; 3],
        kept: &Kept,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 3] {
        let (width, dim) = (hidden.columns, hidden.columns + 1);
        let (q, c) = (with_columns(gpu, hidden, dim, None), with_columns(gpu, items, dim, Some(bias.values)));
        let sides = Sides { device: Device::Gpu(gpu.clone()), dim, q: &q, c: &c };
        let [d_q, d_c] = self.gradients_on(&sides, kept, gradient);
        let own = |values, rows| with_columns(gpu, Rows { values, rows, columns: dim }, width, None);
        let d_bias = empty(gpu, items.rows);
        // SAFETY: the kernel stays below the number of items, each of which has a row of `dim`
        // numbers in `d_c`.
        unsafe {
            launch!(
                gpu,
                cubes_for(items.rows),
                column_kernel,
                d_c.argument(),
                d_bias.argument(),
                width as u32,
                dim as u32
            );
        }
        [own(&d_q, hidden.rows), own(&d_c, items.rows), d_bias]
    }
}
