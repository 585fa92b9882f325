//! Named parameters with their moments, and the tensors and the noise that a pass over them takes.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::burn_bridge::{Autodiff, Drop, Flex};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::{Buffer, Device};
use rand::{Rng, RngExt};

use crate::error::Result;
use crate::models::graph::normal;
use crate::models::state::State;

/// What training runs on.
pub(super) type Tape = Autodiff<Flex>;

/// Where a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Uniform between minus this and this.
    Uniform(f32),
    /// Every number the same.
    Constant(f32),
}

/// A parameter's name, shape and start.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name, as in the checkpoint: `layers.0.attention.weight`.
    pub name: String,
    /// Rows and columns; a vector has one row.
    pub shape: [usize; 2],
    /// Where it starts.
    pub init: Init,
}

impl Parameter {
    /// A parameter.
    pub fn new(name: impl Into<String>, shape: [usize; 2], init: Init) -> Self {
        Parameter { name: name.into(), shape, init }
    }
}

/// The parameters as tensors.
pub struct Weights<B: Backend>(BTreeMap<String, Tensor<B, 2>>);

impl<B: Backend> Weights<B> {
    /// A parameter by its name, which should be one of the model's own.
    pub fn get(&self, name: &str) -> Tensor<B, 2> {
        let found = self.0.get(name).unwrap_or_else(|| unreachable!("\"{name}\" should be a parameter of the model"));
        found.clone()
    }
}

impl Weights<Flex> {
    /// Weights without a tape.
    pub(super) fn frozen<'a>(parameters: impl IntoIterator<Item = (&'a str, [usize; 2], Vec<f32>)>) -> Self {
        let device = Default::default();
        let tensor = |values: Vec<f32>, shape| Tensor::from_data(TensorData::new(values, shape), &device);
        Weights(parameters.into_iter().map(|(name, shape, values)| (name.into(), tensor(values, shape))).collect())
    }
}

/// What is random within a pass; nothing outside of training.
pub struct Noise(Option<Box<dyn Rng>>);

impl Noise {
    /// Numbers from a stream.
    pub fn from(stream: impl Rng + 'static) -> Self {
        Noise(Some(Box::new(stream)))
    }

    /// Nothing is random.
    pub fn none() -> Self {
        Noise(None)
    }

    /// A new mask that drops each number with probability `rate`.
    pub fn drop(&mut self, rate: f32) -> Drop {
        match &mut self.0 {
            Some(random) if rate > 0.0 => Drop::new(rate, random.random()),
            _ => Drop::NOTHING,
        }
    }
}

/// How parameters follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Adam, as the graph models take it.
    Adam(AdamConfig),
    /// Adagrad: `v += g^2`, `p -= rate g / sqrt(v + 1e-6)` (Duchi et al., JMLR 2011; the constant is that of GRU4Rec's authors).
    Adagrad {
        /// Step size.
        learning_rate: f32,
    },
}

impl Rule {
    /// Adam with its usual constants.
    pub fn adam(learning_rate: f32) -> Self {
        Rule::Adam(AdamConfig { learning_rate, ..AdamConfig::default() })
    }
}

/// One parameter in training.
struct Trained {
    parameter: Parameter,
    value: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
}

/// All parameters in training.
pub(super) struct Parameters {
    trained: Vec<Trained>,
    step: u64,
}

impl Parameters {
    /// Parameters at their start: each draws from a stream of its own, by its place in the list.
    pub(super) fn new(layout: Vec<Parameter>, seed: Seed) -> Self {
        Parameters::drawn(layout, seed, 0)
    }

    /// The same from other streams.
    pub(super) fn another(layout: Vec<Parameter>, seed: Seed) -> Self {
        Parameters::drawn(layout, seed, 1)
    }

    fn drawn(layout: Vec<Parameter>, seed: Seed, number: u64) -> Self {
        let trained = layout.into_iter().enumerate().map(|(place, parameter)| {
            let n = parameter.shape[0] * parameter.shape[1];
            let mut random = seed.stream(Purpose::Init, number, place as u64);
            let values = match parameter.init {
                Init::Normal(std) => normal(random, n, std),
                Init::Uniform(bound) => (0..n).map(|_| bound * (2.0 * random.random::<f32>() - 1.0)).collect(),
                Init::Constant(value) => vec![value; n],
            };
            let zeros = || Device::Cpu.zeros(n);
            Trained { parameter, value: Device::Cpu.upload(&values), m: zeros(), v: zeros() }
        });
        Parameters { trained: trained.collect(), step: 0 }
    }

