//! A log of interactions with dense ids: one array per field.

use gcnrec_graphs::{GraphError, Interactions, ItemId, UserId};

/// Interactions in file order. `ratings` and `times` are empty when the source has none, otherwise
/// as long as `users`.
///
/// ```
/// use gcnrec::Log;
///
/// let log = Log { users: vec![0, 0, 1], items: vec![2, 2, 0], ..Log::default() };
/// // A set of pairs: the repeat counts once.
/// assert_eq!(log.interactions(2, 3)?.n_edges(), 2);
/// # Ok::<(), gcnrec::GraphError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// Dense user ids.
    pub users: Vec<u32>,
    /// Dense item ids.
    pub items: Vec<u32>,
    /// Ratings or labels.
    pub ratings: Vec<f32>,
    /// Times in the source's unit, which is usually seconds, or in a finer one where they have
    /// fractions. Sources with an order but no times count 0, 1, 2 … per user.
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

    /// Adds the rows of another log. Ratings and times stay where both have them, or where one of
    /// the two is empty.
    pub fn append(&mut self, other: &Log) {
        fn join<T: Clone>(here: &mut Vec<T>, there: &[T], n_here: usize, n_there: usize) {
            if here.len() == n_here && there.len() == n_there {
                here.extend_from_slice(there);
            } else {
                here.clear();
            }
        }
        let (n_here, n_there) = (self.len(), other.len());
        join(&mut self.ratings, &other.ratings, n_here, n_there);
        join(&mut self.times, &other.times, n_here, n_there);
        self.users.extend_from_slice(&other.users);
        self.items.extend_from_slice(&other.items);
    }

    /// The distinct pairs as a graph's edges.
    ///
    /// # Errors
    /// [`GraphError`] when an id is outside the given bounds.
    pub fn interactions(&self, n_users: usize, n_items: usize) -> Result<Interactions, GraphError> {
        Interactions::from_pairs(n_users, n_items, self.pairs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_logs_keep_what_both_have() {
        let log =
            |user, times: &[i64]| Log { users: vec![user], items: vec![7], times: times.to_vec(), ..Log::default() };
        let joined = |mut first: Log, second: &Log| {
            first.append(second);
            first
        };
        let both = joined(log(0, &[3]), &log(1, &[5]));
        assert_eq!((both.users, both.items, both.times), (vec![0, 1], vec![7, 7], vec![3, 5]));
        assert!(joined(log(0, &[3]), &log(1, &[])).times.is_empty());
        assert!(joined(log(0, &[]), &log(1, &[5])).times.is_empty());
        assert_eq!(joined(Log::default(), &log(1, &[5])), log(1, &[5]));
        assert_eq!(joined(log(1, &[5]), &Log::default()), log(1, &[5]));
    }
}
