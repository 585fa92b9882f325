//! What a user can choose about debiasing. `[debias.NAME]` holds exactly one method.

use gcnrec_kernels::Device;
use serde::{Deserialize, Serialize};

pub use super::cause::Config as Cause;
pub use super::distill::Config as Distill;
pub use super::doubly_robust::Config as DoublyRobust;
pub use super::meta_weight_net::Config as MetaWeightNet;
use super::propensity::Propensity;
use crate::error::{RecError, Result};
use crate::objectives::Judge;

/// A method with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// Every example counts alike.
    None(Plain),
    /// Training on the uniform log alone.
    Uniform(Plain),
    /// The uniform log mixed into the biased one.
    Combine(Combine),
    /// Inverse propensity scores.
    Ips(Ips),
    /// Self-normalised inverse propensity scores.
    Snips(Ips),
    /// Example weights, imputation weights and imputed values, learned through a look-ahead.
    Autodebias(Autodebias),
    /// Learning to reweight: weights from gradient alignment, batch by batch.
    Reweight(Reweight),
    /// Example weights from a network of their losses, learned through a look-ahead.
    MetaWeightNet(MetaWeightNet),
    /// Doubly robust learning with imputed labels.
    Dr(DoublyRobust),
    /// Doubly robust learning with imputed errors, learned jointly.
    DrJl(DoublyRobust),
    /// Second item vectors, of uniform exposure, that pull on the first.
    Cause(Cause),
    /// Labels to which a teacher of the uniform log has added its opinion.
    KdLabel(Distill),
}

/// `[debias.none]` and `[debias.uniform]`: there is nothing to set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plain {}

/// `[debias.combine]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Combine {
    /// What a uniform row counts where a biased one counts 1, 0..=1000. Default 1.
    pub weight: f32,
}

/// `[debias.ips]` and `[debias.snips]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ips {
    /// How probable it was that a pair was seen. Default `naive_bayes`.
    pub propensity: Propensity,
    /// Propensities below this count as this, above 0 to 1. Default 0.001.
    pub clip: f64,
    /// Exponent of the counts for `popularity`, 0..=4. Default 0.5.
    pub alpha: f64,
}

/// `[debias.autodebias]`. Step sizes are those of Adam; decays are added to the gradient as in `torch.optim.Adam`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Autodebias {
    /// Weight of the imputation term over all pairs of a batch's users and items, 0 or more; 0 leaves it out. Default: 0.05 (that of coat) for losses of
    /// labels; losses of rankings have none.
    pub imputation: Option<f64>,
    /// Epochs before the weights of examples and of imputed pairs learn; imputed values learn from the start. Default 20.
    pub frozen_epochs: u64,
    /// Steps from one look-ahead to the next, 1 or more. Default 1.
    pub every: u64,
    /// Judge the point after the step; false judges the point before it (gradient alignment), for two thirds of the cost. Default true.
    pub look_ahead: bool,
    /// Rows of the uniform log that judge a look-ahead (for `bpr` pairs of a liked and a disliked row of one user), drawn afresh for each: 1 to as many as
    /// there are. Default: all up to 4096, and so many of more.
    pub judge_rows: Option<usize>,
    /// The loss of the uniform log: `mse`, `logistic` or `bpr`. Default: that of the objective, and `bpr` for losses of rankings.
    pub uniform_loss: Option<Judge>,
    /// True when the time column is the position in the list that was shown: one more feature of the weights. Default false.
    pub positions: bool,
    /// Step size of the example weights, 0 or more. Default 1e-3.
    pub weight_rate: f64,
    /// Decay of the example weights, 0 or more. Default 1e-4.
    pub weight_decay: f64,
    /// Step size of the imputation weights, 0 or more. Default 1e-3.
    pub imputation_rate: f64,
    /// Decay of the imputation weights, 0 or more. Default 1e-3.
    pub imputation_decay: f64,
    /// Step size of the imputed values, 0 or more. Default 0.1.
    pub value_rate: f64,
    /// Decay of the imputed values, 0 or more. Default 1e-4.
    pub value_decay: f64,
}

/// `[debias.reweight]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reweight {
    /// The loss of the uniform log, as in `[debias.autodebias]`. Default: that of the objective.
    pub uniform_loss: Option<Judge>,
}

impl Default for Combine {
    fn default() -> Self {
        Combine { weight: 1.0 }
    }
}

impl Default for Ips {
    fn default() -> Self {
        Ips { propensity: Propensity::NaiveBayes, clip: 1e-3, alpha: 0.5 }
    }
}

impl Default for Autodebias {
    fn default() -> Self {
        Autodebias {
            imputation: None,
            frozen_epochs: 20,
            every: 1,
            look_ahead: true,
            judge_rows: None,
            uniform_loss: None,
            positions: false,
            weight_rate: 1e-3,
            weight_decay: 1e-4,
            imputation_rate: 1e-3,
            imputation_decay: 1e-3,
            value_rate: 0.1,
            value_decay: 1e-4,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::None(Plain {})
    }
}

impl Config {
    /// The names of the methods.
    pub const NAMES: [&str; 12] = [
        "none",
        "uniform",
        "combine",
        "ips",
        "snips",
        "autodebias",
        "reweight",
        "meta_weight_net",
        "dr",
        "dr_jl",
        "cause",
        "kd_label",
    ];

