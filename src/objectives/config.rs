//! What a user can choose about a loss. `[objective.NAME]` holds exactly one of these.

use serde::{Deserialize, Serialize};

use crate::error::{RecError, Result};

/// A loss with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Bayesian personalised ranking: a positive against sampled negatives, inner products.
    Bpr(Bpr),
    /// Sampled softmax on cosines: the other positives of the batch are the negatives.
    Ssm(Ssm),
    /// Softmax over all items on cosines, in batches of users with all their positives.
    Softmax(Softmax),
    /// The bilateral softmax loss, over all items or within the batch.
    Bsl(Bsl),
    /// Squared error of labels.
    Mse(Pointwise),
    /// Logistic loss of labels.
    Logistic(Pointwise),
}

/// Where negatives are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// Every item alike.
    Uniform,
    /// Items in proportion to their training count to the power of `alpha`.
    Popularity,
}

/// `[objective.bpr]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bpr {
    /// Weight decay of the base embeddings of the batch's rows, 0 or more. Default 1e-4.
    pub l2: f32,
    /// Negatives drawn for each positive, 1..=1000. Default 1.
    pub n_negatives: usize,
    /// Items drawn for each negative, 1..=100: the one that the model scores highest at that moment is taken. Default 1: the first is.
    pub n_candidates: usize,
    /// Where negatives are drawn from. Default `uniform`.
    pub negatives: Negatives,
    /// Exponent of the popularity distribution, 0..=4. Default 1.
    pub alpha: f64,
}

/// `[objective.ssm]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ssm {
    /// Temperature, 0.01..=10. Default 0.15.
    pub tau: f32,
    /// Weight decay of all layer vectors of the batch's rows, 0 or more. Default 1e-5.
    pub l2: f32,
}

/// `[objective.softmax]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Softmax {
    /// Temperature, 0.01..=10. Default 0.25; 0.1 where there are more than 10,000 items.
    pub tau: f32,
    /// Weight decay of the base embeddings of the batch's users and positives, 0 or more. Default 1e-5.
    pub l2: f32,
}

/// Which items stand against a positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidates {
    /// All items; batches are users with all their positives.
    All,
    /// The positives of the batch; batches are pairs.
    Batch,
}

/// `[objective.bsl]`: `-s+/tau + t2 log sum exp(s/tau)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bsl {
    /// Temperature, 0.01..=10. Default 0.25.
    pub tau: f32,
    /// Weight of the negative side, above 0 to 10. Default 1.2.
    pub t2: f32,
    /// Which items stand against a positive. Default `all`.
    pub candidates: Candidates,
    /// Weight decay, as in `softmax` (`all`) or `ssm` (`batch`), 0 or more. Default 1e-5.
    pub l2: f32,
}

/// `[objective.mse]` and `[objective.logistic]`: observed pairs are +1 (or carry their label), sampled pairs are -1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pointwise {
    /// Weight decay of the base embeddings of the batch's rows, 0 or more. Default 1e-4.
    pub l2: f32,
    /// Negatives drawn for each positive, 0..=1000. Default 1.
    pub n_negatives: usize,
    /// Items drawn for each negative, 1..=100: the one that the model scores highest at that moment is taken. Default 1: the first is.
    pub n_candidates: usize,
    /// Where negatives are drawn from. Default `uniform`.
    pub negatives: Negatives,
    /// Exponent of the popularity distribution, 0..=4. Default 1.
    pub alpha: f64,
}

impl Default for Bpr {
    fn default() -> Self {
        Bpr { l2: 1e-4, n_negatives: 1, n_candidates: 1, negatives: Negatives::Uniform, alpha: 1.0 }
    }
}

impl Default for Ssm {
    fn default() -> Self {
        Ssm { tau: 0.15, l2: 1e-5 }
    }
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { tau: 0.25, l2: 1e-5 }
    }
}

impl Default for Bsl {
    fn default() -> Self {
        Bsl { tau: 0.25, t2: 1.2, candidates: Candidates::All, l2: 1e-5 }
    }
}

impl Default for Pointwise {
    fn default() -> Self {
        Pointwise { l2: 1e-4, n_negatives: 1, n_candidates: 1, negatives: Negatives::Uniform, alpha: 1.0 }
    }
}

