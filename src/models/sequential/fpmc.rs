//! FPMC: who the user is and what they did last, each as a factorisation: `s(u, l, j) = A_u . B_j + C_l . D_j`.
//!
//! There is no tape: the score of an item is the inner product of `[A_u, C_l]` with `[B_j, D_j]`, so the gradients are those two vectors. With the loss
//! `bpr`, `-log s(s(u, l, i) - s(u, l, j))` with one sampled `j` for every next item `i`; with `softmax`, cross-entropy over all items.
//!
//! # Source
//! Rendle et al., *Factorizing Personalized Markov Chains for Next-Basket Recommendation*, WWW 2010, eq. 8 and 12, with baskets of one item; sizes and
//! initial weights are those of RecBole 1.2.1 (`model/sequential_recommender/fpmc.py`). The third factorisation of the paper, user with last item, falls out
//! of every comparison of two items. A negative is any item but the next one, as in both. Deliberate difference: a user who was not in training is told by the
//! last item alone.

use std::ops::Range;
use std::sync::Arc;

use gcnrec_graphs::{ItemId, Purpose, Seed, UserId};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::gather::gather_indices;
use gcnrec_kernels::ops::softmax::{SoftmaxConfig, SoftmaxWorkspace, softmax_backward, softmax_forward};
use gcnrec_kernels::ops::top_k::{self, TopK};
use gcnrec_kernels::{Buffer, Device};
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{LEARNING_RATE, Setup, expect};
use crate::error::{Place, RecError, Result};
use crate::models::graph::normal;
use crate::models::linear::check_item;
use crate::models::ranking::most_similar;
use crate::models::state::{State, foreign};
use crate::models::{Learner, Query, Scorer, StepReport};

/// The name in the registry.
pub const NAME: &str = "fpmc";
/// Next items in a batch where no number was chosen.
pub const BATCH_SIZE: usize = 2048;
/// Stands for the last item of a user who has none.
const NOBODY: u32 = u32::MAX;
/// The tables by name: `A`, `C`, and `B` and `D` side by side.
const TABLES: [&str; 3] = ["users", "last_items", "next_items"];

/// `[model.fpmc]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of each of the four tables, 1..=4096. Default 64.
    pub dim: usize,
    /// The loss. Default `bpr`.
    pub loss: Loss,
}

/// What FPMC is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The next item against one that was drawn.
    Bpr,
    /// The next item against all.
    Softmax,
}

impl Default for Config {
    fn default() -> Self {
        Config { dim: 64, loss: Loss::Bpr }
    }
}

impl Config {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        let whole = (1..=4096).contains(&self.dim);
        expect(whole, "model.fpmc.dim".into(), self.dim, "a whole number from 1 to 4096")
    }
}

/// The examples of a step.
#[derive(Debug, Default)]
struct Batch {
    users: Vec<u32>,
    last: Vec<u32>,
    next: Vec<u32>,
    /// Drawn items, with [`Loss::Bpr`].
    negatives: Vec<u32>,
}

/// A table in training, with its moments and its gradient.
struct Table {
    width: usize,
    values: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
    gradient: Vec<f32>,
}

impl Table {
    /// Glorot and Bengio's normal start of matrices with half the width where two stand side by side.
    fn new(n: usize, dims: &[usize], seed: Seed, place: u64) -> Self {
        let width = dims.iter().sum();
        let mut values = vec![0.0; n * width];
        let mut from = 0;
        for (part, &dim) in dims.iter().enumerate() {
            let std = (2.0 / (n + dim) as f32).sqrt();
            let drawn = normal(seed.stream(Purpose::Init, 0, place + part as u64), n * dim, std);
            for (row, drawn) in values.chunks_exact_mut(width).zip(drawn.chunks_exact(dim)) {
                row[from..from + dim].copy_from_slice(drawn);
            }
            from += dim;
        }
        let zeros = || Device::Cpu.zeros(values.len());
        Table { width, m: zeros(), v: zeros(), gradient: vec![0.0; values.len()], values: Device::Cpu.upload(&values) }
    }

    /// Rows by index.
    fn rows(&self, indices: &[u32]) -> Result<Vec<f32>> {
        let mut rows = Buffer::default();
        gather_indices(&Device::Cpu, self.width, &self.values, &Device::Cpu.upload(indices), &mut rows)?;
        Ok(Device::Cpu.read(&rows))
    }

