//! Further terms of the loss that are worked out in f64 on the processor, and fit something of
//! their own to the model in every step.

use gcnrec_kernels::{Buffer, Device};

use super::meta_adam::MetaAdam;
use crate::error::Result;
use crate::objectives::{AuxiliaryTerm, Parameters};
use crate::samplers::Batch;

/// A term with rows in f64: `x` is `[n_rows, dim]`, row-major, users first.
pub(super) trait WideTerm: Send {
    /// As [`AuxiliaryTerm::prepare`].
    fn take(&mut self, batch: &Batch, nodes: &[u32]) -> Result<()>;

    /// The value of the term.
    fn value(&self, x: &[f64]) -> f64;

    /// Its gradient with respect to every row.
    fn gradient(&self, x: &[f64]) -> Vec<f64>;

    /// As [`AuxiliaryTerm::fit`].
    fn fit_to(&mut self, x: &[f64]);

    /// What the term fits to the model.
    fn learned(&self) -> &MetaAdam;

    /// The same, to be changed.
    fn learned_mut(&mut self) -> &mut MetaAdam;
}

impl<T: WideTerm> AuxiliaryTerm for T {
    fn prepare(&mut self, _device: &Device, batch: &Batch, nodes: &[u32]) -> Result<()> {
        self.take(batch, nodes)
    }

    fn fits(&self) -> bool {
        true
    }

    fn fit(&mut self, device: &Device, rows: &Buffer<f32>) {
        self.fit_to(&wide(device, rows));
    }

    fn forward(&self, device: &Device, rows: &Buffer<f32>) -> Result<f64> {
        Ok(self.value(&wide(device, rows)))
    }

    fn backward(&mut self, device: &Device, rows: &Buffer<f32>, gradient: &mut Buffer<f32>) -> Result<()> {
        let (added, mut sum) = (self.gradient(&wide(device, rows)), device.read(gradient));
        sum.iter_mut().zip(added).for_each(|(sum, added)| *sum += added as f32);
        device.write(gradient, &sum);
        Ok(())
    }

    fn tangent(&mut self, _device: &Device, _rows: &Buffer<f32>, _rows_dot: &Buffer<f32>) -> Result<()> {
        // What the term fits, it fits in every step: it learns nothing from a look-ahead.
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        self.learned().save(["value", "m", "v", "step"])
    }

    fn restore(&mut self, parameters: Parameters) {
        self.learned_mut().load(&mut parameters.into_iter());
    }
}

fn wide(device: &Device, rows: &Buffer<f32>) -> Vec<f64> {
    device.read(rows).iter().map(|&x| f64::from(x)).collect()
}

/// The inner product of two rows.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
