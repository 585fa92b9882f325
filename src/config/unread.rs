//! Settings that nothing would read: a split of parts that are split already, a setting of another loss. Whoever writes one expects it to do something.
//!
//! A value that is the default is never refused: a complete run file names every key. Nor is one of a preset, or of a run file where the command line has
//! chosen what makes it void: `train run.toml --set model.lightgcn.combination=uniform` need not take the file apart.

use super::layers::Resolved;
use crate::data::{self, HoldOut, Rule};
use crate::error::{RecError, Result};
use crate::settings::Unread;
use crate::train;
use crate::train::config::Sampling;

impl Resolved {
    /// Refuses settings that nothing would read.
    ///
    /// # Errors
    /// [`RecError::Usage`] for the first one, with where it was written.
    pub fn check_unread(&self) -> Result<()> {
        let config = &self.config;
        let found = of_data(&config.data)
            .into_iter()
            .chain(self.of_training())
            .chain(config.model.unread(&format!("model.{}", config.model.name())))
            .chain(config.objective.iter().flat_map(|loss| loss.unread(&format!("objective.{}", loss.name()))))
            .chain(config.debias.unread(&format!("debias.{}", config.debias.name())));
        match found.into_iter().find(|unread| self.is_meant(unread)) {
            None => Ok(()),
            Some(Unread { key, beside, todo, .. }) => {
                let origin = self.origins.of(&key);
                let place = if origin.is_empty() { String::new() } else { format!("{origin}: ") };
                Err(RecError::Usage { problem: format!("{place}{key} does not fit {beside}"), todo: todo.into() })
            }
        }
    }

    /// False for what a preset says, and for what a file says where the command line has made it void.
    fn is_meant(&self, unread: &Unread) -> bool {
        let (origin, cause) = (self.origins.of(&unread.key), self.origins.of(&unread.because_of));
        let on_line = |origin: &str| origin.starts_with("--");
        !origin.starts_with("preset ") && (on_line(origin) || !on_line(cause))
    }

    fn of_training(&self) -> Vec<Unread> {
        let (own, usual) = (&self.config.train, train::Config::default());
        let mut found = Vec::new();
        if own.sampling == Sampling::User
            && let Some(objective) = self.config.objective.as_ref().filter(|objective| objective.batches_users())
        {
            let beside = format!("the loss {}, whose batches are users with all their items", objective.name());
            let todo = "it fits losses of pairs, such as bpr and ssm; remove the key";
            found.push(Unread::new("train.sampling", beside, todo, "objective"));
        }
        if own.block != usual.block && own.sampling != Sampling::Block {
            let todo = "set train.sampling = \"block\", or remove the key";
            found.push(Unread::new("train.block", "a training without blocks", todo, "train.sampling"));
        }
        if own.finetune_recent_fraction != usual.finetune_recent_fraction && own.finetune_epochs == 0 {
            let (key, todo) = ("train.finetune_recent_fraction", "set train.finetune_epochs, or remove the key");
            found.push(Unread::new(key, "a training without fine-tuning", todo, "train.finetune_epochs"));
        }
        found
    }
}

fn of_data(own: &data::Config) -> Vec<Unread> {
    let usual = data::Config::default();
    let split_by = [
        ("data.split", own.split != usual.split),
        ("data.ratios", own.ratios != usual.ratios),
        ("data.group_by", own.group_by != usual.group_by),
        ("data.order", own.order != usual.order),
        ("data.hold_out", own.hold_out != usual.hold_out),
    ];
    let read_by = [
        ("data.format", own.format != usual.format),
        ("data.min_rating", own.min_rating != usual.min_rating),
        ("data.feedback", own.feedback != usual.feedback),
        ("data.duplicates", own.duplicates != usual.duplicates),
        ("data.user_column", own.user_column != usual.user_column),
        ("data.item_column", own.item_column != usual.item_column),
        ("data.rating_column", own.rating_column != usual.rating_column),
        ("data.time_column", own.time_column != usual.time_column),
        ("data.title_column", own.title_column != usual.title_column),
        ("data.uniform_rating_column", own.uniform_rating_column != usual.uniform_rating_column),
        ("data.uniform_ratios", own.uniform_ratios != usual.uniform_ratios),
    ];
    let carved_by = [
        ("data.valid_rows", own.valid_rows != usual.valid_rows),
        ("data.valid_fraction", own.valid_fraction != usual.valid_fraction),
    ];
    let unread = |keys: &[(&str, bool)], beside: &str, todo: &'static str, cause: &str| -> Vec<Unread> {
        let set = keys.iter().filter(|(_, is_set)| *is_set);
        set.map(|(key, _)| Unread::new(*key, beside, todo, cause)).collect()
    };
    if own.path.is_none() && own.train.is_none() {
        let todo = "name data with --data or --train, or remove the setting";
        let beside = "the demo world, which is made whole and not read from a file";
        let keys = [&read_by[..], &split_by, &carved_by[..1]].concat();
        return unread(&keys, beside, todo, "");
    }
    if own.train.is_some() {
        let beside = "data.train, a part of data that are split already";
        let todo = "name one file to split with --data, or remove the setting";
        let mut found = unread(&split_by, beside, todo, "data.train");
        if own.valid.is_some() {
            let (beside, todo) = ("data.valid, which is the validation part", "give one of the two");
            found.extend(unread(&carved_by, beside, todo, "data.valid"));
        }
        return found;
    }
    let (beside, cause) = (format!("data.split = \"{}\"", rule_name(own.split)), "data.split");
    let not_read: &[(&str, bool)] = match own.split {
        Rule::Ratio => &split_by[4..],
        Rule::LeaveOneOut => &split_by[1..3],
        Rule::Time => &[split_by[2], split_by[4]],
    };
    let mut found = unread(not_read, &beside, "remove one of the two", cause);
    let splits_valid = match own.split {
        Rule::Ratio | Rule::Time => own.ratios[1] > 0.0,
        Rule::LeaveOneOut => own.hold_out != HoldOut::TestOnly,
    };
    // At 0 there is no validation part, whatever the split would make of it.
    if splits_valid && own.valid_fraction > 0.0 {
        let (beside, todo) = match own.split {
            Rule::Ratio | Rule::Time => (
                "data.path, whose split makes the validation part",
                "give its share in data.ratios, or remove the setting",
            ),
            Rule::LeaveOneOut => (
                "a split by leave-one-out, which makes the validation part",
                "add data.hold_out = \"test_only\", or remove the setting",
            ),
        };
        found.extend(unread(&carved_by, beside, todo, "data.split"));
    }
    found
}

fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Ratio => "ratio",
        Rule::LeaveOneOut => "leave_one_out",
        Rule::Time => "time",
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
