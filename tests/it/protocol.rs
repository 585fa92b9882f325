//! What may be looked at and when: test data never picks anything, seen items are masked, refit
//! uses training and validation pairs.

use gcnrec::ndarray::Array2;
use std::sync::{Arc, Mutex};

use gcnrec::configs::Candidates;
use gcnrec::internals::data::world;
use gcnrec::internals::eval::SelectedOn;
use gcnrec::internals::models;
use gcnrec::internals::models::graph::lightgcn::{Combination, Fit};
use gcnrec::internals::train::Job;
use gcnrec::{Part, Query, Scorer, Split, State, World};
use gcnrec_graphs::{Interactions, ItemId, Seed};
use gcnrec_kernels::ops::top_k::TopK;

use crate::jobs::{digest, job, lightgcn, log, loss, run, split, taught};

fn demo() -> Split {
    let demo =
        world::Config::default().with(|own| (own.n_users, own.n_items, own.interactions_per_user) = (60, 80, 15));
    World::generate(&demo, 0.15, Seed(5)).unwrap().split
}

fn popularity() -> models::Config {
    models::Config::named("popularity").unwrap()
}

fn ease() -> models::Config {
    models::Config::parse("ease", "l2 = 20").unwrap()
}

#[test]
fn the_test_part_picks_neither_epoch_nor_weights() {
    let other_test = |mut split: Split| {
        // Everybody's test items turned round, and half of the rows gone.
        split.test = log(&split.test.pairs().step_by(2).map(|(u, i)| (u.0, 79 - i.0)).collect::<Vec<_>>());
        split
    };
    let models = Combination::all().map(lightgcn).chain([ease()]);
    for (model, objective) in models.flat_map(|model| [(model.clone(), "bpr"), (model, "softmax")]) {
        let mut first = job(demo(), model, loss(objective));
        (first.train.refit, first.train.max_epochs) = (true, 3);
        let second = Job { split: Arc::new(other_test(demo())), ..first.clone() };
        let (a, b) = (run(&first), run(&second));
        assert_ne!(a.test, b.test);
        assert_eq!((a.best_epoch, a.epochs_run, &a.valid), (b.best_epoch, b.epochs_run, &b.valid));
        assert_eq!(digest(&a.scorer.state()), digest(&b.scorer.state()), "{:?}", first.model);
    }
}

/// A user, the items that must not be answered, and the history.
type Asked = (u32, Vec<u32>, Vec<u32>);

/// Writes down what it is not allowed to answer.
struct Spy {
    n_items: usize,
    excluded: Mutex<Vec<Asked>>,
}

