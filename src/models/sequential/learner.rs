//! A sequential model in training: encode a batch of sequences, take the loss at the positions that
//! are predicted, follow its gradient.

use std::marker::PhantomData;
use std::ops::Range;

use burn_tensor::{Tensor, TensorData};
use gcnrec_kernels::burn_bridge::{LossScratch, Sequences, Tape, gather, to_buffer};
use gcnrec_kernels::ops::loss_sum::LossSums;
use gcnrec_kernels::{Buffer, Device};

use super::distiller::Distiller;
use super::encoder::item_table;
use super::negatives::Draws;
use super::parameters::{Noise, Parameters, Rule};
use super::{BATCH_SIZE, Encoder, ITEMS, Input, Objective, SequenceScorer, Setup, Task, Weights};
use crate::error::{Place, RecError, Result};
use crate::models::state::State;
use crate::models::{Learner, PairWeights, Scorer, StartItems, StepReport};
use crate::samplers::{SequenceBatch, SequenceSampler, beside_batch};

/// A sequential model in training, on the tape of its device.
pub(crate) struct SequenceLearner<M: Encoder, T: Tape> {
    model: M,
    setup: Setup,
    objective: Objective,
    draws: Draws,
    sampler: SequenceSampler,
    parameters: Parameters,
    distiller: Option<Distiller<M>>,
    batch: SequenceBatch,
    scratch: LossScratch,
    /// None where all predictions count alike.
    weights: Option<PairWeights>,
    late: LateLosses,
    tape: PhantomData<T>,
}

impl<M: Encoder, T: Tape> SequenceLearner<M, T> {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`RecError::Config`] for a setting outside its range, [`RecError::Input`] when no history
    /// has two items.
    pub(crate) fn new(model: M, setup: Setup) -> Result<Self> {
        model.check()?;
        let Task { max_len, windows, examples, objective } = model.task();
        let sampler = SequenceSampler::new(
            setup.histories.clone(),
            setup.n_items,
            examples,
            (windows, max_len),
            setup.batch_size.unwrap_or(BATCH_SIZE),
            setup.seed,
        );
        if sampler.n_batches() == 0 {
            return Err(nothing_follows());
        }
        let parameters = Parameters::new(&setup.device, model.parameters(setup.n_items), setup.seed);
        let (batch, scratch) = (SequenceBatch::default(), LossScratch::default());
        let draws = Draws::new(objective, &setup.histories, setup.n_items);
        let distiller = |own| Distiller::new(model.clone(), own, (&setup.device, setup.n_items), setup.seed);
        Ok(SequenceLearner {
            objective,
            draws,
            distiller: model.distillation().map(distiller),
            model,
            setup,
            sampler,
            parameters,
            batch,
            scratch,
            weights: None,
            late: LateLosses::default(),
            tape: PhantomData,
        })
    }

    /// One step; answers the sum of the examples' losses and their number.
    fn step(&mut self, epoch: u64, step: usize) -> Result<(f64, u64)> {
        let mut batch = std::mem::take(&mut self.batch);
        self.sampler.batch(epoch, step, &mut batch);
        let learnt = self.learn(&batch, epoch, step);
        self.batch = batch;
        learnt
    }

    /// A step on a given batch.
    pub(super) fn learn(&mut self, batch: &SequenceBatch, epoch: u64, step: usize) -> Result<(f64, u64)> {
        let n = batch.rows.len();
        if n == 0 {
            return Ok((0.0, 0));
        }
        let weights = self.parameters.on_tape::<T>();
        let sequences = Sequences::new(batch.starts.clone());
        let mut noise = Noise::from(beside_batch(self.setup.seed, epoch, step));
        let mut hidden = self.model.encode(&weights, &Input { items: &batch.items, sequences: &sequences }, &mut noise);
        if n < batch.items.len() {
            hidden = gather(hidden, batch.rows.iter().copied().map(Some));
        }
        let items = weights.get(ITEMS);
        let bias = self.model.item_bias().map(|name| weights.get(name));
        let negatives = self.draws.draw(batch, &self.setup.histories, (self.setup.seed, epoch, step));
        let rule = self.model.rule(self.setup.learning_rate());
        let mut losses =
            self.objective.losses(hidden.clone(), (items.clone(), bias), &batch.targets, &negatives, &self.scratch);
        if let Some(distiller) = &mut self.distiller
            && let Some(soft) = distiller.step(batch, &mut noise, &rule)?
        {
            losses = distiller.mix(losses, &soft, hidden, items, &batch.targets);
        }
        if let Some(weights) = &self.weights {
            losses = weigh(losses, batch, weights);
        }
        settle(losses, &mut self.parameters, &weights, &rule, (epoch, step), &mut self.late)
    }
}

/// The losses of a batch's predictions, each as much as its pair counts.
pub(super) fn weigh<T: Tape>(losses: Tensor<T, 2>, batch: &SequenceBatch, weights: &PairWeights) -> Tensor<T, 2> {
    let data = TensorData::new(weights_of(batch, weights), losses.dims());
    losses.clone() * Tensor::from_data(data, &losses.device())
}

