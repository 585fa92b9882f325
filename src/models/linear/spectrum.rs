//! The leading right singular vectors of the normalised user-item matrix.
//!
//! Small matrices are decomposed whole. Larger ones are searched by a block Krylov method: a random
//! block is multiplied by `N^T N` again and again, every block is made orthogonal to all before it,
//! and the leading eigenvectors of `N^T N` within the space that the blocks span are taken
//! (Rayleigh-Ritz). A block finds singular values that occur more than once, such as the 1 of every
//! component of the graph, which a single vector cannot.
//!
//! # Source
//! Musco and Musco, *Randomized Block Krylov Methods*, NeurIPS 2015; Golub and Van Loan, *Matrix
//! Computations*, 4th ed., 10.3. In f64, and on one thread wherever the order of a sum could depend
//! on their number.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par, Side};
use gcnrec_graphs::{Purpose, Seed};
use rand::RngExt;
use rayon::prelude::*;

use super::item_weights::ItemUsers;
use super::user_items::UserItems;
use crate::error::{RecError, Result};
use crate::models::state::{State, damaged};

/// Columns that are multiplied together: few, so that a basis of a given size reaches far (24 steps
/// of 32 columns left the last of 256 vectors of Gowalla unsettled).
const BLOCK: usize = 8;
/// Up to this many items the whole matrix is decomposed.
const SMALL: usize = 512;
/// A column whose norm falls below this share of itself when the others are taken out lies in their
/// space.
const DEPENDENT: f64 = 1e-8;
/// A squared singular value below this is zero: the largest is 1.
const ZERO: f64 = 1e-10;

/// Columns of the space that is searched for so many vectors: enough that they have settled far
/// below the rounding of f32 scores.
fn basis_size(n_items: usize, n_factors: usize) -> usize {
    if n_items <= SMALL { n_items } else { (4 * n_factors + 8 * BLOCK).min(n_items) }
}

/// Bytes of the search and of two tables of what it finds.
pub(super) fn bytes(n_users: usize, n_items: usize, n_factors: usize) -> u128 {
    let columns = 8 * (basis_size(n_items, n_factors) + 4 * BLOCK) + 3 * 4 * n_factors;
    if n_factors == 0 { 0 } else { (n_items * columns + n_users * 8 * BLOCK) as u128 }
}

/// The vectors of a stored state, `[n_items, found]`, and how many were found.
///
/// # Errors
/// [`RecError::Checkpoint`] when they are missing, of another shape, or not of length 1.
pub(super) fn load(state: &State, n_items: usize) -> Result<(usize, Vec<f32>)> {
    let (_, found, _) = state.matrix("vectors")?;
    let vectors = state.f32("vectors", &[n_items, found])?;
    // The rest is for rounding.
    if vectors.iter().any(|value| value.abs() > 1.001) {
        return Err(damaged("\"vectors\" are not of length 1"));
    }
    Ok((found, vectors.to_vec()))
}

/// `N = D_U^-1/2 R D_I^-1/2`.
pub(super) struct Normalized<'a> {
    users: &'a UserItems,
    by_item: &'a ItemUsers,
    per_user: Vec<f64>,
    per_item: Vec<f64>,
}

impl<'a> Normalized<'a> {
    pub(super) fn new(users: &'a UserItems, by_item: &'a ItemUsers, n_items: usize) -> Self {
        let root = |n: usize| if n == 0 { 0.0 } else { 1.0 / (n as f64).sqrt() };
        Normalized {
            per_user: users.rows().map(|row| root(row.len())).collect(),
            per_item: (0..n_items).map(|item| root(by_item.of(item).len())).collect(),
            users,
            by_item,
        }
    }

    fn n_items(&self) -> usize {
        self.per_item.len()
    }

