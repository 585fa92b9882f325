//! Meta-Weight-Net: an example's weight is a small network of its loss, `w = sigmoid(v . relu(a l + b) + c)`, divided by the mean over the batch and
//! learned from the look-ahead.
//!
//! What a row says of itself decides, not who or what it is about: a row that the model finds hard to believe can weigh less than another row of the same
//! user and item, which no weight by user, item and label can do.
//!
//! Source: Shu et al., *Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting*, NeurIPS 2019 (one hidden layer of 100, the loss is an input and
//! no path of the derivative). We differ: the derivative of the uniform log's loss with respect to a weight comes from a Jacobian-vector product (SPEC C.4); weights are divided by their mean, as in learning to reweight, because otherwise all of them
//! shrink together as soon as the model begins to overfit.

use gcnrec_graphs::Seed;
use serde::{Deserialize, Serialize};

use super::autodebias::normal;
use super::meta_adam::MetaAdam;
use crate::error::Result;
use crate::objectives::{ExampleWeights, Examples, Judge, Parameters, Reduction};
use crate::samplers::Batch;

/// `[debias.meta_weight_net]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Hidden units, 1..=10000. Default 100.
    pub hidden: usize,
    /// Adam's step size for the network, 0 or more. Default 1e-3.
    pub rate: f64,
    /// Decay of the network, 0 or more. Default 1e-4.
    pub decay: f64,
    /// Epochs before the network learns: at first every loss is large, and a large one says nothing of its row. Default 20.
    pub frozen_epochs: u64,
    /// Steps from one look-ahead to the next, 1 or more. Default 1.
    pub every: u64,
    /// The loss of the uniform log, as in `[debias.autodebias]`. Default: that of the objective.
    pub uniform_loss: Option<Judge>,
}

impl Default for Config {
    fn default() -> Self {
        Config { hidden: 100, rate: 1e-3, decay: 1e-4, frozen_epochs: 20, every: 1, uniform_loss: None }
    }
}

impl Config {
    /// Every number with its name and its range.
    pub(super) fn ranges(&self) -> Vec<(&'static str, f64, f64, f64)> {
        vec![
            ("hidden", self.hidden as f64, 1.0, 1e4),
            ("rate", self.rate, 0.0, 1e3),
            ("decay", self.decay, 0.0, 1e3),
            ("every", self.every as f64, 1.0, 1e6),
        ]
    }
}

/// The network, and what it last weighed.
pub(super) struct MetaWeightNet {
    hidden: usize,
    reduction: Reduction,
    frozen_epochs: u64,
    /// `a` and `b` of every hidden unit, `v`, then `c`.
    meta: MetaAdam,
    losses: Vec<f32>,
    /// The network's answers to them.
    answers: Vec<f64>,
}

impl MetaWeightNet {
    pub(super) fn new(config: &Config, reduction: Reduction, seed: Seed) -> Self {
        let hidden = config.hidden;
        let mut value = normal(seed, 7, hidden, 1.0);
        value.extend(vec![0.0; hidden]);
        // A sum over the hidden units that is near 0: every weight begins near one half.
        value.extend(normal(seed, 8, hidden, 1.0 / hidden as f32));
        value.push(0.0);
        let meta = MetaAdam::new(value, config.rate, config.decay);
        let frozen_epochs = config.frozen_epochs;
        MetaWeightNet { hidden, reduction, frozen_epochs, meta, losses: Vec::new(), answers: Vec::new() }
    }

    /// The weight that a loss has.
    fn weight(&self, loss: f64) -> f64 {
        let p = &self.meta.value;
        let hidden = |unit: usize| (p[unit] * loss + p[self.hidden + unit]).max(0.0);
        let sum: f64 = (0..self.hidden).map(|unit| p[2 * self.hidden + unit] * hidden(unit)).sum();
        1.0 / (1.0 + (-sum - p[3 * self.hidden]).exp())
    }

    /// Adds `by_weight` times the derivative of the weight of a loss with respect to every parameter.
    fn back(&self, loss: f64, by_weight: f64, gradient: &mut [f64]) {
        let (p, n, weight) = (&self.meta.value, self.hidden, self.weight(loss));
        let by_sum = by_weight * weight * (1.0 - weight);
        for unit in 0..n {
            let before = p[unit] * loss + p[n + unit];
            if before > 0.0 {
                gradient[2 * n + unit] += by_sum * before;
                gradient[n + unit] += by_sum * p[2 * n + unit];
                gradient[unit] += by_sum * p[2 * n + unit] * loss;
            }
        }
        gradient[3 * n] += by_sum;
    }

    /// From the derivatives by the weights that were last given to those by the parameters. A weight is `scale a_b / mean(a)`, so `a_b` is pulled on by
    /// its own derivative less what all of them pull on average, each by its weight.
    fn gradient(&self, hypergradient: &[f32]) -> Vec<f64> {
        let n = self.answers.len();
        let scale = f64::from(self.reduction.scale(n)) / mean_of(&self.answers);
        let weighed = self.answers.iter().zip(hypergradient).map(|(answer, &moved)| answer * f64::from(moved));
        let average = weighed.sum::<f64>() / (n as f64 * mean_of(&self.answers));
        let mut gradient = vec![0.0; self.meta.value.len()];
        for (&loss, &moved) in self.losses.iter().zip(hypergradient) {
            self.back(f64::from(loss), scale * (f64::from(moved) - average), &mut gradient);
        }
        gradient
    }
}

