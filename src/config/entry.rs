//! One configured value with its dotted key and the place where it was written.

use toml::{Table, Value};

/// A value at a key. An empty table stands for a table that was named but holds nothing
/// (`[model.popularity]`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The key, one name per level.
    pub(super) path: Vec<String>,
    /// What was written.
    pub(super) value: Value,
    /// Where it was written, as a message shows it: `run.toml:12`, `--lr`, `--set
    /// train.patience=3`, `GCNREC_SEED`.
    pub(super) origin: String,
    /// The path as it was written, where its file was found in the data folder.
    pub(super) in_data_folder: Option<String>,
}

impl Entry {
    /// An entry at a dotted key.
    pub(super) fn new(key: &str, value: impl Into<Value>, origin: impl Into<String>) -> Self {
        Entry::at(key.split('.').map(String::from).collect(), value, origin)
    }

    /// An entry at a key, one name per level.
    pub(super) fn at(path: Vec<String>, value: impl Into<Value>, origin: impl Into<String>) -> Self {
        Entry { path, value: value.into(), origin: origin.into(), in_data_folder: None }
    }

    /// The dotted key.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    /// True for a table that was named but holds nothing.
    pub(super) fn is_empty_table(&self) -> bool {
        self.value.as_table().is_some_and(Table::is_empty)
    }
}

/// Adds a value to nested tables, creating the tables on the way.
///
/// Entries are checked one by one against the same types, so a key is never both a table and a
/// value; an empty table never replaces a full one.
pub(super) fn insert(root: &mut Table, path: &[String], value: Value) {
    let Some((last, tables)) = path.split_last() else { return };
    let mut table = root;
    for name in tables {
        let slot = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        table = slot.as_table_mut().expect("a key should be a table or a value, not both: entries are checked first");
    }
    let value_is_empty_table = value.as_table().is_some_and(Table::is_empty);
    if !(value_is_empty_table && table.contains_key(last)) {
        table.insert(last.clone(), value);
    }
}
