//! Distillation with privileged information: a second network of the same kind reads a session from
//! its end, down to the item after the one that should be predicted, and its probabilities are
//! mixed into the targets.
//!
//! With `p` the second network's softmax at a temperature, `y` the target and `w` the weight, the
//! loss of a position is `(1 - w) CE(y) + w CE(p)`, and since
//! `CE(p) = log sum exp s - sum_j p_j s_j`, that is the plain loss plus
//! `w (s_y - <hidden, sum_j p_j v_j>)`. The second network takes a step of its own with each step
//! of the first: its loss is the cross-entropy of the same targets. Its probabilities are taken
//! before that step, and no gradient reaches it through them. The last position of a sequence has
//! no future, so its target stays as it is.
//!
//! # Source
//! Tan et al., *Improved Recurrent Neural Networks for Session-based Recommendations*, DLRS 2016,
//! section 3.4 (after Vapnik and Vashist, 2009; Hinton et al., 2015). Deliberate difference: they
//! train the second network to its end before the first; here both learn side by side.

use burn_tensor::Tensor;
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{LossScratch, Sequences, Tape, gather, linear, row_dots, row_softmax};

use super::parameters::{Noise, Parameters};
use super::{Encoder, ITEMS, Input, Loss, Objective, Rule};
use crate::error::Result;
use crate::models::state::State;
use crate::samplers::SequenceBatch;

/// How the targets are mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distillation {
    /// What the second network's probabilities weigh beside the target, 0..=1.
    pub weight: f32,
    /// The second network's scores are divided by it, above 0.
    pub temperature: f32,
}

/// The second network in training.
pub(super) struct Distiller<M: Encoder> {
    model: M,
    distillation: Distillation,
    parameters: Parameters,
    scratch: LossScratch,
}

/// What is mixed into the targets of a batch.
pub(super) struct SoftTargets<T: Tape> {
    /// The probability of every item, `[positions.len(), n_items]`.
    probabilities: Tensor<T, 2>,
    /// The positions with a future, rising.
    positions: Vec<u32>,
}

/// Each sequence of a batch from its end: what is read, where each starts, what comes next, and
/// which position of the batch has that as its target.
#[derive(Debug, Default, PartialEq)]
struct Backward {
    items: Vec<u32>,
    starts: Vec<u32>,
    targets: Vec<u32>,
    positions: Vec<u32>,
}

impl Backward {
    /// Of a batch that predicts something at every position.
    fn of(batch: &SequenceBatch) -> Self {
        let mut all = Backward { starts: vec![0], ..Backward::default() };
        for ends in batch.starts.windows(2).filter(|ends| ends[1] > ends[0] + 1) {
            for position in (ends[0]..ends[1] - 1).rev() {
                all.items.push(batch.targets[position as usize + 1]);
                all.targets.push(batch.targets[position as usize]);
                all.positions.push(position);
            }
            all.starts.push(all.items.len() as u32);
        }
        all
    }
}

impl<M: Encoder> Distiller<M> {
    /// At step 0, from weights other than those of the first network.
    pub(super) fn new(model: M, distillation: Distillation, (device, n_items): (&Device, usize), seed: Seed) -> Self {
        let parameters = Parameters::another(device, model.parameters(n_items), seed);
        Distiller { model, distillation, parameters, scratch: LossScratch::default() }
    }

