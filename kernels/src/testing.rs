//! What the tests of all ops share: numbers from a fixed recipe, small graphs, and the check over thread counts.

/// Values in -1..1 from a linear congruential generator; the same for the same seed everywhere.
pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Indices below `bound`.
pub(crate) fn indices(seed: u64, len: usize, bound: usize) -> Vec<u32> {
    numbers(seed, len)
        .iter()
        .map(|value| (((value + 1.0) / 2.0 * bound as f32) as usize).min(bound - 1) as u32)
        .collect()
}

/// The widths every op over rows is tested on.
pub(crate) const DIMS: [usize; 9] = [1, 7, 16, 17, 63, 64, 65, 128, 144];

/// Wider numbers for the reference.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Runs `work` in pools of 1, 2 and 4 threads, checks that the results have the same bits, and returns one.
pub(crate) fn same_on_any_threads(work: impl Fn() -> Vec<f32> + Sync) -> Vec<f32> {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool should start");
        pool.install(&work)
    };
    let one = run(1);
    for threads in [2, 4] {
        assert_eq!(bits(&one), bits(&run(threads)), "{threads} threads");
    }
    one
}

/// Bit patterns, so that a comparison tells -0 from 0 and finds equal NaNs equal.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Fails where `found` is further than `tolerance * (1 + |expected|)` from `expected`.
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(found) - expected).abs();
        assert!(off <= tolerance * (1.0 + expected.abs()), "{what}: [{index}] is {found}, expected {expected}");
    }
}

/// A CSR matrix with every awkward row: row 0 is empty, row 1 has one entry, row 2 is a hub that reaches every column twice over (700 columns
/// would need more than one chunk of sparse edges), row `n - 1` and column `n - 1` are isolated; the others have up to 40 entries.
pub(crate) fn awkward_square(n: usize) -> (Vec<u32>, Vec<u32>, Vec<f32>) {
    let mut row_ptr = vec![0u32];
    let mut col_idx = Vec::new();
    for row in 0..n {
        let degree = match row {
            0 => 0,
            1 => 1,
            2 => 2 * n,
            _ if row + 1 == n => 0,
            _ => row * 7 % 41,
        };
        let start = col_idx.len();
        if row == 2 {
            col_idx.extend((0..degree).map(|edge| (edge % (n - 1)) as u32));
        } else {
            col_idx.extend(indices(row as u64 + 11, degree, n - 1));
        }
        col_idx[start..].sort_unstable();
        row_ptr.push(col_idx.len() as u32);
    }
    let values = numbers(5, col_idx.len());
    (row_ptr, col_idx, values)
}
