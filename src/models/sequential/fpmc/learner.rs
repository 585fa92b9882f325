//! FPMC in training.

use std::ops::Range;

use gcnrec_graphs::{ItemId, Purpose};
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxWorkspace, softmax_backward, softmax_forward,
};
use gcnrec_kernels::{Buffer, Device};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::table::Table;
use super::{BATCH_SIZE, Config, Fpmc, Loss, NOBODY, TABLES};
use crate::error::Result;
use crate::models::sequential::Setup;
use crate::models::sequential::learner::{check_loss, nothing_follows};
use crate::models::sequential::parameters::Rule;
use crate::models::state::State;
use crate::models::{Learner, PairWeights, Scorer, StepReport};
use crate::objectives::Nodes;

/// The examples of a step.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) users: Vec<u32>,
    pub(super) last: Vec<u32>,
    pub(super) next: Vec<u32>,
    /// Drawn items, with [`Loss::Bpr`].
    pub(super) negatives: Vec<u32>,
    /// How much each counts.
    pub(super) weights: Vec<f32>,
}

/// FPMC in training.
pub(crate) struct FpmcLearner {
    config: Config,
    setup: Setup,
    /// Every place in a history that an item stands before.
    examples: Vec<(u32, u32)>,
    shuffled: Vec<(u32, u32)>,
    shuffled_for: Option<u64>,
    pub(super) tables: [Table; 3],
    workspace: SoftmaxWorkspace,
    step: u64,
    /// None where all examples count alike.
    weights: Option<PairWeights>,
}

impl FpmcLearner {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for a setting outside its range, [`crate::RecError::Input`] when
    /// no history has two items, [`crate::RecError::Kernel`] on a GPU.
    pub(crate) fn new(config: Config, setup: Setup) -> Result<Self> {
        config.check_ranges("model.fpmc")?;
        setup.device.expect_cpu("the model fpmc")?;
        let (histories, n_items, dim, seed) = (&setup.histories, setup.n_items, config.dim, setup.seed);
        let places =
            |(user, history): (usize, &Vec<ItemId>)| (1..history.len()).map(move |at| (user as u32, at as u32));
        let examples: Vec<(u32, u32)> = histories.iter().enumerate().flat_map(places).collect();
        if examples.is_empty() {
            return Err(nothing_follows());
        }
        let tables = [
            Table::new(TABLES[0], histories.len(), &[dim], seed, 0),
            Table::new(TABLES[1], n_items, &[dim], seed, 1),
            Table::new(TABLES[2], n_items, &[dim, dim], seed, 2),
        ];
        let (workspace, shuffled) = (SoftmaxWorkspace::default(), Vec::new());
        Ok(FpmcLearner {
            config,
            setup,
            examples,
            shuffled,
            shuffled_for: None,
            tables,
            workspace,
            step: 0,
            weights: None,
        })
    }

    fn batch_size(&self) -> usize {
        self.setup.batch_size.unwrap_or(BATCH_SIZE)
    }

    pub(super) fn draw(&mut self, epoch: u64, step: usize) -> Batch {
        let seed = self.setup.seed;
        if self.shuffled_for != Some(epoch) {
            self.shuffled.clone_from(&self.examples);
            self.shuffled.shuffle(&mut seed.stream(Purpose::Batch, epoch, u64::MAX));
            self.shuffled_for = Some(epoch);
        }
        let size = self.batch_size();
        let mut batch = Batch::default();
        for &(user, at) in &self.shuffled[step * size..((step + 1) * size).min(self.shuffled.len())] {
            let history = &self.setup.histories[user as usize];
            batch.users.push(user);
            batch.last.push(history[at as usize - 1].0);
            batch.next.push(history[at as usize].0);
            let next = history[at as usize].0;
            batch.weights.push(self.weights.as_ref().map_or(1.0, |weights| weights.of(user, next)));
        }
        if self.config.loss == Loss::Bpr {
            let (mut random, others) =
                (seed.stream(Purpose::Negative, epoch, step as u64), self.setup.n_items as u32 - 1);
            // Of all others with equal chances: numbers from the next item on stand for the items
            // after it.
            let draw = |&next: &u32| {
                let drawn = random.random_range(0..others.max(1));
                if drawn < next || others == 0 { drawn } else { drawn + 1 }
            };
            batch.negatives = batch.next.iter().map(draw).collect();
        }
        batch
    }

    /// The sum of the examples' losses; their mean's gradient is left in the tables.
    pub(super) fn differentiate(&mut self, batch: &Batch) -> Result<f64> {
        self.tables.iter_mut().for_each(|table| table.gradient.fill(0.0));
        let [users, last, _] = &self.tables;
        let (of_users, of_last) = (users.rows(&batch.users)?, last.rows(&batch.last)?);
        let dim = self.config.dim;
        let asked: Vec<f32> =
            of_users.chunks_exact(dim).zip(of_last.chunks_exact(dim)).flat_map(|(a, c)| [a, c].concat()).collect();
        match self.config.loss {
            Loss::Bpr => self.bpr(batch, &asked),
            Loss::Softmax => self.softmax(batch, &asked),
        }
    }

