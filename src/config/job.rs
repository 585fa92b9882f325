//! A job of the trainer, from a configuration and its data.

use std::sync::Arc;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

use super::Config;
use crate::data::Split;
use crate::error::Result;
use crate::train;

impl Config {
    /// What [`train::run`] takes: this configuration, its data as [`crate::data::load`] reads them,
    /// and where to compute.
    ///
    /// # Errors
    /// As [`Config::to_toml`], whose text every checkpoint keeps.
    pub(crate) fn job(&self, split: Arc<Split>, device: Device) -> Result<train::Job> {
        Ok(train::Job {
            split,
            model: self.model.clone(),
            // Closed forms have no loss and read none.
            objective: self.objective.clone().unwrap_or_default(),
            debias: self.debias.clone(),
            train: self.train.clone(),
            eval: self.eval.clone(),
            seed: Seed(self.seed),
            device,
            config_toml: self.to_toml()?,
        })
    }
}