    /// Adds a multiple of a vector to the gradient of a row.
    fn add(&mut self, row: u32, factor: f32, vector: &[f32]) {
        let at = row as usize * self.width;
        self.gradient[at..at + vector.len()].iter_mut().zip(vector).for_each(|(sum, x)| *sum += factor * x);
    }

    fn shape(&self) -> [usize; 2] {
        [self.values.len() / self.width, self.width]
    }
}

/// FPMC in training.
pub struct FpmcLearner {
    config: Config,
    setup: Setup,
    /// Every place in a history that an item stands before.
    examples: Vec<(u32, u32)>,
    shuffled: Vec<(u32, u32)>,
    shuffled_for: Option<u64>,
    tables: [Table; 3],
    workspace: SoftmaxWorkspace,
    step: u64,
}

impl FpmcLearner {
    /// A learner at step 0.
    ///
    /// # Errors
    /// [`RecError::Config`] for a setting outside its range, [`RecError::Input`] when no history has two items.
    pub fn new(config: Config, setup: Setup) -> Result<Self> {
        config.validate()?;
        let (histories, n_items, dim, seed) = (&setup.histories, setup.n_items, config.dim, setup.seed);
        let places =
            |(user, history): (usize, &Vec<ItemId>)| (1..history.len()).map(move |at| (user as u32, at as u32));
        let examples: Vec<(u32, u32)> = histories.iter().enumerate().flat_map(places).collect();
        if examples.is_empty() {
            return Err(RecError::Input {
                place: Place::file(std::path::Path::new("training part")),
                found: "no history of two items".into(),
                expected: "at least one: a sequential model learns what follows what".into(),
                todo: "train another model, or add interactions".into(),
            });
        }
        let tables = [
            Table::new(histories.len(), &[dim], seed, 0),
            Table::new(n_items, &[dim], seed, 1),
            Table::new(n_items, &[dim, dim], seed, 2),
        ];
        let (workspace, shuffled) = (SoftmaxWorkspace::default(), Vec::new());
        Ok(FpmcLearner { config, setup, examples, shuffled, shuffled_for: None, tables, workspace, step: 0 })
    }

    fn batch_size(&self) -> usize {
        self.setup.batch_size.unwrap_or(BATCH_SIZE)
    }

    fn draw(&mut self, epoch: u64, step: usize) -> Batch {
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
        }
        if self.config.loss == Loss::Bpr {
            let (mut random, others) =
                (seed.stream(Purpose::Negative, epoch, step as u64), self.setup.n_items as u32 - 1);
            // Of all others with equal chances: numbers from the next item on stand for the items after it.
            let draw = |&next: &u32| {
                let drawn = random.random_range(0..others.max(1));
                if drawn < next || others == 0 { drawn } else { drawn + 1 }
            };
            batch.negatives = batch.next.iter().map(draw).collect();
        }
        batch
    }

    /// The sum of the examples' losses; their mean's gradient is left in the tables.
    fn differentiate(&mut self, batch: &Batch) -> Result<f64> {
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
            loss += (-x).max(0.0) + (-x.abs()).exp().ln_1p();
            let d = (-1.0 / (1.0 + x.exp()) / n as f64) as f32;
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
        softmax_forward(device, 2 * dim, config, &q, &next.values, None, &list_ptr, &positive, workspace, &mut losses)?;
        let weights = device.upload(&vec![1.0 / n as f32; n]);
        let (w, c) = (&weights, &next.values);
        softmax_backward(
            device,
            2 * dim,
            config,
            &q,
            c,
            None,
            &list_ptr,
            &positive,
            w,
            workspace,
            &mut d_q,
            &mut d_next,
        )?;
        next.gradient = device.read(&d_next);
        for (example, d) in device.read(&d_q).chunks_exact(2 * dim).enumerate() {
            users.add(batch.users[example], 1.0, &d[..dim]);
            last.add(batch.last[example], 1.0, &d[dim..]);
        }
        Ok(device.read(&losses).iter().map(|&loss| f64::from(loss)).sum())
    }
}

