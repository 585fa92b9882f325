//! Names of users and items: by dense id, and back.

use crate::error::{RecError, Result};

/// Names by dense id, and dense ids by name without a second copy of the names.
pub(super) struct Names {
    what: &'static str,
    pub(super) keys: Vec<String>,
    /// Dense ids in the order of their names.
    by_name: Vec<u32>,
}

impl Names {
    pub(super) fn new(what: &'static str, keys: Vec<String>) -> Names {
        let n = u32::try_from(keys.len()).expect("a checkpoint's names should fit 32 bits: checked when it was read");
        let mut by_name: Vec<u32> = (0..n).collect();
        by_name.sort_unstable_by(|&a, &b| keys[a as usize].cmp(&keys[b as usize]));
        Names { what, keys, by_name }
    }

    pub(super) fn key(&self, id: u32) -> String {
        self.keys[id as usize].clone()
    }

    pub(super) fn position(&self, key: &str) -> Option<u32> {
        let found = self.by_name.binary_search_by(|&id| self.keys[id as usize].as_str().cmp(key));
        found.ok().map(|position| self.by_name[position])
    }

    pub(super) fn find(&self, key: &str, todo: &str) -> Result<u32> {
        let unknown = || RecError::UnknownId { what: self.what, key: key.into(), todo: todo.into() };
        self.position(key).ok_or_else(unknown)
    }
}