    /// Predicts a batch, then learns from it. Nothing where no sequence has a future.
    pub(super) fn step<T: Tape>(
        &mut self,
        batch: &SequenceBatch,
        noise: &mut Noise,
        rule: &Rule,
    ) -> Result<Option<SoftTargets<T>>> {
        let Backward { items, starts, targets, positions } = Backward::of(batch);
        if items.is_empty() {
            return Ok(None);
        }
        let (weights, sequences) = (self.parameters.on_tape::<T>(), Sequences::new(starts));
        let hidden = self.model.encode(&weights, &Input { items: &items, sequences: &sequences }, noise);
        let table = weights.get(ITEMS);
        let zeros = Tensor::zeros([1, table.dims()[0]], &table.device());
        let scores = linear(hidden.clone().detach(), table.clone().detach().transpose(), zeros);
        let probabilities = row_softmax(scores, self.distillation.temperature);
        let plain = Objective { loss: Loss::CrossEntropy, ..Objective::default() };
        let losses = plain.losses(hidden, (table, None), &targets, &Default::default(), &self.scratch);
        self.parameters.descend(&weights, losses / targets.len() as f32, rule)?;
        // In the order of the batch.
        let mut order: Vec<u32> = (0..positions.len() as u32).collect();
        order.sort_unstable_by_key(|&row| positions[row as usize]);
        let probabilities = gather(probabilities, order.iter().map(|&row| Some(row)));
        let positions = order.iter().map(|&row| positions[row as usize]).collect();
        Ok(Some(SoftTargets { probabilities, positions }))
    }

    /// Mixes soft targets into the losses of positions with the vectors `hidden`.
    ///
    /// # Shapes
    /// - `losses`: `[n, 1]`; `hidden`: `[n, dim]`; `items`: `[n_items, dim]`; `targets`: `[n]`
    pub(super) fn mix<T: Tape>(
        &self,
        losses: Tensor<T, 2>,
        soft: &SoftTargets<T>,
        hidden: Tensor<T, 2>,
        items: Tensor<T, 2>,
        targets: &[u32],
    ) -> Tensor<T, 2> {
        let own = || soft.positions.iter().map(|&position| Some(position));
        let right = gather(items.clone(), own().map(|position| position.map(|position| targets[position as usize])));
        let zeros = Tensor::zeros([1, items.dims()[1]], &items.device());
        let expected = linear(soft.probabilities.clone(), items, zeros);
        let hidden = gather(hidden, own());
        let difference = (row_dots(hidden.clone(), right) - row_dots(hidden, expected)) * self.distillation.weight;
        let mut mixed = vec![None; targets.len()];
        for (row, &position) in soft.positions.iter().enumerate() {
            mixed[position as usize] = Some(row as u32);
        }
        losses + gather(difference, mixed)
    }

    /// Adds what the next step needs.
    pub(super) fn save(&self, state: &mut State) {
        let mut own = State::default();
        self.parameters.save(&mut own, true);
        state.tensors.extend(own.tensors.into_iter().map(|(name, tensor)| (format!("teacher.{name}"), tensor)));
        state.facts.extend(own.facts.into_iter().map(|(name, fact)| (format!("teacher.{name}"), fact)));
    }

    /// Puts back what [`Distiller::save`] gave.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state has no such network.
    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        let mut own = State::default();
        let of_own = |name: &str| name.strip_prefix("teacher.").map(String::from);
        for (name, tensor) in &state.tensors {
            own.tensors.extend(of_own(name).map(|name| (name, tensor.clone())));
        }
        for (name, fact) in &state.facts {
            own.facts.extend(of_own(name).map(|name| (name, fact.clone())));
        }
        self.parameters.restore(&own)
    }
}

#[cfg(test)]
mod tests {
    use burn_tensor::TensorData;
    use gcnrec_kernels::burn_bridge::{Autodiff, Flex};

    use super::super::gru4rec::Config;
    use super::*;

    #[test]
    fn the_future_is_read_from_its_end_down_to_the_item_after_the_target() {
        // Sessions 1 2 3 4 and 5 6: at 1, 2, 3 the targets are 2, 3, 4, and at 5 it is 6, which
        // nothing follows.
        let batch = SequenceBatch {
            starts: vec![0, 3, 4],
            items: vec![1, 2, 3, 5],
            targets: vec![2, 3, 4, 6],
            ..SequenceBatch::default()
        };
        // 4 says what came before it: 3, the target of position 1; then 3 says 2.
        let expected = Backward { items: vec![4, 3], starts: vec![0, 2], targets: vec![3, 2], positions: vec![1, 0] };
        assert_eq!(Backward::of(&batch), expected);
    }

