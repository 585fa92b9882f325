use super::*;
use approx::assert_abs_diff_eq;

/// Histories 0 1 2, 0 1, 2, and nothing: p = 2/6, 2/6, 2/6.
fn model(smoothing: f64, window: usize) -> Markov {
    let histories = [vec![0, 1, 2], vec![0, 1], vec![2], vec![]].map(|h: Vec<u32>| h.into_iter().map(ItemId).collect());
    let pairs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 2)].map(|(u, i)| (UserId(u), ItemId(i)));
    let train = Interactions::from_pairs(4, 3, pairs).unwrap();
    fit_weighted(&train, None, &histories, &Config { smoothing, window }).unwrap()
}

fn scores(model: &Markov, user: Option<u32>, history: &[u32]) -> Vec<f32> {
    let history: Vec<ItemId> = history.iter().map(|&item| ItemId(item)).collect();
    let query = Query { user: user.map(UserId), history: &history };
    model.scores(&[query]).unwrap().into_iter().collect()
}

#[test]
fn the_plain_chain_counts_what_comes_next() {
    // After 0: 1 twice. After 1: 2 once. Smoothing 4 adds 4/3 each: after 0 (0 + 4/3, 2 + 4/3,
    // 4/3) / 6.
    let chain = model(4.0, 1);
    assert_abs_diff_eq!(&scores(&chain, None, &[0])[..], &[2.0 / 9.0, 5.0 / 9.0, 2.0 / 9.0][..], epsilon = 1e-6);
    // User 1 is after 1: (4/3, 4/3, 1 + 4/3) / 5. User 0 is after 2, which nothing follows;
    // user 3 has met nothing: popularity.
    assert_abs_diff_eq!(&scores(&chain, Some(1), &[])[..], &[4.0 / 15.0, 4.0 / 15.0, 7.0 / 15.0][..], epsilon = 1e-6);
    let third = [1.0 / 3.0; 3];
    assert_abs_diff_eq!(&scores(&chain, Some(0), &[])[..], &third[..], epsilon = 1e-6);
    assert_abs_diff_eq!(&scores(&chain, Some(3), &[])[..], &third[..], epsilon = 1e-6);
    assert_abs_diff_eq!(&scores(&model(0.0, 1), None, &[2, 0])[..], &[0.0, 1.0, 0.0][..], epsilon = 1e-6);
}

#[test]
fn a_skip_counts_by_its_distance() {
    // After 0 with window 2: 1 twice, 2 once at distance 2: 2 and 1/2 of 2.5.
    assert_abs_diff_eq!(&scores(&model(0.0, 2), None, &[0])[..], &[0.0, 0.8, 0.2][..], epsilon = 1e-6);
}

#[test]
fn a_weighted_follower_counts_its_weight() {
    let histories = [vec![0, 1, 2], vec![0, 2]].map(|h: Vec<u32>| h.into_iter().map(ItemId).collect());
    let pairs = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)].map(|(u, i)| (UserId(u), ItemId(i)));
    let train = Interactions::from_pairs(2, 3, pairs).unwrap();
    let weights = [1.0, 3.0, 1.0, 1.0, 2.0];
    let config = Config { smoothing: 4.0, window: 1 };
    let chain = fit_weighted(&train, Some(&weights), &histories, &config).unwrap();
    // After 0: 1 with weight 3, 2 with weight 2. p = 2/8, 3/8, 3/8, of which 4 stand in: 1,
    // 1.5, 1.5. Total 5 + 4.
    assert_abs_diff_eq!(&scores(&chain, None, &[0])[..], &[1.0 / 9.0, 4.5 / 9.0, 3.5 / 9.0][..], epsilon = 1e-6);
}

#[test]
fn the_last_item_decides_and_nobody_at_all_is_refused() {
    let chain = model(1.0, 1);
    assert_eq!(scores(&chain, Some(9), &[1, 0]), scores(&chain, None, &[0]));
    assert_eq!(chain.scores(&[Query { user: None, history: &[] }]).unwrap_err().exit_code(), 1);
    let beyond = [ItemId(3), ItemId(0)];
    assert!(chain.scores(&[Query { user: None, history: &beyond }]).is_err());
}

#[test]
fn a_reloaded_model_is_the_same_and_values_out_of_range_are_refused() {
    let chain = model(3.0, 2);
    let nodes = Nodes { n_users: chain.last.len(), n_items: chain.n_items() };
    assert_eq!(load(&chain.state(), nodes).unwrap().state(), chain.state());
    let mut damaged = chain.state();
    damaged.put_u32("last", &[4], vec![0, 1, 3, NOBODY]);
    assert_eq!(load(&damaged, nodes).err().map(|error| error.exit_code()), Some(6));
    assert!(Config { smoothing: -1.0, window: 1 }.validate().is_err());
    assert!(Config { smoothing: 1.0, window: 0 }.validate().is_err());
}
