//! Settings that nothing would read, such as a setting of another loss: whoever writes one expects
//! it to do something. Each part of the configuration says which of its own are void.
//!
//! A value that is the default is never refused: a complete run file names every key. Nor is one of
//! a preset, or of a run file where the command line has chosen what makes it void: `train run.toml
//! --set model.lightgcn.combination=uniform` need not take the file apart.

use super::layers::Resolved;
use crate::error::{RecError, Result};
use crate::settings::Unread;

impl Resolved {
    /// Refuses settings that nothing would read.
    ///
    /// # Errors
    /// [`RecError::Usage`] for the first one, with where it was written.
    pub fn check_unread(&self) -> Result<()> {
        let config = &self.config;
        let (model, loss) = (&config.model, config.objective.as_ref());
        let mut found = config.data.unread();
        found.extend(config.train.unread(loss));
        found.extend(model.unread(&format!("model.{}", model.name())));
        found.extend(loss.map(|loss| loss.unread(&format!("objective.{}", loss.name()))).unwrap_or_default());
        found.extend(config.debias.unread(&format!("debias.{}", config.debias.name())));
        match found.iter().find(|unread| self.is_meant(unread)) {
            None => Ok(()),
            Some(Unread { key, beside, todo, .. }) => {
                let origin = self.origins.of(key);
                let place = if origin.is_empty() { String::new() } else { format!("{origin}: ") };
                Err(RecError::usage(format!("{place}{key} does not fit {beside}"), *todo))
            }
        }
    }

    /// False for what a preset says, and for what a file says where the command line has made it
    /// void.
    fn is_meant(&self, unread: &Unread) -> bool {
        let (origin, cause) = (self.origins.of(&unread.key), self.origins.of(&unread.because_of));
        let on_line = |origin: &str| origin.starts_with("--");
        !origin.starts_with("preset ") && (on_line(origin) || !on_line(cause))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::layers::{Sources, resolve_text};

    fn checked(preset: Option<&str>, file: &str, set: &[&str]) -> Result<()> {
        let set = set.iter().map(|text| text.to_string()).collect();
        let sources = Sources { preset: preset.map(String::from), set, ..Sources::default() };
        resolve_text(&sources, Some((file, Path::new("r.toml")))).unwrap().check_unread()
    }

    fn message(file: &str, set: &[&str]) -> String {
        let error = checked(None, file, set).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn a_setting_that_nothing_reads_is_refused_where_it_was_written() {
        assert_eq!(
            message("[data]\n\nsplit = \"time\"", &[]),
            "r.toml:3: data.split does not fit the demo world, which is made whole and not read from a file; name data with --data or --train, or \
             remove the setting"
        );
        assert_eq!(
            message("[model.gru4rec]", &["model.gru4rec.bpreg=2"]),
            "--set model.gru4rec.bpreg=2: model.gru4rec.bpreg does not fit the loss cross_entropy; it fits bpr_max; remove it"
        );
        for (file, key) in [
            ("[data]\ntrain = \"f\"\nratios = [0.5, 0.25, 0.25]", "data.ratios"),
            ("[data]\ntrain = \"f\"\nvalid = \"g\"\nvalid_fraction = 0.3", "data.valid_fraction"),
            ("[data]\npath = \"f\"\nvalid_fraction = 0.3", "data.valid_fraction"),
            ("[data]\npath = \"f\"\nsplit = \"leave_one_out\"\nratios = [1, 1, 1]", "data.ratios"),
            ("[data]\npath = \"f\"\nhold_out = \"test_only\"", "data.hold_out"),
            ("[train]\nsampling = \"user\"", "train.sampling"),
            ("[train]\nsampling = \"user\"\n[objective.bsl]", "train.sampling"),
            ("[train]\nblock = [8, 8]", "train.block"),
            ("[model.sasrec]\n[train]\nfinetune_recent_fraction = 0.5", "train.finetune_recent_fraction"),
            ("[model.lightgcn.attention]\nhidden = 8", "model.lightgcn.attention.hidden"),
            ("[model.mf]\ndecay_biases = false", "model.mf.decay_biases"),
            ("[model.sasrec]\nn_negatives = 8", "model.sasrec.n_negatives"),
            ("[model.narm]\nloss = \"bpr\"\nsample_alpha = 0.5", "model.narm.sample_alpha"),
            ("[model.fmlp]\nloss = \"bce\"\ngbce_t = 0.5", "model.fmlp.gbce_t"),
            ("[model.gru4rec]\nteacher_temperature = 2", "model.gru4rec.teacher_temperature"),
            (
                "[model.fusion]\nmembers = [{ model.mf.decay_biases = false }, { model.ease.l2 = 2 }]",
                "model.fusion.members.model.mf.decay_biases",
            ),
        ] {
            assert!(message(file, &[]).contains(&format!("{key} does not fit ")), "{file}: {}", message(file, &[]));
        }
    }

    #[test]
    fn a_setting_that_is_read_or_has_its_default_passes() {
        for file in [
            "",
            "[data]\npath = \"f\"\nsplit = \"time\"\nratios = [8, 1, 1]",
            "[data]\npath = \"f\"\nratios = [0.9, 0.0, 0.1]\nvalid_fraction = 0.3",
            "[data]\npath = \"f\"\nsplit = \"leave_one_out\"\nhold_out = \"test_only\"\nvalid_fraction = 0.3",
            "[data]\npath = \"f\"\nvalid_fraction = 0",
            "[data]\ntrain = \"f\"\nvalid_fraction = 0.3\nmin_rating = 4",
            "[train]\nsampling = \"user\"\n[objective.bsl]\ncandidates = \"batch\"",
            "[train]\nsampling = \"block\"\nblock = [8, 8]\n[objective.mse]",
            "[model.lightgcn]\ncombination = \"dot\"\n[model.lightgcn.attention]\nhidden = 8",
            "[model.lightgcn.attention]\nhidden = 64",
            "[model.mf]\nbiases = true\ndecay_biases = false\n[objective.bpr]",
            "[model.gru4rec]\nloss = \"bpr_max\"\nbpreg = 2\nn_negatives = 8\nsample_alpha = 0.5",
            "[model.sasrec]\nloss = \"gbce\"\ngbce_t = 0.5",
        ] {
            checked(None, file, &[]).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }

    #[test]
    fn the_command_line_may_make_void_what_a_file_or_a_preset_says() {
        let file = "[model.lightgcn]\ncombination = \"dot\"\n[model.lightgcn.attention]\nhidden = 8";
        checked(None, file, &["model.lightgcn.combination=uniform"]).unwrap();
        checked(Some("gru4rec-original"), "", &["model.gru4rec.loss=cross_entropy"]).unwrap();
        let both = ["model.lightgcn.combination=uniform", "model.lightgcn.attention.hidden=16"];
        assert!(message(file, &both).contains("attention.hidden does not fit"));
    }
}
