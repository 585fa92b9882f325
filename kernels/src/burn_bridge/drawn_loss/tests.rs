//! Every loss against its formula in f64, and its gradients against central differences.

use super::*;
use crate::testing::burn::{check_against, check_threads};

const KINDS: [DrawnKind; 4] = [
    DrawnKind::Softmax,
    DrawnKind::PairwiseMax { penalty: 0.7 },
    DrawnKind::Logistic { weight: 0.6 },
    DrawnKind::Pairwise,
];

/// Targets and drawn rows of a table of `n_rows` for `n` positions; some rows are drawn twice, some
/// are the target of a position.
fn op(kind: DrawnKind, one_each: bool, n: usize, n_drawn: usize, n_rows: usize) -> DrawnLoss {
    let stands_for = |n: usize| match kind {
        DrawnKind::Softmax => (0..n).map(|at| (at as f32 * 0.7).sin()).collect(),
        _ => Vec::new(),
    };
    let (of_positions, of_rows) = (stands_for(n), stands_for(n_drawn));
    let targets = (0..n).map(|i| (i * 7 % n_rows) as u32).collect();
    let rows = (0..n_drawn).map(|j| (j * 5 % n_rows) as u32 / 2).collect();
    DrawnLoss { kind, drawn: Arc::new(Drawn { targets, rows, one_each, of_positions, of_rows }) }
}

/// The losses in f64, straight from the formulas.
fn plain(op: &DrawnLoss, hidden: &[f64], table: &[f64], bias: &[f64], dim: usize) -> Vec<f64> {
    let drawn = &*op.drawn;
    let softplus = |x: f64| x.exp().ln_1p();
    let loss = |(i, h): (usize, &[f64])| {
        let score = |row: u32| {
            let e = &table[row as usize * dim..][..dim];
            e.iter().zip(h).map(|(e, h)| e * h).sum::<f64>() + bias.get(row as usize).unwrap_or(&0.0)
        };
        let target = score(drawn.targets[i]);
        let counted = drawn.of(i).iter().enumerate().filter(|&(_, &row)| row != drawn.targets[i]);
        let scores: Vec<(usize, f64)> = counted.map(|(j, &row)| (j, score(row))).collect();
        let sum = |f: &dyn Fn(usize, f64) -> f64| scores.iter().map(|&(j, s)| f(j, s)).sum::<f64>();
        match op.kind {
            DrawnKind::Softmax => {
                let more = |j: usize| f64::from(drawn.of_positions[i]) + f64::from(drawn.of_rows[j]);
                (target.exp() + sum(&|j, s| (s + more(j)).exp())).ln() - target
            }
            DrawnKind::PairwiseMax { .. } if scores.is_empty() => 0.0,
            DrawnKind::PairwiseMax { penalty } => {
                let total = sum(&|_, s| s.exp());
                let won = sum(&|_, s| s.exp() / total / (1.0 + (s - target).exp()));
                f64::from(penalty) * sum(&|_, s| s.exp() / total * s * s) - won.ln()
            }
            DrawnKind::Logistic { weight } => f64::from(weight) * softplus(-target) + sum(&|_, s| softplus(s)),
            DrawnKind::Pairwise => sum(&|_, s| softplus(s - target)),
        }
    };
    hidden.chunks(dim).enumerate().map(loss).collect()
}

/// Sums of some dozen terms of size 1, in f32.
const TOLERANCE: f64 = 3e-5;

#[test]
fn value_and_gradient_match_the_formula_with_shared_and_with_own_rows_with_and_without_a_bias() {
    for kind in KINDS {
        for (n, n_drawn, n_rows, dim) in [(1, 1, 3, 2), (9, 37, 29, 7), (5, 16, 11, 17)] {
            for one_each in [false, true] {
                let op = op(kind, one_each, n, if one_each { n } else { n_drawn }, n_rows);
                check_against(&op, [(n, dim), (n_rows, dim)], TOLERANCE, |inputs| {
                    plain(&op, &inputs[0], &inputs[1], &[], dim)
                });
                check_against(&op, [(n, dim), (n_rows, dim), (1, n_rows)], TOLERANCE, |inputs| {
                    plain(&op, &inputs[0], &inputs[1], &inputs[2], dim)
                });
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    for kind in KINDS {
        check_threads(&op(kind, false, 700, 83, 300), [(700, 17), (300, 17)]);
        check_threads(&op(kind, true, 700, 700, 300), [(700, 17), (300, 17), (1, 300)]);
    }
}

/// One position of width 1, so that scores are what is asked for.
fn of_scores(kind: DrawnKind, target: f32, drawn: &[f32]) -> (f32, Vec<f32>, f32) {
    let rows: Vec<u32> = (1..=drawn.len() as u32).collect();
    let op = DrawnLoss { kind, drawn: Arc::new(Drawn { targets: vec![0], rows, ..Drawn::default() }) };
    let table: Vec<f32> = [target].iter().chain(drawn).copied().collect();
    let (hidden, table) = (&[1.0][..], Matrix { values: &table, rows: table.len(), columns: 1 });
    let Output { values, saved, .. } = op.forward(Matrix { values: hidden, rows: 1, columns: 1 }, table, None);
    (values[0], saved.drawn, saved.target[0])
}

/// A target far behind loses as much as it is behind, and no exponential overflows or vanishes.
#[test]
fn scores_far_apart_have_finite_losses() {
    for kind in KINDS {
        let (loss, drawn, target) = of_scores(kind, -300.0, &[300.0, 299.0]);
        let expected = match kind {
            // ln(e^600 + e^599) and, weighed by their softmax, -ln sigmoid(-600).
            DrawnKind::Softmax => 600.0 + (1.0 + (-1.0f64).exp()).ln(),
            DrawnKind::PairwiseMax { penalty } => {
                let q = 1.0 / (1.0 + (-1.0f64).exp());
                // sum q_j e^(-(s_j - s_t)) = (q_1 + q_2 e) e^-600.
                600.0 - (q + (1.0 - q) * 1f64.exp()).ln()
                    + f64::from(penalty) * (q * 300.0 * 300.0 + (1.0 - q) * 299.0 * 299.0)
            }
            DrawnKind::Logistic { weight } => f64::from(weight) * 300.0 + 599.0,
            DrawnKind::Pairwise => 1199.0,
        };
        assert!((f64::from(loss) - expected).abs() < 1e-5 * expected, "{kind:?}: {loss} {expected}");
        assert!(target < 0.0 && drawn.iter().all(|slope| slope.is_finite()), "{kind:?}: {target} {drawn:?}");
        // A loss that cannot be said is not passed over.
        assert!(of_scores(kind, f32::NAN, &[f32::NAN]).0.is_nan(), "{kind:?}");
    }
}
