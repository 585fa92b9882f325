//! Data settings that nothing reads: a split of parts that are split already, a format of the demo
//! world.

use super::config::{Config, HoldOut, Rule};
use crate::settings::{Unread, as_toml};

/// Keys on how one file is split.
const SPLIT: [&str; 5] = ["split", "ratios", "group_by", "order", "hold_out"];
/// Keys on how files are read.
const FILES: [&str; 13] = [
    "format",
    "unknown",
    "min_rating",
    "feedback",
    "duplicates",
    "user_column",
    "item_column",
    "rating_column",
    "time_column",
    "time_format",
    "title_column",
    "uniform_rating_column",
    "uniform_ratios",
];
/// Keys on the validation part that is carved from training.
const CARVED: [&str; 2] = ["valid_rows", "valid_fraction"];

impl Config {
    /// Keys that are set and that nothing reads beside the others.
    pub(crate) fn unread(&self) -> Vec<Unread> {
        if self.path.is_none() && self.train.is_none() {
            let beside = "the demo world, which is made whole and not read from a file";
            let todo = "name data with --data or --train, or remove the setting";
            return self.among(&[&FILES[..], &SPLIT, &CARVED[..1]].concat(), beside, todo, "");
        }
        if self.train.is_some() {
            let beside = "data.train, a part of data that are split already";
            let todo = "name one file to split with --data, or remove the setting";
            let mut found = self.among(&SPLIT, beside, todo, "data.train");
            if self.valid.is_some() {
                let beside = "data.valid, which is the validation part";
                found.extend(self.among(&CARVED, beside, "give one of the two", "data.valid"));
            }
            return found;
        }
        let not_read: &[&str] = match self.split {
            Rule::Ratio => &["hold_out"],
            Rule::LeaveOneOut => &["ratios", "group_by"],
            Rule::Time => &["group_by", "hold_out"],
        };
        let beside = format!("data.split = {}", as_toml(&self.split).unwrap_or_default());
        let mut found = self.among(not_read, &beside, "remove one of the two", "data.split");
        found.extend(self.carved_beside_a_split());
        found
    }

    /// Keys on a carved part where the split makes the validation part.
    fn carved_beside_a_split(&self) -> Vec<Unread> {
        let splits_valid = match self.split {
            Rule::Ratio | Rule::Time => self.ratios[1] > 0.0,
            Rule::LeaveOneOut => self.hold_out != HoldOut::TestOnly,
        };
        // At 0 there is no validation part, whatever the split would make of it.
        if !splits_valid || self.valid_fraction == 0.0 {
            return Vec::new();
        }
        let (beside, todo) = match self.split {
            Rule::Ratio | Rule::Time => (
                "data.path, whose split makes the validation part",
                "give its share in data.ratios, or remove the setting",
            ),
            Rule::LeaveOneOut => (
                "a split by leave-one-out, which makes the validation part",
                "add data.hold_out = \"test_only\", or remove the setting",
            ),
        };
        self.among(&CARVED, beside, todo, "data.split")
    }

    /// Those of some keys that are set.
    fn among(&self, keys: &[&str], beside: &str, todo: &'static str, because_of: &str) -> Vec<Unread> {
        let changed = self.changed();
        let set = keys.iter().filter(|key| changed.contains(key));
        set.map(|key| Unread::new(format!("data.{key}"), beside, todo, because_of)).collect()
    }
}
