//! Edge dropout: training on a random part of the edges, drawn anew each epoch.

use rand::Rng;
use rayon::prelude::*;

use crate::{GraphError, NormalizedAdjacency, Purpose, Seed};

/// Edges per random stream: whoever draws a block needs no other block, so threads cannot change
/// the outcome.
const BLOCK: usize = 1 << 16;

impl NormalizedAdjacency {
    /// Drops each edge with chance `1 - keep`, both directions together, and divides the kept
    /// values by `keep`, so that the expected adjacency is the whole one. Returns values for the
    /// unchanged pattern: `[2 n_edges]`, 0 where dropped.
    ///
    /// Degrees are those of the whole graph: nothing is normalised again. The draw depends on the
    /// seed, the epoch and the edge number alone; another node order numbers edges differently and
    /// so drops others.
    ///
    /// # Errors
    /// [`GraphError::Keep`] when `keep` is not in (0, 1].
    pub fn with_edge_dropout(&self, keep: f64, seed: Seed, epoch: u64) -> Result<Vec<f32>, GraphError> {
        if !(keep > 0.0 && keep <= 1.0) {
            return Err(GraphError::Keep { keep });
        }
        if keep == 1.0 {
            return Ok(self.values.clone());
        }
        let kept = kept_edges(self.n_edges(), keep, seed, epoch);
        let mut values = vec![0.0; self.values.len()];
        self.for_each_mirror(|edge, mirror| {
            if kept[edge] {
                for entry in [edge, mirror] {
                    values[entry] = (f64::from(self.values[entry]) / keep) as f32;
                }
            }
        });
        Ok(values)
    }
}

/// One independent draw per edge: true with chance `keep`.
fn kept_edges(n_edges: usize, keep: f64, seed: Seed, epoch: u64) -> Vec<bool> {
    // A draw has 32 bits; it is compared with keep in the same units.
    let threshold = (keep * (1u64 << 32) as f64).ceil() as u64;
    let mut kept = vec![false; n_edges];
    kept.par_chunks_mut(BLOCK).enumerate().for_each(|(block, edges)| {
        let mut stream = seed.stream(Purpose::EdgeDropout, epoch, block as u64);
        for edge in edges {
            *edge = u64::from(stream.next_u32()) < threshold;
        }
    });
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};
    use crate::{BipartiteGraph, Interactions, Normalization};

    fn normalized(train: &Interactions, by: Normalization) -> NormalizedAdjacency {
        NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(train), by).unwrap()
    }

    #[test]
    fn a_chance_outside_its_range_is_refused() {
        let a = normalized(&world(1, 1, &[(0, 0)]), Normalization::Symmetric);
        for keep in [0.0, -0.5, 1.5, f64::NAN] {
            assert!(matches!(a.with_edge_dropout(keep, Seed(1), 0), Err(GraphError::Keep { .. })), "{keep}");
        }
    }

    #[test]
    fn the_share_of_kept_edges_is_the_chance() {
        // 200,000 draws at .7: the standard deviation of the share is sqrt(.21 / 200,000) = .00102;
        // five of them.
        let kept = kept_edges(200_000, 0.7, Seed(2020), 3);
        let share = kept.iter().filter(|&&k| k).count() as f64 / 200_000.0;
        assert!((share - 0.7).abs() < 0.0052, "{share}");
        assert_ne!(kept, kept_edges(200_000, 0.7, Seed(2020), 4));
        assert_ne!(kept, kept_edges(200_000, 0.7, Seed(2021), 3));
    }

    #[test]
    fn one_thread_draws_the_same_edges_as_many() {
        let draw = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| kept_edges(3 * BLOCK + 17, 0.5, Seed(7), 1))
        };
        assert_eq!(draw(1), draw(4));
    }

    #[test]
    fn more_edges_do_not_change_the_draws_of_the_first_ones() {
        let (short, long) = (kept_edges(BLOCK + 5, 0.4, Seed(7), 1), kept_edges(2 * BLOCK, 0.4, Seed(7), 1));
        assert_eq!(short, long[..BLOCK + 5]);
    }

    proptest! {
        #[test]
        fn keeping_everything_changes_nothing(train in any_world()) {
            let a = normalized(&train, Normalization::Symmetric);
            prop_assert_eq!(&a.with_edge_dropout(1.0, Seed(1), 0).unwrap(), a.values());
        }

        #[test]
        fn both_directions_of_an_edge_share_one_fate(train in any_world(), seed in 0u64..50) {
            let a = normalized(&train, Normalization::Row);
            let values = a.with_edge_dropout(0.5, Seed(seed), 2).unwrap();
            for (edge, mirror) in a.mirrors().into_iter().enumerate() {
                prop_assert_eq!(values[edge] == 0.0, values[mirror as usize] == 0.0);
            }
            // Kept at one half: twice the value, exactly.
            for (&after, &before) in values.iter().zip(a.values()) {
                prop_assert!(after == 0.0 || after == 2.0 * before);
            }
        }

        #[test]
        fn dropping_and_transposing_commute(train in any_world(), seed in 0u64..50) {
            let a = normalized(&train, Normalization::Column);
            let dropped = a.with_values(a.with_edge_dropout(0.6, Seed(seed), 0).unwrap()).unwrap();
            let turned = a.transpose().with_edge_dropout(0.6, Seed(seed), 0).unwrap();
            prop_assert_eq!(dropped.transpose().values, turned);
        }
    }
}