    fn tensor(values: &[f64], shape: [usize; 2]) -> Tensor<Autodiff<Flex>, 2> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    #[test]
    fn a_loss_and_its_derivative_are_those_of_mixed_targets() {
        const ROWS: usize = 3;
        const N: usize = 5;
        const DIM: usize = 2;
        let wave = |n: usize, step: f64| -> Vec<f64> { (0..n).map(|at| (0.4 + step * at as f64).sin()).collect() };
        let (hidden, items) = (wave(ROWS * DIM, 0.9), wave(N * DIM, 1.7));
        let targets = [4, 0, 2];
        // Positions 0 and 2 have soft targets.
        let p = [[0.1, 0.2, 0.3, 0.15, 0.25], [0.5, 0.1, 0.1, 0.2, 0.1]];
        let (positions, weight) = (vec![0, 2], 0.3f32);
        let value = |hidden: &[f64], items: &[f64]| {
            let mut sum = 0.0;
            for row in 0..ROWS {
                let score = |item: usize| (0..DIM).map(|d| hidden[row * DIM + d] * items[item * DIM + d]).sum::<f64>();
                let log_sum = (0..N).map(|item| score(item).exp()).sum::<f64>().ln();
                let log_p = |item: usize| score(item) - log_sum;
                let w = if row == 1 { 0.0 } else { f64::from(weight) };
                let soft: f64 = (0..N).map(|item| p[row / 2][item] * log_p(item)).sum();
                sum -= (1.0 - w) * log_p(targets[row] as usize) + w * soft;
            }
            sum
        };
        let model = Config { dim: DIM, hidden: 3, ..Config::default() };
        let distiller = Distiller::new(model, Distillation { weight, temperature: 1.0 }, (&Device::Cpu, N), Seed(1));
        let soft = SoftTargets { probabilities: tensor(&p.concat(), [2, N]), positions };
        let inputs = [tensor(&hidden, [ROWS, DIM]).require_grad(), tensor(&items, [N, DIM]).require_grad()];
        let [h, i] = inputs.clone();
        let plain = Objective::default();
        let losses = plain.losses(h.clone(), (i.clone(), None), &targets, &Default::default(), &LossScratch::default());
        let sum = distiller.mix(losses, &soft, h, i, &targets).sum();
        let found = f64::from(sum.clone().into_scalar());
        assert!((found - value(&hidden, &items)).abs() < 1e-5, "{found} {}", value(&hidden, &items));
        let gradients = sum.backward();
        for (which, input) in inputs.iter().enumerate() {
            let gradient: Vec<f32> = input.grad(&gradients).unwrap().into_data().into_vec().unwrap();
            for (at, &gradient) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut all = [hidden.clone(), items.clone()];
                    all[which][at] += by;
                    value(&all[0], &all[1])
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((f64::from(gradient) - expected).abs() < 1e-5, "input {which}[{at}]: {gradient} {expected}");
            }
        }
    }

    #[test]
    fn soft_targets_stand_in_the_order_of_the_batch_and_are_probabilities() {
        let model = Config { dim: 4, hidden: 3, ..Config::default() };
        let mut distiller =
            Distiller::new(model, Distillation { weight: 0.5, temperature: 2.0 }, (&Device::Cpu, 7), Seed(1));
        let batch = SequenceBatch {
            starts: vec![0, 3, 5, 6],
            items: vec![1, 2, 3, 5, 6, 0],
            targets: vec![2, 3, 4, 6, 0, 1],
            ..SequenceBatch::default()
        };
        let soft = distiller.step::<Autodiff<Flex>>(&batch, &mut Noise::none(), &Rule::adam(0.1)).unwrap().unwrap();
        assert_eq!(soft.positions, [0, 1, 3]);
        let rows: Vec<f32> = soft.probabilities.into_data().into_vec().unwrap();
        assert!(rows.chunks_exact(7).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5) && rows.len() == 21);
        let alone = SequenceBatch { starts: vec![0, 1], items: vec![1], targets: vec![2], ..SequenceBatch::default() };
        assert!(distiller.step::<Autodiff<Flex>>(&alone, &mut Noise::none(), &Rule::adam(0.1)).unwrap().is_none());
    }
}
