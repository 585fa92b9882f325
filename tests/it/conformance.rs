//! One suite for every registered model: on a checkerboard world the right items are known, and
//! whoever serves a model relies on the rest.

use std::sync::OnceLock;

use gcnrec::internals::models::graph::lightgcn::Combination;
use gcnrec::internals::train::{Job, Outcome};
use gcnrec::internals::{models, objectives};
use gcnrec::{Part, Query, RecError, Recommender, Scorer, Silent, Split, Stop};
use gcnrec_graphs::{ItemId, Seed, UserId};

use crate::jobs::{digest, job, lightgcn, loss, run_in, split};

const N_USERS: usize = 20;
const N_ITEMS: usize = 20;

/// Users and items of two colours, and everybody likes the ten items of their colour: user `u` is
/// number `u / 2` of its colour, and of its items the ones with numbers `u / 2` and `u / 2 + 5`
/// (counted round) are held out. Every item has eight users, so popularity knows nothing.
fn checkerboard() -> Split {
    let item = |u: u32, number: u32| 2 * (number % 10) + u % 2;
    let test: Vec<_> = (0..20).flat_map(|u| [(u, item(u, u / 2)), (u, item(u, u / 2 + 5))]).collect();
    // In the order of the numbers, each user from the one after the own number on: for models that
    // read an order.
    let all = (0..20).flat_map(|u| (1..=10).map(move |step| (u, item(u, u / 2 + step))));
    let train: Vec<_> = all.filter(|pair| !test.contains(pair)).collect();
    split(N_USERS, N_ITEMS, [&train, &[], &test])
}

/// A trained model, in memory and opened again from its run folder.
struct Model {
    name: String,
    personal: bool,
    job: Job,
    outcome: Outcome,
    recommender: Recommender,
}

fn train(job: &Job) -> (Outcome, Recommender) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let outcome = run_in(&path, job, false, &mut Silent, &Stop::default()).unwrap();
    (outcome, Recommender::open(&path).unwrap())
}

/// Small settings, by the name of the model; a model that stands here more than once is tried in
/// each way, and one that does not has its defaults.
const SMALL: &[(&str, &str)] = &[
    ("mf", "dim = 16"),
    ("markov", "window = 10"),
    ("ease", "l2 = 5"),
    ("sasrec", "dim = 16\ninner = 32\nmax_len = 10\ndropout = 0.1\nattention_dropout = 0.1"),
    ("bert4rec", "dim = 16\ninner = 32\nmax_len = 8"),
    ("fmlp", "dim = 16\ninner = 32\nmax_len = 10\ndropout = 0.1"),
    ("gru4rec", "dim = 16\nhidden = 24"),
    ("gru4rec", "dim = 16\nhidden = 16\ndense = false\nbatches = \"sessions_in_parallel\""),
    ("narm", "dim = 16\nhidden = 24"),
    ("fpmc", "dim = 16"),
    ("fusion", "members = [{ model.lightgcn = { dim = 16, layers = 2 } }, { model.ease.l2 = 5 }]"),
];

/// Every model of the list with the loss `softmax`, and some with another.
fn registered() -> Vec<(String, models::Config, objectives::Config)> {
    let mut all = Vec::new();
    for combination in Combination::all() {
        all.push((format!("lightgcn {combination:?}"), lightgcn(combination), loss("softmax")));
    }
    all.push(("lightgcn Additive, bpr".into(), lightgcn(Combination::ADDITIVE), loss("bpr")));
    let biases = models::Config::parse("mf", "dim = 16\nbiases = true").unwrap();
    all.push(("mf with biases".into(), biases, loss("bpr")));
    for name in models::Config::names().into_iter().filter(|&name| name != "lightgcn") {
        let ways = SMALL.iter().filter(|(of, _)| *of == name).map(|(_, settings)| *settings).collect::<Vec<_>>();
        for settings in if ways.is_empty() { vec![""] } else { ways } {
            let config = models::Config::parse(name, settings).unwrap();
            all.push((format!("{name} {settings:?}"), config, loss("softmax")));
        }
    }
    all
}

