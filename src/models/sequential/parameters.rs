//! Named parameters with their moments, and the tensors and the noise that a pass over them takes.

use std::collections::BTreeMap;

use burn_tensor::backend::Backend;
use burn_tensor::{Tensor, TensorData};
use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::burn_bridge::{Drop, Flex, Tape, to_buffer, to_tensor};
use gcnrec_kernels::ops::adam::{AdamConfig, adagrad_step, adam_step};
use gcnrec_kernels::{Buffer, Device};
use rand::{Rng, RngExt};

use crate::error::Result;
use crate::models::graph::normal;
use crate::models::state::State;

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

impl Init {
    /// Glorot and Bengio's normal start of a matrix.
    pub(super) fn xavier_normal([rows, columns]: [usize; 2]) -> Self {
        Init::Normal((2.0 / (rows + columns) as f32).sqrt())
    }

    /// Glorot and Bengio's uniform start of a matrix.
    pub(super) fn xavier_uniform([rows, columns]: [usize; 2]) -> Self {
        Init::Uniform((6.0 / (rows + columns) as f32).sqrt())
    }

    /// The root mean square of the numbers.
    pub(super) fn std(self) -> f32 {
        match self {
            Init::Normal(std) => std,
            Init::Uniform(bound) => bound / 3f32.sqrt(),
            Init::Constant(value) => value.abs(),
        }
    }

    /// `n` numbers from a stream.
    pub(super) fn draw(self, n: usize, mut random: impl Rng) -> Vec<f32> {
        match self {
            Init::Normal(std) => normal(random, n, std),
            Init::Uniform(bound) => (0..n).map(|_| bound * (2.0 * random.random::<f32>() - 1.0)).collect(),
            Init::Constant(value) => vec![value; n],
        }
    }
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

