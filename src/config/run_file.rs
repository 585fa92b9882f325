//! Run files as entries with line numbers, and the texts of `--set` and of the environment as
//! entries.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::check::check;
use super::choice::Family;
use super::entry::Entry;
use super::spelling::spell;
use crate::error::{RecError, Result};

/// The values of a run file in file order, each checked, with `file:line` as their origin.
///
/// # Errors
/// [`RecError::Config`] for a syntax error (`file:line:column`), for a value of the wrong type and
/// for two tables where one can be chosen; [`RecError::Unknown`] for a key that does not exist.
pub(super) fn entries(text: &str, file: &Path) -> Result<Vec<Entry>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = DeTable::parse(text).map_err(|error| syntax(text, file, &error))?;
    let values: toml::Table = text.parse().map_err(|error| syntax(text, file, &error))?;
    let mut walk = Walk { line_ends: line_ends(text), file, entries: Vec::new() };
    walk.table(root.get_ref(), &values, &mut Vec::new());
    let mut entries = Vec::with_capacity(walk.entries.len());
    for entry in walk.entries {
        if let Some(entry) = choice(entry) {
            check(&entry)?;
            entries.push(entry);
        }
    }
    Family::all().try_for_each(|family| one_table(&entries, family.key))?;
    Ok(entries)
}

struct Walk<'a> {
    /// Counting them for every key would take the square of a long file's time.
    line_ends: Vec<usize>,
    file: &'a Path,
    entries: Vec<Entry>,
}

impl Walk<'_> {
    /// Walks the table with positions and the table with values side by side.
    fn table(&mut self, spans: &DeTable<'_>, values: &toml::Table, path: &mut Vec<String>) {
        let mut keys: Vec<_> = spans.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        for (key, spanned) in keys {
            let Some(value) = values.get(key.get_ref().as_ref()) else { continue };
            path.push(key.get_ref().to_string());
            match (spanned.get_ref(), value) {
                (DeValue::Table(spans), Value::Table(values)) if !values.is_empty() => self.table(spans, values, path),
                _ => self.leaf(key, value, path),
            }
            path.pop();
        }
    }

    fn leaf<K>(&mut self, key: &Spanned<K>, value: &Value, path: &[String]) {
        let start = key.span().start;
        let line = 1 + self.line_ends.partition_point(|&end| end < start);
        let origin = format!("{}:{line}", self.file.display());
        self.entries.push(Entry::at(path.to_vec(), value.clone(), origin));
    }
}

/// `model = "ease"` means `[model.ease]`; an empty `[model]` means nothing. Names are spelt as here.
pub(super) fn choice(mut entry: Entry) -> Option<Entry> {
    if let [key] = &entry.path[..]
        && Family::at(key).is_some()
    {
        if entry.is_empty_table() {
            return None;
        }
        if let Value::String(name) = &entry.value {
            entry.path.push(name.clone());
            entry.value = Value::Table(toml::Table::new());
        }
    }
    spell(&mut entry);
    Some(entry)
}

/// Refuses two tables of a family in one file.
fn one_table(entries: &[Entry], family: &str) -> Result<()> {
    let mut named = entries.iter().filter(|entry| entry.path.len() > 1 && entry.path[0] == family);
    let Some(first) = named.next() else { return Ok(()) };
    match named.find(|entry| entry.path[1] != first.path[1]) {
        None => Ok(()),
        Some(second) => Err(RecError::range(
            family,
            format!("a second table, [{family}.{}]", second.path[1]),
            format!("only [{family}.{}] ({})", first.path[1], first.origin),
        )
        .with_origin(second.origin.clone())
        .with_todo("remove one of them")),
    }
}

fn syntax(text: &str, file: &Path, error: &toml::de::Error) -> RecError {
    let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
    let found: String = text.lines().nth(line - 1).unwrap_or_default().trim().chars().take(60).collect();
    RecError::range("syntax", format!("`{found}`"), "TOML")
        .with_origin(format!("{}:{line}:{column}", file.display()))
        .with_todo(error.message().lines().collect::<Vec<_>>().join(", "))
}

/// The byte offsets of all line ends.
fn line_ends(text: &str) -> Vec<usize> {
    text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
}

/// Line and column (in characters) of a byte offset, both from 1.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    (before.iter().filter(|&&b| b == b'\n').count() + 1, column)
}

