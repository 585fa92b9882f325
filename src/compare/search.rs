//! Search space of hyperparameters: ranges and lists of values by key, read from a file.
//!
//! ```toml
//! [search]
//! "model.lightgcn.layers" = [1, 2, 3, 4]                          # any of these
//! "train.learning_rate" = { from = 1e-3, to = 3e-2, log = true }  # any number between, evenly over its logarithm
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use gcnrec_graphs::{Purpose, Seed};
use rand::Rng;
use rand::RngExt;
use serde::Deserialize;
use toml::Value;

use crate::error::{RecError, Result};
use crate::files::{SETTINGS_LIMIT, read_small_text};

/// Ranges by dotted key.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    ranges: BTreeMap<String, Range>,
    /// The file, for messages.
    origin: String,
}

/// The values of one key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Range {
    /// Any of these.
    Any(Vec<Value>),
    /// Any number between two, both included; whole when both ends are.
    Between(Between),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: Value,
    to: Value,
    #[serde(default)]
    log: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    search: BTreeMap<String, Value>,
}

impl Search {
    /// Reads a file with a table `[search]`.
    ///
    /// # Errors
    /// [`RecError::Missing`] and [`RecError::Io`] for a file that cannot be read,
    /// [`RecError::Config`] for one that says something else.
    pub fn read(path: &Path) -> Result<Search> {
        let text = read_small_text(path, SETTINGS_LIMIT)?;
        Search::parse(&text, &path.display().to_string())
    }

    /// As [`Search::read`], with the text given; `origin` is the name for messages.
    ///
    /// # Errors
    /// [`RecError::Config`].
    pub fn parse(text: &str, origin: &str) -> Result<Search> {
        let refuse =
            |key: &str, found: String, expected: &str| RecError::range(key, found, expected).with_origin(origin);
        let file: File = toml::from_str(text).map_err(|error| {
            refuse(
                "search",
                error.message().lines().collect::<Vec<_>>().join(", "),
                "a table [search] with a range for each key",
            )
        })?;
        let mut ranges = BTreeMap::new();
        for (key, value) in file.search {
            let shown = value.to_string();
            let range = Range::deserialize(value).ok().filter(Range::is_whole);
            let range = range.ok_or_else(|| {
                refuse(
                    &key,
                    shown,
                    "a list of values, or { from = 1, to = 4 } with from below to (and above 0 with log = true)",
                )
            })?;
            ranges.insert(key, range);
        }
        if ranges.is_empty() {
            return Err(refuse("search", "an empty table".into(), "a range for one key or more"));
        }
        Ok(Search { ranges, origin: origin.into() })
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.ranges.keys().map(String::as_str)
    }

    /// The file it was read from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Every range in words, by key.
    pub fn described(&self) -> BTreeMap<String, String> {
        self.ranges.iter().map(|(key, range)| (key.clone(), range.to_string())).collect()
    }

    /// A value for each of these keys: a function of the seed, the number of the draw and the key
    /// alone, so that all models are offered the same.
    pub fn draw(&self, keys: &[&str], seed: Seed, draw: u64) -> BTreeMap<String, String> {
        let position = |key: &str| self.ranges.keys().position(|known| known == key);
        keys.iter()
            .filter_map(|&key| {
                let mut random = seed.stream(Purpose::Analysis, 1 + draw, position(key)? as u64);
                Some((key.to_string(), self.ranges[key].draw(&mut random).to_string()))
            })
            .collect()
    }
}

impl Range {
    fn is_whole(&self) -> bool {
        match self {
            Range::Any(values) => !values.is_empty() && values.iter().all(|value| !value.is_table()),
            Range::Between(between) => between.ends().is_some_and(|(from, to)| {
                from < to && to.is_finite() && from.is_finite() && (!between.log || from > 0.0)
            }),
        }
    }

