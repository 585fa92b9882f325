//! Debiasing: how much each biased example counts, learned or worked out from a small uniform log.
//!
//! A method is one file: its settings, which implement [`Method`], and a row in the list below. It
//! gives a learner its example weights ([`crate::objectives::ExampleWeights`]) and, where it has
//! one, a further term of the loss ([`crate::objectives::AuxiliaryTerm`]). The look-ahead that
//! they learn from is the graph family's (`models::graph::meta`): a method sees derivatives only.

mod autodebias;
mod cause;
mod combine;
mod doubly_robust;
mod dr;
mod dr_jl;
mod fixed;
mod imputation;
mod inputs;
mod ips;
mod kd_label;
mod meta_adam;
mod meta_weight_net;
mod none;
mod observed_weights;
mod prepare;
mod propensity;
mod reweight;
mod small_mf;
mod snips;
mod table;
#[cfg(test)]
mod tests;
mod uniform;
mod uniform_log;
mod wide;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

use crate::data::Log;
use crate::error::Result;
use crate::models::graph::Learning;
use crate::objectives::{Loss, Nodes};
use crate::settings::{Chosen, Family, Row, Settings, Unread};
pub(crate) use inputs::{MethodInputs, TrainingRows};
pub(crate) use ips::Ips;
pub use prepare::{Training, prepare, uniform_batch};
pub(crate) use prepare::{check, prepare_on};
pub(crate) use propensity::Propensity;
pub(crate) use table::{IMPUTED, WeightRow, export, weight_table};
pub(crate) use uniform_log::UniformLog;

/// A method with its settings: `[debias.NAME]` holds exactly one.
pub type Config = Chosen<dyn Method>;

/// A debiasing method.
pub trait Method: Settings {
    /// Its row in the list of methods.
    fn row(&self) -> &'static Row<dyn Method>;

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`](crate::error::RecError::Config) for the first one.
    fn validate(&self) -> Result<()>;

    /// Settings that others of its settings make void; `key` is that of its table.
    fn unread(&self, key: &str) -> Vec<Unread> {
        let _ = key;
        Vec::new()
    }

    /// True when every example counts alike and nothing but the training part is read.
    fn is_none(&self) -> bool {
        false
    }

    /// The rows that a model is trained on.
    fn training_rows(&self) -> TrainingRows {
        TrainingRows::Biased
    }

    /// Refuses losses that the method cannot be used with.
    ///
    /// # Errors
    /// The losses that it fits, in words.
    fn fits(&self, loss: &dyn Loss) -> Result<(), &'static str> {
        let _ = loss;
        Ok(())
    }

    /// True when the method looks ahead of the steps of a learner.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// True when the method's loss runs over all pairs of a batch's users and items, each of which
    /// must come once an epoch.
    fn needs_blocks(&self) -> bool {
        false
    }

    /// Refuses a device that the method has no kernels for.
    ///
    /// # Errors
    /// [`gcnrec_kernels::KernelError::Device`], exit code 5, with the method's name.
    fn check_device(&self, device: &Device) -> Result<()> {
        let _ = device;
        Ok(())
    }

    /// What is fitted on the uniform log alone, whatever the model is: once for all stages of a
    /// run.
    fn fit_to_uniform(&self, rows: &Log, nodes: Nodes, seed: Seed) -> Vec<f64> {
        let _ = (rows, nodes, seed);
        Vec::new()
    }

    /// Refuses data that the method cannot use, without the work of [`Method::prepare`].
    ///
    /// # Errors
    /// Everything that [`Method::prepare`] would refuse.
    fn check(&self, inputs: &MethodInputs<'_>) -> Result<()> {
        let _ = inputs;
        Ok(())
    }

    /// Changes how a learner learns: the weights of examples, a further term of the loss, labels,
    /// and what they learn from. `learning` comes with weights that are all alike.
    ///
    /// # Errors
    /// Data that the method cannot use.
    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()>;
}

impl Family for dyn Method {
    const WHAT: &'static str = "debiasing method";

    fn rows() -> &'static [&'static Row<Self>] {
        static ROWS: [&Row<dyn Method>; 12] = [
            &none::ROW,
            &uniform::ROW,
            &combine::ROW,
            &ips::ROW,
            &snips::ROW,
            &autodebias::ROW,
            &reweight::ROW,
            &meta_weight_net::ROW,
            &dr::ROW,
            &dr_jl::ROW,
            &cause::ROW,
            &kd_label::ROW,
        ];
        &ROWS
    }

    fn row(&self) -> &'static Row<Self> {
        Method::row(self)
    }

    fn validate(&self) -> Result<()> {
        Method::validate(self)
    }
}
