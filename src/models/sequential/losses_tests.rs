//! The losses against hand-worked values, and their derivatives against central differences of the
//! formulas in f64.

use burn_tensor::TensorData;
use gcnrec_kernels::burn_bridge::Flex;

use super::super::tests::OnCpu;
use super::*;

/// Negatives that were drawn alike among `n_items`.
fn alike(items: &[u32], n_targets: usize, n_items: usize) -> Negatives {
    let p = 1.0 / n_items as f32;
    Negatives {
        items: items.to_vec(),
        n_against: items.len(),
        probabilities: vec![p; items.len()],
        of_targets: vec![p; n_targets],
    }
}

/// Two positions, width 1: hidden 1 and 2; items score 0, ln 2, ln 3 times that; targets 1 and 2.
fn losses_of(objective: Objective, negatives: &Negatives, bias: Option<[f32; 3]>) -> Vec<f32> {
    let device = Default::default();
    let tensor = |values: &[f32], shape: [usize; 2]| {
        Tensor::<Flex, 2>::from_data(TensorData::new(values.to_vec(), shape), &device)
    };
    let (hidden, items) = (tensor(&[1.0, 2.0], [2, 1]), tensor(&[0.0, 2f32.ln(), 3f32.ln()], [3, 1]));
    let bias = bias.map(|bias| tensor(&bias, [1, 3]));
    let found = objective.losses(hidden, (items, bias), &[1, 2], negatives, &LossScratch::default());
    found.into_data().into_vec().unwrap()
}

fn losses(objective: Objective, negatives: &[u32], bias: Option<[f32; 3]>) -> Vec<f32> {
    losses_of(objective, &alike(negatives, 2, 3), bias)
}

fn of(loss: Loss) -> Objective {
    Objective { loss, n_negatives: 2, ..Objective::default() }
}

fn assert_close(found: &[f32], expected: [f32; 2]) {
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
}

#[test]
fn every_loss_has_its_value() {
    // Scores: 1, 2, 3 and, squared, 1, 4, 9 as exponentials.
    assert_close(&losses(of(Loss::CrossEntropy), &[], None), [3f32.ln(), (14.0f32 / 9.0).ln()]);
    // The negatives are items 0 and 2, each standing for one other; for the second position item 2
    // is the target, so only item 0 counts.
    assert_close(&losses(of(Loss::SampledSoftmax), &[0, 2], None), [3f32.ln(), (10.0f32 / 9.0).ln()]);
    // One drawn item stands for two: (2 + 2 * 1) / 2 and (9 + 2 * 1) / 9.
    assert_close(&losses(of(Loss::SampledSoftmax), &[0], None), [2f32.ln(), (11.0f32 / 9.0).ln()]);
    // sigmoid(ln x) = x / (1 + x): -ln(2/3) - ln(1 - 1/2) and -ln(9/10) - ln(1 - 4/5).
    assert_close(&losses(of(Loss::Bce), &[0, 1], None), [3f32.ln(), (50.0f32 / 9.0).ln()]);
    // -ln sigmoid(ln 2 - 0) and -ln sigmoid(ln 9 - ln 4).
    assert_close(&losses(of(Loss::Bpr), &[0, 1], None), [1.5f32.ln(), (13.0f32 / 9.0).ln()]);
    // k / (n - 1) = 1/2: beta = (.75 (1 - 2) + 2) / 2 = .625; the negative is item 0 with
    // probability 1/2.
    let beta = 0.625;
    let expected = [beta * 1.5f32.ln() + 2f32.ln(), beta * (10.0f32 / 9.0).ln() + 2f32.ln()];
    assert_close(&losses(of(Loss::Gbce), &[0], None), expected);
    // A bias of ln 5 for item 0: it scores 5 in both.
    let bias = Some([5f32.ln(), 0.0, 0.0]);
    assert_close(&losses(of(Loss::Bpr), &[0, 0], bias), [3.5f32.ln(), (14.0f32 / 9.0).ln()]);
    assert_close(&losses(of(Loss::CrossEntropy), &[], bias), [5f32.ln(), 2f32.ln()]);
}

