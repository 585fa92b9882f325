//! The state of a learner or a scorer as named tensors and facts: what a checkpoint stores.

use std::collections::BTreeMap;

use crate::error::{RecError, Result};

/// A dense array with its shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// 32-bit floats.
    F32 {
        /// Length of each dimension.
        shape: Vec<usize>,
        /// The values.
        values: Vec<f32>,
    },
    /// 32-bit unsigned integers (ids, offsets).
    U32 {
        /// Length of each dimension.
        shape: Vec<usize>,
        /// The values.
        values: Vec<u32>,
    },
}

/// The numbers of a trained model stay far below this, and products of numbers below it are finite.
const LARGEST: f32 = 1e15;

/// More steps than any training takes, and few enough that the next ones can be counted.
const MOST_STEPS: u64 = 1 << 53;

/// Named tensors and named scalars.
///
/// ```
/// use gcnrec::{State, Tensor};
///
/// let mut state = State::default();
/// state.put_f32("weights", &[2, 2], vec![0.0, 0.5, 0.5, 0.0]);
/// state.put_fact("step", 7);
/// assert_eq!(state.f32("weights", &[2, 2])?[1], 0.5);
/// assert_eq!(state.fact::<u64>("step")?, 7);
/// // A shape that is not there is an error, never a panic.
/// assert!(state.f32("weights", &[4]).is_err());
/// assert!(matches!(state.tensors["weights"], Tensor::F32 { .. }));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Arrays by name (`base`, `adam.m`).
    pub tensors: BTreeMap<String, Tensor>,
    /// Small facts by name (`step`, `score.norm_power`), as JSON values.
    pub facts: BTreeMap<String, serde_json::Value>,
}

impl State {
    /// Adds a float array.
    pub fn put_f32(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        self.tensors.insert(name.into(), Tensor::F32 { shape: shape.to_vec(), values });
    }

    /// Adds an integer array.
    pub fn put_u32(&mut self, name: &str, shape: &[usize], values: Vec<u32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        self.tensors.insert(name.into(), Tensor::U32 { shape: shape.to_vec(), values });
    }

    /// Adds a scalar.
    pub fn put_fact(&mut self, name: &str, value: impl Into<serde_json::Value>) {
        self.facts.insert(name.into(), value.into());
    }

    /// A float array of a known shape.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the name is missing, of another type, or of another shape.
    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        match self.tensors.get(name) {
            Some(Tensor::F32 { shape: found, values }) if found == shape => Ok(values),
            other => Err(mismatch(name, &format!("f32 {shape:?}"), other)),
        }
    }

    /// A float matrix: its rows, its columns and its values.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the name is missing or is no matrix of floats.
    pub fn matrix(&self, name: &str) -> Result<(usize, usize, &[f32])> {
        match self.tensors.get(name) {
            Some(Tensor::F32 { shape, values }) if shape.len() == 2 => Ok((shape[0], shape[1], values)),
            other => Err(mismatch(name, "an f32 matrix", other)),
        }
    }

    /// An integer vector.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the name is missing or is no vector of integers.
    pub fn u32(&self, name: &str) -> Result<&[u32]> {
        match self.tensors.get(name) {
            Some(Tensor::U32 { shape, values }) if shape.len() == 1 => Ok(values),
            other => Err(mismatch(name, "a u32 vector", other)),
        }
    }

    /// Refuses a number that is not finite, or so large that scores would not be.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] naming the first one.
    pub(super) fn check_numbers(&self) -> Result<()> {
        for (name, tensor) in &self.tensors {
            let Tensor::F32 { values, .. } = tensor else { continue };
            if let Some(at) = values.iter().position(|value| value.is_nan() || value.abs() > LARGEST) {
                let value = values[at];
                return Err(damaged(format!(
                    "tensor \"{name}\" holds {value} at {at}, expected a number within {LARGEST:e}"
                )));
            }
        }
        Ok(())
    }

    /// The number of steps that a model in training has taken.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when it is missing, no whole number, or more than anybody trains.
    pub(super) fn steps(&self) -> Result<u64> {
        match self.fact("step")? {
            steps if steps <= MOST_STEPS => Ok(steps),
            steps => Err(damaged(format!("the fact \"step\" is {steps}, expected at most {MOST_STEPS}"))),
        }
    }

    /// A scalar, deserialised.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the name is missing or of another type.
    pub fn fact<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.facts.get(name).ok_or_else(|| foreign(format!("the fact \"{name}\" is missing")))?;
        serde_json::from_value(value.clone()).map_err(|e| foreign(format!("the fact \"{name}\" is {value}: {e}")))
    }
}

fn mismatch(name: &str, expected: &str, found: Option<&Tensor>) -> RecError {
    let found = match found {
        None => "missing".to_string(),
        Some(Tensor::F32 { shape, .. }) => format!("f32 {shape:?}"),
        Some(Tensor::U32 { shape, .. }) => format!("u32 {shape:?}"),
    };
    foreign(format!("tensor \"{name}\" is {found}, expected {expected}"))
}

/// A state whose parts do not fit together.
pub(super) fn damaged(problem: impl Into<String>) -> RecError {
    RecError::checkpoint("checkpoint", problem, "the checkpoint is damaged; train again")
}

/// A state that no model of this version can have written.
pub(super) fn foreign(problem: String) -> RecError {
    RecError::checkpoint("checkpoint", problem, "it was written by another model or another version; train again")
}
