//! What the flags of the command line mean: the key that each one sets, and the models and losses that it fits.

use toml::Value;

use super::choice::Choice;
use super::entry::Entry;
use super::run::{has_own_losses, reads_training};
use crate::error::{RecError, Result};

/// A flag with its value, as the command line gives it.
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

/// What a flag sets.
enum Target {
    /// A key that every run has.
    Key(&'static str),
    /// A key that only training by steps reads.
    Steps(&'static str),
    /// A table's name: `model` or `objective`.
    Choice(&'static str),
    /// A setting of the model in use, and the models that have it.
    Model(&'static str, &'static [&'static str]),
    /// A setting of the loss in use, and the losses that have it.
    Loss(&'static str, &'static [&'static str]),
    /// `l2` of the loss, or of a closed-form model that has one.
    L2,
}

const TARGETS: [(&str, Target); 31] = [
    ("--data", Target::Key("data.path")),
    ("--train", Target::Key("data.train")),
    ("--valid", Target::Key("data.valid")),
    ("--test", Target::Key("data.test")),
    ("--uniform", Target::Key("data.uniform")),
    ("--candidates-file", Target::Key("data.candidates")),
    ("--format", Target::Key("data.format")),
    ("--min-rating", Target::Key("data.min_rating")),
    ("--valid-fraction", Target::Key("data.valid_fraction")),
    ("--split", Target::Key("data.split")),
    ("--model", Target::Choice("model")),
    ("--attn-layers", Target::Model("combination", &["lightgcn"])),
    ("--layers", Target::Model("layers", &["lightgcn", "sasrec", "bert4rec", "fmlp", "gru4rec", "narm"])),
    ("--dim", Target::Model("dim", &["lightgcn", "mf", "sasrec", "bert4rec", "fmlp", "gru4rec", "narm", "fpmc"])),
    ("--loss", Target::Choice("objective")),
    ("--debias", Target::Choice("debias")),
    ("--feedback", Target::Key("data.feedback")),
    ("--tau", Target::Loss("tau", &["ssm", "softmax", "bsl"])),
    ("--l2", Target::L2),
    ("--lr", Target::Steps("train.learning_rate")),
    ("--epochs", Target::Steps("train.max_epochs")),
    ("--batch-size", Target::Steps("train.batch_size")),
    ("--init-items", Target::Key("train.init_items_from")),
    ("--refit", Target::Steps("train.refit")),
    ("--k", Target::Key("eval.k")),
    ("--metrics", Target::Key("eval.metrics")),
    ("--candidates", Target::Key("eval.candidates")),
    ("--exclude-seen", Target::Key("eval.exclude_seen")),
    ("--seed", Target::Key("seed")),
    ("--device", Target::Key("device")),
    ("--threads", Target::Key("threads")),
];

fn target(flag: &Flag) -> &'static Target {
    let row = TARGETS.iter().find(|(name, _)| *name == flag.name);
    &row.expect("every flag should have a row in TARGETS").1
}

/// The entries of the flags that choose a model or a loss.
pub(super) fn choices(flags: &[Flag]) -> Vec<Entry> {
    let entry = |flag: &Flag| match (target(flag), &flag.value) {
        (Target::Choice(family), Value::String(name)) => Some(Entry {
            path: vec![family.to_string(), name.clone()],
            value: Value::Table(toml::Table::new()),
            origin: flag.name.into(),
        }),
        _ => None,
    };
    flags.iter().filter_map(entry).collect()
}

/// The entries of all other flags, now that the model and the loss are known. A flag that is read by nobody is noted.
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
        let key = match target(flag) {
            Target::Key(key) => key.to_string(),
            Target::Steps(key) => {
                if !reads_training(&model.name) {
                    notes.push(format!("{} has no effect: {} is not trained by steps", flag.name, model.name));
                }
                key.to_string()
            }
            Target::Choice("objective") if loss.is_none() => return Err(no_loss(flag, model)),
            Target::Choice(_) => continue,
            Target::Model(key, fits) => {
                fit(flag, "model", &model.name, fits)?;
                format!("model.{}.{key}", model.name)
            }
            Target::Loss(key, fits) => {
                let loss = loss.ok_or_else(|| no_loss(flag, model))?;
                fit(flag, "loss", &loss.name, fits)?;
                format!("objective.{}.{key}", loss.name)
            }
            Target::L2 => match loss {
                Some(loss) => format!("objective.{}.l2", loss.name),
                None => {
                    fit(flag, "model", &model.name, &["ease"])?;
                    format!("model.{}.l2", model.name)
                }
            },
        };
        entries.push(Entry::new(&key, flag.value.clone(), flag.name));
    }
    Ok(entries)
}

fn fit(flag: &Flag, noun: &str, name: &str, fits: &[&str]) -> Result<()> {
    if fits.contains(&name) {
        return Ok(());
    }
    Err(RecError::Usage {
        problem: format!("{} does not fit the {noun} {name}", flag.name),
        todo: format!("it fits {}", fits.join(", ")),
    })
}

fn no_loss(flag: &Flag, model: &Choice) -> RecError {
    let (why, todo) = if has_own_losses(&model.name) {
        ("has losses of its own", format!("use --set model.{}.loss", model.name))
    } else if reads_training(&model.name) {
        ("takes the losses of its members", "give each of model.fusion.members an objective in a run file".into())
    } else {
        ("is computed in closed form", "it fits models that are trained on a loss, such as lightgcn and mf".into())
    };
    RecError::Usage { problem: format!("{} does not fit the model {}, which {why}", flag.name, model.name), todo }
}

/// Refuses flags that contradict each other.
///
/// # Errors
/// [`RecError::Usage`] for `--resume` with `--force`.
pub fn check_run_flags(resume: bool, force: bool) -> Result<()> {
    if resume && force {
        return Err(RecError::Usage {
            problem: "--resume goes on with a run and --force throws it away".into(),
            todo: "give one of them".into(),
        });
    }
    Ok(())
}
