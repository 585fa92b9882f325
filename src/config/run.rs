//! The whole configuration of a run.

use std::path::Path;

use super::entry::Entry;
use super::layers::{Sources, resolve_text};
use crate::error::{RecError, Result};
use crate::settings::{between, settings};
use crate::{data, debias, eval, models, objectives, train};

settings! {
    /// Everything that decides what a run computes. Every key has a default.
    ///
    /// ```
    /// let mut config = gcnrec::Config::default();
    /// config.seed = 7;
    /// config.train.max_epochs = 20;
    /// config.validate()?;
    /// // What is written reads back equal.
    /// let text = config.to_toml()?;
    /// assert_eq!(gcnrec::Config::from_toml(&text, "run.toml".as_ref())?, config);
    /// # Ok::<(), gcnrec::RecError>(())
    /// ```
    pub struct Config {
        /// All randomness is a function of it.
        seed: u64 = 2020, takes "0 to 2^63 - 1", flag "--seed";
        /// Where to compute.
        device: String = "auto".into(), takes "`auto`, `cpu`, `cuda`, `cuda:N`, `vulkan`, `vulkan:N`",
            flag "--device";
        /// Threads on the processor; results do not depend on it.
        threads: usize = 0, in between(0.0, 1024.0).said("a whole number from 1 to 1024, or 0 for all"),
            flag "--threads";
        /// Where interactions come from and how they are divided.
        data: data::Config = data::Config::default();
        /// The model.
        model: models::Config = models::Config::default(), flag "--model";
        /// The loss, for models that are trained by steps on pairs; never set for the others.
        #[serde(skip_serializing_if = "Option::is_none")]
        objective: Option<objectives::Config> = Some(objectives::Config::default()), flag "--loss";
        /// How biased examples are weighed.
        debias: debias::Config = debias::Config::default(), flag "--debias";
        /// Steps, validation, stopping.
        train: train::Config = train::Config::default();
        /// What is reported.
        eval: eval::Config = eval::Config::default();
    }
}

impl Config {
    /// Reads a run file's text with no other layer; `name` is the file's name, which relative paths
    /// and messages refer to.
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
        toml::to_string(self).map_err(|error| {
            RecError::range("config", "a value that TOML cannot hold", error.to_string().replace('\n', " "))
        })
    }

    /// Refuses values outside their ranges, in every part.
    ///
    /// # Errors
    /// [`RecError::Config`] or [`RecError::Unknown`] for the first value outside its range; the
    /// origin is left empty.
    pub fn validate(&self) -> Result<()> {
        self.check_parts().map_err(|(_, error)| error)
    }

    /// As [`Config::validate`], with the key that an [`RecError::Unknown`] without a key of its own
    /// belongs to.
    pub(super) fn check_parts(&self) -> Result<(), (&'static str, RecError)> {
        let at = |key: &'static str| move |error| (key, error);
        self.check_ranges("").map_err(at(""))?;
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
            "gpu" => {
                let expected = "cuda or vulkan, or auto for the best device that is there";
                Err(("device", RecError::range("device", format!("\"{}\"", self.device), expected)))
            }
            _ => {
                let known = ["auto", "cpu", "cuda", "vulkan"].map(String::from).to_vec();
                let name = self.device.clone();
                Err(("device", RecError::unknown("device", name, known)))
            }
        }
    }

    /// Every key whose value differs, as (key, here, there), in the order of the file. For a
    /// message that says why a run cannot be resumed.
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

    /// Every key whose value is not the default of the model, the loss and the debiasing method in
    /// use, as (key, here, default).
    ///
    /// # Errors
    /// As [`Config::to_toml`].
    pub fn not_defaults(&self) -> Result<Vec<(String, String, String)>> {
        let defaults = Config {
            model: models::Config::named(self.model.name())?,
            objective: self.objective.as_ref().map(|loss| objectives::Config::named(loss.name())).transpose()?,
            debias: debias::Config::named(self.debias.name())?,
            ..Config::default()
        };
        self.differences(&defaults)
    }
}

fn entries(config: &Config) -> Result<Vec<Entry>> {
    super::run_file::entries(&config.to_toml()?, Path::new("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::losses::{Losses, losses_of};

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
            let objective = (losses_of(name) == Losses::OfPairs).then(|| objectives::Config::named("bpr").unwrap());
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
    fn what_is_changed_is_told_beside_the_defaults_of_the_kinds_in_use() {
        let text = "[model.ease]\nl2 = 20\n[train]\nmetric = \"recall@5\"";
        let config = Config::from_toml(text, Path::new("c.toml")).unwrap();
        let changed = [("train.metric", "\"recall@5\"", "\"ndcg@20\""), ("model.ease.l2", "20.0", "300.0")];
        let mut found = config.not_defaults().unwrap();
        found.sort_by_key(|(key, ..)| std::cmp::Reverse(key.clone()));
        assert_eq!(found, changed.map(|(key, here, default)| (key.into(), here.into(), default.into())));
        assert!(Config::default().not_defaults().unwrap().is_empty());
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
