//! Session-parallel training of GRU4Rec: a step takes one position of each of several sessions, and
//! the next step continues from the states that it ends with.
//!
//! The gradient of a step ends at the states that it starts from: no gradient says what a state
//! should keep for later steps. Losses with drawn items take the targets of the other lanes as
//! negatives too. With `m` lanes beside it, `k` drawn items, `P` the share of an item in the
//! training histories and `q` its probability in a draw, an item is expected `m P + k q` times
//! among them, and its logQ uses that number.
//!
//! # Source
//! Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks*, ICLR 2016,
//! section 3; Hidasi and Karatzoglou, CIKM 2018. Deliberate differences: layers and scores have no
//! biases; the mean of the losses is taken, not their sum; logQ counts both sources of negatives
//! together, and the target's own score stays as it is.

use std::marker::PhantomData;
use std::ops::Range;

use burn_tensor::Tensor;
use gcnrec_kernels::Buffer;
use gcnrec_kernels::burn_bridge::{LossScratch, OpBackend, Tape, gather, gru_cell, to_buffer, to_tensor};

use super::gru4rec::{Config, without_bias};
use super::learner::{LateLosses, freeze, nothing_follows, put_items, settle, weigh};
use super::negatives::{Draws, counts};
use super::parameters::{Noise, Parameters};
use super::{BATCH_SIZE, Encoder, ITEMS, Objective, Setup, Task, Weights};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Learner, PairWeights, Scorer, StartItems, StepReport};
use crate::samplers::{SequenceBatch, SessionLanes, beside_batch};

/// The name of the states of all lanes in a checkpoint.
const STATES: &str = "lanes.states";

/// GRU4Rec in training, session by session, on the tape of its device.
pub(super) struct LaneLearner<T: Tape> {
    model: Config,
    setup: Setup,
    objective: Objective,
    draws: Draws,
    /// The share of each item in the training histories.
    shares: Vec<f32>,
    lanes: SessionLanes,
    parameters: Parameters,
    /// `[lanes, hidden]` for each layer: what the last step left, on the device.
    states: Vec<Buffer<f32>>,
    scratch: LossScratch,
    /// None where all predictions count alike.
    weights: Option<PairWeights>,
    late: LateLosses,
    tape: PhantomData<T>,
}

impl<T: Tape> LaneLearner<T> {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for a setting outside its range, [`crate::RecError::Input`] when
    /// no history has two items.
    pub(super) fn new(model: Config, setup: Setup) -> Result<Self> {
        model.check()?;
        let Task { max_len, windows, objective, .. } = model.task();
        let n_lanes = setup.batch_size.unwrap_or(BATCH_SIZE);
        let lanes = SessionLanes::new(setup.histories.clone(), (windows, max_len), n_lanes, setup.seed);
        if lanes.n_steps() == 0 {
            return Err(nothing_follows());
        }
        let draws = Draws::new(objective, &setup.histories, setup.n_items);
        let counts = counts(&setup.histories, setup.n_items);
        let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let shares = counts.into_iter().map(|count| (f64::from(count) / total) as f32).collect();
        let parameters = Parameters::new(&setup.device, model.parameters(setup.n_items), setup.seed);
        let states = (0..model.layers).map(|_| setup.device.zeros(lanes.n_lanes() * model.hidden)).collect();
        Ok(LaneLearner {
            model,
            setup,
            objective,
            draws,
            shares,
            lanes,
            parameters,
            states,
            scratch: LossScratch::default(),
            weights: None,
            late: LateLosses::default(),
            tape: PhantomData,
        })
    }

    fn state_shape(&self) -> [usize; 3] {
        [self.model.layers, self.lanes.n_lanes(), self.model.hidden]
    }

