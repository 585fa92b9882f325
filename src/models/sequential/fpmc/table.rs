//! A table of FPMC in training, with its gradient.

use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::ops::gather::gather_indices;
use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::models::sequential::parameters::{Init, Trained};

/// A table with its gradient.
pub(super) struct Table {
    pub(super) trained: Trained,
    pub(super) gradient: Vec<f32>,
}

impl Table {
    /// Glorot and Bengio's normal start of matrices of these widths, which stand side by side and
    /// draw from streams of their own.
    pub(super) fn new(name: &str, n: usize, dims: &[usize], seed: Seed, place: u64) -> Self {
        let width = dims.iter().sum();
        let mut values = vec![0.0; n * width];
        let mut from = 0;
        for (part, &dim) in dims.iter().enumerate() {
            let drawn = Init::xavier_normal([n, dim]).draw(n * dim, seed.stream(Purpose::Init, 0, place + part as u64));
            for (row, drawn) in values.chunks_exact_mut(width).zip(drawn.chunks_exact(dim)) {
                row[from..from + dim].copy_from_slice(drawn);
            }
            from += dim;
        }
        Table { trained: Trained::new(&Device::Cpu, name, [n, width], &values), gradient: vec![0.0; n * width] }
    }

    /// Rows by index.
    pub(super) fn rows(&self, indices: &[u32]) -> Result<Vec<f32>> {
        let (mut rows, [_, width]) = (Buffer::default(), self.trained.shape());
        gather_indices(&Device::Cpu, width, self.trained.value(), &Device::Cpu.upload(indices), &mut rows)?;
        Ok(Device::Cpu.read(&rows))
    }

    /// Adds a multiple of a vector to the gradient of a row.
    pub(super) fn add(&mut self, row: u32, factor: f32, vector: &[f32]) {
        let at = row as usize * self.trained.shape()[1];
        self.gradient[at..at + vector.len()].iter_mut().zip(vector).for_each(|(sum, x)| *sum += factor * x);
    }
}
