//! From files to dense ids: readers, the data set, its split into parts, the demo world.

mod log;

pub use log::Log;

/// Names and dense ids, both ways. Ids count from 0 in the order in which names were first seen.
#[derive(Debug, Clone, Default)]
pub struct IdMap {
    keys: Vec<String>,
    index: std::collections::HashMap<String, u32>,
}

/// A data set divided into parts that share one set of ids: the union of all parts.
#[derive(Debug, Clone, Default)]
pub struct Split {
    /// Users.
    pub users: IdMap,
    /// Items. Items that appear only in the test part stay in the denominator.
    pub items: IdMap,
    /// What models learn from.
    pub train: Log,
    /// What picks the epoch. Empty when nothing is selected.
    pub valid: Log,
    /// What is scored once, at the end.
    pub test: Log,
    /// Interactions collected under uniform exposure, if any: labels +1 and -1 in `ratings`.
    pub uniform: Log,
    /// SHA-256 over ids and parts, in hex.
    pub fingerprint: String,
    /// Names of items to show to a person (`titles[item]`), empty when the source has none.
    pub titles: Vec<String>,
}