    fn draw(&self, random: &mut impl Rng) -> Value {
        match self {
            Range::Any(values) => values[random.random_range(0..values.len())].clone(),
            Range::Between(between) => between.draw(random),
        }
    }
}

impl Between {
    fn ends(&self) -> Option<(f64, f64)> {
        let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        Some((number(&self.from)?, number(&self.to)?))
    }

    fn draw(&self, random: &mut impl Rng) -> Value {
        let (from, to) = self.ends().expect("a range should have two numbers as its ends: checked when it was read");
        let share: f64 = random.random();
        let between = |from: f64, to: f64| match self.log {
            true => (from.ln() + share * (to.ln() - from.ln())).exp(),
            false => from + share * (to - from),
        };
        if self.from.is_integer() && self.to.is_integer() {
            // Each whole number has a stretch of its own, the last one too.
            return Value::Integer((between(from, to + 1.0).floor().min(to)) as i64);
        }
        // Three digits are more than a search can tell apart, and read better.
        let value: f64 = format!("{:.2e}", between(from, to)).parse().expect("a printed number should be a number");
        Value::Float(value.clamp(from, to))
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Range::Any(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "{}", values.join(", "))
            }
            Range::Between(Between { from, to, log }) => {
                write!(f, "{from} to {to}{}", if *log { ", evenly over the logarithm" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[search]\n\"model.lightgcn.layers\" = [1, 2, 3, 4]\n\"train.learning_rate\" = { from = 1e-3, to = 1e-1, log = true }\n\
                        \"model.lightgcn.dim\" = { from = 8, to = 10 }\n";

    #[test]
    fn draws_stay_in_their_ranges_and_depend_on_seed_number_and_key_alone() {
        let search = Search::parse(TEXT, "search.toml").unwrap();
        let keys: Vec<&str> = search.keys().collect();
        let (mut dims, mut rates) = ([0; 3], Vec::new());
        for n in 0..300 {
            let drawn = search.draw(&keys, Seed(1), n);
            assert_eq!(drawn, search.draw(&keys, Seed(1), n));
            let one = search.draw(&["train.learning_rate"], Seed(1), n);
            assert_eq!(one["train.learning_rate"], drawn["train.learning_rate"], "other keys do not matter");
            assert!((1..=4).contains(&drawn["model.lightgcn.layers"].parse::<i64>().unwrap()));
            dims[drawn["model.lightgcn.dim"].parse::<usize>().unwrap() - 8] += 1;
            rates.push(drawn["train.learning_rate"].parse::<f64>().unwrap());
        }
        // 300 draws over three values: 100 each, deviation 8.2; five of them are 41.
        assert!(dims.iter().all(|&n| (59..=141).contains(&n)), "{dims:?}");
        // Half of the logarithm's range lies below 1e-2: 150 of 300, deviation 8.7.
        assert!(rates.iter().all(|rate| (1e-3..=1e-1).contains(rate)));
        let below = rates.iter().filter(|&&rate| rate < 1e-2).count();
        assert!((107..=193).contains(&below), "{below}");
    }

    #[test]
    fn a_range_that_is_none_is_refused_with_its_key() {
        let refused = |text: &str| Search::parse(text, "s.toml").unwrap_err().to_string();
        assert!(
            refused("[search]\n\"train.patience\" = 3\n")
                .starts_with("s.toml: train.patience: found 3, expected a list")
        );
        for range in [
            "[]",
            "{ from = 2, to = 1 }",
            "{ from = 0.0, to = 1.0, log = true }",
            "{ from = \"a\", to = 1 }",
            "{ from = 1 }",
        ] {
            assert!(refused(&format!("[search]\nx = {range}\n")).starts_with("s.toml: x: found"), "{range}");
        }
        assert!(refused("[search]\n").contains("an empty table"));
        assert!(refused("[serch]\n").starts_with("s.toml: search: found"));
        assert!(refused("not toml").starts_with("s.toml: search: found"));
    }
}
