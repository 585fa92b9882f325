//! Held-out data: queries and their ground truth, user by user.

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::KernelError;

use crate::error::Result;

/// One evaluated user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOutUser {
    /// The user.
    pub id: UserId,
    /// The held-out items, rising; at least one.
    pub relevant: Vec<u32>,
    /// The items that are never ranked, rising.
    pub excluded: Vec<u32>,
    /// What the user met before, oldest first. May be empty for models with a table of users.
    pub history: Vec<ItemId>,
}

/// The users of a held-out part. Users without held-out items do not count.
///
/// ```
/// use gcnrec::{HeldOut, Interactions, ItemId, UserId};
///
/// let pairs = |items: &[u32]| Interactions::from_pairs(1, 4, items.iter().map(|&i| (UserId(0), ItemId(i))));
/// let (relevant, seen) = (pairs(&[3])?, pairs(&[0, 1])?);
/// let held_out = HeldOut::new(&relevant, &seen, &[vec![ItemId(0), ItemId(1)]])?;
/// assert_eq!(held_out.users()[0].excluded, [0, 1]);
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOut {
    users: Vec<HeldOutUser>,
    n_items: usize,
    /// For each evaluated user the items that are ranked, rising; nothing when all items are.
    candidates: Option<Vec<Vec<u32>>>,
    /// Users whom no model can know, rising: they are asked for by their history.
    strangers: Vec<UserId>,
}

impl HeldOut {
    /// Gathers the users of `relevant` that have items there.
    ///
    /// `seen` is the union of all that is masked: the training part when validation is ranked,
    /// training and validation part when test is ranked, no pair at all when seen items may return.
    /// An item that is both held out and seen is masked and stays in the denominators: the list
    /// that is judged is the list that would be shown.
    ///
    /// # Shapes
    /// - `histories`: `[n_users]`, each oldest first; empty lists where no history is known
    ///
    /// # Errors
    /// [`KernelError::Shape`] when the three arguments do not speak of the same users and items.
    pub fn new(relevant: &Interactions, seen: &Interactions, histories: &[Vec<ItemId>]) -> Result<Self> {
        let expect = |argument, found, expected| {
            if found == expected {
                Ok(())
            } else {
                Err(KernelError::Shape { op: "held_out", argument, found, expected })
            }
        };
        expect("seen (users)", seen.n_users(), relevant.n_users())?;
        expect("seen (items)", seen.n_items(), relevant.n_items())?;
        expect("histories", histories.len(), relevant.n_users())?;
        let users = (0..relevant.n_users() as u32)
            .map(UserId)
            .filter(|&id| !relevant.items_of(id).is_empty())
            .map(|id| HeldOutUser {
                id,
                relevant: relevant.items_of(id).to_vec(),
                excluded: seen.items_of(id).to_vec(),
                history: histories[id.index()].clone(),
            })
            .collect();
        Ok(HeldOut { users, n_items: relevant.n_items(), candidates: None, strangers: Vec::new() })
    }

    /// Ranks a sample of items for each user instead of all of them: the held-out items and
    /// `sampled` ones, without those that are excluded.
    ///
    /// # Shapes
    /// - `sampled`: one list of items per evaluated user, in any order; repeats count once
    ///
    /// # Errors
    /// [`KernelError::Shape`] when there is not one list per evaluated user, [`KernelError::Index`]
    /// for an item that does not exist.
    pub fn with_candidates(mut self, sampled: Vec<Vec<u32>>) -> Result<Self> {
        const OP: &str = "held_out";
        let (found, expected) = (sampled.len(), self.users.len());
        if found != expected {
            return Err(KernelError::Shape { op: OP, argument: "candidates (users)", found, expected }.into());
        }
        if let Some(&item) = sampled.iter().flatten().find(|&&item| item as usize >= self.n_items) {
            let (index, bound) = (item as usize, self.n_items);
            return Err(KernelError::Index { op: OP, argument: "candidates", index, bound }.into());
        }
        let pools = self.users.iter().zip(sampled).map(|(user, mut items)| {
            items.extend_from_slice(&user.relevant);
            items.sort_unstable();
            items.dedup();
            items.retain(|item| user.excluded.binary_search(item).is_err());
            items
        });
        self.candidates = Some(pools.collect());
        Ok(self)
    }

    /// Tells which users no model was trained on, rising. They are asked for by their history
    /// alone, like a new user.
    pub fn with_strangers(mut self, strangers: Vec<UserId>) -> Self {
        self.strangers = strangers;
        self
    }

    /// The user as a model may know them.
    pub(super) fn known(&self, user: UserId) -> Option<UserId> {
        self.strangers.binary_search(&user).is_err().then_some(user)
    }

    /// The items that are ranked for an evaluated user (by place in [`HeldOut::users`]), rising;
    /// nothing where it is all but the excluded ones.
    pub(super) fn candidates(&self, place: usize) -> Option<&[u32]> {
        Some(&self.candidates.as_ref()?[place])
    }

    /// The evaluated users, rising.
    pub fn users(&self) -> &[HeldOutUser] {
        &self.users
    }

    /// Number of evaluated users.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// True when nobody has a held-out item.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Number of items that are ranked.
    pub fn n_items(&self) -> usize {
        self.n_items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(n_users: usize, n_items: usize, pairs: &[(u32, u32)]) -> Interactions {
        Interactions::from_pairs(n_users, n_items, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    #[test]
    fn users_without_held_out_items_do_not_count() {
        let relevant = pairs(3, 4, &[(2, 3), (2, 1), (0, 0)]);
        let seen = pairs(3, 4, &[(0, 2), (1, 0)]);
        let histories = vec![vec![ItemId(2)], vec![ItemId(0)], vec![]];
        let held_out = HeldOut::new(&relevant, &seen, &histories).unwrap();
        assert_eq!(held_out.len(), 2);
        assert_eq!(
            held_out.users()[0],
            HeldOutUser { id: UserId(0), relevant: vec![0], excluded: vec![2], history: vec![ItemId(2)] }
        );
        assert_eq!(
            held_out.users()[1],
            HeldOutUser { id: UserId(2), relevant: vec![1, 3], excluded: vec![], history: vec![] }
        );
    }

    #[test]
    fn candidates_are_the_held_out_and_the_sampled_items_that_are_not_excluded() {
        let relevant = pairs(2, 6, &[(0, 3), (1, 0)]);
        let seen = pairs(2, 6, &[(0, 1)]);
        let held_out = HeldOut::new(&relevant, &seen, &[vec![], vec![]]).unwrap();
        assert_eq!(held_out.candidates(0), None);
        let held_out = held_out.with_candidates(vec![vec![5, 1, 5, 4], vec![]]).unwrap();
        assert_eq!(held_out.candidates(0), Some(&[3, 4, 5][..]));
        assert_eq!(held_out.candidates(1), Some(&[0][..]));
        assert!(held_out.clone().with_candidates(vec![vec![]]).is_err());
        assert!(held_out.with_candidates(vec![vec![6], vec![]]).is_err());
    }

    #[test]
    fn parts_of_different_sizes_are_refused() {
        let relevant = pairs(3, 4, &[(0, 0)]);
        let no_history = vec![Vec::new(); 3];
        assert!(HeldOut::new(&relevant, &pairs(2, 4, &[]), &no_history).is_err());
        assert!(HeldOut::new(&relevant, &pairs(3, 5, &[]), &no_history).is_err());
        let error = HeldOut::new(&relevant, &pairs(3, 4, &[]), &no_history[..2]).unwrap_err();
        assert_eq!(error.to_string(), "held_out: histories has 2 elements, expected 3");
    }
}
