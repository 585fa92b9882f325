//! The keys of a run file as a table in Markdown, from the rows that the program itself reads.

use std::collections::BTreeSet;

use gcnrec::internals::config::keys;
use gcnrec::internals::settings::{Key, Takes};

/// Every dotted key that holds a value, in alphabetical order.
pub fn all() -> BTreeSet<String> {
    keys().iter().map(|(path, _)| path.clone()).collect()
}

/// The table of keys as `configs/README.md` has it.
pub fn table() -> String {
    let row = |(path, key): &(String, &Key)| {
        let default = (key.default)().map_or_else(|| key.unset.to_string(), |default| format!("`{}`", short(default)));
        let cells = [format!("`{path}`"), takes(path, key), default, in_a_cell(&key.about())];
        assert!(cells.iter().all(|cell| !cell.is_empty() && !cell.contains('|')), "{cells:?}");
        format!("| {} |\n", cells.join(" | "))
    };
    let head = "| key | takes | default | what it does |\n| --- | --- | --- | --- |\n";
    keys().iter().fold(head.to_string(), |table, key| table + &row(key))
}

/// A value as TOML, very small numbers with an exponent.
fn short(value: String) -> String {
    match value.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1e-6 => format!("{number:e}"),
        _ => value,
    }
}

/// A sentence without its full stop and its capital letter, unless that is part of a name.
fn in_a_cell(sentence: &str) -> String {
    let text = sentence.strip_suffix('.').unwrap_or(sentence);
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    let is_a_name = rest.split(' ').next().is_some_and(|word| word.chars().any(char::is_uppercase));
    if is_a_name { text.into() } else { first.to_lowercase() + rest }
}

/// What a key takes, in a cell.
fn takes(path: &str, key: &Key) -> String {
    match (key.words, key.range, key.takes) {
        (Some(words), ..) => words(),
        (None, Some(range), _) => range.to_string(),
        (None, None, Takes::Name { names, .. }) => format!("`{}`", names().join("`, `")),
        (None, None, Takes::Whole) => "0 or more".into(),
        (None, None, Takes::Real) => "a number".into(),
        (None, None, Takes::Switch) => "true, false".into(),
        (None, None, Takes::Text) => "text".into(),
        (None, None, Takes::Path) => "a file".into(),
        (None, None, Takes::Form { words, .. }) => words.into(),
        (None, None, other) => panic!("{path}: say with `takes` what {other:?} means"),
    }
}
