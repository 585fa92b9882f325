//! The device of a run: the one that is named, or for `auto` the best one that can do the work.

use gcnrec_kernels::Device;

use crate::config::Config;
use crate::error::Result;

/// Opens the device that a configuration names. `auto` takes the best that is there; where that
/// cannot do what the model and the debiasing method ask for, the CPU and a note.
///
/// # Errors
/// [`gcnrec_kernels::KernelError::Device`] for a device that this build cannot use, that is not
/// there, or that was named and cannot do the work.
pub(super) fn open(config: &Config) -> Result<(Device, Option<String>)> {
    let device = Device::open(&config.device)?;
    match config.model.check_device(&device).and_then(|()| config.debias.check_device(&device)) {
        // Nobody asked for this device: another one will do, but not in silence.
        Err(error) if config.device == "auto" => Ok((Device::Cpu, Some(format!("{error}; computing on the cpu")))),
        checked => checked.map(|()| (device, None)),
    }
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_in_this_build_is_refused_by_name() {
        let error = open(&Config { device: "cuda:1".into(), ..Config::default() }).unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert_eq!(
            error.to_string(),
            "device cuda:1: found a build without cuda, expected a build with cuda; use --device cpu"
        );
    }
}