/// The mean, and no less than what can be divided by.
fn mean_of(answers: &[f64]) -> f64 {
    (answers.iter().sum::<f64>() / answers.len().max(1) as f64).max(1e-12)
}

impl ExampleWeights for MetaWeightNet {
    fn weigh(&mut self, examples: &Examples<'_>, weights: &mut Vec<f32>) -> Result<()> {
        self.losses.clear();
        self.losses.extend_from_slice(examples.losses);
        let answers: Vec<f64> = examples.losses.iter().map(|&loss| self.weight(f64::from(loss))).collect();
        let scale = f64::from(self.reduction.scale(examples.n)) / mean_of(&answers);
        weights.clear();
        weights.extend(answers.iter().map(|answer| (scale * answer) as f32));
        self.answers = answers;
        Ok(())
    }

    fn reads_losses(&self) -> bool {
        true
    }

    fn weighs_pairs(&self) -> bool {
        false
    }

    fn learns(&self, epoch: u64) -> bool {
        epoch >= self.frozen_epochs
    }

    fn learn(&mut self, _batch: &Batch, hypergradient: &[f32]) -> Result<()> {
        let gradient = self.gradient(hypergradient);
        self.meta.step(&gradient);
        Ok(())
    }

    fn parameters(&self) -> Parameters {
        self.meta.save(["value", "m", "v", "step"])
    }

    fn restore(&mut self, parameters: Parameters) {
        self.meta.load(&mut parameters.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(hidden: usize, rate: f64) -> MetaWeightNet {
        let config = Config { hidden, rate, decay: 0.0, ..Config::default() };
        MetaWeightNet::new(&config, Reduction::Sum, Seed(4))
    }

    /// One unit: relu(2 * 1.5 - 1) = 2; sigmoid(-.5 * 2 + .25) = 1 / (1 + e^.75). For the loss .25 the unit is silent: 1 / (1 + e^-.25). Both are divided by
    /// their mean.
    #[test]
    fn a_weight_is_a_network_of_the_loss() {
        let mut net = net(1, 0.0);
        net.meta.value = vec![2.0, -1.0, -0.5, 0.25];
        let mut weights = Vec::new();
        let batch = Batch::default();
        net.weigh(&Examples { batch: &batch, n: 2, losses: &[1.5, 0.25] }, &mut weights).unwrap();
        let expected = [1.0 / (1.0 + 0.75f64.exp()), 1.0 / (1.0 + (-0.25f64).exp())];
        let mean = (expected[0] + expected[1]) / 2.0;
        for (found, expected) in weights.iter().zip(expected.map(|answer| answer / mean)) {
            assert!((f64::from(*found) - expected).abs() < 1e-7, "{found} {expected}");
        }
    }

    /// Central differences with h = 1e-6: the formula's own error is some 1e-12, rounding 1e-16 / 1e-6 = 1e-10.
    #[test]
    fn the_network_s_gradient_is_that_of_its_weights() {
        let mut net = net(7, 0.0);
        net.meta.value.iter_mut().enumerate().for_each(|(at, value)| *value += 0.3 * (at as f64 * 1.3).sin());
        let (losses, by_weight) = ([0.0f32, 0.25, 1.75, 4.0], [1.0f32, -2.0, 0.5, 0.75]);
        let batch = Batch::default();
        net.weigh(&Examples { batch: &batch, n: 4, losses: &losses }, &mut Vec::new()).unwrap();
        let gradient = net.gradient(&by_weight);
        for (at, &found) in gradient.iter().enumerate() {
            let mut moved = |h: f64| {
                net.meta.value[at] += h;
                let answers = losses.map(|loss| net.weight(loss.into()));
                net.meta.value[at] -= h;
                let sum: f64 = answers.iter().zip(by_weight).map(|(answer, by)| answer * f64::from(by)).sum();
                sum / mean_of(&answers)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found - expected).abs() < 1e-8, "{at}: {found} {expected}");
        }
    }

    /// The uniform log wants less of the large losses and more of the small ones, in every step.
    #[test]
    fn losses_that_hurt_come_to_weigh_less() {
        let mut net = net(20, 0.01);
        let (batch, losses, mut weights) = (Batch::default(), [0.1f32, 3.0, 0.2, 2.5], Vec::new());
        let examples = Examples { batch: &batch, n: 4, losses: &losses };
        for _ in 0..300 {
            net.weigh(&examples, &mut weights).unwrap();
            net.learn(&batch, &[-1.0, 1.0, -1.0, 1.0]).unwrap();
        }
        assert!(weights[0] > 1.5 && weights[2] > 1.5 && weights[1] < 0.5 && weights[3] < 0.5, "{weights:?}");
    }
}
