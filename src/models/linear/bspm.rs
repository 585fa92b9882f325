//! BSPM: blurring and sharpening over the item-item graph, in closed form.
//!
//! With `G` the symmetrically normalised item-item graph, `D` the items' degrees and `V` the
//! `factors` leading right singular vectors, a user's row `r` is blurred to `r G`, the ideal filter
//! `weight r D^-1/2 V V^T D^1/2` is added, and the sum is sharpened: `dy/dt = -y G` from 0 to
//! `sharpening` by `steps` steps. One Runge-Kutta step of length `h` multiplies by
//! `sum_j≤4 (-h G)^j / j!`, one Euler step by `1 - h G`, so no equation is solved: the whole is one
//! polynomial for the history and one for the ideal part.
//!
//! # Source
//! Choi et al., *Blurring-Sharpening Process Models for Collaborative Filtering*, SIGIR 2023. The
//! defaults are the published settings of Gowalla (BSPM-EM).

use gcnrec_kernels::Device;
use serde::{Deserialize, Serialize};

use super::polynomial::{self, Filter, Filtering, times};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, Unread, between, name_setting, row, settings};

/// BSPM in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "bspm", "Blurring and sharpening over the item-item graph");

/// How a step of the sharpening is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Solver {
    Rk4,
    Euler,
}

name_setting!(Solver, "solver");

/// When the ideal filter is added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Merge {
    Early,
    Late,
}

name_setting!(Merge, "way to merge");

settings! {
    /// `[model.bspm]`.
    pub(crate) struct Config {
        /// Singular vectors of the ideal filter; 0 leaves the blurring alone.
        factors: usize = 448, in between(0.0, 4096.0);
        /// Weight of the ideal filter.
        weight: f64 = 0.2, in between(0.0, 100.0);
        /// Adds the ideal filter before the sharpening, or after it.
        merge: Merge = Merge::Early;
        /// How long it is sharpened; 0 is not at all.
        sharpening: f64 = 2.5, in between(0.0, 5.0);
        /// Steps of the sharpening.
        steps: usize = 1, in between(1.0, 4.0);
        /// How a step is taken.
        solver: Solver = Solver::Rk4;
        /// Scores are the mean of the states before and after each step, not the last one.
        mean: bool = false;
    }
}

impl Config {
    /// What one step multiplies by.
    fn step(&self) -> Vec<f64> {
        let length = self.sharpening / self.steps as f64;
        let terms = match self.solver {
            Solver::Rk4 => 5,
            Solver::Euler => 2,
        };
        let next = |term: &mut f64, j: usize| {
            let now = *term;
            *term *= -length / (j + 1) as f64;
            Some(now)
        };
        (0..terms).scan(1.0, next).collect()
    }

    /// What the states after 0 to all steps are multiples of the first by.
    fn states(&self) -> Vec<Vec<f64>> {
        let step = self.step();
        let mut states = vec![vec![1.0]];
        for _ in 0..self.steps {
            states.push(times(states.last().expect("there should be the first"), &step));
        }
        states
    }
}

/// The sum of some polynomials, times a factor.
fn sum(polynomials: &[Vec<f64>], factor: f64) -> Vec<f64> {
    let length = polynomials.iter().map(Vec::len).max().unwrap_or(0);
    let at = |k: usize| polynomials.iter().filter_map(|polynomial| polynomial.get(k)).sum::<f64>();
    (0..length).map(|k| factor * at(k)).collect()
}

impl Filtering for Config {
    fn filter(&self) -> Filter {
        let states = self.states();
        // The ideal part joins after the blurred state, which the mean holds alone.
        let (of_history, of_ideal, share) = match self.mean {
            true => (&states[..], &states[1..], 1.0 / states.len() as f64),
            false => (&states[self.steps..], &states[self.steps..], 1.0),
        };
        let ideal = match self.merge {
            Merge::Early => sum(of_ideal, share * self.weight),
            Merge::Late => vec![self.weight],
        };
        let history = times(&[0.0, 1.0], &sum(of_history, share));
        Filter { history, ideal, factors: self.factors, ideal_power: 0.5, ..Filter::default() }
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.bspm")
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        polynomial::unread_weight(at, self.factors, self.weight != Config::default().weight)
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(polynomial::memory(self, size, "model.bspm.factors"))
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        polynomial::load::<Config>(state, nodes)
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::ClosedForm(self)
    }
}

#[cfg(test)]
mod tests;