impl Config {
    /// The names of the losses.
    pub const NAMES: [&str; 6] = ["bpr", "ssm", "softmax", "bsl", "mse", "logistic"];

    /// A loss by name with its defaults.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Config::NAMES`].
    pub fn named(name: &str) -> Result<Config> {
        Ok(match name {
            "bpr" => Config::Bpr(Bpr::default()),
            "ssm" => Config::Ssm(Ssm::default()),
            "softmax" => Config::Softmax(Softmax::default()),
            "bsl" => Config::Bsl(Bsl::default()),
            "mse" => Config::Mse(Pointwise::default()),
            "logistic" => Config::Logistic(Pointwise::default()),
            _ => {
                return Err(RecError::Unknown {
                    what: "loss",
                    origin: String::new(),
                    name: name.into(),
                    known: Self::NAMES.map(String::from).to_vec(),
                });
            }
        })
    }

    /// The loss's name.
    pub fn name(&self) -> &'static str {
        match self {
            Config::Bpr(_) => "bpr",
            Config::Ssm(_) => "ssm",
            Config::Softmax(_) => "softmax",
            Config::Bsl(_) => "bsl",
            Config::Mse(_) => "mse",
            Config::Logistic(_) => "logistic",
        }
    }

    /// True when the loss is taken on cosines, so that embeddings are normalised before it.
    pub fn cosine(&self) -> bool {
        matches!(self, Config::Ssm(_) | Config::Softmax(_) | Config::Bsl(_))
    }

    /// The power of the item's norm that the loss is ranked with unless the model says otherwise: 1 inner product, 0 cosine.
    pub fn default_norm_power(&self) -> f32 {
        match self {
            Config::Softmax(_) | Config::Bsl(Bsl { candidates: Candidates::All, .. }) => 0.0,
            _ => 1.0,
        }
    }

    /// True when a batch is a number of users with all their positives, scored against all items.
    pub fn batches_users(&self) -> bool {
        matches!(self, Config::Softmax(_) | Config::Bsl(Bsl { candidates: Candidates::All, .. }))
    }

    /// The standard deviation of initial embeddings that the loss is known to work with: Xavier's order of magnitude for the losses that were
    /// published with it (SPEC F.2), the 0.1 of LightGCN-PyTorch for the others.
    pub fn default_init_std(&self) -> f32 {
        if self.cosine() && !self.batches_users() { 0.01 } else { 0.1 }
    }

    /// The step size that the loss is known to work with.
    pub fn default_learning_rate(&self) -> f32 {
        if self.batches_users() { 1e-2 } else { 1e-3 }
    }

    /// 2048 pairs, or an eighth of the users within 32..=512 (SPEC M.1 used 118 of 943).
    pub fn default_batch_size(&self, n_users: usize) -> usize {
        if self.batches_users() { n_users.div_ceil(8).clamp(32, 512) } else { 2048 }
    }

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        let key = format!("objective.{}", self.name());
        let l2 = |value: f32| range(&key, "l2", f64::from(value), 0.0, 1e6);
        let tau = |value: f32| range(&key, "tau", f64::from(value), 0.01, 10.0);
        match self {
            Config::Bpr(c) => {
                l2(c.l2)?;
                range(&key, "n_negatives", c.n_negatives as f64, 1.0, 1000.0)?;
                range(&key, "n_candidates", c.n_candidates as f64, 1.0, 100.0)?;
                range(&key, "alpha", c.alpha, 0.0, 4.0)
            }
            Config::Ssm(c) => l2(c.l2).and(tau(c.tau)),
            Config::Softmax(c) => l2(c.l2).and(tau(c.tau)),
            Config::Bsl(c) => l2(c.l2).and(tau(c.tau)).and(range(&key, "t2", f64::from(c.t2), 1e-6, 10.0)),
            Config::Mse(c) | Config::Logistic(c) => {
                l2(c.l2)?;
                range(&key, "n_negatives", c.n_negatives as f64, 0.0, 1000.0)?;
                range(&key, "n_candidates", c.n_candidates as f64, 1.0, 100.0)?;
                range(&key, "alpha", c.alpha, 0.0, 4.0)
            }
        }
    }
}

fn range(key: &str, name: &str, found: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(RecError::range(format!("{key}.{name}"), found, format!("a number from {low} to {high}")))
}
