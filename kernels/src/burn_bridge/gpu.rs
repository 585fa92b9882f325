//! Burn's tensors on GPUs. They live in the memory of our devices: a pass of an op takes them as
//! they are, and nothing is copied.

use std::sync::{Arc, Mutex, PoisonError};

use burn_autodiff::Autodiff;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};
use burn_tensor::DType;
use cubecl::client::ComputeClient;
use cubecl::prelude::*;

use super::op::{OnAnyTape, Op, OpBackend};
pub use super::passes::{Made, Passes, Rows};
use crate::gpu::cubes::sum_partials_kernel;
use crate::gpu::{Client, Gpu, GpuArray, cubes_for, launch};
use crate::probe::{Found, Place};
use crate::{Buffer, Device};

/// Burn on the GPUs of a runtime: 32-bit floats, nothing fused, nothing tuned while it runs.
pub type OnGpu<R> = CubeBackend<R, f32, i32, u8>;
/// Burn on Vulkan.
#[cfg(feature = "vulkan")]
pub type Vulkan = OnGpu<cubecl::wgpu::WgpuRuntime>;
/// Burn on CUDA.
#[cfg(feature = "cuda")]
pub type Cuda = OnGpu<cubecl::cuda::CudaRuntime>;

/// A runtime by which we reach GPUs.
pub(crate) trait Reached: CubeRuntime {
    /// The queue of a device, and its name in the words of the runtime.
    fn reach(gpu: &Gpu) -> (ComputeClient<Self>, Self::CubeDevice);

    /// The device of a tensor.
    fn device_of(tensor: &CubeTensor<Self>) -> Gpu;
}

/// A backend is made for the devices of one runtime.
const ELSEWHERE: &str = "a device should be met on the backend of its own runtime: see on_tape_of";

#[cfg(feature = "vulkan")]
impl Reached for cubecl::wgpu::WgpuRuntime {
    #[allow(unreachable_patterns, reason = "a build may have one runtime alone")]
    fn reach(gpu: &Gpu) -> (ComputeClient<Self>, Self::CubeDevice) {
        match (gpu.client(), gpu.place()) {
            (Client::Vulkan(client), Place::Vulkan(device)) => (client.clone(), device.clone()),
            _ => unreachable!("{ELSEWHERE}"),
        }
    }

    fn device_of(tensor: &CubeTensor<Self>) -> Gpu {
        under_burn("vulkan", Place::Vulkan(tensor.device.clone()), || Client::Vulkan(tensor.client.clone()))
    }
}

#[cfg(feature = "cuda")]
impl Reached for cubecl::cuda::CudaRuntime {
    #[allow(unreachable_patterns, reason = "a build may have one runtime alone")]
    fn reach(gpu: &Gpu) -> (ComputeClient<Self>, Self::CubeDevice) {
        match (gpu.client(), gpu.place()) {
            (Client::Cuda(client), Place::Cuda(index)) => (client.clone(), cubecl::cuda::CudaDevice { index: *index }),
            _ => unreachable!("{ELSEWHERE}"),
        }
    }

    fn device_of(tensor: &CubeTensor<Self>) -> Gpu {
        under_burn("cuda", Place::Cuda(tensor.device.index), || Client::Cuda(tensor.client.clone()))
    }
}

/// The device at a place as the passes see it: one for the process, since a tensor knows its place
/// and nothing more.
fn under_burn(kind: &str, place: Place, client: impl FnOnce() -> Client) -> Gpu {
    static OPEN: Mutex<Vec<Gpu>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = open.iter().find(|gpu| *gpu.place() == place) {
        return gpu.clone();
    }
    let found = Found { name: kind.into(), title: kind.into(), software: false, memory_mb: None, place };
    open.push(Gpu::beside(client(), found));
    open[open.len() - 1].clone()
}

/// Does something on the tape that belongs to a device.
pub(super) fn on_tape_of<W: OnAnyTape>(gpu: &Gpu, work: W) -> W::Answer {
    match gpu.client() {
        #[cfg(feature = "cuda")]
        Client::Cuda(_) => work.run::<Autodiff<Cuda>>(),
        #[cfg(feature = "vulkan")]
        Client::Vulkan(_) => work.run::<Autodiff<Vulkan>>(),
    }
}

/// The numbers of a tensor as a buffer on the same memory, row by row.
fn buffer<R: CubeRuntime>(gpu: &Gpu, tensor: CubeTensor<R>) -> Buffer<f32> {
    let tensor = into_contiguous(tensor);
    let len = tensor.meta.shape().num_elements();
    Buffer::from_gpu(GpuArray::of_floats(gpu, tensor.handle, len))
}

fn tensor<R: CubeRuntime>(
    like: (ComputeClient<R>, R::CubeDevice),
    values: &Buffer<f32>,
    shape: [usize; 2],
) -> CubeTensor<R> {
    let (client, device) = like;
    assert_eq!(values.len(), shape[0] * shape[1], "a matrix should have all its numbers");
    CubeTensor::new_contiguous(client, device, shape.into(), values.array().memory_of_floats(), DType::F32)
}

fn shape<R: CubeRuntime>(tensor: &CubeTensor<R>) -> [usize; 2] {
    let shape = tensor.meta.shape();
    [shape[0], shape[1]]
}

/// Inputs in the memory of a device, and their shapes.
struct Inputs<const N: usize> {
    gpu: Gpu,
    buffers: [Buffer<f32>; N],
    shapes: [[usize; 2]; N],
}

