//! The sum of a batch's losses, one number per step, left where it was computed: a step need not
//! wait for it.

use crate::error::Result;
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// Steps whose sums are kept before they must be taken.
#[cfg(feature = "gpu")]
const ROOM: usize = 1 << 16;

/// Sums of losses that nobody has asked for yet.
#[derive(Debug, Default)]
pub struct LossSums {
    /// Sums that had to be fetched before they were asked for.
    host: Vec<f64>,
    /// On a device: `[ROOM]`, of which the first `n_waiting` are sums.
    waiting: Buffer<f32>,
    n_waiting: usize,
}

impl LossSums {
    /// Adds the sum of one step's losses. On the CPU it is known at once: it is answered, in f64,
    /// and not kept.
    ///
    /// # Errors
    /// Those of the device, when so many steps wait that it must be asked.
    pub fn push(&mut self, device: &Device, loss: &Buffer<f32>) -> Result<Option<f64>> {
        match device {
            Device::Cpu => {
                let sum = loss.host().iter().map(|&loss| f64::from(loss)).sum();
                Ok(Some(sum))
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => {
                if self.n_waiting == ROOM {
                    self.fetch(device)?;
                }
                if self.waiting.is_empty() {
                    device.resize(&mut self.waiting, ROOM);
                }
                gpu::sum(gpu, loss, &mut self.waiting, self.n_waiting);
                self.n_waiting += 1;
                Ok(None)
            }
        }
    }

    /// The sums that were kept since the last call, in the order of their steps. On a GPU this
    /// waits for the last of them.
    ///
    /// # Errors
    /// [`crate::KernelError::Device`] when the device failed since.
    pub fn take(&mut self, device: &Device) -> Result<Vec<f64>> {
        self.fetch(device)?;
        Ok(std::mem::take(&mut self.host))
    }

    fn fetch(&mut self, device: &Device) -> Result<()> {
        if self.n_waiting > 0 {
            let sums = device.read(&self.waiting);
            self.host.extend(sums[..self.n_waiting].iter().map(|&sum| f64::from(sum)));
            self.n_waiting = 0;
        }
        device.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_a_sum_is_known_at_once() {
        let (cpu, mut sums) = (Device::Cpu, LossSums::default());
        assert_eq!(sums.push(&cpu, &cpu.upload(&[1.0, 2.5])).unwrap(), Some(3.5));
        assert_eq!(sums.push(&cpu, &cpu.upload(&[])).unwrap(), Some(0.0));
        assert!(sums.take(&cpu).unwrap().is_empty());
    }
}
