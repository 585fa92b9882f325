//! Comparisons: close to a definition in f64, and equal to the bit on any number of threads.

/// The widths every op over rows is tested on.
pub(crate) const DIMS: [usize; 9] = [1, 7, 16, 17, 63, 64, 65, 128, 144];

/// `n` numbers from `low` to `high` in equal steps.
pub(crate) fn grid(low: f32, high: f32, n: usize) -> Vec<f32> {
    (0..n).map(|i| low + (high - low) * (i as f32 / (n - 1) as f32)).collect()
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

/// Bit patterns, so that a comparison tells -0 from 0 and finds equal NaNs equal.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Runs `work` in pools of 1, 2 and 4 threads, asserts that the bits agree, and returns one result.
#[track_caller]
pub(crate) fn same_bits(work: impl Fn() -> Vec<Vec<f32>> + Sync) -> Vec<Vec<f32>> {
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool should start").install(&work)
    };
    let all_bits = |all: &[Vec<f32>]| all.iter().map(|values| bits(values)).collect::<Vec<_>>();
    let one = run(1);
    for threads in [2, 4] {
        assert!(all_bits(&one) == all_bits(&run(threads)), "{threads} threads gave other bits than one");
    }
    one
}

/// [`same_bits`] of one array.
#[track_caller]
pub(crate) fn same_bits_of(work: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
    same_bits(|| vec![work()]).swap_remove(0)
}
