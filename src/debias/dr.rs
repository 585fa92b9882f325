//! `dr`: doubly robust learning with imputed labels.
//!
//! Settings, loss and source are in [`super::doubly_robust`].

use gcnrec_kernels::Device;
use serde::{Deserialize, Serialize};

use super::doubly_robust::{DoublyRobust, Imputed};
use super::{Method, MethodInputs};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::objectives::Loss;
use crate::settings::{Key, Row, row};

/// `[debias.dr]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Dr(pub DoublyRobust);

impl Dr {
    /// One row for each key.
    pub(crate) const KEYS: &'static [Key] = DoublyRobust::KEYS;
}

pub(super) static ROW: Row<dyn Method> = row!(dyn Method, Dr, "dr", "doubly robust learning with imputed labels");

impl Method for Dr {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.0.check_ranges("debias.dr")
    }

    fn fits(&self, loss: &dyn Loss) -> Result<(), &'static str> {
        DoublyRobust::fits(loss)
    }

    fn needs_blocks(&self) -> bool {
        true
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        Ok(device.expect_cpu("the debiasing method dr")?)
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        self.0.prepare(Imputed::Labels, inputs, learning);
        Ok(())
    }
}
