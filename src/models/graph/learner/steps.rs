//! One step of training: the parts of the algorithm that [`super`] lists, in their order.

use std::ops::Range;

use gcnrec_kernels::Buffer;
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step, sgd_step};

use super::GraphLearner;
use crate::error::{RecError, Result};
use crate::models::StepReport;
use crate::models::graph::meta::{LookAhead, Optimizer, PlannedStep};
use crate::models::graph::pass::Pass;
use crate::models::graph::setup::WeightFit;
use crate::objectives::{Mean, Reduction};

/// The place of a step in training, counted from 0.
#[derive(Debug, Clone, Copy)]
struct Step {
    epoch: u64,
    /// Within the epoch.
    index: usize,
}

/// A loss that is not known yet.
pub(super) struct Waiting {
    pub(super) what: &'static str,
    step: Step,
}

impl Waiting {
    /// Refuses a loss that is no number.
    pub(super) fn finite(&self, value: f64) -> Result<f64> {
        let place = format!("epoch {}, step {}", self.step.epoch + 1, self.step.index + 1);
        let error = RecError::NotFinite { what: self.what, value, place, todo: "lower the learning rate".into() };
        if value.is_finite() { Ok(value) } else { Err(error) }
    }
}

/// What [`Waiting`] calls the loss that training reports.
pub(super) const LOSS: &str = "loss";

impl GraphLearner {
    /// Takes one step (see the module) and answers its loss, 0 where it is not known yet.
    fn step(&mut self, step: Step) -> Result<f64> {
        self.draw_and_propagate(step)?;
        if let Some(term) = &mut self.learning.auxiliary {
            term.prepare(&self.setup.device, &self.pass.batch, self.pass.rows.rows())?;
        }
        let device = &self.setup.device;
        let loss = self.pass.forward(device, &self.propagation, &self.combination, &mut self.task)?;
        if let Some(term) = self.learning.auxiliary.as_mut().filter(|term| term.fits()) {
            term.fit(device, &self.pass.pooled);
        }
        let loss = known(&mut self.waiting, Waiting { what: LOSS, step }, loss)?;
        self.n_steps += 1;
        self.learn_weights(step)?;
        let device = &self.setup.device;
        let (learning, combination) = (&mut self.learning, &mut self.combination);
        let (weights, term) = (&mut *learning.weights, learning.auxiliary.as_deref_mut());
        self.pass.backward(device, combination, &mut self.task, learning.reduction, weights, term)?;
        if let WeightFit::OnTraining = self.setup.weight_fit {
            self.combination.adam(device, &self.attention_adam(), self.n_steps, false)?;
        }
        self.move_base(step)?;
        Ok(loss)
    }

    /// Draws the batch and fills the layers below the last. Layers need no batch: one thread draws
    /// it and lists its rows while the others propagate.
    fn draw_and_propagate(&mut self, step: Step) -> Result<()> {
        let device = &self.setup.device;
        let labels = self.learning.labels.as_ref().map(|labels| labels.as_slice());
        let (propagation, pass, task, train) =
            (&mut self.propagation, &mut self.pass, &mut self.task, &self.setup.train);
        let propagate = || propagation.below_last(device);
        let (hardest, n_candidates) = (&mut self.hardest, task.n_candidates);
        let draw = || match hardest {
            Some(_) => {
                pass.sample(task, train, labels, step.epoch, step.index);
                Ok(())
            }
            None => pass.draw(device, task, train, labels, step.epoch, step.index),
        };
        let (layers, drawn) = device.join(propagate, draw);
        layers.and(drawn)?;
        if let Some(hardest) = hardest {
            hardest.pick(device, propagation, &self.combination, n_candidates, &mut pass.batch)?;
            pass.assign(device, task, train.n_users())?;
        }
        Ok(())
    }

    /// The optimiser's step on the base table, and the fit of layer weights before it.
    fn move_base(&mut self, step: Step) -> Result<()> {
        let config = AdamConfig { learning_rate: self.setup.learning_rate, ..Default::default() };
        // A fit of layer weights takes the pass before the base moves, constant columns change the
        // gradient, and plain descent has no such op; otherwise the gradient need not be written.
        let unread = self.fit_task.is_none() && self.constant.is_none() && self.learning.optimizer == Optimizer::Adam;
        if unread {
            let (device, Pass { rows, direct, .. }) = (&self.setup.device, &self.pass);
            let moments = (&mut self.m, &mut self.v);
            return self.propagation.backward_adam(device, rows, direct, (&config, self.n_steps), moments);
        }
        let gradient = self.base_gradient()?;
        self.fit_weights(step)?;
        let (device, base) = (&self.setup.device, &mut self.propagation.hops[0]);
        match self.learning.optimizer {
            Optimizer::Adam => adam_step(device, &config, self.n_steps, &gradient, &mut self.m, &mut self.v, base)?,
            Optimizer::Sgd => sgd_step(device, config.learning_rate, &gradient, base)?,
        }
        self.propagation.recycle(gradient);
        Ok(())
    }

