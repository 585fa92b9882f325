//! The breakdown and the example lists that a report shows of a finished model.

use serde::{Deserialize, Serialize};

use super::breakdown::Breakdown;

/// What the test part tells beyond the means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// Results by groups.
    pub breakdown: Breakdown,
    /// A user with few known items, one with a usual number, one with many.
    pub examples: Vec<Example>,
}

/// One user's list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The user's name in the data.
    pub user: String,
    /// Number of items that the user is known with.
    pub n_known: usize,
    /// The latest of them by title, the newest first.
    pub known: Vec<String>,
    /// Number of items that were held out for the user.
    pub n_held_out: usize,
    /// The list, best first.
    pub list: Vec<Listed>,
}

/// One place of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The item's title, or its name where it has none.
    pub item: String,
    /// True when the item was held out for this user: a hit.
    pub hit: bool,
}