impl Learner for FpmcLearner {
    fn steps_per_epoch(&self) -> usize {
        self.examples.len().div_ceil(self.batch_size())
    }

    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport> {
        let mut report = StepReport::default();
        let adam =
            AdamConfig { learning_rate: self.setup.learning_rate.unwrap_or(LEARNING_RATE), ..AdamConfig::default() };
        for step in steps {
            let batch = self.draw(epoch, step);
            let loss = self.differentiate(&batch)?;
            if !loss.is_finite() {
                return Err(RecError::NotFinite {
                    what: "loss",
                    value: loss,
                    place: format!("epoch {}, step {}", epoch + 1, step + 1),
                    todo: "lower the learning rate".into(),
                });
            }
            self.step += 1;
            for Table { values, m, v, gradient, .. } in &mut self.tables {
                adam_step(&Device::Cpu, &adam, self.step, &Device::Cpu.upload(gradient), m, v, values)?;
            }
            report.loss += loss;
            report.n_examples += batch.users.len() as u64;
        }
        Ok(report)
    }

    fn freeze(&mut self) -> Result<Box<dyn Scorer>> {
        let mut state = State::default();
        for (name, table) in TABLES.into_iter().zip(&self.tables) {
            state.put_f32(name, &table.shape(), Device::Cpu.read(&table.values));
        }
        let last = self.setup.histories.iter().map(|history| history.last().map_or(NOBODY, |item| item.0)).collect();
        state.put_u32("last", &[self.setup.histories.len()], last);
        state.put_fact("dim", self.config.dim);
        Ok(Box::new(Fpmc::load(&state)?))
    }

    fn state(&self) -> State {
        let mut state = State::default();
        for (name, table) in TABLES.into_iter().zip(&self.tables) {
            let shape = table.shape();
            state.put_f32(name, &shape, Device::Cpu.read(&table.values));
            state.put_f32(&format!("adam.m.{name}"), &shape, Device::Cpu.read(&table.m));
            state.put_f32(&format!("adam.v.{name}"), &shape, Device::Cpu.read(&table.v));
        }
        state.put_fact("step", self.step);
        state
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        for (name, table) in TABLES.into_iter().zip(&mut self.tables) {
            let shape = table.shape();
            Device::Cpu.write(&mut table.values, state.f32(name, &shape)?);
            Device::Cpu.write(&mut table.m, state.f32(&format!("adam.m.{name}"), &shape)?);
            Device::Cpu.write(&mut table.v, state.f32(&format!("adam.v.{name}"), &shape)?);
        }
        self.step = state.fact("step")?;
        Ok(())
    }

    fn n_parameters(&self) -> usize {
        self.tables.iter().map(|table| table.values.len()).sum()
    }
}

/// A frozen FPMC.
pub struct Fpmc {
    state: State,
    dim: usize,
    n_items: usize,
    /// `[n_items, 2 dim]`
    next: Buffer<f32>,
    last: Arc<Vec<u32>>,
}

impl Fpmc {
    /// Rebuilds the scorer from its state.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit together.
    pub fn load(state: &State) -> Result<Self> {
        let dim: usize = state.fact("dim")?;
        let (n_items, width, next) = state.matrix("next_items")?;
        let last = state.u32("last")?;
        if width != 2 * dim || last.iter().any(|&item| item != NOBODY && item as usize >= n_items) {
            return Err(foreign(format!(
                "its tables do not fit together: dim {dim}, {n_items} items of width {width}"
            )));
        }
        state.f32("users", &[last.len(), dim])?;
        state.f32("last_items", &[n_items, dim])?;
        let (next, last) = (Device::Cpu.upload(next), Arc::new(last.to_vec()));
        Ok(Fpmc { state: state.clone(), dim, n_items, next, last })
    }