    /// The states of all lanes, a matrix for each layer.
    fn kept(&self) -> impl Iterator<Item = Tensor<T::InnerBackend, 2>> + '_ {
        let [_, n_lanes, hidden] = self.state_shape();
        self.states.iter().map(move |states| to_tensor(&self.setup.device, states, [n_lanes, hidden]))
    }

    /// The states of the first lanes, of which `fresh` says for each whether its session is new;
    /// those of new sessions are zeros.
    fn states(&self, fresh: &[bool]) -> Vec<Tensor<T, 2>> {
        let lanes = || fresh.iter().zip(0..).map(|(&fresh, lane)| (!fresh).then_some(lane));
        self.kept().map(|states| Tensor::from_inner(gather(states, lanes()))).collect()
    }

    /// Takes the states of the first lanes; those of the others stay.
    fn keep(&mut self, states: Vec<Tensor<T, 2>>) {
        let [_, n_lanes, _] = self.state_shape();
        let joined = self.kept().zip(states).map(|(kept, states)| {
            let (n, states) = (states.dims()[0], states.inner());
            let all = if n < n_lanes { Tensor::cat(vec![states, kept.narrow(0, n, n_lanes - n)], 0) } else { states };
            to_buffer(&self.setup.device, all)
        });
        self.states = joined.collect();
    }

    /// One step; answers the sum of the positions' losses and their number.
    fn step(&mut self, epoch: u64, step: usize) -> Result<(f64, u64)> {
        let (mut batch, mut fresh) = (SequenceBatch::default(), Vec::new());
        self.lanes.step(epoch, step, &mut batch, &mut fresh);
        let weights = self.parameters.on_tape::<T>();
        let mut noise = Noise::from(beside_batch(self.setup.seed, epoch, step));
        let before = self.states(&fresh);
        let (hidden, after) = run_step(&self.model, &weights, &batch.items, before, &mut noise);
        self.keep(after);
        let mut negatives = self.draws.draw(&batch, &self.setup.histories, (self.setup.seed, epoch, step));
        if self.objective.shares_negatives() {
            negatives.add_others(&batch.targets, &self.shares);
        }
        let items = (weights.get(ITEMS), None);
        let mut losses = self.objective.losses(hidden, items, &batch.targets, &negatives, &self.scratch);
        if let Some(weights) = &self.weights {
            losses = weigh(losses, &batch, weights);
        }
        let rule = self.model.rule(self.setup.learning_rate());
        settle(losses, &mut self.parameters, &weights, &rule, (epoch, step), &mut self.late)
    }
}

/// The vector of each lane after its item, and the states of all layers, from the states before.
fn run_step<B: OpBackend>(
    model: &Config,
    weights: &Weights<B>,
    items: &[u32],
    states: Vec<Tensor<B, 2>>,
    noise: &mut Noise,
) -> (Tensor<B, 2>, Vec<Tensor<B, 2>>) {
    let mut x = model.read_items(weights, items, noise);
    let mut after = Vec::with_capacity(states.len());
    for (layer, state) in states.into_iter().enumerate() {
        let from_below = without_bias(x, weights.get(&format!("gru.{layer}.input")));
        let from_state = without_bias(state.clone(), weights.get(&format!("gru.{layer}.state")));
        x = gru_cell(from_below, from_state, state);
        after.push(x.clone());
    }
    (model.read_out(weights, x, noise), after)
}

impl<T: Tape> Learner for LaneLearner<T> {
    fn steps_per_epoch(&self) -> usize {
        self.lanes.n_steps()
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

    /// The parameters, and where every lane stands in its session: a run may go on within an epoch.
    fn state(&self) -> State {
        let mut state = State::default();
        self.parameters.save(&mut state, true);
        let states = self.states.iter().flat_map(|states| self.setup.device.read(states)).collect();
        state.put_f32(STATES, &self.state_shape(), states);
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.parameters.restore(state)?;
        let shape @ [_, n_lanes, hidden] = self.state_shape();
        let saved = state.f32(STATES, &shape)?.chunks_exact(n_lanes * hidden);
        self.states.iter_mut().zip(saved).for_each(|(states, saved)| self.setup.device.write(states, saved));
        Ok(())
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

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
