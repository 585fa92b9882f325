//! A squared loss over all pairs of a left and a right row, of which some are known and count in
//! their own way, without ever listing the others:
//!
//! `L = sum over l, r of f_l f_r w0 (s - t0)^2 + sum over known (l, r, t) of f_l f_r (w1 (s - t)^2
//! - w0 (s - t0)^2)` with `s = x_l . x_r`.
//!
//! The weight of a pair is a product of its rows' factors and the target of unknown pairs is one
//! number, so the first sum is a form in `G = sum f x x'` and `g = sum f x` of the other side. The
//! cost is that of the known pairs and of `n_rows * dim^2`.

use crate::error::{Result, expect_dim, expect_indices, expect_len};
use crate::{Buffer, Device};

#[cfg(feature = "gpu")]
mod gpu;

/// What the pairs weigh and what they should score.
#[derive(Debug, Clone, Copy)]
pub struct AllPairs<'a> {
    /// Columns of a row.
    pub dim: usize,
    /// Rows `0..n_left` are the left side, the others the right one.
    pub n_left: usize,
    /// `f`: one number per row.
    pub factor: &'a [f64],
    /// `[w0, w1]`: of unknown and of known pairs.
    pub weight: [f64; 2],
    /// `t0`.
    pub target: f64,
    /// `t`: one number per known pair.
    pub known_target: &'a [f64],
    /// What the loss and its gradient are multiplied by.
    pub scale: f64,
}

/// Which pairs are known, as rows of the left and of the right side, and memory that is kept from
/// call to call.
#[derive(Debug, Default)]
pub struct KnownPairs {
    left: Vec<u32>,
    right: Vec<u32>,
    #[cfg(feature = "gpu")]
    scratch: gpu::Scratch,
}

impl KnownPairs {
    /// Takes the pairs of a batch of `n_rows` rows; a right row is named by its place among all
    /// rows.
    ///
    /// # Errors
    /// [`KernelError::Shape`](crate::KernelError::Shape) when the sides are not equally long,
    /// [`KernelError::Index`](crate::KernelError::Index) for what is no row.
    pub fn assign(&mut self, device: &Device, n_rows: usize, left: &[u32], right: &[u32]) -> Result<()> {
        const OP: &str = "known_pairs";
        expect_len(OP, "right", right.len(), left.len())?;
        expect_indices(OP, "left", left, n_rows)?;
        expect_indices(OP, "right", right, n_rows)?;
        self.left.clear();
        self.left.extend_from_slice(left);
        self.right.clear();
        self.right.extend_from_slice(right);
        match device {
            Device::Cpu => Ok(()),
            #[cfg(feature = "gpu")]
            Device::Gpu(_) => self.scratch.assign(device, n_rows, left, right),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.left.iter().zip(&self.right).map(|(&left, &right)| (left as usize, right as usize))
    }
}

/// How scores move along a motion of the rows, summed as the derivatives of the loss by factors,
/// weights and targets need it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PairMotion {
    /// Of every row, with the sums over the other side: `sum f s s_dot` and `sum f s_dot`.
    pub rows: Vec<[f64; 2]>,
    /// Of every known pair: `s` and `s_dot`.
    pub known: Vec<[f64; 2]>,
}

/// The definition of the loss, in f64.
pub fn all_pairs_reference(pairs: &AllPairs<'_>, known: &KnownPairs, x: &[f64]) -> f64 {
    let AllPairs { factor, weight: [unseen, seen], target: m, .. } = *pairs;
    let [lefts, rights] = pairs.sides();
    let of_right = pairs.moments(rights.clone(), x, x);
    let total = rights.map(|slot| factor[slot]).sum::<f64>();
    let mut sum = 0.0;
    for left in lefts {
        let row = pairs.row(x, left);
        let form = dot(row, &times(&of_right.matrix, row)) - 2.0 * m * dot(row, &of_right.vector) + m * m * total;
        sum += unseen * factor[left] * form;
    }
    for ((left, right), target) in known.pairs().zip(pairs.known_target) {
        let (s, both) = (dot(pairs.row(x, left), pairs.row(x, right)), factor[left] * factor[right]);
        sum += both * (seen * (s - target).powi(2) - unseen * (s - m).powi(2));
    }
    pairs.scale * sum
}

/// The definition of [`all_pairs_gradient`]: the gradient of [`all_pairs_reference`].
pub fn all_pairs_gradient_reference(pairs: &AllPairs<'_>, known: &KnownPairs, x: &[f64]) -> Vec<f64> {
    let AllPairs { dim, factor, weight: [unseen, seen], target: m, .. } = *pairs;
    let mut gradient = vec![0.0; x.len()];
    let [lefts, rights] = pairs.sides();
    for (side, other) in [(lefts.clone(), rights.clone()), (rights, lefts)] {
        let of_other = pairs.moments(other, x, x);
        for slot in side {
            let pulled = times(&of_other.matrix, pairs.row(x, slot));
            let scale = 2.0 * unseen * factor[slot];
            let target = &mut gradient[slot * dim..][..dim];
            for ((target, pulled), vector) in target.iter_mut().zip(pulled).zip(&of_other.vector) {
                *target += scale * (pulled - m * vector);
            }
        }
    }
    for ((left, right), target) in known.pairs().zip(pairs.known_target) {
        let (s, both) = (dot(pairs.row(x, left), pairs.row(x, right)), factor[left] * factor[right]);
        let slope = 2.0 * both * (seen * (s - target) - unseen * (s - m));
        for (to, from) in [(left, right), (right, left)] {
            for column in 0..dim {
                gradient[to * dim + column] += slope * x[from * dim + column];
            }
        }
    }
    gradient.iter_mut().for_each(|gradient| *gradient *= pairs.scale);
    gradient
}