    /// `[A_u, C_l]` of each query: the last item is that of the history, or of a known user's training. What is not known is zero.
    fn asked(&self, queries: &[Query<'_>]) -> Result<Buffer<f32>> {
        let (users, last) = (
            self.state.f32("users", &[self.last.len(), self.dim])?,
            self.state.f32("last_items", &[self.n_items, self.dim])?,
        );
        let mut asked = vec![0.0; queries.len() * 2 * self.dim];
        for (query, row) in queries.iter().zip(asked.chunks_exact_mut(2 * self.dim)) {
            query.history.iter().try_for_each(|&item| check_item(NAME, "history", item, self.n_items))?;
            let (of_user, of_last) = row.split_at_mut(self.dim);
            // A user without a training item has a vector that nothing moved.
            let known = query.user.map(UserId::index).filter(|&user| user < self.last.len());
            let trained = known.filter(|&user| self.last[user] != NOBODY);
            if let Some(user) = trained {
                of_user.copy_from_slice(&users[user * self.dim..(user + 1) * self.dim]);
            }
            let item = query.history.last().map(|item| item.0).or(trained.map(|user| self.last[user]));
            match item {
                Some(item) => of_last.copy_from_slice(&last[item as usize * self.dim..(item as usize + 1) * self.dim]),
                None if known.is_some() => {}
                None => {
                    return Err(RecError::Unsupported {
                        model: NAME.into(),
                        problem: "the user was not in training and has no history".into(),
                        todo: "pass a history to score a new user".into(),
                    });
                }
            }
        }
        Ok(Device::Cpu.upload(&asked))
    }
}

impl Scorer for Fpmc {
    fn model(&self) -> &'static str {
        NAME
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn score_block(&self, queries: &[Query<'_>], out: &mut Vec<f32>) -> Result<()> {
        Ok(top_k::score_block(&Device::Cpu, 2 * self.dim, &self.asked(queries)?, &self.next, out)?)
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        Ok(top_k::top_k(&Device::Cpu, 2 * self.dim, &self.asked(queries)?, &self.next, excluded, k)?)
    }

    /// Ranks by the cosine of what the items are compared by.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(NAME, "item", item, self.n_items)?;
        let rows = self.state.f32("next_items", &[self.n_items, 2 * self.dim])?;
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let own = &rows[item.index() * 2 * self.dim..(item.index() + 1) * 2 * self.dim];
        let cosine = |row: &[f32]| (dot(own, row) / (dot(own, own) * dot(row, row)).sqrt().max(1e-12)) as f32;
        most_similar(&rows.chunks_exact(2 * self.dim).map(cosine).collect::<Vec<_>>(), item, k)
    }

