//! Flags of `gcnrec train` that set keys: one row each, which help and the parser of the command
//! line read. What a flag sets, and which models and losses it fits, are the keys whose rows name
//! it.

use toml::Value;

use super::choice::{Choice, Family};
use super::entry::Entry;
use super::losses::{Losses, losses_of};
use super::run::Config;
use super::spelling::spell;
use super::tree;
use crate::error::{RecError, Result};
use crate::settings::Takes;
use crate::train;

/// A flag with its value, as the command line gives it.
///
/// ```
/// use gcnrec::{Destination, Flag, Run, Sources};
///
/// let flags = vec![Flag::new("--model", "mf"), Flag::new("--epochs", 5)];
/// let run = Run::resolve(&Sources { flags, ..Sources::default() }, Destination::new("runs/mf"))?;
/// assert_eq!((run.config().model.name(), run.config().train.max_epochs), ("mf", 5));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// With its dashes, as in `--lr`.
    pub name: &'static str,
    /// The value, of the kind that its key takes.
    pub value: Value,
}

impl Flag {
    /// A flag that was given.
    pub fn new(name: &'static str, value: impl Into<Value>) -> Self {
        Flag { name, value: value.into() }
    }
}

/// A row of the table of flags.
#[derive(Debug)]
pub struct FlagRow {
    /// With its dashes.
    pub name: &'static str,
    /// The name of the value in help; empty for a flag that is on or off.
    pub value: &'static str,
    /// The heading in help.
    pub heading: &'static str,
    /// The line in help; [`FlagRow::help`] fills in `{names}`.
    help: &'static str,
    /// The value of the flag without one.
    pub alone: Option<&'static str>,
    /// Flags that it cannot stand beside.
    pub excludes: &'static [&'static str],
}

const fn flag(heading: &'static str, name: &'static str, value: &'static str, help: &'static str) -> FlagRow {
    FlagRow { name, value, heading, help, alone: None, excludes: &[] }
}

const DATA: &str = "Data";
const MODEL: &str = "Model and loss";
const TRAINING: &str = "Training";
const RUN: &str = "Run";

/// Every flag of `gcnrec train` that sets a key, in the order of help.
pub static FLAGS: &[FlagRow] = &[
    FlagRow {
        excludes: &["--train", "--valid", "--test"],
        ..flag(DATA, "--data", "PATH", "One file of interactions, split here")
    },
    flag(DATA, "--train", "FILE", "The training part of data that are split already"),
    flag(DATA, "--valid", "FILE", "Its validation part; without it a share of the training part is taken"),
    flag(DATA, "--test", "FILE", "Its test part"),
    flag(DATA, "--uniform", "FILE", "Interactions collected by showing items at random"),
    flag(
        DATA,
        "--candidates-file",
        "FILE",
        "What the test items are ranked among: user item item … a line. Without it all items are ranked",
    ),
    flag(DATA, "--items", "FILE", "Titles of the items"),
    flag(
        DATA,
        "--feedback",
        "KIND",
        "implicit: rows below --min-rating are dropped; explicit: they stay, with the label -1",
    ),
    flag(DATA, "--format", "NAME", "The format of all files; auto looks at them"),
    flag(
        DATA,
        "--user-column",
        "NAME",
        "The column of users, where its name is not a usual one; a number without a header",
    ),
    flag(DATA, "--item-column", "NAME", "The column of items"),
    flag(DATA, "--rating-column", "NAME", "The column of ratings, weights or counts"),
    flag(DATA, "--time-column", "NAME", "The column of times"),
    flag(DATA, "--time-format", "PATTERN", "How times are written, where it cannot be told, as in %d/%m/%Y %H:%M"),
    flag(DATA, "--min-rating", "X", "Ratings below this do not count as interactions"),
    flag(
        DATA,
        "--valid-fraction",
        "SHARE",
        "Share of each user's training pairs that validates, where nothing else makes that part; 0 trains on everything \
         for a fixed number of epochs",
    ),
    flag(
        DATA,
        "--split",
        "RULE",
        "How --data is split: ratio (80/10/10), leave-one-out, or time (two points in time for everybody)",
    ),
    flag(MODEL, "--model", "NAME", "The model"),
    FlagRow {
        alone: Some("additive"),
        ..flag(MODEL, "--attn-layers", "KIND", "How the layers are weighed: {names}; without a name additive")
    },
    flag(MODEL, "--layers", "K", "Propagation layers"),
    flag(MODEL, "--dim", "D", "Width of the embeddings"),
    flag(MODEL, "--loss", "NAME", "The loss"),
    flag(MODEL, "--tau", "T", "Temperature of a softmax loss"),
    flag(MODEL, "--l2", "X", "Weight decay of the loss, or the regulariser of ease"),
    flag(TRAINING, "--epochs", "N", "Epochs at most"),
    flag(TRAINING, "--batch-size", "B", "Pairs in a batch, or users for losses over all items"),
    flag(TRAINING, "--lr", "X", "Step size"),
    flag(TRAINING, "--init-items", "RUN", "A run whose item vectors a sequential model starts from"),
    flag(TRAINING, "--refit", "", "Train again on training and validation pairs before test is scored"),
    flag(TRAINING, "--debias", "METHOD", "How biased examples are weighed: {names}; all but none need --uniform"),
    flag(TRAINING, "--k", "K,K", "Lengths of the lists that are judged"),
    flag(RUN, "--device", "DEVICE", "Where to compute: auto, cpu, cuda[:i] or vulkan[:i]"),
    flag(RUN, "--threads", "N", "Threads; 0 takes all. Results do not depend on it"),
    flag(RUN, "--seed", "N", "All randomness is a function of this"),
];