/// Every model, trained once for all tests of this file.
fn models() -> &'static [Model] {
    static MODELS: OnceLock<Vec<Model>> = OnceLock::new();
    MODELS.get_or_init(|| {
        let model = |(name, config, objective)| {
            let mut job = job(checkerboard(), config, objective);
            (job.train.max_epochs, job.train.batch_size) = (80, Some(8));
            let (outcome, recommender) = train(&job);
            Model { personal: job.model.name() != "popularity", name, job, outcome, recommender }
        };
        registered().into_iter().map(model).collect()
    })
}

/// Every user with the history that the program passes, which only sequential models read.
fn all_users() -> Vec<Query<'static>> {
    static HISTORIES: OnceLock<Vec<Vec<ItemId>>> = OnceLock::new();
    let histories = HISTORIES.get_or_init(|| checkerboard().histories(&[Part::Train]));
    (0..).map(UserId).zip(histories).map(|(user, history)| Query { user: Some(user), history }).collect()
}

fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}

fn scores(scorer: &dyn Scorer, queries: &[Query<'_>]) -> Vec<u32> {
    let scores = scorer.scores(queries).unwrap();
    assert_eq!(scores.dim(), (queries.len(), scorer.n_items()));
    bits(scores.as_slice().unwrap())
}

fn colour_of(name: &str) -> usize {
    name[1..].parse::<usize>().unwrap() % 2
}

#[test]
fn every_scorer_says_the_name_of_a_model_and_every_model_is_in_this_suite() {
    for name in models::Config::names() {
        assert!(models().iter().any(|model| model.outcome.scorer.model() == name), "{name}");
    }
}

#[test]
fn the_right_items_are_found_and_popularity_does_not_know_them() {
    for model in models() {
        let recall = model.outcome.test.as_ref().unwrap().get("recall@2").unwrap();
        // All counts are equal, so popularity lists the two lowest unseen ids. User 0 has items 0
        // and 10 held out and is shown 0 and 1; so one of two is found by users 0, 2, 10 and 12
        // (items 0, 2, 0, 2) and, of the other colour, by 1 and 11 (item 1): 6 halves of 20 users.
        // A sequential model says what comes next, which is one of the two: each user's numbers end
        // before the own one.
        let expected = if model.personal { 1.0 } else { 0.15 };
        let right = if model.job.model.is_sequential() { recall >= 0.5 } else { (recall - expected).abs() < 1e-9 };
        assert!(right, "{}: {recall}", model.name);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    for model in models() {
        let again = train(&model.job).0;
        assert_eq!(digest(&again.scorer.state()), digest(&model.outcome.scorer.state()), "{}", model.name);
        assert_eq!(again.test, model.outcome.test, "{}", model.name);
        if !model.job.model.is_closed_form() && model.job.model.name() != "fusion" {
            let other = train(&Job { seed: Seed(7), ..model.job.clone() }).0;
            assert_ne!(digest(&other.scorer.state()), digest(&model.outcome.scorer.state()), "{}", model.name);
        }
    }
}

#[test]
fn a_block_of_queries_is_answered_as_one_by_one() {
    let history = [ItemId(1), ItemId(5)];
    for model in models() {
        let scorer = &*model.outcome.scorer;
        let mut queries = all_users();
        queries.insert(3, Query { user: None, history: &history });
        let together = scores(scorer, &queries);
        for (row, query) in together.chunks(N_ITEMS).zip(&queries) {
            assert_eq!(row, scores(scorer, &[*query]), "{}", model.name);
        }
        let excluded: Vec<Vec<u32>> = (0..queries.len() as u32).map(|q| (q % 7..q % 7 + q % 4).collect()).collect();
        let excluded: Vec<&[u32]> = excluded.iter().map(Vec::as_slice).collect();
        let top = scorer.top_k(&queries, &excluded, 6).unwrap();
        for (q, query) in queries.iter().enumerate() {
            let alone = scorer.top_k(&[*query], &excluded[q..=q], 6).unwrap();
            let row = q * top.k..(q + 1) * top.k;
            assert_eq!((&top.items[row.clone()], top.len[q]), (&alone.items[..], alone.len[0]), "{}", model.name);
            assert_eq!(bits(&top.scores[row]), bits(&alone.scores), "{}", model.name);
        }
    }
}

#[test]
fn the_list_is_the_scores_sorted_with_ties_to_the_lower_id() {
    for model in models() {
        let scorer = &*model.outcome.scorer;
        let queries = all_users();
        let scores = scorer.scores(&queries).unwrap();
        let excluded = vec![&[0u32, 7][..]; queries.len()];
        let top = scorer.top_k(&queries, &excluded, 5).unwrap();
        for (q, row) in scores.rows().into_iter().enumerate() {
            let mut order: Vec<u32> = (0..N_ITEMS as u32).filter(|item| ![0, 7].contains(item)).collect();
            order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]));
            assert_eq!(top.items[q * 5..(q + 1) * 5], order[..5], "{}, user {q}", model.name);
        }
        // Among the others as candidates the list is the same, to the bit.
        let others: Vec<u32> = (0..N_ITEMS as u32).filter(|item| ![0, 7].contains(item)).collect();
        let among = scorer.top_k_among(&queries, &vec![&others[..]; queries.len()], 5).unwrap();
        assert_eq!((&among.items, &among.len), (&top.items, &top.len), "{}", model.name);
        assert_eq!(bits(&among.scores), bits(&top.scores), "{}", model.name);
        let among = scorer.top_k_among(&queries, &vec![&[1u32, 4][..]; queries.len()], 5).unwrap();
        for (q, row) in scores.rows().into_iter().enumerate() {
            let order = if row[4] > row[1] { [4, 1] } else { [1, 4] };
            assert_eq!(among.items[q * 5..q * 5 + 2], order, "{}, user {q}", model.name);
            assert_eq!(among.len[q], 2, "{}, user {q}", model.name);
        }
    }
}