impl<const N: usize> Inputs<N> {
    fn new<R: Reached>(inputs: [CubeTensor<R>; N]) -> Self {
        let (gpu, shapes) = (R::device_of(&inputs[0]), inputs.each_ref().map(shape));
        Inputs { buffers: inputs.map(|input| buffer(&gpu, input)), shapes, gpu }
    }

    fn rows(&self) -> [Rows<'_>; N] {
        std::array::from_fn(|at| {
            let [rows, columns] = self.shapes[at];
            Rows { values: &self.buffers[at], rows, columns }
        })
    }
}

impl<R: Reached> OpBackend for OnGpu<R> {
    type Saved<O: Op<N>, const N: usize> = Arc<<O as Passes<N>>::Kept>;

    fn run_forward<O: Op<N>, const N: usize>(op: &O, inputs: [CubeTensor<R>; N]) -> (CubeTensor<R>, Self::Saved<O, N>) {
        let like = (inputs[0].client.clone(), inputs[0].device.clone());
        let inputs = Inputs::new(inputs);
        let Made { values, columns, kept } = op.forward_on(&inputs.gpu, inputs.rows());
        inputs.gpu.share_failure();
        let rows = values.len().checked_div(columns).unwrap_or(0);
        (tensor(like, &values, [rows, columns]), Arc::new(kept))
    }

    fn run_backward<O: Op<N>, const N: usize>(
        op: &O,
        inputs: [CubeTensor<R>; N],
        saved: &Self::Saved<O, N>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; N] {
        let like = (inputs[0].client.clone(), inputs[0].device.clone());
        let inputs = Inputs::new(inputs);
        let ([rows, columns], gpu) = (shape(&gradient), &inputs.gpu);
        let gradient = buffer(gpu, gradient);
        let found = match rows {
            // Of nothing.
            0 => inputs.rows().map(|input| zeros(gpu, input.rows * input.columns)),
            _ => op.backward_on(gpu, inputs.rows(), saved, Rows { values: &gradient, rows, columns }),
        };
        gpu.share_failure();
        let mut shapes = inputs.shapes.into_iter();
        found.map(|values| tensor(like.clone(), &values, shapes.next().expect("an input should have a shape")))
    }

    fn place(device: &Device) -> Self::Device {
        R::reach(opened(device)).1
    }

    fn to_tensor(device: &Device, values: &Buffer<f32>, shape: [usize; 2]) -> CubeTensor<R> {
        tensor(R::reach(opened(device)), values, shape)
    }

    fn to_buffer(device: &Device, tensor: CubeTensor<R>) -> Buffer<f32> {
        buffer(opened(device), tensor)
    }
}

fn opened(device: &Device) -> &Gpu {
    match device {
        Device::Gpu(gpu) => gpu,
        Device::Cpu => unreachable!("{ELSEWHERE}"),
    }
}

/// An array for a kernel to fill.
pub(super) fn empty(gpu: &Gpu, len: usize) -> Buffer<f32> {
    Buffer::from_gpu(gpu.empty::<f32>(len))
}

/// An array of indices.
pub(super) fn indices(gpu: &Gpu, values: &[u32]) -> Buffer<u32> {
    Buffer::from_gpu(gpu.upload(values))
}

#[cube(launch_unchecked)]
fn fill_kernel(values: &mut Array<f32>) {
    if ABSOLUTE_POS < values.len() {
        values[ABSOLUTE_POS] = f32::new(0.0);
    }
}

/// An array of zeros.
pub(super) fn zeros(gpu: &Gpu, len: usize) -> Buffer<f32> {
    let values = empty(gpu, len);
    // SAFETY: the kernel stays below the number of values.
    unsafe { launch!(gpu, cubes_for(len), fill_kernel, values.argument()) };
    values
}

/// Rows whose sum is one partial result.
const ROWS_OF_PART: usize = 256;

#[cube(launch_unchecked)]
fn part_sums_kernel(x: &Array<f32>, parts: &mut Array<f32>, rows: u32, columns: u32) {
    let at = ABSOLUTE_POS;
    let columns = columns as usize;
    if at < parts.len() {
        let first = at / columns * ROWS_OF_PART;
        let end = usize::min(first + ROWS_OF_PART, rows as usize);
        let mut sum = f32::new(0.0);
        for row in first..end {
            sum += x[row * columns + at % columns];
        }
        parts[at] = sum;
    }
}

/// The sum of all rows, in order: parts of 256 rows, then the parts.
pub(super) fn sum_of_rows(gpu: &Gpu, x: &Buffer<f32>, rows: usize, columns: usize) -> Buffer<f32> {
    assert_eq!(x.len(), rows * columns, "a matrix should have all its numbers");
    let n_parts = rows.div_ceil(ROWS_OF_PART);
    let (parts, sums) = (empty(gpu, n_parts * columns), empty(gpu, columns));
    // SAFETY: the first kernel stays below the number of parts' columns and reads rows of `x`,
    // whose length was just asserted; the second reads these parts.
    unsafe {
        launch!(
            gpu,
            cubes_for(parts.len()),
            part_sums_kernel,
            x.argument(),
            parts.argument(),
            rows as u32,
            columns as u32
        );
        launch!(
            gpu,
            cubes_for(columns),
            sum_partials_kernel,
            parts.argument(),
            sums.argument(),
            0u32,
            columns as u32,
            n_parts as u32
        );
    }
    sums
}
