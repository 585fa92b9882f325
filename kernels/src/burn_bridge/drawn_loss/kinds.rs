//! The losses of a position as functions of its scores: `s_t` of its target, `s_j` of drawn rows.

use crate::elementary::{exp, softplus_sigmoid};
use crate::simd::{largest, replace_and_sum};

/// A loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DrawnKind {
    /// `log(exp s_t + sum_j exp(s_j + a_j)) - s_t`, `a_j` being the logarithm of what row `j` stands
    /// for at the position.
    Softmax,
    /// `-log sum_j q_j sigmoid(s_t - s_j) + penalty sum_j q_j s_j^2`, `q` being the softmax of the
    /// drawn rows' scores; 0 where none counts.
    PairwiseMax {
        /// What the squares weigh.
        penalty: f32,
    },
    /// `-weight log sigmoid(s_t) - sum_j log(1 - sigmoid(s_j))`.
    Logistic {
        /// What the target weighs.
        weight: f32,
    },
    /// `-sum_j log sigmoid(s_t - s_j)`.
    Pairwise,
}

/// What the loss of a position reads beside the scores of the drawn rows.
#[derive(Clone, Copy)]
pub(super) struct Position<'a> {
    /// The score of the target.
    pub(super) score: f32,
    /// The target's row.
    pub(super) target: u32,
    /// The drawn rows.
    pub(super) rows: &'a [u32],
    /// The position's part of what drawn rows stand for.
    pub(super) of_position: f32,
    /// Their own part; empty where there is none.
    pub(super) of_rows: &'a [f32],
}

/// Stands for the score of a row that does not count: its exponential is 0.
const RULED_OUT: f32 = f32::NEG_INFINITY;

/// `ln x`, rounded once.
fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

crate::dispatch! {
    /// The loss of a position, and how it changes with the target's score. `scores` are those of the
    /// drawn rows, and become how it changes with each of them.
    pub(super) fn loss_and_slopes(kind: DrawnKind, of: Position<'_>, scores: &mut [f32], scratch: &mut Vec<f32>)
        -> (f32, f32) = body
}

#[inline(always)]
fn body<const FUSED: bool>(
    kind: DrawnKind,
    of: Position<'_>,
    scores: &mut [f32],
    scratch: &mut Vec<f32>,
) -> (f32, f32) {
    match kind {
        DrawnKind::Softmax => softmax::<FUSED>(of, scores),
        DrawnKind::PairwiseMax { penalty } => pairwise_max::<FUSED>(of, penalty, scores, scratch),
        DrawnKind::Logistic { weight } => {
            let counts = counts(&of);
            let others = replace_and_sum(scores, |at, score| {
                let (softplus, sigmoid) = softplus_sigmoid::<FUSED>(score);
                if counts(at) { (sigmoid, softplus) } else { (0.0, 0.0) }
            });
            let (softplus, sigmoid) = softplus_sigmoid::<FUSED>(-of.score);
            (weight * softplus + others, -weight * sigmoid)
        }
        DrawnKind::Pairwise => {
            let counts = counts(&of);
            let loss = |at: usize, score: f32| {
                let (softplus, sigmoid) = softplus_sigmoid::<FUSED>(score - of.score);
                if counts(at) { (sigmoid, softplus) } else { (0.0, 0.0) }
            };
            let lost = replace_and_sum(scores, loss);
            (lost, -replace_and_sum(scores, |_, slope| (slope, slope)))
        }
    }
}

/// Whether a drawn row counts.
#[inline(always)]
fn counts<'a>(of: &Position<'a>) -> impl Fn(usize) -> bool + 'a {
    let (rows, target) = (of.rows, of.target);
    move |at| rows[at] != target
}

#[inline(always)]
fn softmax<const FUSED: bool>(of: Position<'_>, scores: &mut [f32]) -> (f32, f32) {
    let counts = counts(&of);
    if of.of_rows.is_empty() {
        replace_and_sum(scores, |at, score| (if counts(at) { score } else { RULED_OUT }, 0.0));
    } else {
        let (of_rows, of_position) = (&of.of_rows[..scores.len()], of.of_position);
        replace_and_sum(scores, |at, score| {
            (if counts(at) { score + (of_position + of_rows[at]) } else { RULED_OUT }, 0.0)
        });
    }
    let most = largest(scores).max(of.score);
    let others = replace_and_sum(scores, |_, score| {
        let share = exp::<FUSED>(score - most);
        (share, share)
    });
    let total = others + exp::<FUSED>(of.score - most);
    scores.iter_mut().for_each(|share| *share /= total);
    (ln(total) + (most - of.score), -others / total)
}

#[inline(always)]
fn pairwise_max<const FUSED: bool>(
    of: Position<'_>,
    penalty: f32,
    scores: &mut [f32],
    scratch: &mut Vec<f32>,
) -> (f32, f32) {
    let (counts, n, target) = (counts(&of), scores.len(), of.score);
    scratch.resize(2 * n, 0.0);
    let (shares, won) = scratch.split_at_mut(n);
    let [shares, won] = [shares, &mut won[..n]];
    replace_and_sum(shares, |at, _| (if counts(at) { scores[at] } else { RULED_OUT }, 0.0));
    let most = largest(shares);
    if (0..n).all(|at| !counts(at)) {
        scores.fill(0.0);
        return (0.0, 0.0);
    }
    // q before it is divided by its sum, and the logarithm of q sigmoid(s_t - s_j).
    let total = replace_and_sum(shares, |_, score| {
        let share = exp::<FUSED>(score - most);
        (share, share)
    });
    replace_and_sum(won, |at, _| {
        let lost = softplus_sigmoid::<FUSED>(scores[at] - target).0;
        (if counts(at) { scores[at] - most - lost } else { RULED_OUT }, 0.0)
    });
    let most_won = largest(won);
    let total_won = replace_and_sum(won, |_, won| {
        let share = exp::<FUSED>(won - most_won);
        (share, share)
    });
    let squares = replace_and_sum(shares, |at, share| {
        let q = share / total;
        (q, q * (scores[at] * scores[at]))
    });
    let (shares, won) = (&shares[..n], &won[..n]);
    let slope = replace_and_sum(scores, |at, score| {
        let sigmoid = softplus_sigmoid::<FUSED>(score - target).1;
        let (q, r) = (shares[at], won[at] / total_won);
        let of_square = score * score - squares + 2.0 * score;
        let slope = q - r * (1.0 - sigmoid) + penalty * q * of_square;
        if counts(at) { (slope, r * sigmoid) } else { (0.0, 0.0) }
    });
    (ln(total) - most_won - ln(total_won) + penalty * squares, -slope)
}