#[test]
fn saving_and_loading_change_no_bit_of_a_score() {
    let history = [ItemId(0), ItemId(4), ItemId(6)];
    for model in models() {
        let (before, after) = (&*model.outcome.scorer, model.recommender.scorer());
        let mut queries = all_users();
        queries.push(Query { user: None, history: &history });
        assert_eq!(scores(before, &queries), scores(after, &queries), "{}", model.name);
        assert_eq!(digest(&before.state()), digest(&after.state()), "{}", model.name);
        assert_eq!((before.model(), before.n_items()), (after.model(), N_ITEMS));
        assert_eq!(before.layer_weights(), after.layer_weights());
    }
}

#[test]
fn seen_items_never_return_and_k_may_exceed_the_number_of_items() {
    let train = checkerboard().train;
    for model in models() {
        for user in 0..N_USERS as u32 {
            for k in [N_ITEMS - 8, N_ITEMS, N_ITEMS + 1, usize::MAX] {
                let list = model.recommender.for_user(&format!("u{user}"), k).unwrap();
                // 20 items, of which the user has seen 8.
                assert_eq!(list.len(), 12, "{}", model.name);
                let seen = |name: &str| train.pairs().any(|(u, i)| u.0 == user && format!("i{}", i.0) == name);
                assert!(list.iter().all(|(name, score)| !seen(name) && score.is_finite()), "{}", model.name);
                assert!(list.windows(2).all(|pair| pair[0].1 >= pair[1].1 && pair[0].0 != pair[1].0), "{}", model.name);
            }
        }
        assert_eq!(model.recommender.for_user("u0", 0).unwrap(), [], "{}", model.name);
    }
}

