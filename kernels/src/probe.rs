//! Which devices this machine has, found without opening one.

use crate::error::{KernelError, Result};

/// A way to reach a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// NVIDIA's driver.
    Cuda,
    /// Any driver of the Vulkan interface.
    Vulkan,
}

impl Kind {
    /// Every kind, the preferred one first.
    pub const ALL: [Kind; 2] = [Kind::Cuda, Kind::Vulkan];

    /// The name a user types.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cuda => "cuda",
            Kind::Vulkan => "vulkan",
        }
    }
}

/// A device that is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name a user types: `cuda:0`.
    pub name: String,
    /// The name its maker gave it.
    pub title: String,
    /// True for a driver that computes on the processor. It is taken only when it is asked for by
    /// name.
    pub software: bool,
    /// Memory of the device in MB (10^6 bytes), where the driver says so.
    pub memory_mb: Option<u64>,
    /// Where the runtime finds it.
    #[cfg(feature = "gpu")]
    pub(crate) place: Place,
}

/// A device in the words of its runtime.
#[cfg(feature = "gpu")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    #[cfg(feature = "cuda")]
    Cuda(usize),
    #[cfg(feature = "vulkan")]
    Vulkan(cubecl::wgpu::WgpuDevice),
}

/// The devices of a kind, in the order of their numbers; at least one.
///
/// # Errors
/// [`KernelError::Device`] with the reason why there is none.
pub fn probe(kind: Kind) -> Result<Vec<Found>> {
    let none = |problem: String| Err(KernelError::Device { device: kind.name().into(), problem });
    match list(kind) {
        Err(problem) => none(problem),
        Ok(found) if found.is_empty() => none("found no device, expected one; use --device cpu".into()),
        Ok(found) => Ok(found),
    }
}

fn list(kind: Kind) -> Result<Vec<Found>, String> {
    match kind {
        #[cfg(feature = "cuda")]
        Kind::Cuda => cuda(),
        #[cfg(feature = "vulkan")]
        Kind::Vulkan => Ok(vulkan()),
        #[cfg(not(all(feature = "cuda", feature = "vulkan")))]
        _ => {
            let name = kind.name();
            Err(format!("found a build without {name}, expected a build with {name}; use --device cpu"))
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Vec<Found>, String> {
    use cudarc::driver::result;

    // SAFETY: both calls only try to open a library and close it again.
    let (driver, compiler) =
        unsafe { (cudarc::driver::sys::is_culib_present(), cudarc::nvrtc::sys::is_culib_present()) };
    for (there, library) in [(driver, "the driver's library libcuda"), (compiler, "CUDA's compiler library libnvrtc")] {
        if !there {
            return Err(format!("found no library, expected {library}; use --device cpu"));
        }
    }
    let failed = |error: result::DriverError| format!("its driver failed ({error:?}); use --device cpu");
    result::init().map_err(failed)?;
    let n = result::device::get_count().map_err(failed)?;
    let one = |index| {
        let device = result::device::get(index)?;
        // SAFETY: the device was just got from the driver.
        let bytes = unsafe { result::device::total_mem(device) }?;
        Ok(Found {
            name: format!("cuda:{index}"),
            title: result::device::get_name(device)?,
            software: false,
            memory_mb: Some(bytes as u64 / 1_000_000),
            place: Place::Cuda(index as usize),
        })
    };
    (0..n).map(one).collect::<Result<_, _>>().map_err(failed)
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Vec<Found> {
    use cubecl::wgpu::WgpuDevice;
    use wgpu::DeviceType;

    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::VULKAN,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = cubecl::future::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    // The runtime numbers the devices of each type on their own.
    let (mut discrete, mut integrated, mut shared) = (0.., 0.., 0..);
    let next = |numbers: &mut std::ops::RangeFrom<usize>| numbers.next().unwrap_or(0);
    let mut found = Vec::new();
    let mut software_taken = false;
    for adapter in adapters {
        let info = adapter.get_info();
        let place = match info.device_type {
            DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(next(&mut discrete)),
            DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(next(&mut integrated)),
            DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(next(&mut shared)),
            DeviceType::Cpu if !std::mem::replace(&mut software_taken, true) => WgpuDevice::Cpu,
            DeviceType::Cpu | DeviceType::Other => continue,
        };
        found.push(Found {
            name: format!("vulkan:{}", found.len()),
            title: info.name,
            software: info.device_type == DeviceType::Cpu,
            memory_mb: memory_mb(&adapter),
            place: Place::Vulkan(place),
        });
    }
    found
}

/// Memory that is the device's own, in MB: what its Vulkan heaps of that kind hold together.
#[cfg(feature = "vulkan")]
fn memory_mb(adapter: &wgpu::Adapter) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const DEVICE_LOCAL: u32 = 1;
    // SAFETY: nothing that the adapter owns is destroyed or kept past this function.
    let adapter = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = adapter.shared_instance().raw_instance();
    // SAFETY: the handle belongs to this instance, and both are alive.
    let memory = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
    let heaps = memory.memory_heaps_as_slice().iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0);
    Some(heaps.map(|heap| heap.size).sum::<u64>() / 1_000_000)
}
