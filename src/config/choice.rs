//! The model, the loss and the debiasing method in use: the highest layer that names one decides,
//! and settings of the others fall away or are refused.

use super::entry::Entry;
use super::layers::{Kind, Layer};
use super::run::Config;
use crate::error::{RecError, Result};
use crate::settings::Takes;

/// A table of which exactly one kind is chosen, as `[model.NAME]`: a row of the run file's own
/// keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// The key above the names.
    pub(super) key: &'static str,
    /// What one of them is called.
    pub(super) noun: &'static str,
    /// The flag that chooses.
    pub(super) flag: &'static str,
}

impl Family {
    /// Every family.
    pub(super) fn all() -> impl Iterator<Item = Family> {
        Config::KEYS.iter().filter_map(|key| match key.takes {
            Takes::Kind(kinds) => Some(Family { key: key.name, noun: kinds().what, flag: key.flag? }),
            _ => None,
        })
    }

    /// The family of `[KEY.NAME]`.
    pub(super) fn at(key: &str) -> Option<Family> {
        Family::all().find(|family| family.key == key)
    }

    /// The family that a flag chooses of.
    pub(super) fn of_flag(flag: &str) -> Option<Family> {
        Family::all().find(|family| family.flag == flag)
    }

    /// `[model.NAME]`.
    pub(super) fn model() -> Family {
        Family::at("model").expect("models should be kinds")
    }

    /// `[objective.NAME]`.
    pub(super) fn loss() -> Family {
        Family::at("objective").expect("losses should be kinds")
    }

    /// `[debias.NAME]`.
    pub(super) fn debias() -> Family {
        Family::at("debias").expect("debiasing methods should be kinds")
    }
}

/// What was chosen, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// The name.
    pub(super) name: String,
    /// Where it was chosen; empty for the default.
    pub(super) origin: String,
    /// The layer that chose it, counted from the lowest; `None` for the default.
    pub(super) layer: Option<usize>,
}

impl Choice {
    /// The choice when no layer makes one.
    pub(super) fn default_of(name: &str) -> Self {
        Choice { name: name.into(), origin: String::new(), layer: None }
    }

    /// The name and where it comes from, as in `ease (run.toml:3)`.
    pub(super) fn shown(&self) -> String {
        if self.origin.is_empty() {
            format!("{} (the default)", self.name)
        } else {
            format!("{} ({})", self.name, self.origin)
        }
    }
}

impl Family {
    /// True for a setting of this family's tables.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        entry.path.len() > 1 && entry.path[0] == self.key
    }

    /// The choice of the highest layer that makes one. A setting such as `--set model.ease.l2=300`
    /// chooses only where no layer names a model outright.
    pub(super) fn choose(&self, layers: &[Layer]) -> Option<Choice> {
        let latest = |outright: bool| {
            layers.iter().enumerate().rev().find_map(|(rank, layer)| {
                let names = |entry: &&Entry| self.holds(entry) && (!outright || names_outright(layer.kind, entry));
                let entry = layer.entries.iter().rfind(names)?;
                // The line of the table is told by its first setting.
                let first = layer.entries.iter().find(|e| self.holds(e) && e.path[1] == entry.path[1]).unwrap_or(entry);
                Some(Choice { name: entry.path[1].clone(), origin: first.origin.clone(), layer: Some(rank) })
            })
        };
        latest(true).or_else(|| latest(false))
    }

    /// Drops what lower layers set for another name. What `--set` and the environment lose that way
    /// is noted.
    ///
    /// # Errors
    /// [`RecError::Config`] when the choosing layer or a higher one sets something for another
    /// name.
    pub(super) fn keep(&self, layers: &mut [Layer], choice: &Choice, notes: &mut Vec<String>) -> Result<()> {
        for (rank, layer) in layers.iter_mut().enumerate() {
            let is_other = |entry: &Entry| self.holds(entry) && entry.path[1] != choice.name;
            if choice.layer.is_some_and(|chosen| rank < chosen) || layer.names_several(self) {
                if matches!(layer.kind, Kind::Environment | Kind::Set) {
                    notes.extend(layer.entries.iter().filter(|e| is_other(e)).map(|e| self.without_effect(e, choice)));
                }
                layer.entries.retain(|entry| !is_other(entry));
            }
            if let Some(other) = layer.entries.iter().find(|entry| is_other(entry)) {
                return Err(self.not_in_use(other, choice));
            }
        }
        Ok(())
    }

    fn without_effect(&self, entry: &Entry, choice: &Choice) -> String {
        format!("{} has no effect: the {} is {}", entry.origin, self.noun, choice.shown())
    }

    fn not_in_use(&self, entry: &Entry, choice: &Choice) -> RecError {
        let (other, expected) = (&entry.path[1], format!("a setting of the {} in use, {}", self.noun, choice.shown()));
        RecError::range(entry.key(), format!("a setting of {other}"), expected)
            .with_origin(&entry.origin)
            .with_todo(format!("{} {other} changes the {}", self.flag, self.noun))
    }
}

/// True where writing the table is naming the model: in files and by flags. On the command line and
/// in the environment only the bare name is (`--set model=ease`).
fn names_outright(kind: Kind, entry: &Entry) -> bool {
    match kind {
        Kind::Preset | Kind::RunFile | Kind::Flags => true,
        Kind::Environment | Kind::Set => entry.path.len() == 2 && entry.is_empty_table(),
    }
}

impl Layer {
    /// True when the layer names two outright, one after the other (`--set model=ease --set
    /// model=mf`): the last one counts.
    fn names_several(&self, family: &Family) -> bool {
        let mut named: Vec<&str> = self
            .entries
            .iter()
            .filter(|entry| family.holds(entry) && matches!(self.kind, Kind::Set) && names_outright(self.kind, entry))
            .map(|entry| entry.path[1].as_str())
            .collect();
        named.dedup();
        named.len() > 1
    }
}
