use super::*;

#[test]
fn the_cpu_is_always_there_and_unknown_names_are_refused() {
    assert_eq!(Device::open("cpu").unwrap().name(), "cpu");
    let refused = Device::open("tpu").unwrap_err();
    assert_eq!(refused.to_string(), "device tpu: expected auto, cpu, cuda or vulkan");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_in_this_build_is_refused_by_name() {
    let refused = Device::open("cuda:1").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "device cuda:1: found a build without cuda, expected a build with cuda; use --device cpu"
    );
}