#[test]
fn a_new_user_is_served_from_a_history() {
    for model in models() {
        for history in [["i0", "i4", "i10"], ["i3", "i9", "i17"]] {
            let list = model.recommender.for_history(&history, 5).unwrap();
            assert_eq!(list.len(), 5, "{}", model.name);
            assert!(list.iter().all(|(name, _)| !history.contains(&name.as_str())), "{}", model.name);
            let right = list.iter().filter(|(name, _)| colour_of(name) == colour_of(history[0])).count();
            // What comes next has the right colour; of the items far from it a sequential model
            // learns nothing.
            let first = colour_of(&list[0].0) == colour_of(history[0]);
            let fits = if model.job.model.is_sequential() { first } else { right == 5 };
            assert!(fits || !model.personal, "{}: {list:?}", model.name);
        }
    }
}

/// Only the Markov chain and the sequential models read an order. For the others a pair counts once
/// in training, so it counts once in a history.
#[test]
fn neither_the_order_of_a_history_nor_a_repeat_in_it_changes_the_answer_of_a_model_without_order() {
    for model in models() {
        if model.job.model.name() == "markov" || model.job.model.is_sequential() {
            let last = model.recommender.for_history(&["i0", "i4", "i10"], 20).unwrap();
            assert_ne!(model.recommender.for_history(&["i10", "i0", "i4"], 20).unwrap(), last, "the last item decides");
            continue;
        }
        let list = model.recommender.for_history(&["i0", "i4", "i10"], 20).unwrap();
        assert_eq!(model.recommender.for_history(&["i10", "i0", "i4", "i0"], 20).unwrap(), list, "{}", model.name);
    }
}

#[test]
fn the_shares_of_a_linear_model_are_its_score_and_other_models_give_none() {
    let mut linear = Vec::new();
    for Model { recommender, .. } in models() {
        let model = recommender.model();
        let request = recommender.request().history(["i0", "i4", "i10"]);
        let (item, score) = request.top().unwrap().remove(0);
        if let Err(error) = request.reasons(&item, 9) {
            let line = error.to_string();
            assert!(line.starts_with(model) && line.contains("not a sum over the items of a history"), "{line}");
            continue;
        }
        linear.push(model);
        for request in [request, recommender.request().user("u2")] {
            for item in recommender.items() {
                let reasons = request.reasons(item, 99).unwrap();
                let sum: f32 = reasons.shares.iter().map(|(_, share)| share).sum();
                // Sums of fewer than 20 numbers below 2, in another order.
                assert!((sum - reasons.score).abs() < 1e-5, "{model}: {sum} of {}", reasons.score);
                assert_eq!(request.reasons(item, 1).unwrap().shares[..], reasons.shares[..reasons.shares.len().min(1)]);
            }
        }
        // Without the strongest item of the history the score is lower by its share.
        let (strongest, share) =
            recommender.request().history(["i0", "i4", "i10"]).reasons(&item, 1).unwrap().shares.remove(0);
        let rest = ["i0", "i4", "i10"].into_iter().filter(|met| *met != strongest);
        let without = recommender.request().history(rest).reasons(&item, 1).unwrap().score;
        assert!(share > 0.0 && (score - share - without).abs() < 1e-5, "{model}: {score} - {share}, {without}");
    }
    linear.sort_unstable();
    assert_eq!(linear, ["ease", "gf_cf", "item_knn", "rp3beta"]);
}

#[test]
fn a_new_user_without_a_history_is_refused_by_name_or_gets_what_everybody_gets() {
    for model in models() {
        let unknown = Query { user: Some(UserId(N_USERS as u32)), history: &[] };
        for query in [unknown, Query { user: None, history: &[] }] {
            let answer = model.outcome.scorer.scores(&[query]);
            assert_eq!(answer.is_err(), model.personal, "{}", model.name);
        }
        match model.recommender.for_history(&[], 5) {
            Ok(list) => assert!(!model.personal && list.len() == 5, "{}", model.name),
            Err(error) => {
                assert!(matches!(error, RecError::Unsupported { .. }), "{}: {error}", model.name);
                let message = error.to_string();
                assert!(message.starts_with(model.recommender.model()) && message.contains("history"), "{message}");
            }
        }
    }
}