    /// Lets the layer weights learn from a held-out batch, if there is one: on the layers of this
    /// step, so before the embeddings move.
    fn fit_weights(&mut self, step: Step) -> Result<()> {
        let attention = self.attention_adam();
        let (pairs, fixed_prior) = match &self.setup.weight_fit {
            WeightFit::OnPairs { pairs, fixed_prior } => (pairs, *fixed_prior),
            // The examples are the task's own.
            WeightFit::OnUniformLog { fixed_prior, .. } => (&self.setup.train, *fixed_prior),
            WeightFit::OnTraining | WeightFit::Fixed => return Ok(()),
        };
        let Some(task) = &mut self.fit_task else { return Ok(()) };
        let (device, combination) = (&self.setup.device, &mut self.combination);
        let (taken, n) = ((self.n_steps - 1) as usize, task.sampler.n_batches().max(1));
        self.pass.draw(device, task, pairs, None, (taken / n) as u64, taken % n)?;
        let fitted = self.pass.forward(device, &self.propagation, combination, task)?;
        self.pass.backward(device, combination, task, Reduction::Mean, &mut Mean, None)?;
        known(&mut self.waiting, Waiting { what: "held-out loss", step }, fitted)?;
        combination.adam(device, &attention, self.n_steps, fixed_prior)
    }

    /// Adam's constants for the layer weights.
    fn attention_adam(&self) -> AdamConfig {
        AdamConfig { learning_rate: self.setup.config.attention.learning_rate, ..Default::default() }
    }

    pub(super) fn take_steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport> {
        let mut report = StepReport::default();
        for index in steps {
            report.loss += self.step(Step { epoch, index })?;
            report.n_examples += self.task.objective.n_examples() as u64;
        }
        Ok(report)
    }

    /// The gradient of the base table, after [`Pass::backward`]. With biases one column of users
    /// and one of items is the constant 1: it has none.
    fn base_gradient(&mut self) -> Result<Buffer<f32>> {
        let device = &self.setup.device;
        let mut gradient = self.propagation.backward(device, &self.pass.rows, &self.pass.direct)?;
        if let Some(constant) = &self.constant {
            constant.hold(device, &mut gradient)?;
        }
        Ok(gradient)
    }

    /// Lets the example weights and the auxiliary term learn from the step that is about to be
    /// taken, when it is their turn.
    fn learn_weights(&mut self, step: Step) -> Result<()> {
        let Some(mut look_ahead) = self.look_ahead.take() else { return Ok(()) };
        let seen = self.look_ahead_of(step, &mut look_ahead);
        self.look_ahead = Some(look_ahead);
        seen
    }

    fn look_ahead_of(&mut self, step: Step, look_ahead: &mut LookAhead) -> Result<()> {
        let learning = &mut self.learning;
        let weights_learn = learning.weights.learns(step.epoch);
        let term_learns = learning.auxiliary.as_ref().is_some_and(|term| term.learns(step.epoch));
        let due = (self.n_steps - 1).is_multiple_of(look_ahead.meta_batch.every.max(1));
        if !due || !(weights_learn || term_learns) {
            return Ok(());
        }
        let mut gradient = Buffer::default();
        if look_ahead.meta_batch.look_ahead {
            let (weights, term) = (&mut *learning.weights, learning.auxiliary.as_deref_mut());
            let (device, task) = (&self.setup.device, &mut self.task);
            self.pass.backward(device, &mut self.combination, task, learning.reduction, weights, term)?;
            gradient = self.base_gradient()?;
        } else {
            self.pass.weigh(&self.setup.device, &self.task, &mut *learning.weights)?;
        }
        let attention = self.attention_adam();
        let planned = PlannedStep {
            optimizer: self.learning.optimizer,
            adam: AdamConfig { learning_rate: self.setup.learning_rate, ..Default::default() },
            number: self.n_steps,
            m: &self.m,
            v: &self.v,
            gradient: &gradient,
            attention: matches!(self.setup.weight_fit, WeightFit::OnTraining).then_some(attention),
            constant: self.constant,
        };
        let device = &self.setup.device;
        let found = look_ahead.tangent(device, &mut self.propagation, &self.combination, &mut self.pass, &planned)?;
        known(&mut self.waiting, Waiting { what: "loss of the uniform log", step }, found)?;
        if weights_learn {
            let (objective, loss_dot) = (&mut self.task.objective, &mut look_ahead.loss_dot);
            objective.tangent(device, &self.pass.pooled, &look_ahead.rows_dot, loss_dot)?;
            self.learning.weights.learn(device, &self.pass.batch, loss_dot)?;
        }
        if let Some(term) = self.learning.auxiliary.as_mut().filter(|_| term_learns) {
            term.tangent(device, &self.pass.pooled, &look_ahead.rows_dot)?;
            term.learn(step.epoch);
        }
        self.propagation.recycle(gradient);
        Ok(())
    }
}

/// The loss of a step where it is known; otherwise it is waited for later, and until then counts 0.
fn known(waiting: &mut Vec<Waiting>, place: Waiting, loss: Option<f64>) -> Result<f64> {
    match loss {
        Some(loss) => place.finite(loss),
        None => {
            waiting.push(place);
            Ok(0.0)
        }
    }
}
