//! Losses of the uniform log: a fixed set of examples on inner products, without a sampler.

use serde::{Deserialize, Serialize};

use super::pair::Pairwise;
use super::point::PointwiseLoss;
use super::{Nodes, Objective};
use crate::settings::name_setting;
use gcnrec_kernels::ops::point_loss::PointLoss;

/// A loss that needs no sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniformLoss {
    /// Squared error of labels.
    Mse,
    /// Logistic loss of labels.
    Logistic,
    /// A liked item against a disliked one of the same user.
    Bpr,
}

name_setting!(UniformLoss, "loss of the uniform log");

impl UniformLoss {
    /// The loss for embeddings `dim` wide, without sampled negatives.
    pub fn objective(self, nodes: Nodes, dim: usize) -> Box<dyn Objective> {
        match self {
            UniformLoss::Mse => Box::new(PointwiseLoss::new(nodes, dim, PointLoss::Squared, 0)),
            UniformLoss::Logistic => Box::new(PointwiseLoss::new(nodes, dim, PointLoss::Logistic, 0)),
            UniformLoss::Bpr => Box::new(Pairwise::new(nodes, dim, 1)),
        }
    }
}
