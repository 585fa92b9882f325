//! A sparse test matrix with empty, single, hub and isolated rows.

use super::{indices, numbers};

/// A CSR matrix with every awkward row: row 0 is empty, row 1 has one entry, row 2 is a hub that
/// reaches every column twice over (700 columns would need more than one chunk of sparse edges),
/// row `n - 1` and column `n - 1` are isolated; the others have up to 40 entries.
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
