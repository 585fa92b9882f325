//! ChebyCF: a plateau over the spectrum of the item-item graph, as a Chebyshev series, and an ideal
//! low-pass filter.
//!
//! With `G` the symmetrically normalised item-item graph, `L = I - 2 G`, `D` the items' degrees and
//! `V` the `factors` leading right singular vectors, the scores of a user with row `r` are
//! `r D^-s (sum_k c_k T_k(L) + weight V V^T) D^s`, `s = degree_power`. The series interpolates the
//! plateau `h(x) = (1 + |x|^flatness) / 2` for `x < 0` and `(1 - |x|^flatness) / 2` otherwise at
//! `order + 1` Chebyshev nodes; `x = -1` is the lowest frequency. `2 order` sparse products.
//!
//! # Source
//! Kim et al., *Graph Spectral Filtering with Chebyshev Interpolation for Recommendation*, SIGIR
//! 2025. As in the authors' code the plateau is taken at `cos(j pi / order)`, rounded to three
//! decimals, and not at the nodes, and its values are rounded so too. The defaults are the
//! published settings of Gowalla.

use std::f64::consts::PI;

use gcnrec_kernels::Device;

use super::polynomial::{self, Basis, Filter, Filtering};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, Unread, above_up_to, between, row, settings};

/// ChebyCF in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "chebycf", "A plateau over the item-item graph's spectrum, as a Chebyshev series");

settings! {
    /// `[model.chebycf]`.
    pub(crate) struct Config {
        /// Order of the Chebyshev series.
        order: usize = 8, in between(1.0, 32.0);
        /// How flat the middle of the spectrum is: 1 is a straight line.
        flatness: f64 = 1.5, in above_up_to(0.0, 100.0);
        /// Singular vectors of the ideal filter; 0 leaves the series alone.
        factors: usize = 512, in between(0.0, 4096.0);
        /// Weight of the ideal filter.
        weight: f64 = 0.2, in between(0.0, 100.0);
        /// Power of the items' degrees: the history is divided by it, the scores are multiplied by
        /// it.
        degree_power: f64 = 0.4, in between(0.0, 1.0);
    }
}

impl Config {
    /// The plateau at `x`, rounded as in the authors' code.
    fn plateau(&self, x: f64) -> f64 {
        let side = if x < 0.0 { 1.0 } else { -1.0 };
        thousandths((1.0 + side * x.abs().powf(self.flatness)) / 2.0)
    }

    /// `c_k`, from 0 to the order.
    fn coefficients(&self) -> Vec<f64> {
        let n = self.order + 1;
        let share = |j: usize, k: usize| {
            let target = self.plateau(thousandths((PI * (n - j) as f64 / self.order as f64).cos()));
            // T_k of the node cos(angle) is cos(k angle).
            target * (k as f64 * PI * (n as f64 + 0.5 - j as f64) / n as f64).cos()
        };
        let sum = |k| (1..=n).map(|j| share(j, k)).sum::<f64>() / n as f64;
        (0..n).map(|k| if k == 0 { sum(k) } else { 2.0 * sum(k) }).collect()
    }
}

/// Rounded to three decimals.
fn thousandths(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

impl Filtering for Config {
    fn filter(&self) -> Filter {
        Filter {
            basis: Basis::Chebyshev,
            history: self.coefficients(),
            ideal: vec![self.weight],
            factors: self.factors,
            ideal_power: self.degree_power,
            degree_power: self.degree_power,
            ..Filter::default()
        }
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.chebycf")
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        polynomial::unread_weight(at, self.factors, self.weight != Config::default().weight)
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(polynomial::memory(self, size, "model.chebycf.factors"))
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
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_coefficients_of_gowalla_are_those_of_a_numpy_replica_of_the_authors_code() {
        let expected = [0.5, -0.4927, 0.0, -0.0323, 0.0, 0.0211, 0.0, -0.0011, 0.0];
        // Half a unit of the last digit.
        assert_abs_diff_eq!(&Config::default().coefficients()[..], &expected[..], epsilon = 5e-5);
    }

    #[test]
    fn a_plateau_of_flatness_one_is_the_straight_line() {
        // h(x) = (1 - x) / 2 at the targets -1, 0 and 1 is 1, .5 and 0. Of the nodes -cos 30, 0 and
        // cos 30 only T_1 differs: c_1 = 2/3 (-cos 30 * 1) = -.577; c_0 = (1 + .5) / 3; T_2 is
        // 1/2, -1 and 1/2 there: 2/3 (.5 - .5) = 0.
        let config = Config { order: 2, flatness: 1.0, ..Config::default() };
        let expected = [0.5, -2.0 / 3.0 * (PI / 6.0).cos(), 0.0];
        assert_abs_diff_eq!(&config.coefficients()[..], &expected[..], epsilon = 1e-12);
    }

    #[test]
    fn scores_are_the_dense_formula() {
        let config = Config { order: 5, flatness: 3.0, factors: 1, weight: 0.7, degree_power: 0.4 };
        let c = config.coefficients();
        check(&config, |world: &World, r| {
            let (g, x) = (world.gram(0.5, 0.5), world.scaled(r, -0.4));
            let shifted = |x: &[f64]| -> Vec<f64> {
                x.iter().zip(world.times(x, &g)).map(|(x, image)| x - 2.0 * image).collect()
            };
            // T_0, T_1 and T_k+1 = 2 L T_k - T_k-1.
            let mut terms = vec![x.clone(), shifted(&x)];
            for k in 1..5 {
                let next = shifted(&terms[k]);
                terms.push(next.iter().zip(&terms[k - 1]).map(|(now, before)| 2.0 * now - before).collect());
            }
            let mut y: Vec<f64> = world.onto_first_vector(&x).iter().map(|value| 0.7 * value).collect();
            for (c, term) in c.iter().zip(&terms) {
                y.iter_mut().zip(term).for_each(|(y, value)| *y += c * value);
            }
            world.scaled(&y, 0.4)
        });
    }

    #[test]
    fn a_weight_without_vectors_is_not_read() {
        let config = Config { factors: 0, weight: 0.5, ..Config::default() };
        assert_eq!(config.unread("model.chebycf")[0].key, "model.chebycf.weight");
        assert!(Config { factors: 0, ..Config::default() }.unread("model.chebycf").is_empty());
    }
}
