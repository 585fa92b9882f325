mod live;
mod requests;

use gcnrec_graphs::UserId;
use ndarray::Array2;

use super::*;
use crate::checkpoint::HOLDS;
use crate::models::Query;
use crate::models::state::State;

/// Scores an item by its place in a list, plus one tenth of the number of items in the history
/// that are its neighbours.
struct Popularity(Vec<f32>);

impl Scorer for Popularity {
    fn model(&self) -> &'static str {
        "popularity"
    }

    fn n_items(&self) -> usize {
        self.0.len()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let near = |query: &Query<'_>, item: usize| {
            query.history.iter().filter(|seen| seen.0 as usize + 1 == item).count() as f32
        };
        let score = |(query, item): (usize, usize)| self.0[item] + 0.1 * near(&queries[query], item);
        Ok(Array2::from_shape_fn((queries.len(), self.n_items()), score))
    }

    fn state(&self) -> State {
        State::default()
    }
}

fn contents(facts: &[(&str, Value)]) -> Contents {
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    Contents {
        model: "popularity".into(),
        state: State::default(),
        ids: Ids {
            users: names(&["zoe", "ann"]),
            items: names(&["d", "c", "b", "a"]),
            titles: names(&["Delta", "", "B", "A"]),
        },
        // zoe saw item 1 and then item 0; ann nothing.
        seen: Some((vec![0, 2, 2], vec![1, 0])),
        config_toml: "seed = 1\n".into(),
        facts: facts.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
    }
}

fn recommender() -> Recommender {
    // d 1, c 4, b 2, a 2: ann gets c, then b before a (the lower id), then d.
    Recommender::from_contents(contents(&[]), Box::new(Popularity(vec![1.0, 4.0, 2.0, 2.0]))).unwrap()
}

fn all(answers: Vec<Result<Ranking>>) -> Vec<Ranking> {
    answers.into_iter().map(Result::unwrap).collect()
}

fn names(ranking: &Ranking) -> Vec<&str> {
    ranking.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_known_user_gets_names_without_what_they_have_seen() {
    let recommender = recommender();
    assert_eq!(names(&recommender.for_user("ann", 10).unwrap()), ["c", "b", "a", "d"]);
    // zoe's history lifts c (after d) and b (after c): b 2.1, a 2.
    assert_eq!(recommender.for_user("zoe", 1).unwrap(), [("b".to_string(), 2.1)]);
    assert_eq!(names(&recommender.for_user("zoe", usize::MAX).unwrap()), ["b", "a"]);
    assert_eq!(recommender.for_user("zoe", 0).unwrap(), []);
}

#[test]
fn seen_items_stay_where_the_run_was_configured_so() {
    let kept = contents(&[(EXCLUDE_SEEN, false.into())]);
    let recommender = Recommender::from_contents(kept, Box::new(Popularity(vec![1.0, 4.0, 2.0, 2.0]))).unwrap();
    assert_eq!(names(&recommender.for_user("zoe", 2).unwrap()), ["c", "b"]);
}

#[test]
fn a_history_answers_for_a_new_user_and_an_unknown_item_is_named() {
    let recommender = recommender();
    assert_eq!(names(&recommender.for_history(&["b", "c", "b"], 9).unwrap()), ["a", "d"]);
    let error = recommender.for_history(&["b", "x1"], 9).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().contains("item \"x1\"") && error.to_string().contains("not in this checkpoint"),
        "{error}"
    );
}

#[test]
fn an_unknown_user_is_named_with_the_way_out() {
    let line = recommender().for_user("u77", 1).unwrap_err().to_string();
    assert!(line.starts_with("user \"u77\"") && line.contains("pass a history to score a new user"), "{line}");
}

#[test]
fn an_unknown_user_among_others_fails_alone() {
    let recommender = recommender();
    let answers = recommender.top_k(&["ann", "u77", "zoe", "u78"], 1);
    assert_eq!(answers.len(), 4);
    for (at, user) in [(0, "ann"), (2, "zoe")] {
        assert_eq!(answers[at].as_ref().unwrap(), &recommender.for_user(user, 1).unwrap());
    }
    for (at, user) in [(1, "u77"), (3, "u78")] {
        assert!(answers[at].as_ref().unwrap_err().to_string().contains(user));
    }
}

