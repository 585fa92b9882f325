//! A log of interactions with dense ids: one array per field.

use gcnrec_graphs::{GraphError, Interactions, ItemId, UserId};

/// Interactions in file order. `ratings` and `times` are empty when the source has none, otherwise as long as `users`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// Dense user ids.
    pub users: Vec<u32>,
    /// Dense item ids.
    pub items: Vec<u32>,
    /// Ratings or labels.
    pub ratings: Vec<f32>,
    /// Times, in the source's unit (usually seconds). Sources with an order but no times count 0, 1, 2 … per user.
    pub times: Vec<i64>,
}

impl Log {
    /// Number of interactions.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// True when there is no interaction.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The pairs in order.
    pub fn pairs(&self) -> impl Iterator<Item = (UserId, ItemId)> + '_ {
        self.users.iter().zip(&self.items).map(|(&u, &i)| (UserId(u), ItemId(i)))
    }

    /// The interactions at the given positions, in that order.
    pub fn select(&self, positions: &[u32]) -> Log {
        fn pick<T: Copy>(values: &[T], positions: &[u32]) -> Vec<T> {
            if values.is_empty() { Vec::new() } else { positions.iter().map(|&p| values[p as usize]).collect() }
        }
        Log {
            users: pick(&self.users, positions),
            items: pick(&self.items, positions),
            ratings: pick(&self.ratings, positions),
            times: pick(&self.times, positions),
        }
    }

    /// The distinct pairs as a graph's edges.
    ///
    /// # Errors
    /// [`GraphError`] when an id is outside the given bounds.
    pub fn interactions(&self, n_users: usize, n_items: usize) -> Result<Interactions, GraphError> {
        Interactions::from_pairs(n_users, n_items, self.pairs())
    }
}
