//! Numbers and comparisons for the tests of several ops.

/// `n` numbers in -1..1, a function of `seed` and the place alone.
pub(crate) fn values(seed: u64, n: usize) -> Vec<f32> {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..n as u64)
        .map(|i| (mix(mix(seed) ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 40) as f32 / 8_388_608.0 - 1.0)
        .collect()
}

/// `n` numbers from `low` to `high` in equal steps.
pub(crate) fn grid(low: f32, high: f32, n: usize) -> Vec<f32> {
    (0..n).map(|i| low + (high - low) * (i as f32 / (n - 1) as f32)).collect()
}

/// The same numbers in f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

/// Every element within `abs + rel * |expected|`.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f32], expected: &[f64], abs: f64, rel: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(f) - e).abs() <= abs + rel * e.abs(), "{what}[{i}]: found {f}, expected {e}");
    }
}

/// `<a, b>` in f64.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `a + step * b`.
pub(crate) fn moved(a: &[f64], b: &[f64], step: f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + step * b).collect()
}

/// Runs `work` in pools of 1, 2 and 4 threads and asserts that the bits agree; returns them.
#[track_caller]
pub(crate) fn same_bits(work: impl Fn() -> Vec<Vec<f32>> + Sync) -> Vec<Vec<f32>> {
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool should start").install(&work)
    };
    let bits =
        |all: &[Vec<f32>]| all.iter().map(|v| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>()).collect::<Vec<_>>();
    let one = run(1);
    for threads in [2, 4] {
        assert!(bits(&one) == bits(&run(threads)), "{threads} threads gave other bits than one");
    }
    one
}
