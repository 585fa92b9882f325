//! The tree of keys: every key of a run file with its dotted path and its row.

use std::sync::LazyLock;

use super::run::Config;
use crate::settings::{Key, Takes};

static KEYS: LazyLock<Vec<(String, &'static Key)>> = LazyLock::new(|| {
    let mut keys = Vec::new();
    collect("", Config::KEYS, &mut keys);
    keys
});

/// Every key that holds a value, with its dotted path (`model.lightgcn.dim`), in the order of the
/// file; the tables of every model, loss and debiasing method stand one after the other.
pub fn keys() -> &'static [(String, &'static Key)] {
    &KEYS
}

fn collect(above: &str, rows: &'static [Key], keys: &mut Vec<(String, &'static Key)>) {
    for key in rows {
        let path = if above.is_empty() { key.name.to_string() } else { format!("{above}.{}", key.name) };
        match &key.takes {
            Takes::Table(below) => collect(&path, below, keys),
            Takes::Kind(kinds) => {
                kinds().rows.iter().for_each(|(name, _, below)| collect(&format!("{path}.{name}"), below, keys));
            }
            _ => keys.push((path, key)),
        }
    }
}

/// The row of a dotted key that holds a value.
pub(super) fn row(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|(known, _)| known == path).map(|(_, key)| *key)
}

/// The dotted keys that a flag sets.
pub(super) fn of_flag(flag: &str) -> impl Iterator<Item = &'static (String, &'static Key)> {
    KEYS.iter().filter(move |(_, key)| key.flag == Some(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_the_file_and_once() {
        let paths: Vec<&str> = keys().iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths[..4], ["seed", "device", "threads", "data.path"]);
        for path in ["data.demo.n_users", "model.lightgcn.attention.hidden", "objective.bsl.t2", "eval.k"] {
            assert_eq!(paths.iter().filter(|known| **known == path).count(), 1, "{path}");
        }
        assert!(!paths.contains(&"model"), "a table with keys of its own holds no value");
        assert_eq!(row("train.patience").unwrap().name, "patience");
        assert!(row("train").is_none());
        assert!(of_flag("--tau").any(|(path, _)| path == "objective.ssm.tau"));
    }
}
