//! Type checks of single entries against the tree of keys: unknown keys, unknown names, values of
//! the wrong kind.
//!
//! An entry is checked before anything is merged, so its origin is known and a typo is refused even
//! where a higher layer would have hidden it. Ranges are checked on the whole configuration.

use toml::{Table, Value};

use super::entry::{Entry, insert};
use super::run::Config;
use crate::error::{RecError, Result};
use crate::settings::{Key, Kinds, Takes};

/// Refuses an unknown key, an unknown name and a value of the wrong type.
///
/// # Errors
/// [`RecError::Unknown`] or [`RecError::Config`], with the entry's origin.
pub(super) fn check(entry: &Entry) -> Result<()> {
    let mut root = Table::new();
    insert(&mut root, &entry.path, entry.value.clone());
    let mut place = Place { origin: &entry.origin, path: Vec::new() };
    place.table(Config::KEYS, &root)
}

/// Where a check stands: the keys from the root, and where the entry was written.
struct Place<'a> {
    origin: &'a str,
    path: Vec<String>,
}

impl Place<'_> {
    /// Checks every entry of a table.
    fn table(&mut self, keys: &[Key], table: &Table) -> Result<()> {
        table.iter().try_for_each(|(name, value)| match keys.iter().find(|key| key.name == name) {
            Some(key) => self.below(name, |place| place.value(&key.takes, value, value)),
            None if keys.is_empty() => self.below(name, |place| {
                Err(place.refused(format!("the key \"{name}\""), "an empty table: there is nothing to set"))
            }),
            None => Err(self.unknown("key", name, keys.iter().map(|key| key.name))),
        })
    }

    /// Checks a table whose keys are names of kinds.
    fn kind(&mut self, kinds: &Kinds, table: &Table) -> Result<()> {
        table.iter().try_for_each(|(name, settings)| match kinds.rows.iter().find(|(known, ..)| known == name) {
            Some((_, _, keys)) => self.below(name, |place| place.value(&Takes::Table(keys), settings, settings)),
            None => Err(self.unknown(kinds.what, name, kinds.rows.iter().map(|(known, ..)| *known))),
        })
    }

    /// Checks a value; messages show `whole`, the list that it stands in or the value itself.
    fn value(&mut self, takes: &Takes, value: &Value, whole: &Value) -> Result<()> {
        match (takes, value) {
            (Takes::Whole, Value::Integer(0..))
            | (Takes::Real, Value::Integer(_) | Value::Float(_))
            | (Takes::Switch, Value::Boolean(_))
            | (Takes::Text | Takes::Path, Value::String(_)) => Ok(()),
            (Takes::Form { fits, .. }, Value::String(text)) if fits(text) => Ok(()),
            (Takes::Name { what, names }, Value::String(name)) => match names().contains(&name.as_str()) {
                true => Ok(()),
                false => Err(self.unknown(what, name, names().iter().copied())),
            },
            (Takes::Array(each, n), Value::Array(values)) if values.len() == *n => {
                values.iter().try_for_each(|value| self.value(each, value, whole))
            }
            (Takes::List(each), Value::Array(values)) => {
                values.iter().try_for_each(|value| self.value(each, value, whole))
            }
            (Takes::Table(keys), Value::Table(table)) => self.table(keys, table),
            (Takes::Kind(kinds), Value::Table(table)) => self.kind(&kinds(), table),
            (Takes::Table(_) | Takes::Kind(_), Value::Array(_)) => {
                let key = self.path.join(".");
                let todo = format!("name the key in it that you mean: {key}.KEY");
                Err(self.refused(show(whole), "a table").with_todo(todo))
            }
            _ => Err(self.refused(show(whole), &expected(takes))),
        }
    }

    fn below<T>(&mut self, name: &str, check: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.into());
        let outcome = check(self);
        self.path.pop();
        outcome
    }

    fn refused(&self, found: String, expected: &str) -> RecError {
        RecError::range(self.path.join("."), found, expected).with_origin(self.origin)
    }

    fn unknown<'a>(&self, what: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> RecError {
        RecError::unknown(what, name, known).with_origin(self.origin)
    }
}

/// A value as it would be written, except that tables are only named.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".into(),
        value => value.to_string(),
    }
}

/// What a key takes, as an error says it.
fn expected(takes: &Takes) -> String {
    match takes {
        Takes::Whole => "a whole number of 0 or more".into(),
        Takes::Real => "a number".into(),
        Takes::Switch => "true or false".into(),
        Takes::Text | Takes::Name { .. } => "text in quotes".into(),
        Takes::Path => "a path in quotes".into(),
        Takes::Form { words, .. } => (*words).into(),
        Takes::List(_) => "a list, as in [10, 20]".into(),
        Takes::Array(_, n) => format!("a list of {n}"),
        Takes::Table(_) | Takes::Kind(_) => "a table or one of its names".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(key: &str, value: impl Into<Value>) -> String {
        check(&Entry::new(key, value, "run.toml:3")).unwrap_err().to_string()
    }

    #[test]
    fn a_right_entry_passes_alone() {
        for (key, value) in [
            ("seed", Value::Integer(7)),
            ("train.learning_rate", Value::Integer(1)),
            ("model.lightgcn.layers", Value::Integer(2)),
            ("model.popularity", Value::Table(Table::new())),
            ("objective.bsl.candidates", Value::String("batch".into())),
        ] {
            check(&Entry::new(key, value, "here")).unwrap();
        }
    }

    #[test]
    fn an_unknown_key_gets_a_suggestion_at_every_depth() {
        assert_eq!(message("sead", 1), "run.toml:3: unknown key \"sead\"; did you mean \"seed\"?");
        assert_eq!(message("train.patiense", 1), "run.toml:3: unknown key \"patiense\"; did you mean \"patience\"?");
        assert_eq!(
            message("model.lightgcn.attention.hiden", 1),
            "run.toml:3: unknown key \"hiden\"; did you mean \"hidden\"?"
        );
    }

    #[test]
    fn an_unknown_model_loss_or_choice_is_named_as_such() {
        assert_eq!(
            message("model.lightgnc.dim", 4),
            "run.toml:3: unknown model \"lightgnc\"; did you mean \"lightgcn\"?"
        );
        assert_eq!(message("objective.bprr.l2", 4), "run.toml:3: unknown loss \"bprr\"; did you mean \"bpr\"?");
        assert_eq!(
            message("model.lightgcn.combination", "aditive"),
            "run.toml:3: unknown layer combination \"aditive\"; did you mean \"additive\"?"
        );
    }

    #[test]
    fn a_wrong_type_says_what_was_found_and_what_is_expected() {
        assert_eq!(
            message("train.learning_rate", "fast"),
            "run.toml:3: train.learning_rate: found \"fast\", expected a number"
        );
        assert_eq!(message("train.refit", 1), "run.toml:3: train.refit: found 1, expected true or false");
        assert_eq!(message("seed", -1), "run.toml:3: seed: found -1, expected a whole number of 0 or more");
        assert_eq!(message("seed", 0.5), "run.toml:3: seed: found 0.5, expected a whole number of 0 or more");
        assert_eq!(message("eval.k", 10), "run.toml:3: eval.k: found 10, expected a list, as in [10, 20]");
        assert_eq!(message("device.cpu", 10), "run.toml:3: device: found a table, expected text in quotes");
    }
}
