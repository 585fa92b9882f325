//! Dense ids: the position of a user or an item in its table.

use serde::{Deserialize, Serialize};

/// The position of a user among all users, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u32);

/// The position of an item among all items, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u32);

impl UserId {
    /// The id as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ItemId {
    /// The id as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
