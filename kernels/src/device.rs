//! Devices: the processor or a GPU, chosen at run time, never by a type parameter.

use std::borrow::Cow;

use crate::aligned::Lines;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::error::{KernelError, Result};
#[cfg(feature = "gpu")]
use crate::gpu::{Counts, Gpu};
use crate::probe::{Found, Kind, probe};
use crate::simd;
use crate::stored::Precision;

/// A place to compute. Cheap to clone; every clone names the same device.
///
/// ```
/// use gcnrec_kernels::Device;
///
/// let device = Device::open("cpu")?;
/// let buffer = device.upload(&[1.0f32, 2.0]);
/// assert_eq!(device.read(&buffer), [1.0, 2.0]);
/// # Ok::<(), gcnrec_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Device {
    /// This machine's processor: the rayon pool that is current when an op is called.
    Cpu,
    /// A GPU, or a driver that behaves like one.
    #[cfg(feature = "gpu")]
    Gpu(Gpu),
}

impl Device {
    /// The device of a name: `cpu`, `cuda`, `cuda:1`, `vulkan`, `vulkan:1`, or `auto` for the best
    /// that is there: CUDA, then Vulkan, then the CPU. A driver that computes on the processor is
    /// taken only by its name.
    ///
    /// # Errors
    /// [`KernelError::Device`] when it is not there or cannot be opened.
    pub fn open(name: &str) -> Result<Device> {
        let (kind, number) = name.split_once(':').map_or((name, None), |(kind, number)| (kind, Some(number)));
        let kind = match kind {
            "cpu" => return Ok(Device::Cpu),
            "auto" => return Device::best(),
            "cuda" => Kind::Cuda,
            "vulkan" => Kind::Vulkan,
            _ => return Err(missing(name, "expected auto, cpu, cuda or vulkan".into())),
        };
        let found = probe(kind).map_err(|error| match error {
            KernelError::Device { problem, .. } => missing(name, problem),
            other => other,
        })?;
        let picked = match number {
            // Hardware first, where nobody said which.
            None => found.iter().find(|device| !device.software).or(found.first()),
            Some(number) => found.iter().find(|device| device.name.ends_with(&format!(":{number}"))),
        };
        match picked {
            Some(device) => Device::open_found(device.clone()),
            None => {
                let last = found.len() - 1;
                Err(missing(name, format!("found numbers 0 to {last}, see gcnrec devices; use --device cpu")))
            }
        }
    }

    fn best() -> Result<Device> {
        for kind in Kind::ALL {
            let found = probe(kind).unwrap_or_default();
            if let Some(device) = found.into_iter().find(|device| !device.software) {
                return Device::open_found(device);
            }
        }
        Ok(Device::Cpu)
    }

    #[cfg(feature = "gpu")]
    fn open_found(found: Found) -> Result<Device> {
        Ok(Device::Gpu(Gpu::open(found)?))
    }

    #[cfg(not(feature = "gpu"))]
    fn open_found(found: Found) -> Result<Device> {
        unreachable!("a build without GPUs should find none, not {found:?}")
    }

    /// The name a user types: `cpu`, `cuda:0`, `vulkan:1`.
    pub fn name(&self) -> String {
        match self {
            Device::Cpu => "cpu".into(),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.name().into(),
        }
    }

