//! The closed form against the sum over all pairs, its gradient against central differences, and
//! what makes it doubly robust.

use super::*;

const DIM: usize = 3;
const N_USERS: usize = 4;
const N_ITEMS: usize = 5;

fn wave(n: usize, frequency: f64, scale: f64) -> Vec<f64> {
    (0..n).map(|i| scale * ((i as f64 + 1.0) * frequency).sin()).collect()
}

/// (user, item, label, propensity), in the order of edges.
const SEEN: [(u32, u32, f32, f32); 6] =
    [(0, 0, 1.0, 0.5), (0, 3, -1.0, 0.2), (1, 2, 1.0, 0.8), (2, 4, -1.0, 0.25), (3, 1, 1.0, 0.4), (3, 4, 1.0, 0.1)];

fn batch(seen: &[(u32, u32, f32, f32)]) -> Batch {
    Batch {
        users: seen.iter().map(|s| s.0).collect(),
        positives: seen.iter().map(|s| s.1).collect(),
        edges: (0..seen.len() as u32).collect(),
        ..Batch::default()
    }
}

fn term(imputed: Imputed, seen: &[(u32, u32, f32, f32)]) -> ImputedErrors {
    let nodes = Nodes { n_users: N_USERS, n_items: N_ITEMS };
    let inverse = Arc::new(seen.iter().map(|s| 1.0 / s.3).collect());
    let labels = Some(Arc::new(seen.iter().map(|s| s.2).collect()));
    let config = DoublyRobust { rate: 0.02, decay: 0.0, ..DoublyRobust::default() };
    let mut term = ImputedErrors::new(&config, imputed, nodes, DIM, (inverse, labels), Reduction::Sum, Seed(3));
    let n = term.learned.value.len();
    term.learned.value = wave(n, 1.3, 0.5);
    let all: Vec<u32> = (0..(N_USERS + N_ITEMS) as u32).collect();
    term.take(&batch(seen), &all).unwrap();
    term
}

fn point() -> Vec<f64> {
    wave((N_USERS + N_ITEMS) * DIM, 0.7, 0.8)
}

fn score(x: &[f64], user: usize, item: usize) -> f64 {
    let row = |node: usize| &x[node * DIM..][..DIM];
    dot(row(user), row(N_USERS + item))
}

/// The term pair by pair. `frozen` is the point whose scores are constants of what is imputed.
fn by_pairs(term: &ImputedErrors, x: &[f64], frozen: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (user, item) in (0..N_USERS).flat_map(|u| (0..N_ITEMS).map(move |i| (u, i))) {
        let imputed = term.model.score(&term.learned.value, (user as u32, (N_USERS + item) as u32));
        let r = if term.imputed == Imputed::Labels { imputed } else { score(frozen, user, item) + imputed };
        let error = (score(x, user, item) - r).powi(2);
        let seen = SEEN.iter().find(|s| (s.0 as usize, s.1 as usize) == (user, item));
        sum += error - seen.map_or(0.0, |s| f64::from(1.0 / s.3) * error);
    }
    sum
}

/// Central differences with h = 1e-5 of numbers near 10: an error of some 1e-9.
#[test]
fn the_closed_form_and_its_gradient_are_those_of_the_sum_over_all_pairs() {
    for imputed in [Imputed::Labels, Imputed::Errors] {
        let (term, x) = (term(imputed, &SEEN), point());
        assert!((term.value(&x) - by_pairs(&term, &x, &x)).abs() < 1e-12 * 100.0, "{imputed:?}");
        let gradient = term.gradient(&x);
        for at in 0..x.len() {
            let moved = |h: f64| {
                let mut moved = x.clone();
                moved[at] += h;
                by_pairs(&term, &moved, &x)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient[at] - expected).abs() < 1e-7, "{imputed:?} {at}: {} {expected}", gradient[at]);
        }
    }
}

/// Every pair is seen for sure: observed pairs take back all that was imputed, whatever it is.
#[test]
fn with_right_propensities_wrong_imputation_does_no_harm() {
    let seen: Vec<(u32, u32, f32, f32)> = (0..N_USERS as u32)
        .flat_map(|u| (0..N_ITEMS as u32).map(move |i| (u, i, if (u + i) % 2 == 0 { 1.0 } else { -1.0 }, 1.0)))
        .collect();
    for imputed in [Imputed::Labels, Imputed::Errors] {
        let (term, x) = (term(imputed, &seen), point());
        assert!(term.value(&x).abs() < 1e-12);
        assert!(term.gradient(&x).iter().all(|g| g.abs() < 1e-12), "{imputed:?}");
    }
}

/// What is imputed for the seen pairs is what they say: their true errors and their imputed errors
/// cancel, whatever the propensities are.
#[test]
fn with_right_imputation_wrong_propensities_do_no_harm() {
    let x = point();
    let mut term = term(Imputed::Labels, &SEEN);
    // A model without factors and without biases imputes 0; labels of 0 are what it says.
    term.learned.value.fill(0.0);
    let gradient = |inverse: f64, term: &mut ImputedErrors| {
        term.block.observed.iter_mut().for_each(|o| o.inverse = inverse);
        let mut whole = term.gradient(&x);
        for &(user, item, ..) in &SEEN {
            // The true error of a label of 0: s^2 / p, whose gradient is 2 s / p times the other
            // row.
            let slope = 2.0 * inverse * score(&x, user as usize, item as usize);
            let (user, item) = (user as usize, N_USERS + item as usize);
            for (to, from) in [(user, item), (item, user)] {
                (0..DIM).for_each(|column| whole[to * DIM + column] += slope * x[from * DIM + column]);
            }
        }
        whole
    };
    let (one, other) = (gradient(2.0, &mut term), gradient(50.0, &mut term));
    for (one, other) in one.iter().zip(&other) {
        assert!((one - other).abs() < 1e-11, "{one} {other}");
    }
}

#[test]
fn the_small_model_comes_to_impute_the_labels_and_the_errors() {
    let x = point();
    for imputed in [Imputed::Labels, Imputed::Errors] {
        let mut term = term(imputed, &SEEN);
        (0..2000).for_each(|_| term.fit_to(&x));
        for &(user, item, label, _) in &SEEN {
            let (user, item) = (user as usize, item as usize);
            let own = if imputed == Imputed::Labels { 0.0 } else { score(&x, user, item) };
            let found = own + term.model.score(&term.learned.value, (user as u32, (N_USERS + item) as u32));
            assert!((found - f64::from(label)).abs() < 0.05, "{imputed:?}: {found} {label}");
        }
    }
}
