//! The layers of a batch's rows summed with one weight each, the last layer propagated on the way:
//! three ops in one pass over memory.

use rayon::prelude::*;

use super::adjacency::Adjacency;
use super::propagate::cpu::{Edges, ROWS_PER_TASK, sum_chosen};
use super::row_set::RowSet;
use crate::dispatch;
#[cfg(feature = "gpu")]
use crate::error::KernelError;
use crate::error::{Result, expect_dim, expect_len};
use crate::simd::mul_add;
use crate::{Buffer, Device};

/// Columns that are summed at a time.
const CHUNK: usize = 64;

/// True where [`pool_rows`] is what it takes; a GPU gathers and adds the layers by ops of their
/// own.
pub fn pools_in_one_pass(device: &Device) -> bool {
    matches!(device, Device::Cpu)
}

/// Pools the rows of a batch: `y[s] = sum_(l < K) alpha_l layers_l[rows[s]] + alpha_K (A
/// layers_(K-1))[rows[s]]`.
///
/// The same bits as [`gather_rows`](super::gather::gather_rows),
/// [`propagate_rows`](super::propagate::propagate_rows) and
/// [`weighted_sum`](super::combine::weighted_sum) one after the other, without the rows of each
/// layer being written and read again.
///
/// # Shapes
/// - `layers`: K times `[n_cols, dim]`, K at least 1; `alpha`: `[K + 1]`; `rows`: S out of
///   `n_rows`; `y`: `[S, dim]`, resized and overwritten
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit,
/// [`KernelError::Argument`](crate::KernelError::Argument) where not [`pools_in_one_pass`].
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eqs. 3 and 4.
pub fn pool_rows(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    alpha: &[f32],
    layers: &[Buffer<f32>],
    rows: &RowSet,
    y: &mut Buffer<f32>,
) -> Result<()> {
    const OP: &str = "pool_rows";
    expect_dim(OP, dim)?;
    let Some(last) = layers.last() else { return expect_len(OP, "layers", 0, 1) };
    expect_len(OP, "alpha", alpha.len(), layers.len() + 1)?;
    layers.iter().try_for_each(|layer| expect_len(OP, "layers", layer.len(), a.n_cols() * dim))?;
    expect_len(OP, "a.row_ptr", a.n_rows() + 1, a.n_cols() + 1)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    match device {
        Device::Cpu => {
            device.resize(y, rows.len() * dim);
            let edges = Edges::of(a);
            let tasks = y.host_mut().par_chunks_mut(ROWS_PER_TASK * dim).zip(rows.rows().par_chunks(ROWS_PER_TASK));
            tasks.for_each(|(y, rows)| {
                sum_chosen(edges, dim, last.host(), rows, y);
                add_layers(dim, alpha, layers, rows, y);
            });
            Ok(())
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {
            let problem = "is a GPU, expected the processor".into();
            Err(KernelError::Argument { op: OP, argument: "device", problem })
        }
    }
}

dispatch! {
    /// `y[s] = sum_l alpha_l layers_l[rows[s]] + alpha_K y[s]`, terms in the order of the layers.
    fn add_layers(dim: usize, alpha: &[f32], layers: &[Buffer<f32>], rows: &[u32], y: &mut [f32]) = add_layers_body
}

#[inline(always)]
fn add_layers_body<const FUSED: bool>(dim: usize, alpha: &[f32], layers: &[Buffer<f32>], rows: &[u32], y: &mut [f32]) {
    let (base, above, last) = (alpha[0], &alpha[1..layers.len()], alpha[layers.len()]);
    let mut sums = [0.0f32; CHUNK];
    for (y, &row) in y.chunks_exact_mut(dim).zip(rows) {
        for (chunk, y) in y.chunks_mut(CHUNK).enumerate() {
            let from = row as usize * dim + chunk * CHUNK;
            let part = from..from + y.len();
            let sums = &mut sums[..y.len()];
            sums.iter_mut().zip(&layers[0].host()[part.clone()]).for_each(|(sum, &x)| *sum = base * x);
            for (&alpha, layer) in above.iter().zip(&layers[1..]) {
                let x = &layer.host()[part.clone()];
                sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum = mul_add::<FUSED>(alpha, x, *sum));
            }
            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = mul_add::<FUSED>(last, *y, *sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::combine::{Layers, weighted_sum};
    use crate::ops::gather::gather_rows;
    use crate::ops::propagate::propagate_rows;
    use crate::simd::tests::on_both_widths;
    use crate::testing::{DIMS, awkward_square, bits, numbers, same_bits_of};

    const CPU: Device = Device::Cpu;
    const NODES: usize = 331;

    #[test]
    fn one_pass_has_the_bits_of_the_three_ops() {
        let (row_ptr, col_idx, values) = awkward_square(NODES);
        let a = Adjacency::upload(&CPU, NODES, &row_ptr, &col_idx, &values).unwrap();
        let mut rows = RowSet::new(&CPU, NODES);
        rows.assign(&CPU, &(0..NODES as u32).filter(|row| row % 3 != 1).collect::<Vec<_>>()).unwrap();
        for dim in DIMS {
            for n_layers in [1, 3] {
                let layers: Vec<_> = (0..n_layers).map(|l| CPU.upload(&numbers(l as u64, NODES * dim))).collect();
                let alpha = &[0.3, 0.2, 0.4, 0.1][..=n_layers];
                let mut hops = vec![Buffer::default(); n_layers + 1];
                for (layer, hop) in layers.iter().zip(&mut hops) {
                    gather_rows(&CPU, dim, layer, &rows, hop).unwrap();
                }
                propagate_rows(&CPU, &a, dim, &layers[n_layers - 1], &rows, &mut hops[n_layers]).unwrap();
                let pool = || {
                    let mut y = Buffer::default();
                    pool_rows(&CPU, &a, dim, alpha, &layers, &rows, &mut y).unwrap();
                    y.host().to_vec()
                };
                let three = || {
                    let mut y = CPU.zeros(rows.len() * dim);
                    let layers = Layers { dim, hops: &hops, range: 0..rows.len() };
                    weighted_sum(&CPU, alpha, &layers, &mut y).unwrap();
                    y.host().to_vec()
                };
                assert_eq!(bits(&same_bits_of(pool)), bits(&three()), "{n_layers} layers, dim {dim}");
                let (wide, narrow) = on_both_widths(pool);
                assert_eq!((bits(&wide), bits(&narrow)), (bits(&three()), bits(&wide)), "{n_layers} layers, dim {dim}");
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let a = Adjacency::upload(&CPU, 2, &[0, 1, 2], &[1, 0], &[1.0, 1.0]).unwrap();
        let (rows, mut y) = (RowSet::new(&CPU, 2), Buffer::default());
        let mut refused = |alpha: &[f32], layers: &[Buffer<f32>]| {
            pool_rows(&CPU, &a, 2, alpha, layers, &rows, &mut y).unwrap_err().to_string()
        };
        assert_eq!(refused(&[1.0], &[]), "pool_rows: layers has 0 elements, expected 1");
        assert_eq!(refused(&[1.0], &[CPU.zeros(4)]), "pool_rows: alpha has 1 elements, expected 2");
        assert_eq!(refused(&[1.0; 2], &[CPU.zeros(3)]), "pool_rows: layers has 3 elements, expected 4");
    }
}
