//! An open GPU: its queue, its counters and its first failure, the same for every runtime of
//! CubeCL.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cubecl::prelude::*;

use super::UNITS;
use super::failure::{BROKEN, no_room, one_line, quietly, watch_service_threads};
use crate::error::{KernelError, Result};
use crate::probe::{Found, Place};
use crate::stored::Precision;

/// Bytes of shared memory that the most demanding kernel asks for.
const SHARED_BYTES: usize = 28 * 1024;

/// A GPU that is open. Cheap to clone; every clone names the same device.
#[derive(Clone)]
pub struct Gpu(pub(super) Arc<Inner>);

pub(super) struct Inner {
    client: Client,
    found: Found,
    pub(super) counters: Counters,
    pub(super) failure: OnceLock<String>,
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
pub(super) use each_runtime;

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
pub(super) struct Counters {
    launches: AtomicU64,
    pub(super) host_reads: AtomicU64,
    pub(super) bytes_up: AtomicU64,
    pub(super) bytes_down: AtomicU64,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.name()).finish()
    }
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
    pub(super) fn fail(&self, problem: String) {
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