    /// A matrix with the normal start of Glorot and Bengio.
    pub(super) fn xavier_normal(name: impl Into<String>, shape: [usize; 2]) -> Self {
        Parameter::new(name, shape, Init::xavier_normal(shape))
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
    /// Adagrad: `v += g^2`, `p -= rate g / sqrt(v + 1e-6)` (Duchi et al., JMLR 2011; the constant
    /// is that of GRU4Rec's authors).
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

/// One parameter in training: its numbers, and what its rule remembers of the gradients.
pub(super) struct Trained {
    device: Device,
    name: String,
    shape: [usize; 2],
    value: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
}

impl Trained {
    /// A parameter at its start.
    pub(super) fn new(device: &Device, name: impl Into<String>, shape: [usize; 2], values: &[f32]) -> Self {
        let zeros = || device.zeros(values.len());
        Trained {
            device: device.clone(),
            name: name.into(),
            shape,
            value: device.upload(values),
            m: zeros(),
            v: zeros(),
        }
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The numbers as they are.
    pub(super) fn value(&self) -> &Buffer<f32> {
        &self.value
    }

    /// Moves against the gradient; `step` counts from 1.
    pub(super) fn descend(&mut self, gradient: &Buffer<f32>, step: u64, rule: &Rule) -> Result<()> {
        let Trained { device, value, m, v, .. } = self;
        match rule {
            Rule::Adam(adam) => adam_step(device, adam, step, gradient, m, v, value)?,
            Rule::Adagrad { learning_rate } => adagrad_step(device, *learning_rate, gradient, v, value)?,
        }
        Ok(())
    }

    /// Adds the numbers, and with `moments` what the next step needs beside them.
    pub(super) fn save(&self, state: &mut State, moments: bool) {
        let Trained { device, name, shape, .. } = self;
        state.put_f32(name, shape, device.read(&self.value));
        if moments {
            state.put_f32(&format!("adam.m.{name}"), shape, device.read(&self.m));
            state.put_f32(&format!("adam.v.{name}"), shape, device.read(&self.v));
        }
    }

    /// Puts back what [`Trained::save`] gave with its moments.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model.
    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        let Trained { device, name, shape, .. } = self;
        device.write(&mut self.value, state.f32(name, shape)?);
        device.write(&mut self.m, state.f32(&format!("adam.m.{name}"), shape)?);
        device.write(&mut self.v, state.f32(&format!("adam.v.{name}"), shape)?);
        Ok(())
    }
}

/// All parameters in training. They stay on the device, and their gradients too.
pub(super) struct Parameters {
    device: Device,
    trained: Vec<Trained>,
    step: u64,
}

impl Parameters {
    /// Parameters at their start: each draws from a stream of its own, by its place in the list.
    pub(super) fn new(device: &Device, layout: Vec<Parameter>, seed: Seed) -> Self {
        Parameters::drawn(device, layout, seed, 0)
    }

    /// The same from other streams.
    pub(super) fn another(device: &Device, layout: Vec<Parameter>, seed: Seed) -> Self {
        Parameters::drawn(device, layout, seed, 1)
    }

    fn drawn(device: &Device, layout: Vec<Parameter>, seed: Seed, number: u64) -> Self {
        let trained = layout.into_iter().enumerate().map(|(place, parameter)| {
            let Parameter { name, shape, init } = parameter;
            let random = seed.stream(Purpose::Init, number, place as u64);
            Trained::new(device, name, shape, &init.draw(shape[0] * shape[1], random))
        });
        Parameters { trained: trained.collect(), step: 0, device: device.clone() }
    }

    pub(super) fn n_parameters(&self) -> usize {
        self.trained.iter().map(|trained| trained.value.len()).sum()
    }

    /// Changes the numbers of a parameter by its name, which should be one of the model's own.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut [f32])) {
        let found = self.trained.iter_mut().find(|trained| trained.name == name);
        let trained = found.unwrap_or_else(|| unreachable!("\"{name}\" should be a parameter of the model"));
        let mut values = self.device.read(&trained.value);
        change(&mut values);
        self.device.write(&mut trained.value, &values);
    }

    /// The device that they are on.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// The parameters at the start of a tape.
    pub(super) fn on_tape<T: Tape>(&self) -> Weights<T> {
        let tensor = |trained: &Trained| {
            let tensor = to_tensor::<T>(&self.device, &trained.value, trained.shape);
            (trained.name.clone(), tensor.require_grad())
        };
        Weights(self.trained.iter().map(tensor).collect())
    }

    /// Goes back along the tape from the sum of `losses`, and moves every parameter by the rule.
    /// One that the losses do not read stays.
    pub(super) fn descend<T: Tape>(&mut self, weights: &Weights<T>, losses: Tensor<T, 2>, rule: &Rule) -> Result<()> {
        let gradients = losses.backward();
        self.step += 1;
        for trained in &mut self.trained {
            let Some(gradient) = weights.get(&trained.name).grad(&gradients) else { continue };
            trained.descend(&to_buffer(&self.device, gradient), self.step, rule)?;
        }
        Ok(())
    }

    /// Adds the parameters, and with `moments` what the next step needs beside them.
    pub(super) fn save(&self, state: &mut State, moments: bool) {
        self.trained.iter().for_each(|trained| trained.save(state, moments));
        if moments {
            state.put_fact("step", self.step);
        }
    }

    /// Takes the values of what [`Parameters::save`] gave, with or without its moments: these stay
    /// as they are.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model.
    pub(super) fn start_from(&mut self, state: &State) -> Result<()> {
        for Trained { name, shape, value, .. } in &mut self.trained {
            self.device.write(value, state.f32(name, shape)?);
        }
        Ok(())
    }

    /// Puts back what [`Parameters::save`] gave with its moments.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model.
    pub(super) fn restore(&mut self, state: &State) -> Result<()> {
        self.trained.iter_mut().try_for_each(|trained| trained.restore(state))?;
        self.step = state.steps()?;
        Ok(())
    }
}
