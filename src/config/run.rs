//! The whole configuration of a run.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::layers::{Sources, resolve_text};
use crate::error::{RecError, Result};
use crate::{data, debias, eval, models, objectives, train};

/// Everything that decides what a run computes. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// All randomness is a function of this, 0..=2^63-1. Default 2020.
    pub seed: u64,
    /// Where to compute: `auto`, `cpu`, `cuda`, `cuda:1`, `vulkan`, `vulkan:1`. Default `auto`.
    pub device: String,
    /// Threads on the processor, 1..=1024; 0 takes all of them. Results do not depend on it. Default 0.
    pub threads: usize,
    /// `[data]`: where interactions come from and how they are divided. Default: the built-in demo world.
    pub data: data::Config,
    /// `[model.NAME]`. Default `[model.lightgcn]`.
    pub model: models::Config,
    /// `[objective.NAME]`: the loss, for models that are trained by steps; never set for the others. Default `[objective.softmax]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<objectives::Config>,
    /// `[debias.NAME]`: how examples are weighed. Default `[debias.none]`.
    pub debias: debias::Config,
    /// `[train]`: steps, validation, stopping.
    pub train: train::Config,
    /// `[eval]`: what is reported.
    pub eval: eval::Config,
}

/// True when a model is trained by steps on a loss of pairs; the others have a loss of their own, or are computed in closed form.
pub(super) fn is_trained_by_steps(model: &str) -> bool {
    models::Config::named(model).is_ok_and(|config| config.graph().is_some())
}

/// True when a model's loss is a setting of the model.
pub(super) fn has_own_losses(model: &str) -> bool {
    models::Config::named(model).is_ok_and(|config| config.is_sequential())
}

/// True when a model reads `[train]`: it, or a member of it, is trained by steps.
pub(super) fn reads_training(model: &str) -> bool {
    models::Config::named(model).is_ok_and(|config| !config.is_closed_form())
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 2020,
            device: "auto".into(),
            threads: 0,
            data: data::Config::default(),
            model: models::Config::default(),
            objective: Some(objectives::Config::default()),
            debias: debias::Config::default(),
            train: train::Config::default(),
            eval: eval::Config::default(),
        }
    }
}

impl Config {
    /// Reads a run file's text with no other layer; `name` is the file's name, which relative paths and messages refer to.
    ///
    /// # Errors
    /// [`RecError::Config`] or [`RecError::Unknown`] with the line in the file.
    pub fn from_toml(text: &str, name: &Path) -> Result<Config> {
        Ok(resolve_text(&Sources::default(), Some((text, name)))?.config)
    }

    /// Writes every value that is set, as a run file that reads back equal.
    ///
    /// # Errors
    /// [`RecError::Config`] for a seed that TOML's signed numbers cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| RecError::Config {
            key: "config".into(),
            origin: String::new(),
            found: "a value that TOML cannot hold".into(),
            expected: error.to_string().replace('\n', " "),
            todo: String::new(),
        })
    }

    /// Refuses values outside their ranges, in every part.
    ///
    /// # Errors
    /// [`RecError::Config`] or [`RecError::Unknown`] for the first value outside its range; the origin is left empty.
    pub fn validate(&self) -> Result<()> {
        self.check_parts().map_err(|(_, error)| error)
    }

    /// As [`Config::validate`], with the key that an [`RecError::Unknown`] without a key of its own belongs to.
    pub(super) fn check_parts(&self) -> Result<(), (&'static str, RecError)> {
        let at = |key: &'static str| move |error| (key, error);
        self.check_machine()?;
        self.data.validate().map_err(at("data.format"))?;
        self.model.validate().map_err(at("model"))?;
        if let Some(objective) = &self.objective {
            objective.validate().map_err(at("objective"))?;
        }
        self.debias.validate().map_err(at("debias"))?;
        self.train.validate().map_err(at("train.metric"))?;
        train::check_metric(&self.train.metric).map_err(at("train.metric"))?;
        self.eval.validate().map_err(at("eval.metrics"))
    }

    fn check_machine(&self) -> Result<(), (&'static str, RecError)> {
        if i64::try_from(self.seed).is_err() {
            return Err(("seed", RecError::range("seed", self.seed, "a whole number from 0 to 2^63 - 1")));
        }
        if self.threads > 1024 {
            let expected = "a whole number from 1 to 1024, or 0 for all";
            return Err(("threads", RecError::range("threads", self.threads, expected)));
        }
        let (kind, number) = match self.device.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (self.device.as_str(), None),
        };
        let number_fits = number.is_none_or(|n| n.parse::<u16>().is_ok());
        match kind {
            "auto" | "cpu" if number.is_none() => Ok(()),
            "cuda" | "vulkan" if number_fits => Ok(()),
            "auto" | "cpu" | "cuda" | "vulkan" => {
                let expected = "auto, cpu, cuda, cuda:N, vulkan or vulkan:N with a device number N";
                Err(("device", RecError::range("device", format!("\"{}\"", self.device), expected)))
            }
            _ => {
                let known = ["auto", "cpu", "cuda", "vulkan"].map(String::from).to_vec();
                let name = self.device.clone();
                Err(("device", RecError::Unknown { what: "device", origin: String::new(), name, known }))
            }
        }
    }

    /// Every key whose value differs, as (key, here, there), in the order of the file. For a message that says why a run cannot be resumed.
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn differences(&self, other: &Config) -> Result<Vec<(String, String, String)>> {
        let (here, there) = (entries(self)?, entries(other)?);
        let shown = |entries: &[Entry], path: &[String]| match entries.iter().find(|e| e.path == path) {
            Some(entry) => entry.value.to_string(),
            None => "not set".into(),
        };
        let mut differences: Vec<(String, String, String)> = Vec::new();
        for entry in here.iter().chain(&there) {
            let (a, b) = (shown(&here, &entry.path), shown(&there, &entry.path));
            if a != b && !differences.iter().any(|(key, ..)| *key == entry.key()) {
                differences.push((entry.key(), a, b));
            }
        }
        Ok(differences)
    }
}

