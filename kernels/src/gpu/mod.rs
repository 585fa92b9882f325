//! A GPU as the ops see it: memory, launches and counters, the same for every runtime that CubeCL
//! has.
//!
//! Work is queued in order and nothing waits until numbers are read back. What fails on the device
//! is therefore seen late: the first failure is kept, nothing is launched after it, and
//! [`Gpu::check`] tells it.

pub(crate) mod cubes;
mod failure;
pub(crate) mod tile;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::probe::{Found, Place};
use crate::stored::Precision;
use failure::{BROKEN, no_room, one_line, quietly, watch_service_threads};

/// Units in every cube. All devices that are taken can hold as many; no kernel knows how many of
/// them form a plane.
pub(crate) const UNITS: u32 = 256;
/// Bytes of shared memory that the most demanding kernel asks for.
const SHARED_BYTES: usize = 28 * 1024;
/// Most cubes along one axis of a grid, on every device.
const AXIS: u64 = 65_535;

/// A GPU that is open. Cheap to clone; every clone names the same device.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

struct Inner {
    client: Client,
    found: Found,
    counters: Counters,
    failure: OnceLock<String>,
}

/// The queue of a device, by runtime.
pub(crate) enum Client {
    #[cfg(feature = "cuda")]
    Cuda(ComputeClient<cubecl::cuda::CudaRuntime>),
    #[cfg(feature = "vulkan")]
    Vulkan(ComputeClient<cubecl::wgpu::WgpuRuntime>),
}

/// Runs the same code on the client of each runtime.
macro_rules! each_runtime {
    ($gpu:expr, $client:ident => $work:expr) => {
        match $gpu.client() {
            #[cfg(feature = "cuda")]
            $crate::gpu::Client::Cuda($client) => $work,
            #[cfg(feature = "vulkan")]
            $crate::gpu::Client::Vulkan($client) => $work,
        }
    };
}

/// Queues `kernel` over `$cubes` cubes of [`UNITS`] units, unless the device failed or there is
/// nothing to do. The kernel's arguments follow as they stand. Must be called in an `unsafe` block
/// that says why every index is legal.
macro_rules! launch {
    ($gpu:expr, $cubes:expr, $($kernel:ident)::+ $(::<$($generic:ty),+>)?, $($argument:expr),* $(,)?) => {{
        let (gpu, cubes): (&$crate::gpu::Gpu, usize) = ($gpu, $cubes);
        if gpu.begin_launch(cubes) {
            match gpu.client() {
                #[cfg(feature = "cuda")]
                $crate::gpu::Client::Cuda(client) => $($kernel)::+::launch_unchecked::<$($($generic,)+)? cubecl::cuda::CudaRuntime>(
                    client, $crate::gpu::grid(cubes), cubecl::CubeDim::new_1d($crate::gpu::UNITS), $($argument),*
                ),
                #[cfg(feature = "vulkan")]
                $crate::gpu::Client::Vulkan(client) => $($kernel)::+::launch_unchecked::<$($($generic,)+)? cubecl::wgpu::WgpuRuntime>(
                    client, $crate::gpu::grid(cubes), cubecl::CubeDim::new_1d($crate::gpu::UNITS), $($argument),*
                ),
            }
        }
    }};
}
pub(crate) use launch;

/// What went to and from a device since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Kernels queued.
    pub launches: u64,
    /// Times the host waited for numbers of the device.
    pub host_reads: u64,
    /// Bytes copied to the device.
    pub bytes_up: u64,
    /// Bytes copied back.
    pub bytes_down: u64,
}

#[derive(Debug, Default)]
struct Counters {
    launches: AtomicU64,
    host_reads: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

/// Numbers in the memory of a GPU.
pub(crate) struct GpuArray {
    gpu: Gpu,
    handle: Handle,
    len: usize,
    /// Elements that the memory holds; more than `len` after a shorter problem.
    capacity: usize,
    /// The largest of uploaded indices; everything is possible in what a kernel wrote.
    largest: u32,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.name()).finish()
    }
}

