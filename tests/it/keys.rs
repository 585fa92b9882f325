//! Every key that a run file may have, as the library itself tells them: a refused key names its neighbours.

use std::collections::BTreeSet;

use gcnrec::RecError;
use gcnrec::config::{Sources, resolve};
use gcnrec::{debias, models, objectives};

/// Every dotted key that holds a value, in alphabetical order.
pub fn all() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for key in neighbours("").expect("a run file should have keys") {
        let below = match key.as_str() {
            "model" => models::Config::names(),
            "objective" => objectives::Config::names(),
            "debias" => debias::Config::names(),
            _ => Vec::new(),
        };
        below.iter().for_each(|name| collect(&format!("{key}.{name}"), &mut keys));
        if below.is_empty() {
            collect(&key, &mut keys);
        }
    }
    keys
}

fn collect(key: &str, keys: &mut BTreeSet<String>) {
    match neighbours(key) {
        Some(below) => below.iter().for_each(|name| collect(&format!("{key}.{name}"), keys)),
        None => {
            keys.insert(key.into());
        }
    }
}

/// The keys of a table; nothing for a key that holds a value. The table of a model without settings has no keys.
fn neighbours(table: &str) -> Option<Vec<String>> {
    let dot = if table.is_empty() { "" } else { "." };
    let sources = Sources { set: vec![format!("{table}{dot}no_such_key=1")], ..Sources::default() };
    match resolve(&sources) {
        Err(RecError::Unknown { what: "key", known, .. }) => Some(known),
        Err(RecError::Config { expected, .. }) if expected.starts_with("an empty table") => Some(Vec::new()),
        Err(RecError::Config { .. } | RecError::Unknown { .. }) => None,
        other => panic!("{table}: {other:?}"),
    }
}