/// The definition of [`all_pairs_motion`].
pub fn all_pairs_motion_reference(pairs: &AllPairs<'_>, known: &KnownPairs, x: &[f64], x_dot: &[f64]) -> PairMotion {
    let mut rows = vec![[0.0; 2]; pairs.factor.len()];
    let [lefts, rights] = pairs.sides();
    for (side, other) in [(lefts.clone(), rights.clone()), (rights, lefts)] {
        let (plain, crossed) = (pairs.moments(other.clone(), x, x), pairs.moments(other, x, x_dot));
        for slot in side {
            let (row, row_dot) = (pairs.row(x, slot), pairs.row(x_dot, slot));
            let bent = dot(row, &times(&plain.matrix, row_dot)) + dot(row, &times(&crossed.matrix, row));
            let straight = dot(row_dot, &plain.vector) + dot(row, &crossed.vector);
            rows[slot] = [bent, straight];
        }
    }
    let moved = |(left, right): (usize, usize)| {
        let (l, r) = (pairs.row(x, left), pairs.row(x, right));
        [dot(l, r), dot(pairs.row(x_dot, left), r) + dot(l, pairs.row(x_dot, right))]
    };
    PairMotion { rows, known: known.pairs().map(moved).collect() }
}

/// Adds the gradient of the loss with respect to every row.
///
/// # Shapes
/// - `x`, `gradient`: `[n_rows, dim]`
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when sizes disagree.
pub fn all_pairs_gradient(
    device: &Device,
    pairs: &AllPairs<'_>,
    known: &mut KnownPairs,
    x: &Buffer<f32>,
    gradient: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "all_pairs_gradient";
    pairs.check(OP, known, x)?;
    expect_len(OP, "gradient", gradient.len(), x.len())?;
    match device {
        Device::Cpu => {
            let added = all_pairs_gradient_reference(pairs, known, &wide(x));
            gradient.host_mut().iter_mut().zip(added).for_each(|(gradient, added)| *gradient += added as f32);
            Ok(())
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::gradient(device, gpu, pairs, &mut known.scratch, x, gradient),
    }
}

/// How the scores move when the rows move along `x_dot`, in host memory: on a GPU this waits for
/// it.
///
/// # Shapes
/// - `x`, `x_dot`: `[n_rows, dim]`
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when sizes disagree.
pub fn all_pairs_motion(
    device: &Device,
    pairs: &AllPairs<'_>,
    known: &mut KnownPairs,
    x: &Buffer<f32>,
    x_dot: &Buffer<f32>,
) -> Result<PairMotion> {
    const OP: &str = "all_pairs_motion";
    pairs.check(OP, known, x)?;
    expect_len(OP, "x_dot", x_dot.len(), x.len())?;
    match device {
        Device::Cpu => Ok(all_pairs_motion_reference(pairs, known, &wide(x), &wide(x_dot))),
        #[cfg(feature = "gpu")]
        Device::Gpu(gpu) => gpu::motion(device, gpu, pairs, &mut known.scratch, x, x_dot),
    }
}

fn wide(x: &Buffer<f32>) -> Vec<f64> {
    x.host().iter().map(|&x| f64::from(x)).collect()
}

/// Weighted moments of one side's rows: the matrix `sum_r f_r x_r y_r'` and the vector
/// `sum_r f_r y_r`.
struct Moments {
    matrix: Vec<f64>,
    vector: Vec<f64>,
}

impl AllPairs<'_> {
    fn check(&self, op: &'static str, known: &KnownPairs, x: &Buffer<f32>) -> Result<()> {
        expect_dim(op, self.dim)?;
        expect_len(op, "x", x.len(), self.factor.len() * self.dim)?;
        expect_len(op, "n_left", self.n_left, self.n_left.min(self.factor.len()))?;
        expect_len(op, "known_target", self.known_target.len(), known.left.len())
    }

    fn sides(&self) -> [std::ops::Range<usize>; 2] {
        [0..self.n_left, self.n_left..self.factor.len()]
    }

    fn row<'a>(&self, x: &'a [f64], slot: usize) -> &'a [f64] {
        &x[slot * self.dim..(slot + 1) * self.dim]
    }

    fn moments(&self, slots: std::ops::Range<usize>, x: &[f64], y: &[f64]) -> Moments {
        let dim = self.dim;
        let mut moments = Moments { matrix: vec![0.0; dim * dim], vector: vec![0.0; dim] };
        for slot in slots {
            let (x, y) = (self.row(x, slot), self.row(y, slot));
            for (a, row) in moments.matrix.chunks_exact_mut(dim).enumerate() {
                let scaled = self.factor[slot] * x[a];
                row.iter_mut().zip(y).for_each(|(sum, y)| *sum += scaled * y);
            }
            moments.vector.iter_mut().zip(y).for_each(|(sum, y)| *sum += self.factor[slot] * y);
        }
        moments
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `M x`, for a row-major square matrix.
fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dot(row, x)).collect()
}

#[cfg(test)]
mod tests;
