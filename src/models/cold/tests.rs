use super::*;
use crate::models::load_scorer;
use gcnrec_kernels::Device;

/// Users 0 and 1 met items 0, 1 and 2; item 3 and user 2 are new.
fn train() -> Interactions {
    let pairs = [(0, 0), (0, 1), (1, 1), (1, 2)].map(|(u, i)| (UserId(u), ItemId(i)));
    Interactions::from_pairs(3, 4, pairs).unwrap()
}

/// Item 3 first, then 2, 1, 0; refuses histories where it is told to.
struct Newest {
    reads_histories: bool,
}

impl Scorer for Newest {
    fn model(&self) -> &'static str {
        "newest"
    }
    fn n_items(&self) -> usize {
        4
    }
    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        if queries.iter().any(|query| query.user.is_none()) && !self.reads_histories {
            return Err(RecError::stranger("newest"));
        }
        Ok(Array2::from_shape_fn((queries.len(), 4), |(_, item)| item as f32))
    }
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        let others = (0..4).rev().filter(|&other| other != item.0);
        Ok(others.map(|other| (ItemId(other), other as f32)).take(k).collect())
    }
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        self.scores(queries).map(|scores| scores.map(|_| 1.0).slice_move(ndarray::s![.., ..1]))
    }
    fn item_vectors(&self) -> Result<Array2<f32>> {
        Ok(ndarray::array![[0.0], [1.0], [2.0], [3.0]])
    }
    fn state(&self) -> State {
        State::default()
    }
}

fn wrapped(reads_histories: bool) -> Box<dyn Scorer> {
    Cold::of(&train(), std::iter::empty()).wrap(Box::new(Newest { reads_histories }))
}

fn top(scorer: &dyn Scorer, user: u32, history: &[ItemId], k: usize) -> Vec<u32> {
    let query = Query { user: Some(UserId(user)), history };
    let top = scorer.top_k(&[query], &[&[]], k).unwrap();
    top.items[..top.len[0] as usize].to_vec()
}

#[test]
fn an_item_without_a_training_row_ranks_last() {
    let scorer = wrapped(true);
    assert_eq!(top(&*scorer, 0, &[], 2), [2, 1]);
    assert_eq!(top(&*scorer, 0, &[], 4), [2, 1, 0, 3]);
    let query = [Query { user: Some(UserId(0)), history: &[] }];
    let scores = scorer.scores(&query).unwrap();
    assert_eq!(scores.as_slice().unwrap(), [0.0, 1.0, 2.0, -1e-3]);
    let among = |candidates: &[u32], k| scorer.top_k_among(&query, &[candidates], k).unwrap().items;
    assert_eq!((among(&[0, 1, 3], 1), among(&[0, 3], 2)), (vec![1], vec![0, 3]));
}

#[test]
fn a_user_without_a_training_row_is_answered_by_their_history_or_by_popularity() {
    // Item 1 was met twice, 0 and 2 once: ties go to the lower id.
    assert_eq!(top(&*wrapped(true), 2, &[], 4), [1, 0, 2, 3]);
    assert_eq!(top(&*wrapped(true), 2, &[ItemId(3)], 4), [1, 0, 2, 3], "of item 3 nothing is known");
    assert_eq!(top(&*wrapped(true), 2, &[ItemId(0)], 4), [2, 1, 0, 3]);
    assert_eq!(top(&*wrapped(false), 2, &[ItemId(0)], 4), [1, 0, 2, 3], "the model reads no history");
    let both = [Some(UserId(2)), Some(UserId(0))].map(|user| Query { user, history: &[] });
    let top = wrapped(true).top_k(&both, &[&[1], &[2]], 2).unwrap();
    assert_eq!(top.items, [0, 2, 1, 0]);
    let beyond = Query { user: Some(UserId(0)), history: &[ItemId(4)] };
    assert!(wrapped(true).scores(&[beyond]).is_err());
}

#[test]
fn vectors_rank_as_the_scorer_does() {
    for reads_histories in [true, false] {
        let scorer = wrapped(reads_histories);
        let items = scorer.item_vectors().unwrap();
        // The value; how far below the untrained item is; the number of users.
        assert_eq!(items, ndarray::array![[0.0, 0.0, 1.0], [1.0, 0.0, 2.0], [2.0, 0.0, 1.0], [0.0, -1.0, 0.0]]);
        for (user, history) in [(0, &[][..]), (2, &[]), (2, &[ItemId(3)]), (2, &[ItemId(0)])] {
            let query = Query { user: Some(UserId(user)), history };
            let products = scorer.query_vectors(&[query]).unwrap().dot(&items.t());
            let mut order = [0, 1, 2, 3];
            order.sort_by(|&a, &b| products[[0, b]].total_cmp(&products[[0, a]]));
            let expected: Vec<usize> = top(&*scorer, user, history, 4).iter().map(|&item| item as usize).collect();
            assert_eq!(order[..], expected, "{user} {history:?}");
        }
    }
}

#[test]
fn nothing_is_similar_to_an_item_without_a_training_row() {
    let similar = |item, k| {
        wrapped(true).similar_items(ItemId(item), k).map(|list| list.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
    };
    assert_eq!(similar(0, 2).unwrap(), [2, 1]);
    assert_eq!(similar(3, 2).unwrap_err().exit_code(), 1);
}

#[test]
fn an_item_and_a_user_without_a_training_row_have_no_reasons() {
    let refused = |user, item| {
        let query = Query { user: Some(UserId(user)), history: &[] };
        wrapped(true).shares(&query, ItemId(item)).unwrap_err().to_string()
    };
    assert!(refused(0, 3).contains("nothing is known of it"));
    assert!(refused(2, 1).contains("popularity answers"));
    assert!(refused(0, 1).starts_with("newest: its score is not a sum"));
}

#[test]
fn a_model_of_which_everybody_is_known_stays_as_it_is_and_one_that_was_taught_more_knows_more() {
    let all = Interactions::from_pairs(1, 1, [(UserId(0), ItemId(0))]).unwrap();
    assert!(
        Cold::of(&all, std::iter::empty()).wrap(Box::new(Newest { reads_histories: true })).state().tensors.is_empty()
    );
    let taught = [(Some(UserId(2)), ItemId(3))].into_iter();
    let scorer = Cold::of(&train(), taught).wrap(Box::new(Newest { reads_histories: true }));
    assert_eq!(top(&*scorer, 0, &[], 1), [3]);
}

#[test]
fn who_is_cold_is_kept_in_the_state_and_damage_is_refused() {
    let popularity = Box::new(crate::models::linear::popularity::fit(&train()));
    let popularity = Cold::of(&train(), std::iter::empty()).wrap(popularity);
    let state = popularity.state();
    assert_eq!((state.u32(ITEMS).unwrap(), state.u32(USERS).unwrap()), (&[3][..], &[2][..]));
    let nodes = Nodes { n_users: 3, n_items: 4 };
    let loaded = load_scorer(&Device::Cpu, "popularity", &state, nodes).unwrap();
    assert_eq!((loaded.state(), top(&*loaded, 2, &[], 4)), (state.clone(), vec![1, 0, 2, 3]));
    for (name, values) in [(ITEMS, vec![9]), (USERS, vec![2, 1]), (COUNTS, vec![1, 2])] {
        let mut damaged = state.clone();
        damaged.put_u32(name, &[values.len()], values);
        assert_eq!(
            load_scorer(&Device::Cpu, "popularity", &damaged, nodes).err().map(|error| error.exit_code()),
            Some(6)
        );
    }
}