/// The entry of a key and a text from the command line or the environment: a TOML value, or bare
/// text where that does not fit.
///
/// Lists may be written without brackets and quotes, as in `eval.metrics=recall,ndcg`.
///
/// # Errors
/// As [`check`], for the reading that comes first.
pub(super) fn from_text(path: Vec<String>, text: &str, origin: String) -> Result<Entry> {
    let words = || text.split(',').map(|word| Value::String(word.trim().into())).collect();
    let readings = [
        text.parse::<Value>().ok(),
        Some(Value::String(text.into())),
        format!("[{text}]").parse::<Value>().ok(),
        Some(Value::Array(words())),
    ];
    let mut first_error = None;
    for value in readings.into_iter().flatten() {
        let entry = choice(Entry::at(path.clone(), value, origin.clone()));
        let Some(entry) = entry else { continue };
        match check(&entry) {
            Ok(()) => return Ok(entry),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.expect("bare text should always be one of the readings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Entry>> {
        entries(text, Path::new("run.toml"))
    }

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn every_value_knows_its_line() {
        let found =
            read("\u{feff}seed = 1\r\n\r\n[model.lightgcn]\r\n# hops\r\nlayers = 2\r\nattention.hidden = 8\r\n")
                .unwrap();
        let shown: Vec<_> = found.iter().map(|e| format!("{} {} {}", e.origin, e.key(), e.value)).collect();
        assert_eq!(
            shown,
            ["run.toml:1 seed 1", "run.toml:5 model.lightgcn.layers 2", "run.toml:6 model.lightgcn.attention.hidden 8"]
        );
    }

    #[test]
    fn a_syntax_error_names_line_and_column() {
        let message = message("seed = 1\n[train]\npatience = = 3\n");
        assert!(message.starts_with("run.toml:3:12: syntax: found `patience = = 3`, expected TOML; "), "{message}");
        assert!(!message.contains('\n'));
    }

    #[test]
    fn an_unknown_key_and_a_wrong_type_name_file_and_line() {
        assert_eq!(
            message("\n[train]\npatiense = 1"),
            "run.toml:3: unknown key \"patiense\"; did you mean \"patience\"?"
        );
        assert_eq!(
            message("[objective.bpr]\n\nl2 = \"small\""),
            "run.toml:3: objective.bpr.l2: found \"small\", expected a number"
        );
        assert_eq!(message("[trian]"), "run.toml:1: unknown key \"trian\"; did you mean \"train\"?");
    }

    #[test]
    fn two_models_or_two_losses_in_one_file_are_refused() {
        assert_eq!(
            message("[model.lightgcn]\nlayers = 2\n[model.ease]\nl2 = 3"),
            "run.toml:4: model: found a second table, [model.ease], expected only [model.lightgcn] (run.toml:2); remove one of them"
        );
        assert!(message("[objective.bpr]\n[objective.ssm]").contains("[objective.ssm], expected only [objective.bpr]"));
    }

    #[test]
    fn a_name_alone_chooses_a_table() {
        let found = read("model = \"ease\"").unwrap();
        assert_eq!((found[0].key(), found[0].is_empty_table()), ("model.ease".into(), true));
        assert_eq!(message("model = \"eese\""), "run.toml:1: unknown model \"eese\"; did you mean \"ease\"?");
        assert!(read("[model]").unwrap().is_empty());
    }

    #[test]
    fn texts_become_numbers_text_or_lists_as_the_key_needs() {
        let value = |key: &str, text: &str| {
            from_text(key.split('.').map(String::from).collect(), text, "--set".into()).map(|e| e.value.to_string())
        };
        assert_eq!(value("train.patience", "3").unwrap(), "3");
        assert_eq!(value("train.metric", "recall@5").unwrap(), "\"recall@5\"");
        assert_eq!(value("device", "cpu").unwrap(), "\"cpu\"");
        assert_eq!(value("data.user_column", "7").unwrap(), "\"7\"");
        assert_eq!(value("eval.k", "5").unwrap(), "[5]");
        assert_eq!(value("eval.k", "5,10").unwrap(), "[5, 10]");
        assert_eq!(value("eval.metrics", "recall, ndcg").unwrap(), "[\"recall\", \"ndcg\"]");
        assert_eq!(
            value("train.patience", "many").unwrap_err().to_string(),
            "--set: train.patience: found \"many\", expected a whole number of 0 or more"
        );
    }
}
