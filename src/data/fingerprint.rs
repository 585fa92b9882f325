//! The fingerprint of a split: a SHA-256 over its ids and parts.

use sha2::{Digest, Sha256};

use super::{IdMap, Log, Split};

/// SHA-256 over the ids in their order and over the rows of every part in their order, with ratings
/// and times, in hex.
///
/// The order counts: the same rows in another order get other dense ids, so weights trained on the
/// one must not be used with the other. Titles do not count.
pub(super) fn fingerprint(split: &Split) -> String {
    let mut hash = Sha256::new();
    hash.update(b"gcnrec split 1");
    ids(&mut hash, &split.users);
    ids(&mut hash, &split.items);
    for part in [&split.train, &split.valid, &split.test, &split.uniform] {
        rows(&mut hash, part);
    }
    // Most data have no more parts, and keep the fingerprint that they had before there were any.
    if !split.context.is_empty() {
        hash.update(b"context");
        rows(&mut hash, &split.context);
    }
    if !split.candidates.is_empty() {
        hash.update(b"candidates");
        lists(&mut hash, &split.candidates);
    }
    hex(hash)
}

/// A fingerprint of every part alone, by name, in the order in which a difference is best named:
/// `users`, `items`, then the parts.
pub(crate) fn part_fingerprints(split: &Split) -> Vec<(&'static str, String)> {
    let of = |add: &dyn Fn(&mut Sha256)| {
        let mut hash = Sha256::new();
        add(&mut hash);
        hex(hash)
    };
    let parts = [("train", &split.train), ("valid", &split.valid), ("test", &split.test), ("uniform", &split.uniform)];
    let names = [("users", &split.users), ("items", &split.items)];
    let names = names.map(|(name, map)| (name, of(&|hash| ids(hash, map))));
    let context = Some(("context", &split.context)).filter(|(_, log)| !log.is_empty());
    let parts = parts.into_iter().chain(context).map(|(name, log)| (name, of(&|hash| rows(hash, log))));
    let listed = Some(&split.candidates).filter(|listed| !listed.is_empty());
    let listed = listed.map(|listed| ("candidates", of(&|hash| lists(hash, listed))));
    names.into_iter().chain(parts).chain(listed).collect()
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lengths go in first, so that no two different tables give the same bytes.
fn ids(hash: &mut Sha256, map: &IdMap) {
    hash.update((map.len() as u64).to_le_bytes());
    for key in map.keys() {
        hash.update((key.len() as u64).to_le_bytes());
        hash.update(key.as_bytes());
    }
}

fn lists(hash: &mut Sha256, lists: &[Vec<u32>]) {
    hash.update((lists.len() as u64).to_le_bytes());
    for list in lists {
        hash.update((list.len() as u64).to_le_bytes());
        list.iter().for_each(|item| hash.update(item.to_le_bytes()));
    }
}

fn rows(hash: &mut Sha256, log: &Log) {
    for n in [log.users.len(), log.items.len(), log.ratings.len(), log.times.len()] {
        hash.update((n as u64).to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(log.len() * 8);
    bytes.extend(log.users.iter().chain(&log.items).flat_map(|id| id.to_le_bytes()));
    hash.update(&bytes);
    bytes.clear();
    bytes.extend(log.ratings.iter().flat_map(|rating| rating.to_bits().to_le_bytes()));
    hash.update(&bytes);
    bytes.clear();
    bytes.extend(log.times.iter().flat_map(|time| time.to_le_bytes()));
    hash.update(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_part_counts() {
        let log =
            |item, rating, time| Log { users: vec![0], items: vec![item], ratings: vec![rating], times: vec![time] };
        let base =
            Split { users: ["u"].iter().collect(), train: log(0, 4.0, 7), test: log(1, 4.0, 8), ..Split::default() };
        let first = fingerprint(&base);
        assert_eq!(first.len(), 64);
        assert_eq!(first, fingerprint(&Split { titles: vec!["t".into()], ..base.clone() }));
        for other in [
            Split { users: ["v"].iter().collect(), ..base.clone() },
            Split { train: log(1, 4.0, 7), ..base.clone() },
            Split { train: log(0, 5.0, 7), ..base.clone() },
            Split { train: log(0, 4.0, 6), ..base.clone() },
            Split { train: base.test.clone(), test: base.train.clone(), ..base.clone() },
            Split { uniform: log(0, 1.0, 0), ..base.clone() },
            Split { context: log(0, 1.0, 0), ..base.clone() },
            Split { candidates: vec![vec![0]], ..base.clone() },
        ] {
            assert_ne!(first, fingerprint(&other));
        }
    }
}