    /// A method by name with its defaults.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Config::NAMES`].
    pub fn named(name: &str) -> Result<Config> {
        Ok(match name {
            "none" => Config::None(Plain {}),
            "uniform" => Config::Uniform(Plain {}),
            "combine" => Config::Combine(Combine::default()),
            "ips" => Config::Ips(Ips::default()),
            "snips" => Config::Snips(Ips::default()),
            "autodebias" => Config::Autodebias(Autodebias::default()),
            "reweight" => Config::Reweight(Reweight::default()),
            "meta_weight_net" => Config::MetaWeightNet(MetaWeightNet::default()),
            "dr" => Config::Dr(DoublyRobust::default()),
            "dr_jl" => Config::DrJl(DoublyRobust::default()),
            "cause" => Config::Cause(Cause::default()),
            "kd_label" => Config::KdLabel(Distill::default()),
            _ => {
                return Err(RecError::Unknown {
                    what: "debiasing method",
                    origin: String::new(),
                    name: name.into(),
                    known: Self::NAMES.map(String::from).to_vec(),
                });
            }
        })
    }

    /// The method's name.
    pub fn name(&self) -> &'static str {
        match self {
            Config::None(_) => "none",
            Config::Uniform(_) => "uniform",
            Config::Combine(_) => "combine",
            Config::Ips(_) => "ips",
            Config::Snips(_) => "snips",
            Config::Autodebias(_) => "autodebias",
            Config::Reweight(_) => "reweight",
            Config::MetaWeightNet(_) => "meta_weight_net",
            Config::Dr(_) => "dr",
            Config::DrJl(_) => "dr_jl",
            Config::Cause(_) => "cause",
            Config::KdLabel(_) => "kd_label",
        }
    }

    /// True when every example counts alike and nothing but the training part is read.
    pub fn is_none(&self) -> bool {
        matches!(self, Config::None(_))
    }

    /// True when the method looks ahead of the steps of a learner.
    pub fn looks_ahead(&self) -> bool {
        matches!(self, Config::Autodebias(_) | Config::Reweight(_) | Config::MetaWeightNet(_))
    }

    /// True when the method's loss runs over all pairs of a batch's users and items, each of which must come once an epoch.
    pub fn needs_blocks(&self) -> bool {
        matches!(self, Config::Dr(_) | Config::DrJl(_))
    }

    /// Refuses a device that a method has no kernels for: second vectors, and small models that are fitted beside the model, are worked out in f64 on the
    /// processor in every step.
    ///
    /// # Errors
    /// [`gcnrec_kernels::KernelError::Device`], exit code 5, with the method's name.
    pub fn check_device(&self, device: &Device) -> Result<()> {
        match self {
            Config::Dr(_) | Config::DrJl(_) | Config::Cause(_) => {
                Ok(device.expect_cpu(&format!("the debiasing method {}", self.name()))?)
            }
            _ => Ok(()),
        }
    }

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        let name = self.name();
        let range = |key: &str, found: f64, low: f64, high: f64| {
            if (low..=high).contains(&found) {
                return Ok(());
            }
            Err(RecError::range(format!("debias.{name}.{key}"), found, format!("a number from {low} to {high}")))
        };
        let all = |ranges: Vec<(&str, f64, f64, f64)>| {
            ranges.into_iter().try_for_each(|(key, found, low, high)| range(key, found, low, high))
        };
        match self {
            Config::None(_) | Config::Uniform(_) | Config::Reweight(_) => Ok(()),
            Config::Combine(c) => range("weight", f64::from(c.weight), 0.0, 1000.0),
            Config::Ips(c) | Config::Snips(c) => {
                range("clip", c.clip, 1e-9, 1.0)?;
                range("alpha", c.alpha, 0.0, 4.0)
            }
            Config::Autodebias(c) => {
                range("imputation", c.imputation.unwrap_or(0.0), 0.0, 1e6)?;
                range("every", c.every as f64, 1.0, 1e6)?;
                range("judge_rows", c.judge_rows.unwrap_or(1) as f64, 1.0, 1e9)?;
                let rates = [
                    ("weight_rate", c.weight_rate),
                    ("weight_decay", c.weight_decay),
                    ("imputation_rate", c.imputation_rate),
                    ("imputation_decay", c.imputation_decay),
                    ("value_rate", c.value_rate),
                    ("value_decay", c.value_decay),
                ];
                rates.into_iter().try_for_each(|(key, found)| range(key, found, 0.0, 1e3))
            }
            Config::MetaWeightNet(c) => all(c.ranges()),
            Config::Dr(c) | Config::DrJl(c) => all(c.ranges()),
            Config::Cause(c) => all(c.ranges()),
            Config::KdLabel(c) => all(c.ranges()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_name_and_a_default_within_its_ranges() {
        for name in Config::NAMES {
            let config = Config::named(name).unwrap();
            assert_eq!(config.name(), name);
            config.validate().unwrap();
        }
        let error = Config::named("autodebais").unwrap_err().to_string();
        assert_eq!(error, "unknown debiasing method \"autodebais\"; did you mean \"autodebias\"?");
    }

    #[test]
    fn values_outside_their_ranges_are_refused_by_name() {
        let config = Config::Autodebias(Autodebias { every: 0, ..Autodebias::default() });
        let message = config.validate().unwrap_err().to_string();
        assert_eq!(message, "debias.autodebias.every: found 0, expected a number from 1 to 1000000");
        let config = Config::Snips(Ips { clip: 0.0, ..Ips::default() });
        assert!(config.validate().unwrap_err().to_string().starts_with("debias.snips.clip: found 0"));
        assert!(Config::Combine(Combine { weight: f32::NAN }).validate().is_err());
    }
}
