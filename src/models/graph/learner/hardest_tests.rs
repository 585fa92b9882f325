//! Dynamic negatives against the scores of the frozen model.

use super::tests::{learner, scores};
use super::{GraphLearner, objectives};
use crate::models::Learner;
use crate::models::graph::lightgcn::Combination;
use crate::samplers::Batch;

const N_CANDIDATES: usize = 5;

/// Two negatives for each positive, the hardest of five each.
fn choosy(combination: Combination, loss: &str) -> GraphLearner {
    learner(combination, loss, |setup| {
        let settings = format!("n_negatives = 2\nn_candidates = {N_CANDIDATES}");
        setup.objective = objectives::Config::parse(loss, &settings).unwrap();
    })
}

/// Scores of the frozen model are sums in another order: a few ulps of numbers below 1.
#[test]
fn of_the_drawn_items_the_one_with_the_highest_score_before_the_step_is_taken() {
    for (kind, loss) in Combination::all().flat_map(|kind| ["bpr", "logistic"].map(|loss| (kind, loss))) {
        let mut learner = choosy(kind, loss);
        learner.steps(0, 0..3).unwrap();
        let before = scores(&mut learner);
        let mut drawn = Batch::default();
        learner.task.sampler.batch(&learner.setup.train, 0, 3, &mut drawn);
        learner.steps(0, 3..4).unwrap();
        let taken = &learner.pass.batch;
        assert_eq!((taken.users.len(), taken.negatives.len()), (16, 32), "{kind:?} {loss}");
        let mut not_the_first = 0;
        for (at, (&taken, group)) in taken.negatives.iter().zip(drawn.negatives.chunks(N_CANDIDATES)).enumerate() {
            let score = |item: u32| before[drawn.users[at / 2] as usize * 24 + item as usize];
            let best = group.iter().map(|&item| score(item)).fold(f32::NEG_INFINITY, f32::max);
            assert!(group.contains(&taken) && score(taken) >= best - 1e-6, "{kind:?} {loss}: negative {at}");
            not_the_first += usize::from(taken != group[0]);
        }
        assert!(not_the_first > 8, "{kind:?} {loss}: {not_the_first} of 32 were chosen");
    }
}

#[test]
fn choosing_is_the_same_for_any_chunking_of_the_steps_and_one_candidate_is_no_choice() {
    let n = choosy(Combination::ADDITIVE, "bpr").steps_per_epoch();
    let run = |chunks: &[std::ops::Range<usize>]| {
        let mut learner = choosy(Combination::ADDITIVE, "bpr");
        for chunk in chunks {
            learner.steps(0, chunk.clone()).unwrap();
        }
        learner.state()
    };
    let whole = 0..n;
    assert!(run(std::slice::from_ref(&whole)) == run(&[0..2, 2..n]));
    let mut plain = learner(Combination::UNIFORM, "bpr", |_| {});
    assert!(plain.hardest.is_none());
    plain.steps(0, 0..1).unwrap();
    assert_eq!(plain.pass.batch.negatives.len(), 16);
}
