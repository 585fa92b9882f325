//! Numbers that share a total in proportion to how far they are below zero:
//! `y_b = total * max(-x_b, 0) / sum_b max(-x_b, 0)`.

use crate::error::Result;
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
pub(crate) mod gpu;

/// The definition: see [`share_below_zero`].
pub fn share_below_zero_reference(total: f64, x: &[f64]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|x| (-x).max(0.0)).sum();
    x.iter().map(|x| if sum > 0.0 { total * (-x).max(0.0) / sum } else { 0.0 }).collect()
}

/// Divides `total` among the negative numbers of `x`; zeros where there is none.
///
/// # Shapes
/// - `x`: `[n]`; `y` becomes `[n]`
///
/// # Errors
/// None today; those of the device.
pub fn share_below_zero(device: &Device, total: f64, x: &Buffer<f32>, y: &mut Buffer<f32>) -> Result<()> {
    device.resize(y, x.len());
    match device {
        Device::Cpu => {
            let wide: Vec<f64> = x.host().iter().map(|&x| f64::from(x)).collect();
            y.host_mut()
                .iter_mut()
                .zip(share_below_zero_reference(total, &wide))
                .for_each(|(y, share)| *y = share as f32);
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::share(gpu, gpu::Parts::BelowZero, total, x, y),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 and 1 of 4 share the 8: 6 and 2.
    #[test]
    fn numbers_below_zero_share_the_total_and_none_share_nothing() {
        let (cpu, mut y) = (Device::Cpu, Buffer::default());
        share_below_zero(&cpu, 8.0, &cpu.upload(&[-3.0, 2.0, -1.0, 0.0]), &mut y).unwrap();
        assert_eq!(cpu.read(&y), [6.0, 0.0, 2.0, 0.0]);
        share_below_zero(&cpu, 8.0, &cpu.upload(&[1.0, 0.0]), &mut y).unwrap();
        assert_eq!(cpu.read(&y), [0.0, 0.0]);
        share_below_zero(&cpu, 8.0, &cpu.upload(&[]), &mut y).unwrap();
        assert!(y.is_empty());
    }
}
