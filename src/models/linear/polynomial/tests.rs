//! The dense formulas of the models over this filter, in f64 with plain loops, and what a filter
//! promises whatever its polynomial.

use std::borrow::Cow;

use gcnrec_graphs::{ItemId, UserId};

use super::*;
use crate::models::{Fit, Query};

/// 23 users and 11 items, as dense matrices; the last item has nobody, and the last user has
/// nothing.
pub(in super::super) struct World {
    pub(in super::super) train: Interactions,
    rows: Vec<Vec<f64>>,
}

impl World {
    fn new() -> Self {
        let item = |u: u32, at: u32| (u * u + 3 * at * (1 + u % 4)) % 10;
        let pairs = (0..22).flat_map(|u| (0..1 + u % 6).map(move |at| (UserId(u), ItemId(item(u, at)))));
        let train = Interactions::from_pairs(23, 11, pairs).unwrap();
        let mut rows = vec![vec![0.0; 11]; 23];
        train.pairs().for_each(|(user, item)| rows[user.index()][item.index()] = 1.0);
        World { train, rows }
    }

    fn degrees(&self) -> Vec<f64> {
        (0..11).map(|item| self.rows.iter().map(|row| row[item]).sum()).collect()
    }

    /// `sum_u d_u^-2a r_ui r_uj / (d_i d_j)^b`.
    pub(in super::super) fn gram(&self, a: f64, b: f64) -> Vec<Vec<f64>> {
        let degrees = self.degrees();
        let mut gram = vec![vec![0.0; 11]; 11];
        for row in self.rows.iter().filter(|row| row.contains(&1.0)) {
            let share = row.iter().sum::<f64>().powf(-2.0 * a);
            for i in 0..11 {
                for j in 0..11 {
                    if row[i] * row[j] > 0.0 {
                        gram[i][j] += share * (degrees[i] * degrees[j]).powf(-b);
                    }
                }
            }
        }
        gram
    }

    pub(in super::super) fn times(&self, x: &[f64], matrix: &[Vec<f64>]) -> Vec<f64> {
        (0..11).map(|j| x.iter().zip(matrix).map(|(x, row)| x * row[j]).sum()).collect()
    }

    /// Times the degrees to a power; 0 for the item without users.
    pub(in super::super) fn scaled(&self, x: &[f64], power: f64) -> Vec<f64> {
        x.iter().zip(self.degrees()).map(|(x, d)| if d == 0.0 { 0.0 } else { x * d.powf(power) }).collect()
    }

    /// `x V V^T` for the leading singular vector, which is the root of the degrees over that of the
    /// number of pairs where the graph is connected.
    pub(in super::super) fn onto_first_vector(&self, x: &[f64]) -> Vec<f64> {
        let (roots, n_pairs) = (self.scaled(&[1.0; 11], 0.5), self.degrees().iter().sum::<f64>());
        let length: f64 = x.iter().zip(&roots).map(|(x, root)| x * root).sum();
        roots.iter().map(|root| length * root / n_pairs).collect()
    }
}

/// Compares a model with its formula for known users and new ones, alone and together, reloaded,
/// and for several numbers of threads.
pub(in super::super) fn check<C: Filtering>(config: &C, expected: impl Fn(&World, &[f64]) -> Vec<f64>) {
    let world = World::new();
    let model: &dyn Model = config;
    let data = || Fit { train: &world.train, weights: None, histories: &Vec::new };
    let fitted = || model.closed_form().unwrap().fit(&data()).unwrap();
    let model = fitted();
    let histories: Vec<Cow<'_, [ItemId]>> =
        vec![vec![ItemId(3)].into(), vec![ItemId(9), ItemId(0), ItemId(4)].into(), vec![ItemId(10), ItemId(2)].into()];
    let known = (0..23).map(|user| Query { user: Some(UserId(user)), history: &[] });
    let new = histories.iter().map(|history| Query { user: None, history });
    let queries: Vec<Query<'_>> = known.chain(new).collect();
    let together = model.scores(&queries).unwrap();
    for (query, scores) in queries.iter().zip(together.rows()) {
        let row = row_of(&world, query);
        for (item, (found, expected)) in scores.iter().zip(expected(&world, &row)).enumerate() {
            // Sums of some tens of numbers below 10, in f32.
            let close = (f64::from(*found) - expected).abs() < 1e-5;
            assert!(close, "{config:?}, {query:?}, item {item}: {found}, expected {expected}");
        }
        let alone = model.scores(&[*query]).unwrap();
        assert_eq!(alone.row(0), scores, "alone and beside others");
    }
    let nodes = Nodes { n_users: 23, n_items: 11 };
    let loaded = load::<C>(&model.state(), nodes).unwrap();
    assert_eq!((loaded.scores(&queries).unwrap(), loaded.state()), (together.clone(), model.state()));
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| fitted().scores(&queries).unwrap()), together, "{threads} threads");
    }
}

/// A query's items as a dense row.
fn row_of(world: &World, query: &Query<'_>) -> Vec<f64> {
    if let Some(user) = query.user {
        return world.rows[user.index()].clone();
    }
    let mut row = vec![0.0; 11];
    query.history.iter().for_each(|item| row[item.index()] = 1.0);
    row
}

#[test]
fn polynomials_are_multiplied() {
    // (1 - 2 x)(3 + x^2) = 3 - 6 x + x^2 - 2 x^3.
    assert_eq!(times(&[1.0, -2.0], &[3.0, 0.0, 1.0]), [3.0, -6.0, 1.0, -2.0]);
}

#[test]
fn the_world_is_connected_but_for_the_item_without_users() {
    let world = World::new();
    let gram = world.gram(0.5, 0.5);
    // The root of the degrees is kept by G, and nothing else is where all items can be reached.
    let mut reached = vec![0.0; 11];
    reached[0] = 1.0;
    for _ in 0..11 {
        reached = world.times(&reached, &gram);
    }
    assert!(reached[..10].iter().all(|&value| value > 0.0) && reached[10] == 0.0, "{reached:?}");
}

#[test]
fn a_damaged_state_is_refused() {
    use super::super::{chebycf, turbo_cf};
    let (world, nodes) = (World::new(), Nodes { n_users: 23, n_items: 11 });
    let model = fit(&chebycf::Config::default(), &world.train).unwrap();
    let refused = |change: &dyn Fn(&mut State)| {
        let mut state = model.state();
        change(&mut state);
        load::<chebycf::Config>(&state, nodes).err().map(|error| error.exit_code())
    };
    assert_eq!(refused(&|_| ()), None);
    assert_eq!(refused(&|state| state.put_fact(SETTINGS, serde_json::json!({ "order": 99 }))), Some(6));
    assert_eq!(refused(&|state| state.put_fact(SETTINGS, serde_json::json!({ "factors": 1 }))), Some(6));
    assert_eq!(refused(&|state| state.put_f32("vectors", &[11, 1], vec![2.0; 11])), Some(6));
    assert_eq!(refused(&|state| state.put_u32("user_ptr", &[1], vec![0])), Some(6));
    // A list of weights is asked for where the settings need one.
    assert_eq!(load::<turbo_cf::Config>(&State::default(), nodes).err().map(|error| error.exit_code()), Some(6));
}

#[test]
fn no_items_and_no_users_are_a_model_without_answers() {
    let nothing = Interactions::from_pairs(0, 0, []).unwrap();
    let model = fit(&super::super::chebycf::Config::default(), &nothing).unwrap();
    assert_eq!(model.top_k(&[], &[], 5).unwrap().n_queries, 0);
}
