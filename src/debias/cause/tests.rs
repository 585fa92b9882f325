use super::*;

/// Two users, three items, two factors and two bias columns. User 0 saw items 0 and 2 at
/// random, user 1 item 1.
fn cause(loss: RowLoss, rate: f64) -> (SecondVectors, Vec<f64>) {
    let nodes = Nodes { n_users: 2, n_items: 3 };
    let uniform = Log { users: vec![0, 0, 1], items: vec![0, 2, 1], ratings: vec![1.0, -1.0, 1.0], ..Log::default() };
    let config = Cause { penalty: 0.7, rate, decay: 0.05 };
    let mut term = SecondVectors::of_log(&config, nodes, (4, true), loss, &uniform, Reduction::Sum, Seed(2));
    // Item 1 (node 3) is not in the block: user 1 has no uniform row there.
    term.take(&Batch::default(), &[0, 1, 2, 4]).unwrap();
    (term, (0..16).map(|at| 0.6 * (at as f64 * 0.9 + 0.4).sin()).collect())
}

#[test]
fn only_uniform_rows_with_user_and_item_in_the_block_count() {
    let (term, _) = cause(RowLoss::Squared, 0.0);
    assert_eq!(term.shown, [(0, 2, 1.0), (0, 3, -1.0)]);
}

/// Central differences with h = 1e-6; no coordinate is nearer to a kink of the absolute value
/// than that.
#[test]
fn gradients_are_those_of_the_term() {
    for loss in [RowLoss::Squared, RowLoss::Logistic] {
        let (mut term, mut x) = cause(loss, 0.0);
        let found = term.gradient(&x);
        for at in 0..x.len() {
            let mut moved = |h: f64| {
                x[at] += h;
                let value = term.value(&x);
                x[at] -= h;
                value
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found[at] - expected).abs() < 1e-8, "{loss:?} {at}: {} {expected}", found[at]);
        }
        // The second vectors learn from the rows alone: without the penalty the term's value is
        // the rows' loss.
        term.penalty = 0.0;
        let found = term.second_gradient(&x);
        for at in (0..found.len()).filter(|at| at % 4 != 2) {
            let mut moved = |h: f64| {
                term.second.value[at] += h;
                let value = term.value(&x);
                term.second.value[at] -= h;
                value
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found[at] - expected).abs() < 1e-8, "{loss:?} second {at}: {} {expected}", found[at]);
        }
    }
}

#[test]
fn second_vectors_learn_the_uniform_rows_and_keep_their_constant() {
    let (mut term, x) = cause(RowLoss::Squared, 0.05);
    term.penalty = 0.0;
    let before = term.value(&x);
    (0..200).for_each(|_| term.fit_to(&x));
    assert!(term.value(&x) < 0.5 * before, "{} {before}", term.value(&x));
    assert!(term.second.value.chunks_exact(4).all(|row| row[2] == 1.0));
}