    /// The instruction set or architecture that decides the last bits of a result; recorded in
    /// every manifest.
    pub fn arithmetic(&self) -> Cow<'static, str> {
        match self {
            Device::Cpu => simd::isa().name().into(),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => format!("{} {}", gpu.name().split(':').next().unwrap_or_default(), gpu.title()).into(),
        }
    }

    /// What was queued and copied since the device was opened; `None` for the CPU, where nothing
    /// is.
    #[cfg(feature = "gpu")]
    pub fn counts(&self) -> Option<Counts> {
        match self {
            Device::Cpu => None,
            Device::Gpu(gpu) => Some(gpu.counts()),
        }
    }

    /// Tells the first failure of the device, as far as it is known without waiting: after one,
    /// whatever is read is zeros.
    ///
    /// # Errors
    /// [`KernelError::Device`].
    pub fn check(&self) -> Result<()> {
        match self {
            Device::Cpu => Ok(()),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.check(),
        }
    }

    /// Waits for everything that was queued: for clocks.
    ///
    /// # Errors
    /// [`KernelError::Device`] with the first failure of the device.
    pub fn wait(&self) -> Result<()> {
        match self {
            Device::Cpu => Ok(()),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.wait(),
        }
    }

    /// Refuses by name what has no kernel: nothing falls back to another device in silence.
    ///
    /// # Errors
    /// [`KernelError::Device`] on every device but the CPU.
    pub fn expect_cpu(&self, what: &str) -> Result<()> {
        match self {
            Device::Cpu => {
                // A build without GPUs has nothing to refuse.
                let _ = what;
                Ok(())
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Err(gpu.not_there(what)),
        }
    }

    /// Refuses what a GPU has no room for: `largest` bytes in one array, `total` bytes in all.
    /// `what` names it. The memory of the processor is the caller's to ask about.
    ///
    /// # Errors
    /// [`KernelError::Device`] with what is there and what is needed.
    pub fn expect_room(&self, largest: u128, total: u128, what: &str) -> Result<()> {
        match self {
            Device::Cpu => {
                let _ = (largest, total, what);
                Ok(())
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.expect_room(largest, total, what),
        }
    }

    /// Refuses a format that the device cannot read and write.
    ///
    /// # Errors
    /// [`KernelError::Device`].
    pub fn expect_precision(&self, precision: Precision) -> Result<()> {
        match self {
            Device::Cpu => {
                let _ = precision;
                Ok(())
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => gpu.expect_precision(precision),
        }
    }

    /// Runs two pieces of work, side by side where calls end when their work is done. A GPU works
    /// on while the host does something else, and what it has queued is in order for one thread
    /// alone: there one piece is queued after the other, by the caller's thread.
    pub fn join<A: Send, B: Send>(&self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self {
            Device::Cpu => rayon::join(a, b),
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => (a(), b()),
        }
    }

    /// Runs work that calls many ops. On a processor from inside the pool: an op then starts and
    /// ends without putting the caller's thread to sleep, which took a quarter of a small graph's
    /// step.
    pub fn run<A: Send>(&self, work: impl FnOnce() -> A + Send) -> A {
        match self {
            Device::Cpu => rayon::scope(|_| work()),
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => work(),
        }
    }

    /// True where the order in which rows are visited decides what is still in the caches.
    pub fn has_ordered_rows(&self) -> bool {
        matches!(self, Device::Cpu)
    }

    /// Makes a buffer `len` equal numbers. What a kernel would write, a copy brings to a GPU with
    /// the indices of a batch: a launch costs more.
    pub fn fill(&self, buffer: &mut Buffer<f32>, value: f32, len: usize) {
        match self {
            Device::Cpu => {
                buffer.host_lines().resize(len);
                buffer.host_mut().fill(value);
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => self.write(buffer, &vec![value; len]),
        }
    }

    /// Copies values to the device.
    pub fn upload<T: Element>(&self, values: &[T]) -> Buffer<T> {
        match self {
            Device::Cpu => Buffer::from_host(Lines::from_slice(values)),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Buffer::from_gpu(gpu.upload(values)),
        }
    }

    /// A buffer of `len` zeros.
    pub fn zeros<T: Element>(&self, len: usize) -> Buffer<T> {
        match self {
            Device::Cpu => Buffer::from_host(Lines::zeros(len)),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => Buffer::from_gpu(gpu.upload(&vec![T::default(); len])),
        }
    }

    /// Replaces a buffer's contents and length; host memory is allocated again only when it grows.
    pub fn write<T: Element>(&self, buffer: &mut Buffer<T>, values: &[T]) {
        match self {
            Device::Cpu => buffer.host_lines().write(values),
            // What is queued still reads the old memory: new memory needs no waiting.
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => *buffer = Buffer::from_gpu(gpu.upload(values)),
        }
    }

    /// Makes a buffer `len` long for an op that overwrites all of it; the contents are unspecified.
    pub fn resize<T: Element>(&self, buffer: &mut Buffer<T>, len: usize) {
        match self {
            Device::Cpu => buffer.host_lines().resize(len),
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => buffer.resize_on(gpu, len),
        }
    }

    /// Copies a buffer back to the host. On a GPU this waits for everything queued before it.
    pub fn read<T: Element>(&self, buffer: &Buffer<T>) -> Vec<T> {
        let mut values = Vec::new();
        self.read_into(buffer, &mut values);
        values
    }

    /// As [`Device::read`], into memory that is kept from call to call.
    pub fn read_into<T: Element>(&self, buffer: &Buffer<T>, values: &mut Vec<T>) {
        match self {
            Device::Cpu => {
                values.clear();
                values.extend_from_slice(buffer.host());
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) if !buffer.is_empty() => gpu.read(buffer.array(), values),
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => values.clear(),
        }
    }
}

fn missing(name: &str, problem: String) -> KernelError {
    KernelError::Device { device: name.into(), problem }
}

#[cfg(test)]
mod tests;
