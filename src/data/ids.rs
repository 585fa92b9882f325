//! Names and dense ids, both ways, with each name stored once.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

/// A slot of the table: an id, and some bits of its name's hash, so that a name is compared only
/// where it is very likely the right one.
#[derive(Clone, Copy, PartialEq)]
struct Slot {
    tag: u32,
    id: u32,
}

/// A free slot; no id reaches this number, because a log holds fewer than 2^32 - 1 rows.
const FREE: Slot = Slot { tag: 0, id: u32::MAX };

/// Names and dense ids, both ways. Ids count from 0 in the order in which names were first seen.
///
/// All names lie in one string, one after the other; the table from names to ids holds ids only and
/// compares with that string. A million names of eight letters take about 32 MB.
///
/// ```
/// let mut users = gcnrec::IdMap::default();
/// assert_eq!((users.insert("ann"), users.insert("bob"), users.insert("ann")), (0, 1, 0));
/// assert_eq!((users.key(1), users.get("carol")), ("bob", None));
/// ```
#[derive(Clone, Default)]
pub struct IdMap {
    text: String,
    ends: Vec<usize>,
    slots: Vec<Slot>,
    hasher: RandomState,
}

impl IdMap {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is no name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name of an id.
    ///
    /// # Panics
    /// When the id is not below [`IdMap::len`].
    pub fn key(&self, id: u32) -> &str {
        let id = id as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.text[start..self.ends[id]]
    }

    /// The id of a name.
    pub fn get(&self, key: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        Some(self.slots[self.slot(key, self.hash(key))].id).filter(|&id| id != FREE.id)
    }

    /// The id of a name, new if the name is.
    pub fn insert(&mut self, key: &str) -> u32 {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = self.hash(key);
        let slot = self.slot(key, hash);
        if self.slots[slot] != FREE {
            return self.slots[slot].id;
        }
        let id = u32::try_from(self.len())
            .ok()
            .filter(|&id| id != FREE.id)
            .expect("there should be fewer than 2^32 - 1 ids");
        self.text.push_str(key);
        self.ends.push(self.text.len());
        self.slots[slot] = Slot { tag: tag(hash), id };
        id
    }

    /// The names in the order of their ids.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> + '_ {
        (0..self.len()).map(|id| self.key(id as u32))
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The slot that holds the name, or the free one where it belongs.
    fn slot(&self, key: &str, hash: u64) -> usize {
        let (mask, tag) = (self.slots.len() - 1, tag(hash));
        let mut slot = hash as usize & mask;
        while self.slots[slot] != FREE && (self.slots[slot].tag != tag || self.key(self.slots[slot].id) != key) {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![FREE; (self.slots.len() * 2).max(16)];
        for id in 0..self.len() as u32 {
            let hash = self.hash(self.key(id));
            let slot = self.slot(self.key(id), hash);
            self.slots[slot] = Slot { tag: tag(hash), id };
        }
    }
}

/// The upper half of a hash; the lower one picks the slot.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl PartialEq for IdMap {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ends == other.ends
    }
}

impl Eq for IdMap {}

impl fmt::Debug for IdMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl<K: AsRef<str>> FromIterator<K> for IdMap {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut map = IdMap::default();
        keys.into_iter().for_each(|key| {
            map.insert(key.as_ref());
        });
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_count_in_the_order_of_first_sight() {
        let map: IdMap = ["b", "", "a b", "b", "🎧", ""].into_iter().collect();
        assert_eq!(map.keys().collect::<Vec<_>>(), ["b", "", "a b", "🎧"]);
        assert_eq!((map.get("a b"), map.get("c"), map.key(3)), (Some(2), None, "🎧"));
        assert_eq!(IdMap::default().get(""), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_hash_map(keys in prop::collection::vec("[a-c]{0,4}", 0..300)) {
            let mut map = IdMap::default();
            let mut plain: HashMap<String, u32> = HashMap::new();
            for key in &keys {
                let next = plain.len() as u32;
                prop_assert_eq!(map.insert(key), *plain.entry(key.clone()).or_insert(next));
            }
            prop_assert_eq!(map.len(), plain.len());
            for (key, &id) in &plain {
                prop_assert_eq!(map.get(key), Some(id));
                prop_assert_eq!(map.key(id), key.as_str());
            }
        }
    }
}