fn entries(config: &Config) -> Result<Vec<Entry>> {
    super::run_file::entries(&config.to_toml()?, Path::new("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_reads_back_equal() {
        let config = Config::default();
        config.validate().unwrap();
        let text = config.to_toml().unwrap();
        assert!(text.contains("[model.lightgcn]"), "{text}");
        assert_eq!(Config::from_toml(&text, Path::new("config.toml")).unwrap(), config);
    }

    #[test]
    fn every_model_and_every_loss_reads_back_equal() {
        for name in models::Config::names() {
            let objective = is_trained_by_steps(name).then(|| objectives::Config::named("bpr").unwrap());
            let config = Config { model: models::Config::named(name).unwrap(), objective, ..Config::default() };
            assert_eq!(Config::from_toml(&config.to_toml().unwrap(), Path::new("c.toml")).unwrap(), config);
        }
        for name in objectives::Config::names() {
            let config = Config { objective: Some(objectives::Config::named(name).unwrap()), ..Config::default() };
            assert_eq!(Config::from_toml(&config.to_toml().unwrap(), Path::new("c.toml")).unwrap(), config);
        }
    }

    #[test]
    fn short_floats_stay_short_in_the_written_file() {
        let mut config = Config::default();
        config.train.learning_rate = Some(0.01);
        let text = config.to_toml().unwrap();
        assert!(text.contains("learning_rate = 0.01\n"), "{text}");
    }

    #[test]
    fn threads_devices_and_seeds_have_ranges() {
        let message = |config: Config| config.validate().unwrap_err().to_string();
        assert_eq!(
            message(Config { threads: 1025, ..Config::default() }),
            "threads: found 1025, expected a whole number from 1 to 1024, or 0 for all"
        );
        assert!(Config { threads: 1024, ..Config::default() }.validate().is_ok());
        assert_eq!(
            message(Config { device: "cpuu".into(), ..Config::default() }),
            "unknown device \"cpuu\"; did you mean \"cpu\"?"
        );
        for device in ["cuda", "cuda:3", "vulkan:0", "cpu"] {
            assert!(Config { device: device.into(), ..Config::default() }.validate().is_ok());
        }
        for device in ["cpu:0", "cuda:", "cuda:x"] {
            assert!(message(Config { device: device.into(), ..Config::default() }).starts_with("device: found"));
        }
        assert!(
            message(Config { seed: u64::MAX, ..Config::default() }).starts_with("seed: found 18446744073709551615")
        );
    }

    #[test]
    fn differences_name_the_key_and_both_values() {
        let a = Config::default();
        let mut b = a.clone();
        b.train.patience = 3;
        b.train.learning_rate = Some(0.5);
        assert_eq!(
            a.differences(&b).unwrap(),
            [
                ("train.patience".to_string(), "10".to_string(), "3".to_string()),
                ("train.learning_rate".to_string(), "not set".to_string(), "0.5".to_string()),
            ]
        );
        assert!(a.differences(&a).unwrap().is_empty());
    }
}
