use super::*;
use crate::testing::{assert_close, numbers};

/// The product in f64.
fn plain(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f64> {
    let cell = |i: usize, j: usize| (0..k).map(|t| f64::from(a[i * k + t]) * f64::from(b[t * n + j])).sum();
    (0..m * n).map(|at| cell(at / n, at % n)).collect()
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| values[at % rows * columns + at / rows]).collect()
}

/// Up to 601 products below 1 in absolute value, each rounded to 6e-8: a random walk of 2e-6,
/// far below the bound.
#[test]
fn every_layout_gives_the_product() {
    for shape in [[1, 1, 1], [3, 7, 16], [8, 32, 17], [13, 33, 64], [15, 63, 65], [129, 65, 601]] {
        let [m, n, k] = shape;
        let (a, b) = (numbers(1, m * k), numbers(2, k * n));
        let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
        let expected = plain(&a, &b, shape);
        let (mut by_rows, mut by_columns) = (Panels::default(), Panels::default());
        // A larger use before leaves nothing behind.
        by_rows.pack_rows(&numbers(3, 71 * 97), 71, 97);
        by_rows.pack_rows(&b, k, n);
        by_columns.pack_columns(&bt, k, n);
        for (left, right) in [
            (Left::rows(&a, m, k), &by_rows),
            (Left::rows(&a, m, k), &by_columns),
            (Left::transposed(&at, m, m), &by_rows),
        ] {
            for block in [COLUMN_BLOCK, ROW_BLOCK] {
                let stride = n + 3;
                let mut out = vec![9.0; m * stride];
                product(left, right.all(), block, Store::Overwrite, &mut out, stride);
                product(left, right.all(), block, Store::Add, &mut out, stride);
                let found: Vec<f32> = out.chunks(stride).flat_map(|row| &row[..n]).copied().collect();
                let twice: Vec<f64> = expected.iter().map(|x| 2.0 * x).collect();
                assert_close("product", &found, &twice, 2e-5, 1e-5);
                assert!(out.chunks(stride).all(|row| row[n..] == [9.0; 3]));
            }
        }
    }
}

#[test]
fn a_part_of_the_depth_is_the_product_of_that_part() {
    let (a, b) = (numbers(1, 5 * 20), numbers(2, 50 * 7));
    let mut right = Panels::default();
    right.pack_rows(&b, 50, 7);
    let mut out = vec![0.0; 35];
    product(Left::rows(&a, 5, 20), right.part(13, 20), ROW_BLOCK, Store::Overwrite, &mut out, 7);
    assert_close("product", &out, &plain(&a, &b[13 * 7..33 * 7], [5, 7, 20]), 1e-5, 0.0);
}

/// The order of the terms is the contract: blocks of chains, whatever tile shape the
/// instruction set takes.
#[test]
fn every_tile_shape_gives_the_bits_of_the_written_order() {
    let (m, n, k) = (15, 49, 40);
    let (a, b) = (numbers(1, m * k), numbers(2, k * n));
    let mut right = Panels::default();
    right.pack_rows(&b, k, n);
    let sets: &[Isa] = match simd::isa() {
        Isa::Avx512 => &[Isa::Avx512, Isa::Avx2, Isa::Portable],
        Isa::Avx2 => &[Isa::Avx2, Isa::Portable],
        Isa::Portable => &[Isa::Portable],
    };
    for &isa in sets {
        let mut out = vec![0.0; m * n];
        product_on(isa, Left::rows(&a, m, k), right.all(), COLUMN_BLOCK, Store::Overwrite, &mut out, n);
        let fused = isa != Isa::Portable || cfg!(target_arch = "aarch64");
        let chain = |i: usize, j: usize, terms: std::ops::Range<usize>| {
            terms.fold(0.0f32, |sum, t| {
                let (x, y) = (a[i * k + t], b[t * n + j]);
                if fused { x.mul_add(y, sum) } else { x * y + sum }
            })
        };
        for (at, found) in out.iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let expected = chain(i, j, 0..16) + chain(i, j, 16..32) + chain(i, j, 32..40);
            assert_eq!(found.to_bits(), expected.to_bits(), "{isa:?}");
        }
    }
}

#[test]
fn no_depth_gives_zeros_and_no_rows_nothing() {
    let right = Panels::default();
    product(Left::rows(&[], 0, 3), right.all(), ROW_BLOCK, Store::Overwrite, &mut [], 1);
    let mut right = Panels::default();
    right.pack_rows(&[], 0, 2);
    let mut out = [5.0; 4];
    product(Left::rows(&[], 2, 0), right.all(), ROW_BLOCK, Store::Overwrite, &mut out, 2);
    assert_eq!(out, [0.0; 4]);
}
