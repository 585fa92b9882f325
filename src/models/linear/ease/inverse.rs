//! The inverse of the ridge's Gram matrix, in two buffers of `n^2` numbers.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, MatMut, MatRef, Par};
use gcnrec_graphs::{Interactions, UserId};

use crate::error::{RecError, Result};

/// A symmetric matrix of which the lower triangle is stored, column by column.
#[derive(Debug)]
pub(super) struct Symmetric {
    n: usize,
    values: Vec<f64>,
}

impl Symmetric {
    /// One entry; the order of the indices does not matter.
    pub(super) fn at(&self, a: usize, b: usize) -> f64 {
        self.values[a.min(b) * self.n + a.max(b)]
    }
}

/// `(X^T X + l2 I)^-1` with `X` the 0/1 user-item matrix.
///
/// Factors `G = L L^T`, inverts the triangle, and multiplies `P = L^-T L^-1` back into the first
/// buffer. On one thread: the order of the sums, and so the bits, must not depend on how many there
/// are.
///
/// # Errors
/// [`RecError::Config`] when `l2` is so small that the matrix is singular in f64.
pub(super) fn ridge_inverse(train: &Interactions, l2: f64) -> Result<Symmetric> {
    let n = train.n_items();
    let mut gram = gram(train, l2);
    if n == 0 {
        return Ok(Symmetric { n, values: gram });
    }
    let mut scratch = MemBuffer::new(cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default()));
    cholesky_in_place(
        MatMut::from_column_major_slice_mut(&mut gram, n, n),
        Default::default(),
        Par::Seq,
        MemStack::new(&mut scratch),
        Default::default(),
    )
    .map_err(|_| RecError::range("model.ease.l2", l2, "a larger number: X^T X + l2 I is singular in 64-bit numbers"))?;
    let mut triangle = vec![0.0; n * n];
    invert_lower_triangular(
        MatMut::from_column_major_slice_mut(&mut triangle, n, n),
        MatRef::from_column_major_slice(&gram, n, n),
        Par::Seq,
    );
    let triangle = MatRef::from_column_major_slice(&triangle, n, n);
    matmul(
        MatMut::from_column_major_slice_mut(&mut gram, n, n),
        BlockStructure::TriangularLower,
        Accum::Replace,
        triangle.transpose(),
        BlockStructure::TriangularUpper,
        triangle,
        BlockStructure::TriangularLower,
        1.0,
        Par::Seq,
    );
    Ok(Symmetric { n, values: gram })
}

/// The lower triangle of `X^T X + l2 I`, column by column. Counts are whole numbers, so the order
/// of the sums does not matter.
fn gram(train: &Interactions, l2: f64) -> Vec<f64> {
    let n = train.n_items();
    let mut gram = vec![0.0; n * n];
    for user in 0..train.n_users() as u32 {
        let items = train.items_of(UserId(user));
        for (at, &column) in items.iter().enumerate() {
            let counts = &mut gram[column as usize * n..(column as usize + 1) * n];
            for &row in &items[at..] {
                counts[row as usize] += 1.0;
            }
        }
    }
    gram.iter_mut().step_by(n + 1).for_each(|diagonal| *diagonal += l2);
    gram
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use gcnrec_graphs::ItemId;

    fn pairs(n_users: usize, n_items: usize, pairs: impl IntoIterator<Item = (u32, u32)>) -> Interactions {
        Interactions::from_pairs(n_users, n_items, pairs.into_iter().map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    #[test]
    fn the_inverse_of_two_items_is_that_of_the_school_book() {
        // Users {0,1}, {0,1}, {0}: X^T X = [[3, 2], [2, 2]]; with l2 = 1, G = [[4, 2], [2, 3]], det
        // 8, P = [[3, -2], [-2, 4]] / 8.
        let inverse = ridge_inverse(&pairs(3, 2, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]), 1.0).unwrap();
        assert_abs_diff_eq!(inverse.at(0, 0), 0.375, epsilon = 1e-15);
        assert_abs_diff_eq!(inverse.at(1, 0), -0.25, epsilon = 1e-15);
        assert_abs_diff_eq!(inverse.at(0, 1), -0.25, epsilon = 1e-15);
        assert_abs_diff_eq!(inverse.at(1, 1), 0.5, epsilon = 1e-15);
    }

    #[test]
    fn the_inverse_times_the_matrix_is_the_identity_beyond_one_block_of_the_solver() {
        // 131 items (a prime), users whose items are an arithmetic progression each.
        let n = 131u32;
        let train = pairs(
            200,
            n as usize,
            (0..200).flat_map(|u| (0..5 + u % 7).map(move |at| (u, (u * 13 + at * (u % 11 + 1)) % n))),
        );
        let (inverse, gram) =
            (ridge_inverse(&train, 2.5).unwrap(), Symmetric { n: n as usize, values: gram(&train, 2.5) });
        for row in 0..n as usize {
            for column in 0..n as usize {
                let product: f64 = (0..n as usize).map(|at| inverse.at(row, at) * gram.at(at, column)).sum();
                // 131 terms of size up to 20 with a condition number near 20: far below 1e-12.
                assert_abs_diff_eq!(product, if row == column { 1.0 } else { 0.0 }, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn a_ridge_lost_to_rounding_is_refused() {
        // Two items that always occur together: X^T X is singular, and 1e-30 vanishes beside its 3.
        let train = pairs(3, 2, (0..3).flat_map(|u| [(u, 0), (u, 1)]));
        let error = ridge_inverse(&train, 1e-30).unwrap_err();
        assert!(error.to_string().starts_with("model.ease.l2: found 0.000"), "{error}");
        assert_eq!(error.exit_code(), 4);
    }
}