    pub(super) fn n_parameters(&self) -> usize {
        self.trained.iter().map(|trained| trained.value.len()).sum()
    }

    /// The parameters at the start of a tape.
    pub(super) fn on_tape(&self) -> Weights<Tape> {
        let device = Default::default();
        let tensor = |trained: &Trained| {
            let data = TensorData::new(Device::Cpu.read(&trained.value), trained.parameter.shape);
            (trained.parameter.name.clone(), Tensor::from_data(data, &device).require_grad())
        };
        Weights(self.trained.iter().map(tensor).collect())
    }

    /// Goes back along the tape from `loss`, and moves every parameter by the rule. One that the loss does not read stays.
    pub(super) fn descend(&mut self, weights: &Weights<Tape>, loss: Tensor<Tape, 1>, rule: &Rule) -> Result<()> {
        let gradients = loss.backward();
        self.step += 1;
        for Trained { parameter, value, m, v } in &mut self.trained {
            let Some(gradient) = weights.get(&parameter.name).grad(&gradients) else { continue };
            let gradient: Vec<f32> =
                gradient.into_data().into_vec().expect("a gradient should have 32-bit floats as its parameter has");
            match rule {
                Rule::Adam(adam) => {
                    adam_step(&Device::Cpu, adam, self.step, &Device::Cpu.upload(&gradient), m, v, value)?;
                }
                Rule::Adagrad { learning_rate } => {
                    let (mut squares, mut values) = (Device::Cpu.read(v), Device::Cpu.read(value));
                    adagrad_step(*learning_rate, &gradient, &mut squares, &mut values);
                    Device::Cpu.write(v, &squares);
                    Device::Cpu.write(value, &values);
                }
            }
        }
        Ok(())
    }

    /// Adds the parameters, and with `moments` what the next step needs beside them.
    pub(super) fn save(&self, state: &mut State, moments: bool) {
        for Trained { parameter: Parameter { name, shape, .. }, value, m, v } in &self.trained {
            state.put_f32(name, shape, Device::Cpu.read(value));
            if moments {
                state.put_f32(&format!("adam.m.{name}"), shape, Device::Cpu.read(m));
                state.put_f32(&format!("adam.v.{name}"), shape, Device::Cpu.read(v));
            }
        }
        if moments {
            state.put_fact("step", self.step);
        }
    }

    /// Takes the values of what [`Parameters::save`] gave, with or without its moments: these stay as they are.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model.
    pub(super) fn start_from(&mut self, state: &State) -> Result<()> {
        for Trained { parameter: Parameter { name, shape, .. }, value, .. } in &mut self.trained {
            Device::Cpu.write(value, state.f32(name, shape)?);
        }
        Ok(())
    }

    /// Puts back what [`Parameters::save`] gave with its moments.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model.
    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        for Trained { parameter: Parameter { name, shape, .. }, value, m, v } in &mut self.trained {
            Device::Cpu.write(value, state.f32(name, shape)?);
            Device::Cpu.write(m, state.f32(&format!("adam.m.{name}"), shape)?);
            Device::Cpu.write(v, state.f32(&format!("adam.v.{name}"), shape)?);
        }
        self.step = state.fact("step")?;
        Ok(())
    }
}

/// One step of Adagrad on every number: see [`Rule::Adagrad`].
fn adagrad_step(learning_rate: f32, gradient: &[f32], squares: &mut [f32], values: &mut [f32]) {
    const EPSILON: f32 = 1e-6;
    for ((value, square), g) in values.iter_mut().zip(squares).zip(gradient) {
        *square += g * g;
        *value -= learning_rate * g / (*square + EPSILON).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adagrad_divides_by_the_root_of_all_squares_so_far() {
        let (mut squares, mut values) = (vec![0.0, 7.0], vec![1.0, 1.0]);
        adagrad_step(0.5, &[3.0, 3.0], &mut squares, &mut values);
        // 1 - .5 * 3 / 3 and 1 - .5 * 3 / 4; then 3^2 + 4^2 = 5^2: .5 - .5 * 4 / 5.
        assert!((values[0] - 0.5).abs() < 1e-6 && (values[1] - 0.625).abs() < 1e-6, "{values:?}");
        adagrad_step(0.5, &[4.0, 0.0], &mut squares, &mut values);
        assert!((values[0] - 0.1).abs() < 1e-6 && (values[1] - 0.625).abs() < 1e-6, "{values:?}");
        assert_eq!(squares, [25.0, 16.0]);
    }
}
