//! What the cases of the layer combinations share: what the three passes read and write, and how
//! that is compared.

use std::ops::Range;

use gcnrec_kernels::{Buffer, Device};

use crate::{assert_close, numbers, upload_all};

pub fn hops(seed: u64, n_hops: usize, len: usize) -> Vec<Vec<f32>> {
    (0..n_hops as u64).map(|k| numbers(seed * 100 + k, len)).collect()
}

pub fn cut(all: &[Vec<f32>], dim: usize, range: &Range<usize>) -> Vec<Vec<f32>> {
    all.iter().map(|values| values[range.start * dim..range.end * dim].to_vec()).collect()
}

/// What the three passes of a combination read and write on a device.
pub struct Passes {
    pub e: Vec<Buffer<f32>>,
    pub e_dot: Vec<Buffer<f32>>,
    pub g: Buffer<f32>,
    pub pooled: Buffer<f32>,
    pub attention: Buffer<f32>,
    pub d_parameters: Buffer<f32>,
    pub d_pooled: Buffer<f32>,
    pub direct: Vec<Buffer<f32>>,
}

impl Passes {
    /// What is to be written holds nines.
    pub fn new(device: &Device, n_rows: usize, dim: usize, n_hops: usize, n_parameters: usize) -> Passes {
        let (len, nines) = (n_rows * dim, |len: usize| device.upload(&vec![9.0; len]));
        Passes {
            e: upload_all(device, &hops(1, n_hops, len)),
            e_dot: upload_all(device, &hops(2, n_hops, len)),
            g: device.upload(&numbers(8, len)),
            pooled: nines(len),
            attention: nines(n_rows * n_hops),
            d_parameters: nines(n_parameters),
            d_pooled: nines(len),
            direct: (0..n_hops).map(|_| nines(len)).collect(),
        }
    }

    pub fn read(&self, device: &Device) -> Vec<Vec<f32>> {
        let fixed = [&self.pooled, &self.attention, &self.d_parameters, &self.d_pooled];
        fixed.into_iter().chain(&self.direct).map(|values| device.read(values)).collect()
    }
}

/// Compares what [`Passes::read`] found with `(pooled, direct, d_parameters, d_pooled)` on the rows
/// of `own`, and sees to it that the others kept their nines.
#[track_caller]
pub fn compare(
    found: &[Vec<f32>],
    own: &Range<usize>,
    (pooled, direct, d_parameters, d_pooled): (Vec<f64>, Vec<Vec<f64>>, Vec<f64>, Vec<f64>),
    what: &str,
) {
    // Scores of up to 128 columns and activations to a few parts in a million.
    assert_close(&found[0][own.clone()], &pooled, 2e-5, &format!("{what} pooled"));
    // Sums over up to 687 rows of 4 layers.
    assert_close(&found[2], &d_parameters, 3e-4, &format!("{what} parameters"));
    assert_close(&found[3][own.clone()], &d_pooled, 1e-4, &format!("{what} moved"));
    for (found, expected) in found[4..].iter().zip(&direct) {
        assert_close(&found[own.clone()], expected, 5e-5, &format!("{what} direct"));
    }
    for written in [&found[0], &found[3]].into_iter().chain(&found[4..]) {
        assert!(written[..own.start].iter().chain(&written[own.end..]).all(|&x| x == 9.0), "{what}");
    }
}