#[test]
fn unknown_users_and_items_are_refused_by_name() {
    for model in models() {
        let recommender = &model.recommender;
        let errors = [
            recommender.for_history(&["i0", "i99"], 5).unwrap_err(),
            recommender.similar_items("i99", 5).unwrap_err(),
            recommender.for_user("i99", 5).unwrap_err(),
            recommender.top_k(&["u0", "i99"], 5).pop().unwrap().unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("\"i99\"") && error.exit_code() == 3, "{}: {error}", model.name);
        }
        // By number, below the names: whoever reads a history refuses an item that is beyond the
        // catalogue.
        let history = [ItemId(0), ItemId(N_ITEMS as u32)];
        let answer = model.outcome.scorer.scores(&[Query { user: None, history: &history }]);
        assert_eq!(answer.is_err(), model.personal, "{}", model.name);
        assert!(model.outcome.scorer.similar_items(ItemId(N_ITEMS as u32), 5).is_err(), "{}", model.name);
    }
}

#[test]
fn similar_items_share_the_colour_or_are_refused_by_name() {
    for model in models() {
        match model.recommender.similar_items("i4", 3) {
            Ok(list) => {
                assert!(model.personal && list.len() == 3, "{}", model.name);
                let n_right = if model.job.model.is_sequential() { 1 } else { 3 };
                assert!(list.iter().all(|(name, _)| name != "i4"), "{}: {list:?}", model.name);
                let right = list[..n_right].iter().all(|(name, _)| colour_of(name) == 0);
                assert!(right, "{}: {list:?}", model.name);
                assert_eq!(model.recommender.similar_items("i4", usize::MAX).unwrap().len(), N_ITEMS - 1);
            }
            Err(error) => {
                assert!(!model.personal && error.exit_code() == 1, "{}", model.name);
                assert!(error.to_string().starts_with(model.recommender.model()), "{error}");
            }
        }
    }
}

/// Models that must have vectors; others may, or refuse.
const WITH_VECTORS: [&str; 4] = ["lightgcn", "mf", "fpmc", "popularity"];

#[test]
fn inner_products_of_vectors_rank_as_the_model_does_or_vectors_are_refused_by_name() {
    let names: Vec<String> = (0..N_USERS).map(|user| format!("u{user}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for model in models() {
        let recommender = &model.recommender;
        let users = recommender.user_vectors(&names);
        let Ok(users) = users else {
            let is_expected = !WITH_VECTORS.contains(&recommender.model()) && !model.job.model.is_sequential();
            for error in [users.unwrap_err(), recommender.item_vectors().unwrap_err()] {
                let is_by_name = error.exit_code() == 1 && error.to_string().starts_with(recommender.model());
                assert!(is_expected && is_by_name, "{}: {error}", model.name);
            }
            continue;
        };
        let (users, items) = (users.mapv(f64::from), recommender.item_vectors().unwrap().mapv(f64::from));
        let products = users.dot(&items.t());
        let scores = recommender.scorer().scores(&all_users()).unwrap();
        for user in 0..N_USERS {
            let largest = scores.row(user).iter().fold(0f32, |most, score| most.max(score.abs()));
            let mut order: Vec<usize> = (0..N_ITEMS).collect();
            order.sort_by(|&a, &b| products[[user, b]].total_cmp(&products[[user, a]]));
            for pair in order.windows(2) {
                let (better, worse) = (scores[[user, pair[0]]], scores[[user, pair[1]]]);
                // Sums of 16 products in 32 bits end within some 1e-6 of the largest score.
                assert!(better >= worse - 1e-5 * largest, "{}, user {user}: {better} {worse}", model.name);
            }
        }
    }
}

#[test]
fn many_users_at_once_get_what_each_gets_alone() {
    let names: Vec<String> = (0..N_USERS).rev().map(|user| format!("u{user}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for model in models() {
        let together = model.recommender.top_k(&names, 4);
        for (list, name) in together.into_iter().zip(&names) {
            assert_eq!(list.unwrap(), model.recommender.for_user(name, 4).unwrap(), "{}", model.name);
        }
    }
}
