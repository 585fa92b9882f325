//! Can the device do all of it? Asked before the first step: nothing is computed elsewhere in silence.

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::table::Precision;

use super::Config;
use super::graph::config::{Combination, Fit, Storage};
use crate::error::Result;

/// Refuses what a device has no kernels for.
///
/// # Errors
/// [`gcnrec_kernels::KernelError::Device`], exit code 5, with the name of what is missing.
pub fn check_device(config: &Config, device: &Device) -> Result<()> {
    let Some(graph) = config.graph() else { return Ok(device.expect_cpu(&format!("the model {}", config.name()))?) };
    match graph.combination {
        Combination::Uniform | Combination::Additive => {}
        Combination::Global => device.expect_cpu("the combination global")?,
        Combination::Dot => device.expect_cpu("the combination dot")?,
    }
    // Its first stage learns global weights.
    if graph.combination != Combination::Uniform {
        match graph.attention.fit {
            Fit::HeldOut => device.expect_cpu("attention.fit = \"held_out\"")?,
            Fit::Uniform => device.expect_cpu("attention.fit = \"uniform\"")?,
            Fit::Auto | Fit::Training | Fit::Lesson => {}
        }
    }
    let precision = match graph.storage {
        Storage::F32 => Precision::F32,
        // Gradients of layers in f16 are kept in bf16.
        Storage::F16 | Storage::Bf16 => Precision::Bf16,
    };
    if graph.storage == Storage::F16 {
        device.expect_precision(Precision::F16)?;
    }
    Ok(device.expect_precision(precision)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_does_everything() {
        for name in Config::NAMES {
            let config = Config::named(name).expect("a name of the list should be known");
            assert!(check_device(&config, &Device::Cpu).is_ok(), "{name}");
        }
    }
}
