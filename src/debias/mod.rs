//! How much each biased example is to be trusted, learned from a small log that was collected under uniform exposure, or worked out from it.
//!
//! A method is one file here with its table `[debias.NAME]`, its `mod` line and its row in [`Config`]. It gives a learner its example weights
//! ([`crate::objectives::ExampleWeights`]), and, where it has one, a further term of the loss ([`crate::objectives::AuxiliaryTerm`]). The look-ahead that
//! teaches them is the graph family's (`models::graph::Uniform`): a method only sees derivatives.

mod autodebias;
mod cause;
pub mod config;
mod distill;
mod doubly_robust;
mod fixed;
mod imputation;
mod meta_adam;
mod meta_weight_net;
mod prepare;
mod propensity;
mod reweight;
mod small_mf;
mod table;
#[cfg(test)]
mod tests;
mod wide;

pub use config::Config;
pub use prepare::{Prepared, Training, lesson, prepare};
pub use propensity::Propensity;
pub use table::{IMPUTED, WeightRow, export, weight_table};