impl Scorer for Spy {
    fn model(&self) -> &'static str {
        "spy"
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> gcnrec::Result<Array2<f32>> {
        Ok(Array2::zeros((queries.len(), self.n_items)))
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> gcnrec::Result<TopK> {
        let asked = queries.iter().zip(excluded).map(|(query, excluded)| {
            let history = query.history.iter().map(|item| item.0).collect();
            (query.user.unwrap().0, excluded.to_vec(), history)
        });
        self.excluded.lock().unwrap().extend(asked);
        let mut nothing = TopK::new(k);
        queries.iter().for_each(|_| nothing.push(&[], &[]));
        Ok(nothing)
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> gcnrec::Result<TopK> {
        let others = |list: &&[u32]| (0..self.n_items as u32).filter(|item| !list.contains(item)).collect();
        let others: Vec<Vec<u32>> = candidates.iter().map(others).collect();
        self.top_k(queries, &others.iter().map(|list| &list[..]).collect::<Vec<_>>(), k)
    }

    fn state(&self) -> State {
        State::default()
    }
}

/// User 0 has items 0, 1 | 2 | 3, 4 and user 1 has 1 | 0, 4 | 2, as training | validation | test.
fn tiny() -> Split {
    split(2, 6, [&[(0, 0), (0, 1), (1, 1)], &[(0, 2), (1, 0), (1, 4)], &[(0, 3), (0, 4), (1, 2)]])
}

fn asked(job: &Job, part: Part, seen: &[Part]) -> Vec<Asked> {
    let spy = Spy { n_items: 6, excluded: Mutex::default() };
    job.evaluator(part, seen).unwrap().unwrap().evaluate(&spy).unwrap();
    spy.excluded.into_inner().unwrap()
}

#[test]
fn training_is_masked_for_validation_and_training_and_validation_for_test() {
    let mut job = job(tiny(), popularity(), loss("bpr"));
    let train = [(0, vec![0, 1], vec![0, 1]), (1, vec![1], vec![1])];
    assert_eq!(asked(&job, Part::Valid, &[Part::Train]), train);
    let both = [(0, vec![0, 1, 2], vec![0, 1, 2]), (1, vec![0, 1, 4], vec![1, 0, 4])];
    assert_eq!(asked(&job, Part::Test, &[Part::Train, Part::Valid]), both);
    // With exclude_seen = false nothing is masked; the history stays.
    job.eval.exclude_seen = false;
    let nothing = both.map(|(user, _, history)| (user, Vec::new(), history));
    assert_eq!(asked(&job, Part::Test, &[Part::Train, Part::Valid]), nothing);
}

/// Six items: user 0 has 0, 1, 2 before test and 3, 4 in it, so every draw is item 5; user 1 has 0,
/// 1, 4 and 2, so draws are 3 and 5.
#[test]
fn among_sampled_candidates_everything_else_is_hidden_and_the_same_draws_come_again() {
    let mut job = job(tiny(), popularity(), loss("bpr"));
    let both = [Part::Train, Part::Valid];
    for candidates in [Candidates::Uniform(3), Candidates::Popularity(3), Candidates::PopularityOfAll(3)] {
        job.eval.candidates = candidates;
        let hidden: Vec<Vec<u32>> = asked(&job, Part::Test, &both).into_iter().map(|(_, hidden, _)| hidden).collect();
        assert!(
            [0, 1, 2].iter().all(|seen| hidden[0].contains(seen)) && !hidden[0].contains(&3) && !hidden[0].contains(&4)
        );
        assert!([0, 1, 4].iter().all(|seen| hidden[1].contains(seen)) && !hidden[1].contains(&2));
        // Item 5 has no pair in any part, so popularity never draws it; item 3 has none in training.
        assert_eq!(hidden[0].contains(&5), candidates != Candidates::Uniform(3));
        if candidates != Candidates::Uniform(3) {
            assert_eq!(hidden[1].contains(&3), candidates == Candidates::Popularity(3));
        }
        let again: Vec<Vec<u32>> = asked(&job, Part::Test, &both).into_iter().map(|(_, hidden, _)| hidden).collect();
        assert_eq!(hidden, again);
        assert_eq!(run(&job).protocol.candidates, candidates);
    }
}

/// User 0 has 0, 1 | 2 as training | validation. Of the others 3 was trained on and 5 is in the test
/// part alone, which is what RecBole's draws for validation know of it.
#[test]
fn draws_by_popularity_know_the_training_part_alone_and_recboles_the_test_part_too() {
    let parts: [&[(u32, u32)]; 3] = [&[(0, 0), (0, 1), (1, 1), (1, 3)], &[(0, 2)], &[(1, 5)]];
    let mut job = job(split(2, 6, parts), popularity(), loss("bpr"));
    for (candidates, expected) in
        [(Candidates::Popularity(50), vec![0, 1, 4, 5]), (Candidates::PopularityOfAll(50), vec![0, 1, 4])]
    {
        job.eval.candidates = candidates;
        // Fifty draws miss one of two items with probability 2^-49.
        assert_eq!(asked(&job, Part::Valid, &[Part::Train])[0].1, expected, "{candidates}");
    }
}

/// A run masks so by itself. By count over training and validation, items 1, 0 and 4 lead.
#[test]
fn a_run_never_shows_a_seen_item_and_finds_it_when_it_is_allowed_to() {
    let pairs: [&[(u32, u32)]; 3] =
        [&[(0, 0), (0, 1), (1, 1), (2, 0), (2, 1), (3, 1)], &[(2, 4), (0, 4), (1, 0)], &[(0, 4), (1, 2), (3, 1)]];
    let mut job = job(split(4, 6, pairs), popularity(), loss("bpr"));
    job.eval.k = vec![3];
    // Counts: item 0: 3, item 1: 4, item 4: 2, others 0, ties to the lower id. User 0 has seen 0,
    // 1, 4: the list is 2, 3, 5 and the test item 4, which is a validation item too, stays out.
    // User 1 has seen 0 and 1: the list is 4, 2, 3 with the test item 2 in it. User 3 has seen 1,
    // the test item: 0, 4, 2.
    let masked = run(&job);
    assert_eq!(masked.test.unwrap().get("recall@3").unwrap(), 1.0 / 3.0);
    assert!(masked.protocol.exclude_seen);
    // Unmasked everybody is shown 1, 0, 4: users 0 and 3 find theirs.
    job.eval.exclude_seen = false;
    let open = run(&job);
    assert_eq!(open.test.unwrap().get("recall@3").unwrap(), 2.0 / 3.0);
    assert!(!open.protocol.exclude_seen);
}

/// Validation pairs that are training pairs as well are masked: nobody finds them, whatever the
/// model.
#[test]
fn validation_within_a_run_masks_the_training_part() {
    let train: Vec<(u32, u32)> = (0..6).flat_map(|u| (0..4).map(move |i| (u, (u + i) % 8))).collect();
    let seen: Vec<(u32, u32)> = (0..6).map(|u| (u, u % 8)).collect();
    let outcome = run(&job(split(6, 8, [&train, &seen, &[]]), lightgcn(Combination::UNIFORM), loss("bpr")));
    assert_eq!(outcome.valid.unwrap().get("recall@10").unwrap(), 0.0);
    let unseen: Vec<(u32, u32)> = (0..6).map(|u| (u, (u + 5) % 8)).collect();
    let outcome = run(&job(split(6, 8, [&train, &unseen, &[]]), lightgcn(Combination::UNIFORM), loss("bpr")));
    assert_eq!(outcome.valid.unwrap().get("recall@10").unwrap(), 1.0);
}

#[test]
fn items_that_only_the_test_part_knows_stay_in_the_denominator() {
    // Items 2 and 3 have no training pair. User 0's list of two is 1 and then 2; of the three test
    // items 1 is found, and 2 by its low id.
    let pairs: [&[(u32, u32)]; 3] = [&[(0, 0), (1, 1), (2, 1)], &[], &[(0, 1), (0, 3), (0, 2), (1, 3)]];
    let mut job = job(split(3, 4, pairs), popularity(), loss("bpr"));
    job.eval.k = vec![1, 2];
    let outcome = run(&job);
    let test = outcome.test.unwrap();
    // recall@1: user 0 finds 1 of 3, user 1 is shown item 0: (1/3 + 0) / 2; recall@2: user 0 finds
    // 2 of 3, user 1 is shown 0 and 2.
    assert!((test.get("recall@1").unwrap() - 1.0 / 6.0).abs() < 1e-12);
    assert!((test.get("recall@2").unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(outcome.protocol.n_eval_users, 2);
    // A learned model ranks them too: its lists run over all four items.
    let graph = run(&Job { model: lightgcn(Combination::ADDITIVE), ..job });
    assert_eq!(graph.scorer.n_items(), 4);
}

/// Of users with one pair each nothing can be held out for the layer weights: they stay uniform,
/// and the run goes on.
#[test]
fn where_no_pair_can_be_held_out_the_layer_weights_stay_uniform() {
    let pairs: Vec<(u32, u32)> = (0..6).map(|u| (u, u / 2)).collect();
    let mut job = job(split(6, 4, [&pairs, &[], &[(0, 1)]]), taught(Combination::GLOBAL, Fit::HeldOut), loss("bpr"));
    job.train.batch_size = Some(3);
    let weights = run(&job).layer_weights.unwrap().mean;
    assert!(weights.iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-6), "{weights:?}");
}

/// The refitted model is the one that a job without a validation part gives on all pairs, for the
/// chosen number of epochs.
#[test]
fn refit_trains_on_training_and_validation_pairs_for_the_chosen_number_of_epochs() {
    for (model, objective) in [
        (lightgcn(Combination::UNIFORM), "bpr"),
        (lightgcn(Combination::UNIFORM), "softmax"),
        (lightgcn(Combination::ADDITIVE), "softmax"),
        (taught(Combination::GLOBAL, Fit::Lesson), "bpr"),
    ] {
        let mut refit = job(demo(), model.clone(), loss(objective));
        (refit.train.refit, refit.train.max_epochs, refit.train.validate_every) = (true, 9, 2);
        let chosen = run(&refit);
        assert_eq!((chosen.protocol.selected_on, chosen.protocol.refit), (SelectedOn::Valid, true));
        let mut all = demo();
        all.train = log(&all.train.pairs().chain(all.valid.pairs()).map(|(u, i)| (u.0, i.0)).collect::<Vec<_>>());
        all.valid = log(&[]);
        let mut plain = job(all, model.clone(), loss(objective));
        plain.train.max_epochs = chosen.best_epoch;
        let plain = run(&plain);
        assert_eq!(digest(&chosen.scorer.state()), digest(&plain.scorer.state()), "{model:?} with {objective}");
        assert_eq!(chosen.test, plain.test);
        // The choice itself is that of the run without refit.
        refit.train.refit = false;
        let kept = run(&refit);
        assert_eq!((kept.best_epoch, &kept.valid), (chosen.best_epoch, &chosen.valid));
        assert!(!kept.protocol.refit);
    }
}

#[test]
fn the_kept_model_is_that_of_the_best_validation() {
    let job = job(demo(), lightgcn(Combination::UNIFORM), loss("softmax"));
    let outcome = run(&job);
    let valid = job.evaluator(Part::Valid, &[Part::Train]).unwrap().unwrap();
    assert_eq!(Some(valid.evaluate(&*outcome.scorer).unwrap()), outcome.valid);
    // Longer training can only find a better one.
    let mut longer = job.clone();
    longer.train.max_epochs = 12;
    let best = |metrics: &Option<gcnrec::Metrics>| metrics.as_ref().unwrap().get("ndcg@20").unwrap();
    assert!(best(&run(&longer).valid) >= best(&outcome.valid));
}

#[test]
fn without_a_validation_part_nothing_is_selected_and_every_epoch_is_run() {
    let mut split = demo();
    split.valid = log(&[]);
    for objective in ["softmax", "bpr"] {
        let mut job = job(split.clone(), lightgcn(Combination::GLOBAL), loss(objective));
        // Refit has nothing to add, and the report does not claim it.
        job.train.refit = true;
        let outcome = run(&job);
        assert_eq!((outcome.protocol.selected_on, outcome.protocol.refit), (SelectedOn::None, false));
        assert_eq!((outcome.best_epoch, outcome.epochs_run, outcome.valid.is_some()), (4, 4, false));
        assert!(outcome.test.is_some());
    }
}

#[test]
fn a_closed_form_learns_from_training_and_validation_pairs_and_selects_nothing() {
    let with = run(&job(demo(), ease(), loss("softmax")));
    let mut all = demo();
    all.train = log(&all.train.pairs().chain(all.valid.pairs()).map(|(u, i)| (u.0, i.0)).collect::<Vec<_>>());
    all.valid = log(&[]);
    let without = run(&job(all, ease(), loss("softmax")));
    assert_eq!(digest(&with.scorer.state()), digest(&without.scorer.state()));
    assert_eq!((with.test, with.protocol.selected_on), (without.test, SelectedOn::None));
}

#[test]
fn nothing_is_learned_from_pairs_that_are_held_out() {
    // Validation and test pairs of users and items without any training pair: their rows only ever
    // move by weight decay, which counts what a batch holds. Without it they stay where they
    // started.
    let train: Vec<(u32, u32)> = (0..6).flat_map(|u| (0..3).map(move |i| (u, (u + i) % 6))).collect();
    let job = |test: &[(u32, u32)], valid: &[(u32, u32)]| {
        let mut job = job(split(8, 8, [&train, valid, test]), lightgcn(Combination::UNIFORM), loss("ssm"));
        job.train.metric = "recall@2".into();
        job
    };
    let state = |job: &Job| run(job).scorer.state();
    let (one, other) = (state(&job(&[(6, 6)], &[(7, 7)])), state(&job(&[(6, 7)], &[])));
    let user = |state: &State, user: usize| state.matrix("users").unwrap().2[user * 16..(user + 1) * 16].to_vec();
    let graph: Interactions = job(&[], &[]).train_pairs().unwrap();
    assert_eq!(graph.n_edges(), 18);
    assert_eq!(user(&one, 6), user(&other, 6));
    assert_eq!(user(&one, 7), user(&other, 7));
}

/// A row of the demo world is a minute to weeks older than the next: with a half-life of three days
/// old pairs hardly count.
#[test]
fn a_half_life_moves_every_model_that_weighs_pairs_and_equal_ages_move_none() {
    let models =
        [(lightgcn(Combination::UNIFORM), "softmax"), (lightgcn(Combination::UNIFORM), "bpr"), (popularity(), "bpr")];
    let markov = models::Config::named("markov").unwrap();
    let read_an_order = ["fpmc", "gru4rec", "narm", "sasrec", "bert4rec", "fmlp"]
        .map(|name| (models::Config::named(name).unwrap(), "bpr"));
    for (model, objective) in models.into_iter().chain([(markov, "bpr")]).chain(read_an_order) {
        let trained = |change: &dyn Fn(&mut Split)| {
            let mut split = demo();
            change(&mut split);
            let mut job = job(split, model.clone(), loss(objective));
            job.train.max_epochs = 2;
            run(&job)
        };
        let scores = |outcome: &gcnrec::internals::train::Outcome| {
            let query = Query { user: Some(gcnrec_graphs::UserId(3)), history: &[ItemId(1), ItemId(4)] };
            outcome.scorer.scores(&[query]).unwrap()
        };
        let plain = scores(&trained(&|_| ()));
        assert_ne!(scores(&trained(&|split| split.half_life = Some(3.0 * 86_400.0))), plain, "{model:?}");
        let one_moment = |split: &mut Split| {
            split.train.times.fill(7);
            split.valid.times.fill(7);
        };
        let alike = trained(&|split| {
            one_moment(split);
            split.half_life = Some(3.0 * 86_400.0);
        });
        // Weights of 1 in f32: the same sums.
        assert_eq!(scores(&alike), scores(&trained(&one_moment)), "{model:?}");
    }
}

#[test]
fn rows_before_the_window_teach_nothing_and_stay_masked() {
    let mut recent = demo();
    let rows =
        |later: bool| -> Vec<u32> { (0..recent.train.len() as u32).filter(|row| (row % 3 == 0) == later).collect() };
    let (older, newer) = (recent.train.select(&rows(false)), recent.train.select(&rows(true)));
    (recent.context, recent.train) = (older.clone(), newer.clone());
    let without = Split { context: log(&[]), ..recent.clone() };
    let job = |split| job(split, popularity(), loss("bpr"));
    let (with, without) = (job(recent), job(without));
    assert_eq!(digest(&run(&with).scorer.state()), digest(&run(&without).scorer.state()));
    let judge = with.evaluator(Part::Test, &[Part::Train, Part::Valid]).unwrap().unwrap();
    for user in judge.lists().unwrap().held_out().users() {
        let old = older.pairs().filter(|(u, _)| *u == user.id).map(|(_, item)| item.0);
        for item in old {
            assert!(user.excluded.contains(&item) && user.history.iter().any(|seen| seen.0 == item));
        }
    }
}