impl std::fmt::Debug for GpuArray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuArray").field("gpu", &self.gpu).field("len", &self.len).finish()
    }
}

/// The cubes of a grid, folded into two axes where one is too short. A kernel must check its
/// position: the last line may be longer than asked for.
pub(crate) fn grid(cubes: usize) -> CubeCount {
    let cubes = cubes as u64;
    let lines = cubes.div_ceil(AXIS).max(1);
    CubeCount::Static(cubes.div_ceil(lines) as u32, lines as u32, 1)
}

/// Cubes that give each of `n` elements a unit.
pub(crate) fn cubes_for(n: usize) -> usize {
    n.div_ceil(UNITS as usize)
}

impl Gpu {
    /// Opens a device that the probe found.
    ///
    /// # Errors
    /// [`KernelError::Device`] when its driver refuses, or it is too small for the kernels.
    pub(crate) fn open(found: Found) -> Result<Gpu> {
        let client = quietly(|| Client::open(&found)).map_err(|problem| KernelError::Device {
            device: found.name.clone(),
            problem: format!("its driver refused to open it ({problem}); use --device cpu"),
        })?;
        let gpu = Gpu(Arc::new(Inner { client, found, counters: Counters::default(), failure: OnceLock::new() }));
        watch_service_threads();
        let hardware = each_runtime!(gpu, client => client.properties().hardware.clone());
        if hardware.max_units_per_cube < UNITS || hardware.max_shared_memory_size < SHARED_BYTES {
            return Err(gpu.refuse(format!(
                "found {} units and {} bytes of shared memory in a cube, expected {UNITS} and {SHARED_BYTES}; use --device cpu",
                hardware.max_units_per_cube, hardware.max_shared_memory_size
            )));
        }
        Ok(gpu)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// A device that somebody else opened too, with counters of its own.
    pub(crate) fn beside(client: Client, found: Found) -> Gpu {
        Gpu(Arc::new(Inner { client, found, counters: Counters::default(), failure: OnceLock::new() }))
    }

    /// Where the runtime finds it.
    pub(crate) fn place(&self) -> &Place {
        &self.0.found.place
    }

    /// Lets every device of this process tell the failure of this one, if it failed.
    pub(crate) fn share_failure(&self) {
        if let Some(problem) = self.0.failure.get() {
            // A second failure follows from the first.
            let _ = BROKEN.set(problem.clone());
        }
    }

    /// The name a user types.
    pub fn name(&self) -> &str {
        &self.0.found.name
    }

    /// The name its maker gave it.
    pub fn title(&self) -> &str {
        &self.0.found.title
    }

    /// What was queued and copied so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.0.counters;
        Counts {
            launches: counters.launches.load(Relaxed),
            host_reads: counters.host_reads.load(Relaxed),
            bytes_up: counters.bytes_up.load(Relaxed),
            bytes_down: counters.bytes_down.load(Relaxed),
        }
    }

    /// Refuses what the device has no room for: `largest` bytes in one array, `total` bytes in all.
    /// Where a driver does not say how much memory there is, only single arrays are compared.
    ///
    /// # Errors
    /// [`KernelError::Device`] with both numbers.
    pub(crate) fn expect_room(&self, largest: u128, total: u128, what: &str) -> Result<()> {
        let page = each_runtime!(self, client => client.properties().memory.max_page_size);
        let memory = self.0.found.memory_mb.map(|megabytes| u128::from(megabytes) * 1_000_000);
        no_room((u128::from(page), memory), (largest, total), what).map_or(Ok(()), |problem| Err(self.refuse(problem)))
    }

    fn refuse(&self, problem: String) -> KernelError {
        KernelError::Device { device: self.name().into(), problem }
    }

