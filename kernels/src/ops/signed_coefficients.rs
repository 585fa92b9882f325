//! `out[block * n + e] = sign[block] * slope[e] * weight[e]`: example weights enter a gradient
//! here.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, expect_len};

#[cfg(feature = "gpu")]
mod gpu;

/// Writes one block of `n` coefficients for each sign.
///
/// # Shapes
/// - `slope`, `weight`: `[n]`; `out` becomes `[signs.len() * n]`
///
/// # Errors
/// [`crate::KernelError::Shape`] when `weight` is not as long as `slope`.
pub fn signed_coefficients(
    device: &Device,
    signs: &[f32],
    slope: &Buffer<f32>,
    weight: &Buffer<f32>,
    out: &mut Buffer<f32>,
) -> Result<()> {
    expect_len("signed_coefficients", "weight", weight.len(), slope.len())?;
    device.resize(out, signs.len() * slope.len());
    match device {
        Device::Cpu => {
            if slope.is_empty() {
                return Ok(());
            }
            for (block, &sign) in out.host_mut().chunks_exact_mut(slope.len()).zip(signs) {
                for ((value, slope), weight) in block.iter_mut().zip(slope.host()).zip(weight.host()) {
                    *value = sign * slope * weight;
                }
            }
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::signed(gpu, signs, slope, weight, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_its_sign() {
        let device = Device::Cpu;
        let (slope, weight) = (device.upload(&[2.0, 3.0]), device.upload(&[0.5, 1.0]));
        let mut out = Buffer::default();
        signed_coefficients(&device, &[1.0, -1.0], &slope, &weight, &mut out).unwrap();
        assert_eq!(device.read(&out), [1.0, 3.0, -1.0, -3.0]);
        assert!(signed_coefficients(&device, &[1.0], &slope, &device.upload(&[1.0f32]), &mut out).is_err());
    }
}
