//! Memory of a device, its counters, and its names.

use gcnrec_kernels::ops::scale_rows::scale_all;
use gcnrec_kernels::{Buffer, Device};

use crate::{numbers, on_each};

#[test]
fn numbers_come_back_as_they_went() {
    on_each(|device| {
        for n in [0, 1, 3, 1000, 100_003] {
            let values = numbers(1, n);
            let mut buffer = device.upload(&values);
            assert_eq!(device.read(&buffer), values);
            device.write(&mut buffer, &values[..n / 2]);
            assert_eq!((device.read(&buffer), buffer.len()), (values[..n / 2].to_vec(), n / 2));
            device.resize(&mut buffer, n + 7);
            assert_eq!(device.read(&buffer).len(), n + 7);
        }
        assert_eq!(device.read(&device.zeros::<u32>(5)), [0; 5]);
    });
}

#[test]
fn a_copy_is_a_copy_and_not_a_second_name() {
    on_each(|device| {
        let mut first = device.upload(&[1.0, 2.0]);
        let second = first.clone();
        scale_all(device, 3.0, &second, &mut first);
        assert_eq!((device.read(&first), device.read(&second)), (vec![3.0, 6.0], vec![1.0, 2.0]));
    });
}

#[test]
fn launches_bytes_and_reads_are_counted() {
    on_each(|device| {
        // Other tests count on the same device: this one opens its own.
        let device = &Device::open(&device.name()).unwrap();
        let (x, mut y) = (device.upload(&[1.0f32; 100]), Buffer::default());
        scale_all(device, 2.0, &x, &mut y);
        let counts = device.counts().unwrap();
        assert_eq!((counts.launches, counts.bytes_up, counts.host_reads), (1, 400, 0));
        device.read(&y);
        let counts = device.counts().unwrap();
        assert_eq!((counts.bytes_down, counts.host_reads), (400, 1));
    });
}

/// 69 GB in one array: more than any device takes.
#[test]
fn an_array_that_is_too_large_is_an_error_and_nothing_runs_after_it() {
    on_each(|device| {
        // Its failure is kept for good: this test opens its own.
        let device = &Device::open(&device.name()).unwrap();
        assert_eq!(device.check(), Ok(()));
        let (mut large, mut y) = (Buffer::<f32>::default(), Buffer::default());
        device.resize(&mut large, 1 << 34);
        let problem = device.check().unwrap_err().to_string();
        let expected = format!("device {}: found room for arrays of ", device.name());
        assert!(problem.starts_with(&expected) && problem.contains("expected 68.7 GB"), "{problem}");
        let x = device.upload(&[1.0f32]);
        scale_all(device, 2.0, &x, &mut y);
        assert_eq!((device.counts().unwrap().launches, device.read(&y)), (0, vec![0.0]));
    });
}

#[test]
fn what_has_no_kernel_is_refused_by_name() {
    on_each(|device| {
        let refused = device.expect_cpu("what somebody asks for");
        let kind = device.name().split(':').next().unwrap().to_string();
        let expected =
            format!("device {}: what somebody asks for is not on {kind} yet: use --device cpu", device.name());
        assert_eq!(refused.unwrap_err().to_string(), expected);
    });
}

#[test]
fn a_number_that_no_device_has_is_refused() {
    on_each(|device| {
        let name = format!("{}99", device.name());
        let refused = Device::open(&name).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("device {name}: found numbers 0 to ")), "{refused}");
    });
}