#[test]
fn a_drawn_item_stands_for_as_many_as_it_is_rare() {
    // Items 0 and 2 are drawn with probability 1/2 and 1/8, the targets 1 and 2 with 3/8 and 1/8; k
    // = 2. At the first position item 0 stands for (5/8) / (2/2) = 5/8 and item 2, whose
    // exponential is 3, for (5/8) / (2/8) = 5/2: (2 + 5/8 + 15/2) / 2 = 81/16. At the second item 2
    // is the target and item 0 stands for (7/8) / 1: (9 + 7/8) / 9 = 79/72.
    let negatives =
        Negatives { items: vec![0, 2], n_against: 2, probabilities: vec![0.5, 0.125], of_targets: vec![0.375, 0.125] };
    let found = losses_of(of(Loss::SampledSoftmax), &negatives, None);
    assert_close(&found, [(81.0f32 / 16.0).ln(), (79.0f32 / 72.0).ln()]);
}

#[test]
fn bpr_max_weighs_its_negatives_by_their_softmax() {
    // First position: items 0 and 2 score 0 and ln 3, q = 1/4 and 3/4; sigmoid(ln 2 - 0) = 2/3,
    // sigmoid(ln 2 - ln 3) = 2/5: 1/4 2/3 + 3/4 2/5 = 7/15. The squares: 3/4 (ln 3)^2. Second
    // position: only item 0 counts: sigmoid(ln 9) = 9/10, no square.
    let plain = Objective { bpreg: 0.0, ..of(Loss::BprMax) };
    assert_close(&losses(plain, &[0, 2], None), [(15.0f32 / 7.0).ln(), (10.0f32 / 9.0).ln()]);
    let regularised = Objective { bpreg: 2.0, ..plain };
    let square = 1.5 * 3f32.ln() * 3f32.ln();
    assert_close(&losses(regularised, &[0, 2], None), [(15.0f32 / 7.0).ln() + square, (10.0f32 / 9.0).ln()]);
    // Where every negative is the target itself there is nothing to win against. ln 4 loses to ln
    // 9: sigmoid = 9/13.
    let square = 2.0 * 4f32.ln() * 4f32.ln();
    assert_close(&losses(regularised, &[1], None), [0.0, (13.0f32 / 9.0).ln() + square]);
}

/// The sum of the losses in plain loops, from a table of scores.
fn plain(
    objective: &Objective,
    scores: &dyn Fn(usize, u32) -> f64,
    targets: &[u32],
    negatives: &Negatives,
    n: u32,
) -> f64 {
    let softplus = |x: f64| x.exp().ln_1p();
    let loss = |(row, &target): (usize, &u32)| {
        let s_t = scores(row, target);
        let counted = || negatives.items.iter().enumerate().filter(move |&(_, &item)| item != target);
        match objective.loss {
            Loss::CrossEntropy => (0..n).map(|item| scores(row, item).exp()).sum::<f64>().ln() - s_t,
            Loss::Bpr => softplus(scores(row, negatives.items[row]) - s_t),
            Loss::Bce => softplus(-s_t) + softplus(scores(row, negatives.items[row])),
            Loss::SampledSoftmax => {
                let k = negatives.n_against as f64;
                let others: f64 = counted()
                    .map(|(at, &item)| {
                        let (p_t, p_j) = (f64::from(negatives.of_targets[row]), f64::from(negatives.probabilities[at]));
                        scores(row, item).exp() * (1.0 - p_t) / (k * p_j)
                    })
                    .sum();
                (s_t.exp() + others).ln() - s_t
            }
            Loss::Gbce => {
                let share = negatives.n_against as f64 / f64::from(n - 1);
                let beta = share * (f64::from(objective.gbce_t) * (1.0 - 1.0 / share) + 1.0 / share);
                beta * softplus(-s_t) + counted().map(|(_, &item)| softplus(scores(row, item))).sum::<f64>()
            }
            Loss::BprMax => {
                let sum: f64 = counted().map(|(_, &item)| scores(row, item).exp()).sum();
                let (mut won, mut squares) = (0.0, 0.0);
                for (_, &item) in counted() {
                    let s_j = scores(row, item);
                    let q = s_j.exp() / sum;
                    won += q / (1.0 + (s_j - s_t).exp());
                    squares += q * s_j * s_j;
                }
                -won.ln() + f64::from(objective.bpreg) * squares
            }
        }
    };
    targets.iter().enumerate().map(loss).sum()
}