#[test]
fn a_batch_answers_as_one_by_one_does() {
    let recommender = recommender();
    let users: Vec<&str> = ["zoe", "ann", "zoe"].into_iter().cycle().take(1001).collect();
    let batch = recommender.top_k(&users, 3);
    assert_eq!(batch.len(), users.len());
    for (user, ranking) in users.iter().zip(batch) {
        assert_eq!(ranking.unwrap(), recommender.for_user(user, 3).unwrap());
    }
}

#[test]
fn four_threads_that_share_one_get_the_same_answers() {
    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }
    let recommender = shared(recommender());
    let ask = || (recommender.for_user("zoe", 4).unwrap(), all(recommender.top_k(&["ann", "zoe"], 4)));
    let expected = ask();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..100).all(|_| ask() == expected))).collect();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
    });
}

#[test]
fn names_titles_and_counts_are_those_of_the_checkpoint() {
    let recommender = recommender();
    assert_eq!((recommender.n_users(), recommender.n_items()), (2, 4));
    assert_eq!(recommender.users(), ["zoe", "ann"]);
    assert_eq!((recommender.title("d"), recommender.title("c"), recommender.title("q")), (Some("Delta"), None, None));
    assert!(matches!(recommender.similar_items("d", 2), Err(RecError::Unsupported { .. })));
    assert!(matches!(recommender.similar_items("q", 2), Err(RecError::UnknownId { .. })));
}

#[test]
fn a_model_with_another_number_of_items_is_refused() {
    let error = Recommender::from_contents(contents(&[]), Box::new(Popularity(vec![1.0]))).err().unwrap();
    assert!(error.to_string().contains("ranks 1 items, there are 4 names"), "{error}");
}

#[test]
fn an_opened_run_answers_as_the_model_did_before_it_was_saved() {
    use crate::models::linear::popularity;
    // Two users like item 1, one likes item 2: ann, who has seen nothing, gets c before b.
    let pairs = [(0, 1), (1, 1), (1, 2)].map(|(user, item)| (UserId(user), ItemId(item)));
    let train = gcnrec_graphs::Interactions::from_pairs(2, 4, pairs).unwrap();
    let scorer = popularity::fit(&train);
    let saved = Contents { state: scorer.state(), ..contents(&[(HOLDS, "scorer".into())]) };
    let before = Recommender::from_contents(saved.clone(), Box::new(scorer)).unwrap();
    let base = tempfile::tempdir().unwrap();
    checkpoint::save(&base.path().join("best"), &saved).unwrap();
    for path in [base.path().to_path_buf(), base.path().join("best")] {
        let opened = Recommender::open(path).unwrap();
        assert_eq!(all(opened.top_k(&["ann", "zoe"], 4)), all(before.top_k(&["ann", "zoe"], 4)));
        assert_eq!(names(&opened.for_user("ann", 2).unwrap()), ["c", "b"]);
        assert_eq!(opened.recovered_from(), None);
    }
}

#[test]
fn what_holds_no_model_is_refused_with_the_reason() {
    let base = tempfile::tempdir().unwrap();
    let refused = |path: &Path| Recommender::open(path).err().unwrap();
    let absent = refused(&base.path().join("nothing"));
    assert!(absent.exit_code() == 3 && absent.to_string().contains("run folder"), "{absent}");
    let empty = refused(base.path());
    assert!(empty.exit_code() == 3 && empty.to_string().contains("holds no trained model"), "{empty}");
    checkpoint::save(&base.path().join("last"), &contents(&[(HOLDS, "learner".into())])).unwrap();
    for path in [base.path().to_path_buf(), base.path().join("last")] {
        let training = refused(&path);
        assert!(training.exit_code() == 3 && training.to_string().contains("training in progress"), "{training}");
    }
    // A damaged best is not passed over.
    std::fs::create_dir(base.path().join("best")).unwrap();
    assert!(refused(base.path()).to_string().contains("best/manifest.json"));
}
