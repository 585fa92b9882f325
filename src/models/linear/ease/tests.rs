//! EASE against solutions by hand, a world where the right item is known, and the promises of a
//! scorer.

use approx::assert_abs_diff_eq;
use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::ops::top_k::select_top_k;

use super::*;

fn interactions(n_users: usize, n_items: usize, pairs: impl IntoIterator<Item = (u32, u32)>) -> Interactions {
    Interactions::from_pairs(n_users, n_items, pairs.into_iter().map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
}

/// Users {0, 1}, {0, 1}, {0}, {2}.
fn tiny() -> Interactions {
    interactions(4, 3, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (3, 2)])
}

fn fit_tiny() -> Ease {
    fit(&tiny(), &Config { l2: 1.0, ..Config::default() }).unwrap()
}

/// A user met the items of their own parity, except for the one that is two to the right of the
/// user's number.
fn checkerboard(n: u32) -> Interactions {
    let met = move |u: u32| (0..n).filter(move |&i| i % 2 == u % 2 && i != (u + 2) % n).map(move |i| (u, i));
    interactions(n as usize, n as usize, (0..n).flat_map(met))
}

fn by_id(user: u32) -> Query<'static> {
    Query { user: Some(UserId(user)), history: &[] }
}

#[test]
fn the_weights_of_three_items_are_those_worked_out_by_hand() {
    // X^T X = [[3, 2, 0], [2, 2, 0], [0, 0, 1]]; plus I: G = [[4, 2, 0], [2, 3, 0], [0, 0, 2]];
    // P = [[3/8, -1/4, 0], [-1/4, 1/2, 0], [0, 0, 1/2]].
    // B[0,1] = (1/4) / (1/2) = 1/2; B[1,0] = (1/4) / (3/8) = 2/3; item 2 stands alone.
    let expected = [0.0, 0.5, 0.0, 2.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    assert_abs_diff_eq!(&fit_tiny().weights[..], &expected[..], epsilon = 1e-7);
}

#[test]
fn a_user_is_scored_by_the_sum_of_the_rows_of_what_they_met() {
    let model = fit_tiny();
    // User 0 met 0 and 1: scores 2/3, 1/2, 0. User 2 met 0: 0, 1/2, 0. A new user who met 1
    // (twice): 2/3, 0, 0.
    let history = [ItemId(1), ItemId(1)];
    let queries = [by_id(0), by_id(2), Query { user: None, history: &history }];
    let scores: Vec<f32> = model.scores(&queries).unwrap().into_iter().collect();
    let third = 2.0 / 3.0;
    assert_abs_diff_eq!(&scores[..], &[third, 0.5, 0.0, 0.0, 0.5, 0.0, third, 0.0, 0.0][..], epsilon = 1e-7);
}

#[test]
fn a_new_user_with_the_history_of_a_known_one_gets_the_same_bits() {
    let model = fit(&checkerboard(12), &Config { l2: 3.0, ..Config::default() }).unwrap();
    let history: Vec<ItemId> = [10, 0, 6, 4, 8].map(ItemId).into(); // user 0 without item 2, in another order
    let new = Query { user: None, history: &history };
    assert_eq!(model.scores(&[by_id(0)]).unwrap(), model.scores(&[new]).unwrap());
}

#[test]
fn on_a_checkerboard_the_one_missing_item_of_the_right_colour_comes_first() {
    let train = checkerboard(14);
    let model = fit(&train, &Config { l2: 5.0, ..Config::default() }).unwrap();
    for user in 0..14 {
        let top = model.top_k(&[by_id(user)], &[train.items_of(UserId(user))], 3).unwrap();
        assert_eq!(top.items[0], (user + 2) % 14, "user {user}");
        assert!(
            top.scores[0] > 0.2 && top.scores[1].abs() < 1e-6,
            "the other colour never co-occurs: {:?}",
            top.scores
        );
    }
    let similar = model.similar_items(ItemId(3), 20).unwrap();
    assert_eq!(similar.len(), 13, "every item but the one that was asked for");
    assert!(similar[..6].iter().all(|(item, score)| item.0 % 2 == 1 && item.0 != 3 && *score > 0.0));
}

#[test]
fn similarity_is_the_partial_correlation_and_symmetric() {
    // -P[0,1] / sqrt(P[0,0] P[1,1]) = (1/4) / sqrt(3/8 * 1/2) = 0.57735.
    let model = fit_tiny();
    let (of_zero, of_one) = (model.similar_items(ItemId(0), 1).unwrap(), model.similar_items(ItemId(1), 1).unwrap());
    assert_eq!((of_zero[0].0, of_one[0].0), (ItemId(1), ItemId(0)));
    assert_abs_diff_eq!(of_zero[0].1, 0.577_350_3, epsilon = 1e-6);
    assert_eq!(of_zero[0].1, of_one[0].1);
    assert!(model.similar_items(ItemId(3), 1).is_err());
}

#[test]
fn a_block_equals_one_by_one_and_the_lists_equal_those_of_the_scores() {
    let train = checkerboard(14);
    let model = fit(&train, &Config::default()).unwrap();
    let queries: Vec<Query<'_>> = (0..14).map(by_id).collect();
    let excluded: Vec<&[u32]> = (0..14).map(|user| train.items_of(UserId(user))).collect();
    let top = model.top_k(&queries, &excluded, 9).unwrap();
    let (mut items, mut best) = (Vec::new(), Vec::new());
    let block = model.scores(&queries).unwrap();
    for (at, query) in queries.iter().enumerate() {
        let single: Vec<f32> = model.scores(&[*query]).unwrap().into_iter().collect();
        assert_eq!(single, block.row(at).to_vec());
        select_top_k(&single, excluded[at], 9, &mut items, &mut best).unwrap();
        assert_eq!(top.len[at] as usize, items.len());
        assert_eq!(top.items[at * 9..at * 9 + items.len()], items);
        assert_eq!(top.scores[at * 9..at * 9 + items.len()], best);
    }
}

#[test]
fn saving_and_loading_changes_no_score() {
    let model = fit(&checkerboard(12), &Config::default()).unwrap();
    let nodes = Nodes { n_users: checkerboard(12).n_users(), n_items: 12 };
    let loaded = load(&model.state(), nodes).unwrap();
    assert_eq!(model.scores(&[by_id(5)]).unwrap(), loaded.scores(&[by_id(5)]).unwrap());
    assert_eq!((loaded.model(), loaded.n_items(), loaded.state()), ("ease", 12, model.state()));
    assert_eq!(load(&State::default(), nodes).err().map(|e| e.exit_code()), Some(6));
}

#[test]
fn the_same_bits_come_out_for_any_number_of_threads() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&checkerboard(37), &Config::default()).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
}

#[test]
fn values_out_of_range_unknown_keys_and_too_many_items_are_refused() {
    for l2 in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(fit(&tiny(), &Config { l2, ..Config::default() }).unwrap_err().exit_code(), 4);
    }
    let error = Config { max_items: 0, ..Config::default() }.validate().unwrap_err();
    assert_eq!(error.to_string(), "model.ease.max_items: found 0, expected a whole number above 0");
    assert_eq!(fit(&tiny(), &Config { max_items: 2, ..Config::default() }).unwrap_err().exit_code(), 5);
    assert!(toml::from_str::<Config>("lambda = 300").is_err());
    assert_eq!(toml::from_str::<Config>("l2 = 500.0").unwrap().l2, 500.0);
}

#[test]
fn no_items_and_no_users_are_a_model_without_answers() {
    let model = fit(&interactions(0, 0, []), &Config::default()).unwrap();
    assert_eq!(model.top_k(&[], &[], 5).unwrap().n_queries, 0);
    let model = fit(&interactions(1, 2, []), &Config::default()).unwrap();
    assert_eq!(model.top_k(&[by_id(0)], &[&[]], 5).unwrap().items[..2], [0, 1]);
}
