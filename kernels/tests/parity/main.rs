//! Every op on every device that is there, against the f64 reference that defines it.
//!
//! Without a device a test says so and passes; with `GCNREC_REQUIRE_VULKAN=1` (or
//! `GCNREC_REQUIRE_CUDA=1`) it fails instead.
#![cfg(any(feature = "cuda", feature = "vulkan"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod attention;
mod graph;
mod launches;
mod look_ahead;
mod losses;
mod memory;
#[path = "../../src/testing/numbers.rs"]
mod numbers;
mod passes;
mod rows;
mod sequences;
mod softmax;
mod top_k;

use std::sync::OnceLock;

use gcnrec_kernels::{Buffer, Device};
pub use numbers::{indices, numbers, wide, wide_all};

/// The widths every op over rows is tested on.
pub const DIMS: [usize; 6] = [1, 7, 63, 64, 65, 128];

/// Every device of the kinds in this build.
fn devices() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = Vec::new();
        for kind in ["cuda", "vulkan"] {
            match Device::open(kind) {
                Ok(device) => devices.push(device),
                Err(error) => {
                    let variable = format!("GCNREC_REQUIRE_{}", kind.to_uppercase());
                    assert!(std::env::var(&variable).is_err(), "{variable} is set, but {error}");
                    println!("skipped: no {kind} device ({error})");
                }
            }
        }
        devices
    })
}

/// Runs a case on every device.
pub fn on_each(case: impl Fn(&Device)) {
    for device in devices() {
        case(device);
        device.check().unwrap();
    }
}

/// Copies several arrays to a device.
pub fn upload_all(device: &Device, all: &[Vec<f32>]) -> Vec<Buffer<f32>> {
    all.iter().map(|values| device.upload(values)).collect()
}

/// Fails where `found` is further than `tolerance * (1 + |expected|)` from `expected`.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(found) - expected).abs();
        assert!(off <= tolerance * (1.0 + expected.abs()), "{what}: [{index}] is {found}, expected {expected}");
    }
}

/// Fails where two runs differ in a bit.
#[track_caller]
pub fn assert_same_bits(run: impl Fn() -> Vec<f32>, what: &str) -> Vec<f32> {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let first = run();
    assert!(bits(&first) == bits(&run()), "{what}: a second run gave other bits");
    first
}
