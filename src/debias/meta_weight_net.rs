//! `meta_weight_net`: an example's weight is a small network of its loss,
//! `w = sigmoid(v . relu(a l + b) + c)`, divided by the mean over the batch and learned from the
//! look-ahead.
//!
//! A row that the model finds hard to believe can weigh less than another row of the same user and
//! item, which no weight by user, item and label can do.
//!
//! Source: Shu et al., *Meta-Weight-Net: Learning an Explicit Mapping For Sample Weighting*,
//! NeurIPS 2019 (one hidden layer of 100, the loss is an input and no path of the derivative). We
//! differ: the derivative of the uniform log's loss with respect to a weight comes from a
//! Jacobian-vector product (see `models::graph::meta`); weights are divided by their mean, as in
//! learning to reweight, because otherwise all of them shrink together as soon as the model begins
//! to overfit.

use gcnrec_graphs::Seed;
use gcnrec_kernels::ops::copy_rows::copy_into;
use gcnrec_kernels::ops::loss_weights::{loss_answer, loss_weights, mean_answer};
use gcnrec_kernels::{Buffer, Device};

use super::meta_adam::MetaAdam;
use super::observed_weights::normal;
use super::{Method, MethodInputs};
use crate::error::Result;
use crate::models::graph::{Learning, MetaBatch};
use crate::objectives::{ExampleWeights, Examples, Parameters, Reduction, UniformLoss};
use crate::samplers::Batch;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[debias.meta_weight_net]`.
    pub(crate) struct MetaWeightNet {
        /// Hidden units of the network that turns a loss into a weight.
        hidden: usize = 100, in between(1.0, 1e4);
        /// Step size of the network.
        rate: f64 = 1e-3, in between(0.0, 1e3);
        /// Its decay.
        decay: f64 = 1e-4, in between(0.0, 1e3);
        /// Epochs before it learns: at first every loss is large, and a large one says nothing of
        /// its row.
        frozen_epochs: u64 = 20;
        /// Steps from one look-ahead to the next.
        every: u64 = 1, in between(1.0, 1e6);
        /// Loss of the uniform log.
        uniform_loss: Option<UniformLoss> = None, or "that of the loss; `bpr` for losses of rankings";
    }
}

pub(super) static ROW: Row<dyn Method> = row!(
    dyn Method,
    MetaWeightNet,
    "meta_weight_net",
    "example weights from a network of their losses, learned through a look-ahead"
);

impl Method for MetaWeightNet {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.meta_weight_net")
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn check(&self, inputs: &MethodInputs<'_>) -> Result<()> {
        inputs.meta_batch(self.uniform_loss).map(drop)
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        learning.weights = Box::new(LossWeights::new(self, inputs.reduction(), inputs.seed()));
        learning.meta_batch = Some(MetaBatch { every: self.every, ..inputs.meta_batch(self.uniform_loss)? });
        Ok(())
    }
}

/// The network, and what it last weighed.
struct LossWeights {
    hidden: usize,
    reduction: Reduction,
    frozen_epochs: u64,
    /// `a` and `b` of every hidden unit, `v`, then `c`.
    meta: MetaAdam,
    losses: Buffer<f32>,
}

impl LossWeights {
    fn new(config: &MetaWeightNet, reduction: Reduction, seed: Seed) -> Self {
        let hidden = config.hidden;
        let mut value = normal(seed, 7, hidden, 1.0);
        value.extend(vec![0.0; hidden]);
        // A sum over the hidden units that is near 0: every weight begins near one half.
        value.extend(normal(seed, 8, hidden, 1.0 / hidden as f32));
        value.push(0.0);
        let meta = MetaAdam::new(value, config.rate, config.decay);
        let frozen_epochs = config.frozen_epochs;
        LossWeights { hidden, reduction, frozen_epochs, meta, losses: Buffer::default() }
    }

    /// Adds `by_weight` times the derivative of the weight of a loss with respect to every
    /// parameter.
    fn back(&self, loss: f64, by_weight: f64, gradient: &mut [f64]) {
        let (p, n) = (&self.meta.value, self.hidden);
        let weight = loss_answer(p, loss);
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

    /// From the derivatives by the weights that were last given to those by the parameters. A
    /// weight is `scale a_b / mean(a)`, so `a_b` is pulled on by its own derivative less what all
    /// of them pull on average, each by its weight.
    fn gradient(&self, losses: &[f32], hypergradient: &[f32]) -> Vec<f64> {
        let answers: Vec<f64> = losses.iter().map(|&loss| loss_answer(&self.meta.value, loss.into())).collect();
        let (n, mean) = (answers.len(), mean_answer(&answers));
        let scale = f64::from(self.reduction.scale(n)) / mean;
        let weighed = answers.iter().zip(hypergradient).map(|(answer, &moved)| answer * f64::from(moved));
        let average = weighed.sum::<f64>() / (n as f64 * mean);
        let mut gradient = vec![0.0; self.meta.value.len()];
        for (&loss, &moved) in losses.iter().zip(hypergradient) {
            self.back(f64::from(loss), scale * (f64::from(moved) - average), &mut gradient);
        }
        gradient
    }
}

impl ExampleWeights for LossWeights {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        device.resize(&mut self.losses, examples.losses.len());
        copy_into(device, examples.losses, 0, &mut self.losses)?;
        let scale = f64::from(self.reduction.scale(examples.n));
        Ok(loss_weights(device, &self.meta.value, scale, &self.losses, weights)?)
    }

    fn weighs_pairs(&self) -> bool {
        false
    }

    fn learns(&self, epoch: u64) -> bool {
        epoch >= self.frozen_epochs
    }

    fn learn(&mut self, device: &Device, _batch: &Batch, hypergradient: &Buffer<f32>) -> Result<()> {
        let gradient = self.gradient(&device.read(&self.losses), &device.read(hypergradient));
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

    fn net(hidden: usize, rate: f64) -> LossWeights {
        let config = MetaWeightNet { hidden, rate, decay: 0.0, ..MetaWeightNet::default() };
        LossWeights::new(&config, Reduction::Sum, Seed(4))
    }

    /// Central differences with h = 1e-6: the formula's own error is some 1e-12, rounding 1e-16 /
    /// 1e-6 = 1e-10.
    #[test]
    fn the_network_s_gradient_is_that_of_its_weights() {
        let mut net = net(7, 0.0);
        net.meta.value.iter_mut().enumerate().for_each(|(at, value)| *value += 0.3 * (at as f64 * 1.3).sin());
        let (losses, by_weight) = ([0.0f32, 0.25, 1.75, 4.0], [1.0f32, -2.0, 0.5, 0.75]);
        let gradient = net.gradient(&losses, &by_weight);
        for (at, &found) in gradient.iter().enumerate() {
            let mut moved = |h: f64| {
                net.meta.value[at] += h;
                let answers = losses.map(|loss| loss_answer(&net.meta.value, loss.into()));
                net.meta.value[at] -= h;
                let sum: f64 = answers.iter().zip(by_weight).map(|(answer, by)| answer * f64::from(by)).sum();
                sum / mean_answer(&answers)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((found - expected).abs() < 1e-8, "{at}: {found} {expected}");
        }
    }

    /// The uniform log wants less of the large losses and more of the small ones, in every step.
    #[test]
    fn losses_that_hurt_come_to_weigh_less() {
        let mut net = net(20, 0.01);
        let (cpu, batch, mut weights) = (Device::Cpu, Batch::default(), Buffer::default());
        let (losses, wanted) = (cpu.upload(&[0.1f32, 3.0, 0.2, 2.5]), cpu.upload(&[-1.0, 1.0, -1.0, 1.0]));
        let examples = Examples { batch: &batch, n: 4, losses: &losses };
        for _ in 0..300 {
            net.weigh(&cpu, &examples, &mut weights).unwrap();
            net.learn(&cpu, &batch, &wanted).unwrap();
        }
        let weights = cpu.read(&weights);
        assert!(weights[0] > 1.5 && weights[2] > 1.5 && weights[1] < 0.5 && weights[3] < 0.5, "{weights:?}");
    }
}