    fn state(&self) -> State {
        self.state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(histories: Vec<Vec<u32>>, n_items: usize, batch_size: usize) -> Setup {
        let histories = histories.into_iter().map(|h| h.into_iter().map(ItemId).collect()).collect();
        let learning_rate = Some(0.01);
        Setup { histories: Arc::new(histories), n_items, batch_size: Some(batch_size), learning_rate, seed: Seed(7) }
    }

    fn learner(loss: Loss) -> FpmcLearner {
        let histories = vec![vec![0, 1, 2, 0], vec![3, 4], vec![], vec![2, 2, 1]];
        FpmcLearner::new(Config { dim: 3, loss }, setup(histories, 5, 4)).unwrap()
    }

    /// The mean loss of a batch in f64, from the formulas.
    fn plain(tables: &[Vec<f64>; 3], batch: &Batch, loss: Loss, n_items: u32) -> f64 {
        let score = |user: u32, last: u32, item: u32| -> f64 {
            let (user, last, item) = (user as usize * 3, last as usize * 3, item as usize * 6);
            let of_user = (0..3).map(|c| tables[0][user + c] * tables[2][item + c]);
            let of_last = (0..3).map(|c| tables[1][last + c] * tables[2][item + 3 + c]);
            of_user.chain(of_last).sum()
        };
        let example = |e: usize| {
            let score = |item| score(batch.users[e], batch.last[e], item);
            match loss {
                Loss::Bpr => (1.0 + (score(batch.negatives[e]) - score(batch.next[e])).exp()).ln(),
                Loss::Softmax => (0..n_items).map(|j| score(j).exp()).sum::<f64>().ln() - score(batch.next[e]),
            }
        };
        (0..batch.users.len()).map(example).sum::<f64>() / batch.users.len() as f64
    }

    #[test]
    fn gradients_match_differences_of_the_formula() {
        for loss in [Loss::Bpr, Loss::Softmax] {
            let mut learner = learner(loss);
            let batch = learner.draw(0, 0);
            let wide = |table: &Table| -> Vec<f64> {
                Device::Cpu.read(&table.values).iter().map(|&value| f64::from(value)).collect()
            };
            let tables = learner.tables.each_ref().map(wide);
            let sum = learner.differentiate(&batch).unwrap();
            // Sums of six products below 2 in f32.
            let n = batch.users.len() as f64;
            assert!((sum / n - plain(&tables, &batch, loss, 5)).abs() < 1e-5);
            for (which, table) in learner.tables.iter().enumerate() {
                for (at, &found) in table.gradient.iter().enumerate() {
                    let moved = |step: f64| {
                        let mut moved = tables.clone();
                        moved[which][at] += step;
                        plain(&moved, &batch, loss, 5)
                    };
                    let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!((f64::from(found) - expected).abs() < 1e-5, "{loss:?} {which} {at}: {found} {expected}");
                }
            }
        }
    }

    /// Item `i` is followed by `7 i + 3` (counted round 41), whoever the user is.
    #[test]
    fn a_rule_of_first_order_is_learned() {
        let next = |item: u32| (7 * item + 3) % 41;
        let mut random = Seed(1).stream(Purpose::Analysis, 0, 0);
        let walk = |start: u32| std::iter::successors(Some(start), |&item| Some(next(item))).take(8).collect();
        let histories: Vec<Vec<u32>> = (0..120).map(|_| walk(random.random_range(0..41))).collect();
        for loss in [Loss::Bpr, Loss::Softmax] {
            let config = Config { dim: 16, loss };
            let mut learner = FpmcLearner::new(config, setup(histories.clone(), 41, 64)).unwrap();
            let n_steps = learner.steps_per_epoch();
            for epoch in 0..60 {
                learner.steps(epoch, 0..n_steps).unwrap();
            }
            let scorer = learner.freeze().unwrap();
            let right = |&item: &u32| {
                let history = [ItemId(item)];
                scorer.top_k(&[Query { user: None, history: &history }], &[&[item]], 1).unwrap().items[0] == next(item)
            };
            let right = (0..41).filter(right).count();
            assert!(right >= 39, "{loss:?}: {right} of 41 is less than 95 %");
        }
    }

    #[test]
    fn a_stop_changes_nothing_and_a_reloaded_model_is_the_same() {
        let (mut straight, mut first, mut second) = (learner(Loss::Bpr), learner(Loss::Bpr), learner(Loss::Bpr));
        assert_eq!(straight.steps_per_epoch(), 2, "3 + 1 + 2 examples in batches of 4");
        for epoch in 0..3 {
            straight.steps(epoch, 0..2).unwrap();
        }
        first.steps(0, 0..2).unwrap();
        first.steps(1, 0..1).unwrap();
        second.restore(&first.state()).unwrap();
        second.steps(1, 1..2).unwrap();
        second.steps(2, 0..2).unwrap();
        assert_eq!(second.state(), straight.state());
        let scorer = second.freeze().unwrap();
        assert_eq!(Fpmc::load(&scorer.state()).unwrap().state(), scorer.state());
        let mut damaged = scorer.state();
        damaged.put_u32("last", &[4], vec![0, 1, 9, NOBODY]);
        assert_eq!(Fpmc::load(&damaged).err().map(|error| error.exit_code()), Some(6));
    }

    #[test]
    fn the_user_and_the_last_item_each_say_their_part() {
        let mut learner = learner(Loss::Bpr);
        learner.steps(0, 0..2).unwrap();
        let scorer = learner.freeze().unwrap();
        let scores = |user: Option<u32>, history: &[u32]| {
            let history: Vec<ItemId> = history.iter().map(|&item| ItemId(item)).collect();
            let mut out = Vec::new();
            scorer.score_block(&[Query { user: user.map(UserId), history: &history }], &mut out).map(|()| out)
        };
        // User 0 ended with item 0.
        assert_eq!(scores(Some(0), &[]).unwrap(), scores(Some(0), &[3, 0]).unwrap());
        assert_ne!(scores(Some(0), &[3]).unwrap(), scores(None, &[3]).unwrap());
        // User 2 met nothing: only the history speaks, and without one all items are alike.
        assert_eq!(scores(Some(2), &[3]).unwrap(), scores(None, &[3]).unwrap());
        assert_eq!(scores(Some(2), &[]).unwrap(), [0.0; 5]);
        assert!(scores(None, &[]).is_err() && scores(Some(9), &[]).is_err() && scores(None, &[5]).is_err());
    }
}
