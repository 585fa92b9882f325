//! GF-CF against its formula with dense matrices, and the promises of a scorer.

use approx::assert_abs_diff_eq;

use super::*;

/// Users {0, 1}, {0, 1, 2}, {0}, {2}, {}; item 3 has nobody.
fn tiny() -> Interactions {
    let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (3, 2)];
    Interactions::from_pairs(5, 4, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
}

fn scores(model: &GfCf, query: Query<'_>) -> Vec<f32> {
    model.scores(&[query]).unwrap().into_iter().collect()
}

#[test]
fn the_linear_filter_is_the_two_products_worked_out_by_hand() {
    // Degrees of users 2, 3, 1, 1 and of items 3, 2, 2. User 3 has item 2: N^T N row of 2 over its
    // users 1 and 3. To item 0: 1/3 / sqrt(2 * 3); to 1: 1/3 / sqrt(2 * 2); to 2: (1/3 + 1) / 2.
    let model = fit(&tiny(), &Config { factors: 0, ..Config::default() }).unwrap();
    let expected = [1.0 / 3.0 / 6f32.sqrt(), 1.0 / 6.0, 2.0 / 3.0, 0.0];
    assert_abs_diff_eq!(
        &scores(&model, Query { user: Some(UserId(3)), history: &[] })[..],
        &expected[..],
        epsilon = 1e-6
    );
    assert_abs_diff_eq!(
        &scores(&model, Query { user: None, history: &[ItemId(2)] })[..],
        &expected[..],
        epsilon = 1e-6
    );
    assert_eq!(scores(&model, Query { user: Some(UserId(4)), history: &[] }), [0.0; 4]);
}

#[test]
fn with_every_singular_vector_the_ideal_filter_returns_the_items_themselves() {
    // N has rank 3, so V V^T is the identity of items 0, 1 and 2, and D^-1/2 V V^T D^1/2 as well:
    // weight 2 adds 2 to each item of the user.
    let (linear, both) = (
        fit(&tiny(), &Config { factors: 0, ..Config::default() }).unwrap(),
        fit(&tiny(), &Config { factors: 9, weight: 2.0 }).unwrap(),
    );
    assert_eq!(both.factors, 3);
    for (user, items) in [(0, [2.0, 2.0, 0.0, 0.0]), (3, [0.0, 0.0, 2.0, 0.0])] {
        let query = Query { user: Some(UserId(user)), history: &[] };
        let (a, b) = (scores(&linear, query), scores(&both, query));
        let added: Vec<f32> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        assert_abs_diff_eq!(&added[..], &items[..], epsilon = 1e-5);
    }
}

#[test]
fn one_vector_is_the_root_of_the_degrees_of_a_connected_graph() {
    // The leading singular value is 1 with V_i = sqrt(d_i / n_edges). The user's items sum up to
    // sum_i d_i^-1/2 V_i = 2 / sqrt 7 for user 0, and item j gets weight sqrt(d_j) V_j 2 / sqrt 7 =
    // weight d_j 2 / 7.
    let linear = fit(&tiny(), &Config { factors: 0, ..Config::default() }).unwrap();
    let one = fit(&tiny(), &Config { factors: 1, weight: 0.5 }).unwrap();
    let query = Query { user: Some(UserId(0)), history: &[] };
    let added: Vec<f32> = scores(&one, query).iter().zip(scores(&linear, query)).map(|(b, a)| b - a).collect();
    assert_abs_diff_eq!(&added[..], &[3.0 / 7.0, 2.0 / 7.0, 2.0 / 7.0, 0.0][..], epsilon = 1e-6);
}

#[test]
fn a_reloaded_model_is_the_same_and_values_out_of_range_are_refused() {
    let model = fit(&tiny(), &Config::default()).unwrap();
    let nodes = Nodes { n_users: tiny().n_users(), n_items: tiny().n_items() };
    let query = Query { user: Some(UserId(1)), history: &[] };
    let loaded = load(&model.state(), nodes).unwrap();
    assert_eq!(model.scores(&[query]).unwrap(), loaded.scores(&[query]).unwrap());
    assert_eq!(load(&State::default(), nodes).err().map(|error| error.exit_code()), Some(6));
    assert!(Config { factors: 4097, weight: 0.3 }.validate().is_err());
    assert!(Config { factors: 1, weight: f64::NAN }.validate().is_err());
}

#[test]
fn no_items_and_no_users_are_a_model_without_answers() {
    let model = fit(&Interactions::from_pairs(0, 0, []).unwrap(), &Config::default()).unwrap();
    assert_eq!(model.top_k(&[], &[], 5).unwrap().n_queries, 0);
}