    /// The refusal of an op that has no kernel.
    pub(crate) fn not_there(&self, what: &str) -> KernelError {
        let kind = self.name().split(':').next().unwrap_or_default();
        self.refuse(format!("{what} is not on {kind} yet: use --device cpu"))
    }

    /// Keeps the first failure.
    fn fail(&self, problem: String) {
        // A second failure follows from the first.
        let _ = self.0.failure.set(problem);
    }

    /// Tells the first failure of anything that was queued, as far as it is known without waiting.
    ///
    /// # Errors
    /// [`KernelError::Device`].
    pub fn check(&self) -> Result<()> {
        if let Some(problem) = BROKEN.get() {
            self.fail(problem.clone());
        }
        self.0.failure.get().map_or(Ok(()), |problem| Err(self.refuse(problem.clone())))
    }

    /// Counts a launch; false when there is nothing to launch.
    pub(crate) fn begin_launch(&self, cubes: usize) -> bool {
        let wanted = cubes > 0 && self.0.failure.get().is_none();
        if wanted {
            self.0.counters.launches.fetch_add(1, Relaxed);
        }
        wanted
    }

    /// Waits for everything that was queued.
    ///
    /// # Errors
    /// [`KernelError::Device`] with the first failure.
    pub fn wait(&self) -> Result<()> {
        self.0.counters.host_reads.fetch_add(1, Relaxed);
        let done = each_runtime!(self, client => cubecl::future::block_on(client.sync()));
        if let Err(error) = done {
            self.fail(one_line(&error));
        }
        self.check()
    }

    /// Refuses a format that the device cannot read, write and convert.
    pub(crate) fn expect_precision(&self, precision: Precision) -> Result<()> {
        let (there, name) = match precision {
            Precision::F32 => (true, "f32"),
            Precision::F16 => (self.supports::<half::f16>(), "f16"),
            Precision::Bf16 => (self.supports::<half::bf16>(), "bf16"),
        };
        if there {
            return Ok(());
        }
        Err(self.refuse(format!("found no numbers in {name}, expected them for this storage; use storage = \"f32\"")))
    }

    fn supports<F: CubePrimitive>(&self) -> bool {
        use cubecl::features::TypeUsage;
        let uses = each_runtime!(self, client => F::supported_uses(client));
        uses.contains(TypeUsage::Conversion) && uses.contains(TypeUsage::Buffer)
    }

    /// Memory for `capacity` elements, of unspecified contents.
    fn reserve<T: Element>(&self, capacity: usize) -> Handle {
        let bytes = (capacity.max(1) * size_of::<T>()).next_multiple_of(16);
        let largest = each_runtime!(self, client => client.properties().memory.max_page_size);
        if bytes as u64 > largest {
            let (bytes, largest) = (bytes as f64 / 1e9, largest as f64 / 1e9);
            self.fail(format!(
                "found room for arrays of {largest:.1} GB, expected {bytes:.1} GB; lower --dim, or use --device cpu"
            ));
            return each_runtime!(self, client => client.empty(16));
        }
        each_runtime!(self, client => client.empty(bytes))
    }

    /// An array of unspecified contents.
    pub(crate) fn empty<T: Element>(&self, len: usize) -> GpuArray {
        GpuArray { gpu: self.clone(), handle: self.reserve::<T>(len), len, capacity: len.max(1), largest: u32::MAX }
    }

    /// A copy of numbers in host memory.
    pub(crate) fn upload<T: Element>(&self, values: &[T]) -> GpuArray {
        if values.is_empty() {
            return self.empty::<T>(0);
        }
        let bytes = T::bytes(values);
        let largest_page = each_runtime!(self, client => client.properties().memory.max_page_size);
        if bytes.len() as u64 > largest_page {
            return self.empty::<T>(values.len());
        }
        self.0.counters.bytes_up.fetch_add(bytes.len() as u64, Relaxed);
        let handle = each_runtime!(self, client => client.create_from_slice(bytes));
        let (len, largest) = (values.len(), T::largest(values));
        GpuArray { gpu: self.clone(), handle, len, capacity: len, largest }
    }

