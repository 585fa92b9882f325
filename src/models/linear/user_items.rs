//! What each known user has met: what an item-item model sums over.

use std::borrow::Cow;

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::KernelError;

use crate::error::{RecError, Result};
use crate::models::Query;
use crate::models::state::{State, damaged};
use crate::objectives::Nodes;

/// The training items of every user, as compressed rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UserItems {
    n_items: usize,
    /// `[n_users + 1]`
    ptr: Vec<u32>,
    /// `[n_edges]`, rising within a user
    items: Vec<u32>,
}

impl UserItems {
    /// Copies the training pairs.
    pub(super) fn new(train: &Interactions) -> Self {
        let (mut ptr, mut items) = (vec![0], Vec::with_capacity(train.n_edges()));
        for user in 0..train.n_users() as u32 {
            items.extend_from_slice(train.items_of(UserId(user)));
            ptr.push(items.len() as u32); // `Interactions` holds fewer than 2^31 pairs
        }
        UserItems { n_items: train.n_items(), ptr, items }
    }

    /// The training items of every user, rising.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u32]> + Clone + '_ {
        self.ptr.windows(2).map(|row| &self.items[row[0] as usize..row[1] as usize])
    }

    /// The training items of one user, rising.
    pub(super) fn row(&self, user: usize) -> &[u32] {
        &self.items[self.ptr[user] as usize..self.ptr[user + 1] as usize]
    }

    /// The items that answer a query, rising and distinct: a known user's training items, otherwise
    /// the history as a set. A user without training items is known only by id, so a history speaks
    /// for them; without one they have met nothing.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] for an unknown user without a history, [`KernelError::Index`] for
    /// an item that does not exist.
    pub(super) fn of<'a>(&'a self, model: &'static str, query: &Query<'_>) -> Result<Cow<'a, [u32]>> {
        let known = query.user.map(UserId::index).filter(|&user| user + 1 < self.ptr.len());
        if let Some(user) = known {
            let items = self.row(user);
            if !items.is_empty() || query.history.is_empty() {
                return Ok(Cow::Borrowed(items));
            }
        }
        if query.history.is_empty() {
            return Err(RecError::stranger(model));
        }
        let mut items: Vec<u32> = query.history.iter().map(|item| item.0).collect();
        items.sort_unstable();
        items.dedup();
        check_item(model, "history", ItemId(items[items.len() - 1]), self.n_items)?;
        Ok(Cow::Owned(items))
    }

    /// Adds the rows to a state.
    pub(super) fn put(&self, state: &mut State) {
        state.put_u32("user_ptr", &[self.ptr.len()], self.ptr.clone());
        state.put_u32("user_items", &[self.items.len()], self.items.clone());
    }

    /// Reads what [`UserItems::put`] wrote.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the rows are missing or do not fit together.
    pub(super) fn load(state: &State, nodes: Nodes) -> Result<Self> {
        let Nodes { n_users, n_items } = nodes;
        let (ptr, items) = (state.u32("user_ptr")?, state.u32("user_items")?);
        let ends = ptr.first() == Some(&0) && ptr.last().map(|&end| end as usize) == Some(items.len());
        // Rising pointers that end at the length stay within it, so the slices below are legal.
        let rows_fit = ends
            && ptr.len() == n_users + 1
            && ptr.is_sorted()
            && ptr.windows(2).all(|w| items[w[0] as usize..w[1] as usize].is_sorted_by(|a, b| a < b))
            && items.iter().all(|&item| (item as usize) < n_items);
        if rows_fit {
            Ok(UserItems { n_items, ptr: ptr.to_vec(), items: items.to_vec() })
        } else {
            let problem =
                format!("\"user_ptr\" and \"user_items\" are not the rows of {n_users} users over {n_items} items");
            Err(damaged(problem))
        }
    }
}

/// Refuses an item beyond the catalogue.
pub(in crate::models) fn check_item(
    op: &'static str,
    argument: &'static str,
    item: ItemId,
    n_items: usize,
) -> Result<()> {
    if item.index() < n_items {
        Ok(())
    } else {
        Err(KernelError::Index { op, argument, index: item.index(), bound: n_items }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> UserItems {
        let pairs = [(0, 3), (0, 1), (2, 0)].map(|(u, i)| (UserId(u), ItemId(i)));
        UserItems::new(&Interactions::from_pairs(3, 4, pairs).unwrap())
    }

    fn of(user: Option<u32>, history: &[ItemId]) -> Result<Vec<u32>> {
        rows().of("ease", &Query { user: user.map(UserId), history }).map(Cow::into_owned)
    }

    #[test]
    fn a_known_user_is_answered_by_id_and_a_new_one_by_history() {
        let history = [ItemId(2), ItemId(0), ItemId(2)];
        assert_eq!(of(Some(0), &history).unwrap(), [1, 3]);
        assert_eq!(of(None, &history).unwrap(), [0, 2]);
        assert_eq!(of(Some(9), &history).unwrap(), [0, 2]);
    }

    #[test]
    fn a_user_without_training_items_is_answered_by_history_or_by_nothing() {
        assert_eq!(of(Some(1), &[ItemId(2)]).unwrap(), [2]);
        assert!(of(Some(1), &[]).unwrap().is_empty());
    }

    #[test]
    fn nobody_at_all_and_an_item_beyond_the_catalogue_are_refused() {
        assert_eq!(
            of(None, &[]).unwrap_err().to_string(),
            "ease: the user was not in training and has no history; pass a history to score a new user"
        );
        assert_eq!(of(None, &[ItemId(4)]).unwrap_err().to_string(), "ease: index 4 in history is outside 0..4");
    }

    #[test]
    fn rows_survive_a_state_and_damaged_ones_are_refused() {
        let mut state = State::default();
        rows().put(&mut state);
        assert_eq!(UserItems::load(&state, Nodes { n_users: 3, n_items: 4 }).unwrap(), rows());
        assert_eq!(UserItems::load(&state, Nodes { n_users: 3, n_items: 3 }).unwrap_err().exit_code(), 6);
        for ptr in [vec![], vec![0, 2, 2], vec![0, 9, 2, 3], vec![1, 2, 2, 3], vec![0, 3, 3, 3]] {
            state.put_u32("user_ptr", &[ptr.len()], ptr);
            assert_eq!(UserItems::load(&state, Nodes { n_users: 3, n_items: 4 }).unwrap_err().exit_code(), 6);
        }
    }
}