    fn bpr(&mut self, batch: &Batch, asked: &[f32]) -> Result<f64> {
        let (dim, n) = (self.config.dim, batch.users.len());
        let [users, last, next] = &mut self.tables;
        let (good, bad) = (next.rows(&batch.next)?, next.rows(&batch.negatives)?);
        let rows = asked.chunks_exact(2 * dim).zip(good.chunks_exact(2 * dim).zip(bad.chunks_exact(2 * dim)));
        let mut loss = 0.0;
        for (example, (q, (good, bad))) in rows.enumerate() {
            let apart: Vec<f32> = good.iter().zip(bad).map(|(good, bad)| good - bad).collect();
            let x: f64 = q.iter().zip(&apart).map(|(q, d)| f64::from(q * d)).sum();
            // softplus(-x), without overflow.
            let weight = f64::from(batch.weights[example]);
            loss += weight * ((-x).max(0.0) + (-x.abs()).exp().ln_1p());
            let d = (-weight / (1.0 + x.exp()) / n as f64) as f32;
            users.add(batch.users[example], d, &apart[..dim]);
            last.add(batch.last[example], d, &apart[dim..]);
            next.add(batch.next[example], d, q);
            next.add(batch.negatives[example], -d, q);
        }
        Ok(loss)
    }

    fn softmax(&mut self, batch: &Batch, asked: &[f32]) -> Result<f64> {
        let (device, dim, n) = (&Device::Cpu, self.config.dim, batch.users.len());
        let (q, positive) = (device.upload(asked), device.upload(&batch.next));
        let list_ptr = device.upload(&(0..=n as u32).collect::<Vec<_>>());
        let (config, workspace) = (SoftmaxConfig { tau: 1.0, t2: 1.0 }, &mut self.workspace);
        let [users, last, next] = &mut self.tables;
        let (mut losses, mut d_q, mut d_next) = (Buffer::default(), Buffer::default(), Buffer::default());
        let (dim, c) = (2 * dim, next.trained.value());
        let (list_ptr, positive) = (&list_ptr, &positive);
        let input = SoftmaxInput { dim, config, q: &q, c, candidate_bias: None, list_ptr, positive };
        softmax_forward(device, &input, workspace, &mut losses)?;
        let weights = device.upload(&batch.weights.iter().map(|weight| weight / n as f32).collect::<Vec<_>>());
        let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_next };
        softmax_backward(device, &input, &weights, workspace, gradients)?;
        next.gradient = device.read(&d_next);
        for (example, d) in device.read(&d_q).chunks_exact(dim).enumerate() {
            users.add(batch.users[example], 1.0, &d[..dim / 2]);
            last.add(batch.last[example], 1.0, &d[dim / 2..]);
        }
        Ok(device.read(&losses).iter().zip(&batch.weights).map(|(&loss, &weight)| f64::from(weight * loss)).sum())
    }
}

impl Learner for FpmcLearner {
    fn steps_per_epoch(&self) -> usize {
        self.examples.len().div_ceil(self.batch_size())
    }

    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport> {
        let rule = Rule::adam(self.setup.learning_rate());
        StepReport::of(steps, |step| {
            let batch = self.draw(epoch, step);
            let loss = self.differentiate(&batch)?;
            check_loss(loss, epoch, step)?;
            self.step += 1;
            self.tables.iter_mut().try_for_each(|Table { trained, gradient }| {
                trained.descend(&Device::Cpu.upload(gradient), self.step, &rule)
            })?;
            Ok((loss, batch.users.len() as u64))
        })
    }

    fn freeze(&mut self) -> Result<Box<dyn Scorer>> {
        let mut state = State::default();
        self.tables.iter().for_each(|table| table.trained.save(&mut state, false));
        let last = self.setup.histories.iter().map(|history| history.last().map_or(NOBODY, |item| item.0)).collect();
        state.put_u32("last", &[self.setup.histories.len()], last);
        state.put_fact("dim", self.config.dim);
        let nodes = Nodes { n_users: self.setup.histories.len(), n_items: self.setup.n_items };
        Ok(Box::new(Fpmc::load(&state, nodes)?))
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.tables.iter().for_each(|table| table.trained.save(&mut state, true));
        state.put_fact("step", self.step);
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.tables.iter_mut().try_for_each(|table| table.trained.restore(state))?;
        self.step = state.steps()?;
        Ok(())
    }

    fn weigh_pairs(&mut self, weights: PairWeights) -> Result<()> {
        self.weights = Some(weights);
        Ok(())
    }

    fn n_parameters(&self) -> usize {
        self.tables.iter().map(|table| table.gradient.len()).sum()
    }
}