#[test]
fn every_derivative_is_that_of_central_differences() {
    const ROWS: usize = 5;
    const ITEMS: usize = 7;
    const WIDTH: usize = 3;
    let wave = |n: usize, step: f64| -> Vec<f64> { (0..n).map(|at| (1.3 + step * at as f64).sin()).collect() };
    let (hidden, items, bias) = (wave(ROWS * WIDTH, 0.9), wave(ITEMS * WIDTH, 1.7), wave(ITEMS, 2.3));
    let targets = [1, 6, 2, 0, 3];
    let shared = Negatives {
        items: vec![4, 1, 0, 5, 2, 2, 6, 3, 0, 4, 5],
        n_against: 11,
        probabilities: [4, 1, 0, 5, 2, 2, 6, 3, 0, 4, 5]
            .map(|item| [0.1, 0.2, 0.15, 0.05, 0.2, 0.25, 0.05][item])
            .to_vec(),
        of_targets: targets.map(|item: u32| [0.1, 0.2, 0.15, 0.05, 0.2, 0.25, 0.05][item as usize]).to_vec(),
    };
    let own = Negatives { items: vec![3, 0, 5, 1, 6], ..Negatives::default() };
    for loss in [Loss::CrossEntropy, Loss::SampledSoftmax, Loss::BprMax, Loss::Gbce, Loss::Bce, Loss::Bpr] {
        let objective = Objective { loss, bpreg: 0.7, ..Objective::default() };
        let negatives = if objective.shares_negatives() { &shared } else { &own };
        let value = |hidden: &[f64], items: &[f64], bias: &[f64]| {
            let score = |row: usize, item: u32| {
                let item = item as usize;
                let dot = |at: usize| hidden[row * WIDTH + at] * items[item * WIDTH + at];
                (0..WIDTH).map(dot).sum::<f64>() + bias[item]
            };
            plain(&objective, &score, &targets, negatives, ITEMS as u32)
        };
        let device = Default::default();
        let tensor = |values: &[f64], shape: [usize; 2]| {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::<OnCpu, 2>::from_data(TensorData::new(values, shape), &device).require_grad()
        };
        let inputs = [tensor(&hidden, [ROWS, WIDTH]), tensor(&items, [ITEMS, WIDTH]), tensor(&bias, [1, ITEMS])];
        let [h, i, b] = inputs.clone();
        let sum = objective.losses(h, (i, Some(b)), &targets, negatives, &LossScratch::default()).sum();
        let found = f64::from(sum.clone().into_scalar());
        let expected = value(&hidden, &items, &bias);
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{loss:?}: {found} {expected}");
        let gradients = sum.backward();
        for (which, input) in inputs.iter().enumerate() {
            let gradient: Vec<f32> = input.grad(&gradients).unwrap().into_data().into_vec().unwrap();
            for (at, &gradient) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut all = [hidden.clone(), items.clone(), bias.clone()];
                    all[which][at] += by;
                    value(&all[0], &all[1], &all[2])
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                // Sums of some tens of 32-bit numbers of size 1.
                let close = (f64::from(gradient) - expected).abs() < 2e-5 + 1e-4 * expected.abs();
                assert!(close, "{loss:?}, input {which}[{at}]: {gradient} {expected}");
            }
        }
    }
}
