//! Checks one entry against the types of the configuration, and says what is wrong in our words.
//!
//! Every family's settings have defaults for everything, so a configuration with one single value in it can be read by itself. If that fails, this
//! value is to blame, and its origin is known: no guessing from a merged whole.

use serde::Deserialize;
use toml::{Table, Value};

use super::entry::{Entry, insert};
use super::run::Config;
use crate::error::{RecError, Result};
use crate::{debias, models, objectives};

/// Refuses an unknown key, an unknown name and a value of the wrong type.
///
/// # Errors
/// [`RecError::Unknown`] or [`RecError::Config`], with the entry's origin.
pub(super) fn check(entry: &Entry) -> Result<()> {
    if let [family, name, ..] = &entry.path[..] {
        known_name(family, name, &entry.origin)?;
    }
    let mut table = Table::new();
    insert(&mut table, &entry.path, entry.value.clone());
    match Config::deserialize(Value::Table(table)) {
        // serde would read a list as a table's values in the order of its fields.
        Ok(_) if entry.value.is_array() && takes_a_table(&entry.path) => Err(RecError::Config {
            key: entry.key(),
            origin: entry.origin.clone(),
            found: show(&entry.value),
            expected: "a table".into(),
            todo: format!("name the key in it that you mean: {}.KEY", entry.key()),
        }),
        Ok(_) => Ok(()),
        // A table with required keys is judged when it is whole.
        Err(error) if error.message().starts_with("missing field") => Ok(()),
        Err(error) => Err(explain(entry, error.message())),
    }
}

/// True for a key with keys below it.
fn takes_a_table(path: &[String]) -> bool {
    let mut table = Table::new();
    insert(&mut table, path, Value::Table(Table::new()));
    match Config::deserialize(Value::Table(table)) {
        Ok(_) => true,
        Err(error) => error.message().starts_with("missing field"),
    }
}

/// Refuses the name of a model or of a loss that is not in the registry.
///
/// # Errors
/// [`RecError::Unknown`] with the given origin.
pub(super) fn known_name(family: &str, name: &str, origin: &str) -> Result<()> {
    let (what, known) = match family {
        "model" => ("model", models::Config::names()),
        "objective" => ("loss", objectives::Config::names()),
        "debias" => ("debiasing method", debias::Config::names()),
        _ => return Ok(()),
    };
    if known.contains(&name) {
        return Ok(());
    }
    let known = known.into_iter().map(String::from).collect();
    Err(RecError::Unknown { what, origin: origin.into(), name: name.into(), known })
}

/// Turns serde's sentence into fields.
fn explain(entry: &Entry, message: &str) -> RecError {
    let message = message.lines().next().unwrap_or_default();
    let (before, after) = message.split_once(", expected ").unwrap_or((message, ""));
    let name = quoted(before).into_iter().next().unwrap_or_default();
    let unknown =
        |what| RecError::Unknown { what, origin: entry.origin.clone(), name: name.clone(), known: quoted(after) };
    let wrong_at = |key: String, found: String, expected: String| RecError::Config {
        key,
        origin: entry.origin.clone(),
        found,
        expected,
        todo: String::new(),
    };
    if before.starts_with("unknown field") {
        return match quoted(after).is_empty() {
            true => {
                wrong_at(entry.key(), format!("the key \"{name}\""), "an empty table: there is nothing to set".into())
            }
            false => unknown("key"),
        };
    }
    if before.starts_with("unknown variant") {
        return unknown(what_of(entry));
    }
    if before == "invalid type: map" && !entry.value.is_table() {
        // The key above takes a value, and here it was given keys of its own.
        let above = entry.path[..entry.path.len() - 1].join(".");
        return wrong_at(above, "a table".into(), humanise(after, message));
    }
    wrong_at(entry.key(), show(&entry.value), humanise(after, message))
}

/// The words between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(String::from).collect()
}

/// What kind of name a key takes, as [`RecError::Unknown`] says it.
fn what_of(entry: &Entry) -> &'static str {
    match entry.path.last().map(String::as_str) {
        Some("format") => "format",
        Some("split") => "split",
        Some("combination") => "layer combination",
        Some("sampling") => "sampling",
        Some("negatives") => "negative sampler",
        Some("fit") => "way to fit",
        Some("candidates") => "set of candidates",
        Some("storage") => "storage",
        Some("feedback") => "kind of feedback",
        Some("optimizer") => "optimizer",
        Some("reduction") => "reduction",
        Some("activation") => "activation",
        Some("loss") => "loss",
        Some("batches") => "way to make batches",
        Some("windows") => "choice of windows",
        Some("propensity") => "propensity",
        Some("uniform_loss") => "loss of the uniform log",
        Some("valid_rows") => "choice of validation rows",
        Some("duplicates") => "way to treat duplicates",
        _ => "value",
    }
}

/// A value as it would be written, except that tables are only named.
fn show(value: &Value) -> String {
    match value {
        Value::Table(_) => "a table".into(),
        value => value.to_string(),
    }
}

/// What serde expects, in plain words.
fn humanise(expected: &str, message: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "text in quotes".into(),
        "path string" => "a path in quotes".into(),
        "a sequence" => "a list, as in [10, 20]".into(),
        "" => message.into(),
        other if other.starts_with("an array of length ") => other.replace("an array of length", "a list of"),
        other if other.starts_with("struct") || other.contains("enum") || other.contains("variant") => {
            "a table or one of its names".into()
        }
        other => other.into(),
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