impl FlagRow {
    /// The kind of its value: what the first key that it sets takes.
    pub fn takes(&self) -> Takes {
        let chooses = Config::KEYS.iter().find(|key| key.flag == Some(self.name));
        let key = chooses.or_else(|| tree::of_flag(self.name).map(|(_, key)| *key).next());
        key.expect("every flag should be named by the row of a key").takes
    }

    /// True for a flag that names a file of the data or a column in it.
    pub fn is_of_data_file(&self) -> bool {
        self.heading == DATA && (matches!(self.takes(), Takes::Path) || self.name.ends_with("-column"))
    }

    /// True for a flag that says how one file is read.
    pub fn is_of_reading(&self) -> bool {
        let is_named = ["--format", "--items", "--min-rating", "--time-format"].contains(&self.name);
        is_named || (self.heading == DATA && self.name.ends_with("-column"))
    }

    /// The line in help.
    pub fn help(&self) -> String {
        self.help.replace("{names}", &self.takes().names().join(", "))
    }
}

/// The entries of the flags that choose a model, a loss or a debiasing method.
pub(super) fn choices(flags: &[Flag]) -> Vec<Entry> {
    let entry = |flag: &Flag| match (Family::of_flag(flag.name), &flag.value) {
        (Some(family), Value::String(name)) => {
            let mut entry = Entry::at(vec![family.key.into(), name.clone()], toml::Table::new(), flag.name);
            spell(&mut entry);
            Some(entry)
        }
        _ => None,
    };
    flags.iter().filter_map(entry).collect()
}

/// The entries of all other flags, now that the model and the loss are known. A flag that is read
/// by nobody is noted.
///
/// # Errors
/// [`RecError::Usage`] for a flag that does not fit the model or the loss.
pub(super) fn settings(
    flags: &[Flag],
    model: &Choice,
    loss: Option<&Choice>,
    notes: &mut Vec<String>,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for flag in flags {
        if let Some(family) = Family::of_flag(flag.name) {
            if family == Family::loss() && loss.is_none() {
                return Err(no_loss(flag, model));
            }
            continue;
        }
        let key = key_of(flag, model, loss)?;
        let is_step = key.strip_prefix("train.").is_some_and(|key| !train::Config::is_read_without_steps(key));
        if is_step && losses_of(&model.name) == Losses::None {
            notes.push(format!("{} has no effect: {} is not trained by steps", flag.name, model.name));
        }
        let mut entry = Entry::new(key, flag.value.clone(), flag.name);
        spell(&mut entry);
        entries.push(entry);
    }
    Ok(entries)
}

/// The key that a flag sets: of the loss in use where losses have it, otherwise of the model in
/// use.
fn key_of(flag: &Flag, model: &Choice, loss: Option<&Choice>) -> Result<&'static str> {
    let keys: Vec<&'static str> = tree::of_flag(flag.name).map(|(path, _)| path.as_str()).collect();
    let mut is_of_losses = false;
    for (family, choice) in [(Family::loss(), loss), (Family::model(), Some(model))] {
        let name_in = |path: &&'static str| path.strip_prefix(family.key)?.strip_prefix('.')?.split('.').next();
        let names: Vec<&str> = keys.iter().filter_map(name_in).collect();
        match choice {
            _ if names.is_empty() => {}
            None => is_of_losses = true,
            Some(choice) => {
                let key = keys.iter().find(|path| name_in(path) == Some(&choice.name));
                return key.copied().ok_or_else(|| {
                    let problem = format!("{} does not fit the {} {}", flag.name, family.noun, choice.name);
                    RecError::usage(problem, format!("it fits {}", names.join(", ")))
                });
            }
        }
    }
    if is_of_losses {
        return Err(no_loss(flag, model));
    }
    Ok(keys.first().expect("every flag should be named by the row of a key"))
}

fn no_loss(flag: &Flag, model: &Choice) -> RecError {
    let (why, todo) = match losses_of(&model.name) {
        Losses::Own => ("has losses of its own", format!("use --set model.{}.loss", model.name)),
        Losses::OfMembers => (
            "takes the losses of its members",
            format!("give each of model.{}.members an objective in a run file", model.name),
        ),
        Losses::OfPairs | Losses::None => (
            "is computed in closed form",
            format!(
                "it fits models that are trained on a loss, such as {}",
                super::losses::trained_on_one().join(" and ")
            ),
        ),
    };
    RecError::usage(format!("{} does not fit the model {}, which {why}", flag.name, model.name), todo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_sets_a_key_and_every_flag_of_a_key_has_a_row() {
        for row in FLAGS {
            assert!(!row.help().contains('{'), "{}", row.help());
        }
        // `gcnrec evaluate` has these.
        let elsewhere = ["--metrics", "--candidates"];
        let of_keys = tree::keys().iter().filter_map(|(path, key)| Some((path, key.flag?)));
        for (path, flag) in of_keys.filter(|(_, flag)| !elsewhere.contains(flag)) {
            assert!(FLAGS.iter().any(|row| row.name == flag), "{path}: {flag} is in no help");
        }
    }
}
