//! Numbers of a fixed recipe, the same everywhere; the parity tests include this file too.

/// Values in -1..1 from a linear congruential generator; the same for the same seed everywhere.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Indices below `bound`.
pub fn indices(seed: u64, len: usize, bound: usize) -> Vec<u32> {
    numbers(seed, len)
        .iter()
        .map(|value| (((value + 1.0) / 2.0 * bound as f32) as usize).min(bound - 1) as u32)
        .collect()
}

/// The same numbers in f64.
pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Every one of several arrays in f64.
pub fn wide_all(all: &[Vec<f32>]) -> Vec<Vec<f64>> {
    all.iter().map(|values| wide(values)).collect()
}