    /// `N^T N X` for `X` with `width` columns, both column by column.
    fn gram_times(&self, x: &[f64], width: usize) -> Vec<f64> {
        let n = self.n_items();
        let mut rows = vec![0.0; n * width];
        rows.par_chunks_exact_mut(width).enumerate().for_each(|(item, row)| {
            row.iter_mut().enumerate().for_each(|(column, value)| *value = x[column * n + item] * self.per_item[item]);
        });
        let mut reached = vec![0.0; self.per_user.len() * width];
        reached.par_chunks_exact_mut(width).enumerate().for_each(|(user, sum)| {
            for &item in self.users.row(user) {
                let row = &rows[item as usize * width..(item as usize + 1) * width];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            // Once for this product and once for the next.
            sum.iter_mut().for_each(|sum| *sum *= self.per_user[user] * self.per_user[user]);
        });
        rows.par_chunks_exact_mut(width).enumerate().for_each(|(item, sum)| {
            sum.fill(0.0);
            for &user in self.by_item.of(item) {
                let row = &reached[user as usize * width..(user as usize + 1) * width];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            sum.iter_mut().for_each(|sum| *sum *= self.per_item[item]);
        });
        let mut columns = vec![0.0; n * width];
        columns.par_chunks_exact_mut(n).enumerate().for_each(|(column, values)| {
            values.iter_mut().enumerate().for_each(|(item, value)| *value = rows[item * width + column]);
        });
        columns
    }
}

/// The `n_factors` leading right singular vectors, fewer where fewer singular values are above
/// zero: `[n_items, found]`, row-major. `model` is named where they cannot be found.
///
/// # Errors
/// [`RecError::Unsupported`] when the small eigenvalue problem does not converge.
pub(super) fn leading_vectors(model: &str, matrix: &Normalized<'_>, n_factors: usize) -> Result<Vec<f32>> {
    let n = matrix.n_items();
    if n_factors == 0 || n == 0 {
        return Ok(Vec::new());
    }
    let (basis, projected, size) = if n <= SMALL { identity(matrix) } else { krylov(matrix, basis_size(n, n_factors)) };
    let stuck = |_| {
        RecError::unsupported(model, "the singular vectors of this matrix cannot be found")
            .with_todo(format!("set model.{model}.factors = 0 to use the other filter alone"))
    };
    let eigen =
        MatRef::from_column_major_slice(&projected, size, size).self_adjoint_eigen(Side::Upper).map_err(stuck)?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let mut order: Vec<usize> = (0..size).filter(|&at| values[at] > ZERO).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(n_factors);
    let kept = order.len();
    let chosen: Vec<f64> = order.iter().flat_map(|&at| (0..size).map(move |row| vectors[(row, at)])).collect();
    let mut columns = vec![0.0; n * kept];
    multiply(&mut columns, Accum::Replace, column_major(&basis, n, size), column_major(&chosen, size, kept), 1.0);
    Ok((0..n * kept).map(|at| columns[at % kept * n + at / kept] as f32).collect())
}

/// The whole space: the identity, and `N^T N` itself.
fn identity(matrix: &Normalized<'_>) -> (Vec<f64>, Vec<f64>, usize) {
    let n = matrix.n_items();
    let mut identity = vec![0.0; n * n];
    identity.iter_mut().step_by(n + 1).for_each(|one| *one = 1.0);
    let gram = matrix.gram_times(&identity, n);
    (identity, gram, n)
}

/// An orthonormal basis `Q` of at most `size` columns, and the upper triangle of `Q^T N^T N Q`,
/// both column by column.
fn krylov(matrix: &Normalized<'_>, size: usize) -> (Vec<f64>, Vec<f64>, usize) {
    let n = matrix.n_items();
    let mut basis: Vec<f64> = Vec::with_capacity(n * size);
    // One column per found vector, each as long as the basis was when it was found.
    let mut projected: Vec<Vec<f64>> = Vec::with_capacity(size);
    // The result is a property of the matrix, so where the search starts does not depend on the
    // run's seed.
    let mut random = Seed(0).stream(Purpose::Init, 0, 0);
    let mut fresh: Vec<f64> = (0..n * BLOCK).map(|_| 2.0 * random.random::<f64>() - 1.0).collect();
    while projected.len() < size {
        let start = basis.len() / n;
        add_orthonormal(&mut basis, &mut fresh, n, size);
        let (found, width) = (basis.len() / n, basis.len() / n - start);
        if width == 0 {
            break;
        }
        fresh = matrix.gram_times(&basis[start * n..], width);
        let mut products = vec![0.0; found * width];
        let q = column_major(&basis, n, found);
        multiply(&mut products, Accum::Replace, q.transpose(), column_major(&fresh, n, width), 1.0);
        projected.extend(products.chunks_exact(found).map(<[f64]>::to_vec));
    }
    let found = projected.len();
    let mut triangle = vec![0.0; found * found];
    for (column, values) in projected.iter().enumerate() {
        triangle[column * found..column * found + values.len()].copy_from_slice(values);
    }
    (basis, triangle, found)
}

/// Takes the basis out of the fresh columns, makes them orthonormal, and adds those that are left
/// until the basis has `size` columns.
fn add_orthonormal(basis: &mut Vec<f64>, fresh: &mut [f64], n: usize, size: usize) {
    let (old, width) = (basis.len() / n, fresh.len() / n);
    let before: Vec<f64> = fresh.chunks_exact(n).map(norm).collect();
    // Once leaves rounding errors of the size of what was taken out; twice is enough.
    for _ in 0..2 {
        if old > 0 {
            let mut shares = vec![0.0; old * width];
            let q = column_major(basis, n, old);
            multiply(&mut shares, Accum::Replace, q.transpose(), column_major(fresh, n, width), 1.0);
            multiply(fresh, Accum::Add, q, column_major(&shares, old, width), -1.0);
        }
    }
    for (column, before) in fresh.chunks_exact_mut(n).zip(before) {
        if basis.len() / n == size {
            break;
        }
        for _ in 0..2 {
            for earlier in basis[old * n..].chunks_exact(n) {
                let share: f64 = earlier.iter().zip(&*column).map(|(a, b)| a * b).sum();
                column.iter_mut().zip(earlier).for_each(|(value, direction)| *value -= share * direction);
            }
        }
        let left = norm(column);
        if left > DEPENDENT * before && left > 0.0 {
            basis.extend(column.iter().map(|value| value / left));
        }
    }
}

fn norm(column: &[f64]) -> f64 {
    column.iter().map(|value| value * value).sum::<f64>().sqrt()
}

fn column_major(values: &[f64], rows: usize, columns: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, rows, columns)
}

/// `out = a b scale`, or that added to it; `out` column by column.
fn multiply(out: &mut [f64], accum: Accum, a: MatRef<'_, f64>, b: MatRef<'_, f64>, scale: f64) {
    matmul(MatMut::from_column_major_slice_mut(out, a.nrows(), b.ncols()), accum, a, b, scale, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{Interactions, ItemId, UserId};

    /// Pairs of 900 users and 601 items in two components, from a congruence.
    fn world() -> (UserItems, ItemUsers, usize) {
        let n_items = 601;
        let item = |u: u32, at: u32| 2 * ((u * u + 17 * at * (1 + u % 5)) % 300) + u % 2;
        let pairs = (0..900).flat_map(|u| (0..6 + u % 9).map(move |at| (UserId(u), ItemId(item(u, at)))));
        let users = UserItems::new(&Interactions::from_pairs(900, n_items, pairs).unwrap());
        let by_item = ItemUsers::new(n_items, users.rows());
        (users, by_item, n_items)
    }

    #[test]
    fn the_search_finds_what_the_whole_decomposition_gives_also_a_value_that_occurs_twice() {
        let (users, by_item, n) = world();
        let matrix = Normalized::new(&users, &by_item, n);
        let (_, gram, _) = identity(&matrix);
        let eigen = column_major(&gram, n, n).self_adjoint_eigen(Side::Upper).unwrap();
        let mut exact: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        exact.sort_by(|a, b| b.total_cmp(a));
        // Two components: 1 twice.
        assert!(
            (exact[0] - 1.0).abs() < 1e-12 && (exact[1] - 1.0).abs() < 1e-12 && exact[2] < 0.999,
            "{:?}",
            &exact[..4]
        );
        let (factors, found) = (40, leading_vectors("gf_cf", &matrix, 40).unwrap());
        let columns: Vec<f64> = (0..n * factors).map(|at| f64::from(found[at % n * factors + at / n])).collect();
        let images = matrix.gram_times(&columns, factors);
        for (at, (v, image)) in columns.chunks_exact(n).zip(images.chunks_exact(n)).enumerate() {
            // Vectors are stored in f32, so a component is off by 1e-8 or so; a residual of 1e-5
            // leaves no doubt about the direction.
            let residual: f64 =
                v.iter().zip(image).map(|(v, image)| (image - exact[at] * v).powi(2)).sum::<f64>().sqrt();
            assert!((norm(v) - 1.0).abs() < 1e-6 && residual < 1e-5, "vector {at}: {} {residual}", norm(v));
        }
    }

    #[test]
    fn the_same_bits_come_out_for_any_number_of_threads() {
        let (users, by_item, n) = world();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| leading_vectors("gf_cf", &Normalized::new(&users, &by_item, n), 20).unwrap())
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(3));
    }
}