    /// Numbers back to the host, after everything queued before. Zeros after a failure, which
    /// [`Gpu::check`] then tells.
    pub(crate) fn read<T: Element>(&self, array: &GpuArray, values: &mut Vec<T>) {
        values.clear();
        values.resize(array.len, T::default());
        if array.len == 0 || self.0.failure.get().is_some() {
            return;
        }
        self.0.counters.host_reads.fetch_add(1, Relaxed);
        self.0.counters.bytes_down.fetch_add(size_of_val(&values[..]) as u64, Relaxed);
        match each_runtime!(self, client => client.read_one(array.handle.clone())) {
            Ok(bytes) => T::copy_from_bytes(&bytes, values),
            Err(error) => self.fail(one_line(&error)),
        }
    }
}

impl Client {
    fn open(found: &Found) -> Client {
        match found.place {
            #[cfg(feature = "cuda")]
            Place::Cuda(index) => Client::Cuda(cubecl::cuda::CudaRuntime::client(&cubecl::cuda::CudaDevice { index })),
            #[cfg(feature = "vulkan")]
            Place::Vulkan(ref device) => Client::Vulkan(cubecl::wgpu::WgpuRuntime::client(device)),
        }
    }
}

impl GpuArray {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// An array in memory that somebody else reserved, and that holds `len` 32-bit floats from its
    /// first byte on.
    pub(crate) fn of_floats(gpu: &Gpu, handle: Handle, len: usize) -> GpuArray {
        GpuArray { gpu: gpu.clone(), handle, len, capacity: len, largest: u32::MAX }
    }

    /// The memory of the elements, 32-bit floats, without what is reserved beyond them.
    pub(crate) fn memory_of_floats(&self) -> Handle {
        let beyond = self.handle.size_in_used() - (self.len * size_of::<f32>()) as u64;
        if beyond == 0 { self.handle.clone() } else { self.handle.clone().offset_end(beyond) }
    }

    /// One past the largest index, where the array holds uploaded indices.
    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }

    /// Makes room for `len` elements, of unspecified contents; memory is reserved again only when
    /// it grows.
    pub(crate) fn resize<T: Element>(&mut self, len: usize) {
        if len > self.capacity {
            self.handle = self.gpu.reserve::<T>(len);
            self.capacity = len;
        }
        (self.len, self.largest) = (len, u32::MAX);
    }

    /// The array as a kernel's argument, in vectors of `width` elements.
    pub(crate) fn argument<R: Runtime>(&self, width: usize) -> ArrayArg<R> {
        // SAFETY: the memory holds at least `len` elements: kept by `empty`, `upload` and `resize`.
        unsafe { ArrayArg::from_raw_parts(self.handle.clone(), self.len / width) }
    }

    /// A copy in memory of its own. Nobody waits for it where the numbers fill whole words.
    pub(crate) fn duplicate<T: Element>(&self) -> GpuArray {
        let bytes = self.len * size_of::<T>();
        if !bytes.is_multiple_of(size_of::<u32>()) {
            let mut values = Vec::<T>::new();
            self.gpu.read(self, &mut values);
            return self.gpu.upload(&values);
        }
        let words = bytes / size_of::<u32>();
        let copy = GpuArray { largest: self.largest, ..self.gpu.empty::<T>(self.len) };
        // SAFETY: both arrays hold `len` elements, which are so many words; the kernel stays below
        // their number.
        unsafe {
            let (from, to) = (self.handle.clone(), copy.handle.clone());
            launch!(
                &self.gpu,
                cubes_for(words),
                cubes::copy_words_kernel,
                ArrayArg::from_raw_parts(from, words),
                ArrayArg::from_raw_parts(to, words)
            );
        }
        copy
    }
}