/// How much each prediction of a batch counts.
fn weights_of(batch: &SequenceBatch, weights: &PairWeights) -> Vec<f32> {
    let (mut found, mut sequence) = (Vec::with_capacity(batch.rows.len()), 0);
    // Rows rise, and so do the ends of the sequences that hold them.
    for (&row, &target) in batch.rows.iter().zip(&batch.targets) {
        while batch.starts[sequence + 1] <= row {
            sequence += 1;
        }
        found.push(weights.of(batch.users[sequence], target));
    }
    found
}

/// The model as it is, without what only training needs.
pub(super) fn freeze<M: Encoder>(model: &M, setup: &Setup, parameters: &Parameters) -> Result<Box<dyn Scorer>> {
    let mut state = State::default();
    parameters.save(&mut state, false);
    Ok(Box::new(SequenceScorer::new(model.clone(), &setup.histories, setup.n_items, state)?))
}

/// Lets the items of a model at step 0 start from other vectors.
pub(super) fn put_items<M: Encoder>(
    items: &StartItems,
    model: &M,
    n_items: usize,
    parameters: &mut Parameters,
) -> Result<()> {
    let table = item_table(model, n_items);
    items.check(M::ROW.name, table.shape[1])?;
    parameters.change(ITEMS, |values| items.put(table.init.std(), values));
    Ok(())
}

/// There is nothing to learn an order from.
pub(super) fn nothing_follows() -> RecError {
    let (place, expected) =
        (Place::file("training part".as_ref()), "at least one: a sequential model learns what follows what");
    RecError::input(place, "no history of two items", expected).with_todo("train another model, or add interactions")
}

/// Refuses a loss that is NaN or infinite.
pub(super) fn check_loss(loss: f64, epoch: u64, step: usize) -> Result<()> {
    if loss.is_finite() {
        return Ok(());
    }
    let place = format!("epoch {}, step {}", epoch + 1, step + 1);
    Err(RecError::NotFinite { what: "loss", value: loss, place, todo: "lower the learning rate".into() })
}

/// The losses of steps that a device still has.
#[derive(Default)]
pub(super) struct LateLosses {
    sums: LossSums,
    /// Epoch and step of each.
    steps: Vec<(u64, usize)>,
}

impl LateLosses {
    /// Adds the losses of a step: answers their sum where it is known at once, and 0 where it is
    /// not.
    fn push(&mut self, device: &Device, losses: &Buffer<f32>, (epoch, step): (u64, usize)) -> Result<f64> {
        let Some(sum) = self.sums.push(device, losses)? else {
            self.steps.push((epoch, step));
            return Ok(0.0);
        };
        check_loss(sum, epoch, step)?;
        Ok(sum)
    }

    /// Waits for all of them, and answers their sum.
    pub(super) fn take(&mut self, device: &Device) -> Result<f64> {
        let mut total = 0.0;
        for ((epoch, step), sum) in self.steps.drain(..).zip(self.sums.take(device)?) {
            check_loss(sum, epoch, step)?;
            total += sum;
        }
        Ok(total)
    }
}

/// Ends a step: the parameters follow the gradient of the mean. Answers the sum of the positions'
/// losses, as far as it is known, and their number.
pub(super) fn settle<T: Tape>(
    losses: Tensor<T, 2>,
    parameters: &mut Parameters,
    weights: &Weights<T>,
    rule: &Rule,
    place: (u64, usize),
    late: &mut LateLosses,
) -> Result<(f64, u64)> {
    let n = losses.dims()[0];
    let values = to_buffer(parameters.device(), losses.clone());
    let loss = late.push(parameters.device(), &values, place)?;
    parameters.descend(weights, losses / n as f32, rule)?;
    Ok((loss, n as u64))
}

impl<M: Encoder, T: Tape> Learner for SequenceLearner<M, T> {
    fn steps_per_epoch(&self) -> usize {
        self.sampler.n_batches()
    }

    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport> {
        StepReport::of(steps, |step| self.step(epoch, step))
    }

    fn late_loss(&mut self) -> Result<f64> {
        self.late.take(&self.setup.device)
    }

    fn freeze(&mut self) -> Result<Box<dyn Scorer>> {
        freeze(&self.model, &self.setup, &self.parameters)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.parameters.save(&mut state, true);
        self.distiller.iter().for_each(|distiller| distiller.save(&mut state));
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.distiller.iter_mut().try_for_each(|distiller| distiller.restore(state))?;
        self.parameters.restore(state)
    }

    fn start_from(&mut self, frozen: &State) -> Result<()> {
        self.parameters.start_from(frozen)
    }

    fn weigh_pairs(&mut self, weights: PairWeights) -> Result<()> {
        self.weights = Some(weights);
        Ok(())
    }

    fn start_with_items(&mut self, items: &StartItems) -> Result<()> {
        put_items(items, &self.model, self.setup.n_items, &mut self.parameters)
    }

    fn n_parameters(&self) -> usize {
        self.parameters.n_parameters()
    }
}
