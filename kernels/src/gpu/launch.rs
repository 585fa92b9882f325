//! Launches: a grid of cubes for each runtime.

use cubecl::prelude::CubeCount;

/// Units in every cube. All devices that are taken can hold as many; no kernel knows how many of
/// them form a plane.
pub(crate) const UNITS: u32 = 256;

/// Most cubes along one axis of a grid, on every device.
const AXIS: u64 = 65_535;

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
