//! Signed filter: the item-item graph minus a share of its square, so the response saturates.
//!
//! With `G` the symmetrically normalised item-item graph and `D` the items' degrees, the scores of
//! a user with row `r` are `r D^-degree_power (G - saturation G^2) D^degree_power`. A sum of powers
//! with weights of 0 or more can only stretch the top of the spectrum, which is popularity; one
//! negative weight bends the response `g - saturation g^2`, as a ridge does. Four sparse products.
//!
//! # Source
//! The second order filter of Park et al., *Turbo-CF*, SIGIR 2024 (`2 G - G^2`), with the degrees
//! around it as in Kim et al., *Graph Spectral Filtering with Chebyshev Interpolation for
//! Recommendation*, SIGIR 2025, and a weight that validation can choose.

use gcnrec_kernels::Device;

use super::polynomial::{self, Filter, Filtering};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, between, row, settings};

/// The signed filter in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "signed_filter", "The item-item graph minus a share of its square");

settings! {
    /// `[model.signed_filter]`.
    pub(crate) struct Config {
        /// Weight of the squared graph, which is subtracted; 0 leaves a linear filter.
        saturation: f64 = 0.8, in between(0.0, 2.0);
        /// Power of the items' degrees: the history is divided by it, the scores are multiplied by
        /// it.
        degree_power: f64 = 0.3, in between(0.0, 1.0);
    }
}

impl Filtering for Config {
    fn filter(&self) -> Filter {
        let history = vec![0.0, 1.0, -self.saturation];
        Filter { history, degree_power: self.degree_power, ..Filter::default() }
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.signed_filter")
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(polynomial::memory(self, size, "threads"))
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        polynomial::load::<Config>(state, nodes)
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::ClosedForm(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::polynomial::tests::{World, check};
    use super::*;

    #[test]
    fn scores_are_the_dense_formula() {
        for (saturation, degree_power) in [(0.8, 0.3), (0.0, 0.0), (1.5, 1.0)] {
            let config = Config { saturation, degree_power };
            check(&config, |world: &World, r| {
                let g = world.gram(0.5, 0.5);
                let x = world.scaled(r, -degree_power);
                let once = world.times(&x, &g);
                let twice = world.times(&once, &g);
                let y: Vec<f64> = once.iter().zip(&twice).map(|(once, twice)| once - saturation * twice).collect();
                world.scaled(&y, degree_power)
            });
        }
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        assert!(Config { saturation: 2.1, ..Config::default() }.validate().is_err());
        assert!(Config { degree_power: f64::NAN, ..Config::default() }.validate().is_err());
    }
}
