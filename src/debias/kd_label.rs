//! `kd_label`: label-based distillation; a teacher that is fitted on the uniform log speaks through
//! the labels of the biased one, `y + strength * minmax(teacher's score)`.
//!
//! Source: Liu et al., *A General Knowledge Distillation Framework for Counterfactual
//! Recommendation via Uniform Data*, SIGIR 2020, in the form of DongHande/AutoDebias. We differ:
//! scores are brought to 0..1 over all training pairs instead of within each block; the teacher is
//! a small matrix factorisation, fitted by full-batch Adam.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, Seed};

use super::meta_adam::MetaAdam;
use super::small_mf::SmallMf;
use super::{Method, MethodInputs};
use crate::data::Log;
use crate::error::Result;
use crate::models::graph::Learning;
use crate::objectives::{Loss, Nodes, UniformLoss};
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[debias.kd_label]`.
    pub(crate) struct KdLabel {
        /// What the teacher's highest score adds to a label.
        strength: f64 = 1.0, in between(0.0, 100.0);
        /// Width of the teacher.
        rank: usize = 2, in between(0.0, 256.0);
        /// Its steps over the uniform log.
        epochs: u64 = 200, in between(1.0, 1e5);
        /// Its step size.
        rate: f64 = 0.01, in between(0.0, 1e3);
        /// Its decay.
        decay: f64 = 1.0, in between(0.0, 1e3);
    }
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, KdLabel, "kd_label", "labels to which a teacher of the uniform log has added its scores");

impl Method for KdLabel {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.kd_label")
    }

    fn fits(&self, loss: &dyn Loss) -> Result<(), &'static str> {
        if loss.uniform_loss() == UniformLoss::Mse { Ok(()) } else { Err("the loss mse") }
    }

    /// The teacher.
    fn fit_to_uniform(&self, rows: &Log, nodes: Nodes, seed: Seed) -> Vec<f64> {
        let teacher = SmallMf { nodes, rank: self.rank };
        let mut learned = MetaAdam::new(teacher.start(seed, 11), self.rate, self.decay);
        for _ in 0..self.epochs {
            let mut gradient = vec![0.0; learned.value.len()];
            for ((&user, &item), &label) in rows.users.iter().zip(&rows.items).zip(&rows.ratings) {
                teacher.push(&learned.value, (user, nodes.item(item)), f64::from(label), 1.0, &mut gradient);
            }
            learned.step(&gradient);
        }
        learned.value
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        let told = self.labels(&inputs.uniform.fitted, &inputs.pairs, &inputs.known_labels());
        learning.labels = Some(Arc::new(told));
        Ok(())
    }
}

impl KdLabel {
    /// The labels of the training pairs with what a teacher adds to them.
    fn labels(&self, teacher: &[f64], pairs: &Interactions, given: &[f32]) -> Vec<f32> {
        let nodes = Nodes { n_users: pairs.n_users(), n_items: pairs.n_items() };
        let model = SmallMf { nodes, rank: self.rank };
        let scores: Vec<f64> =
            pairs.pairs().map(|(user, item)| model.score(teacher, (user.0, nodes.item(item.0)))).collect();
        given.iter().zip(to_unit(&scores)).map(|(label, told)| label + (self.strength * told) as f32).collect()
    }
}

/// Moves the values to 0..1; all to 0 where they are alike.
fn to_unit(values: &[f64]) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().map(|value| if high > low { (value - low) / (high - low) } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{ItemId, UserId};

    #[test]
    fn values_are_brought_to_the_unit_interval() {
        assert_eq!(to_unit(&[-1.0, 3.0, 0.0]), [0.0, 1.0, 0.25]);
        assert_eq!(to_unit(&[2.0, 2.0]), [0.0, 0.0]);
    }

    /// Uniform rows say that item 1 is liked and item 0 is not, by whomever: without factors the
    /// teacher knows items (and users) by their bias.
    #[test]
    fn pairs_that_the_teacher_believes_in_get_higher_labels() {
        let uniform = Log {
            users: vec![0, 0, 1, 1],
            items: vec![0, 1, 0, 1],
            ratings: vec![-1.0, 1.0, -1.0, 1.0],
            ..Log::default()
        };
        let pairs = [(2, 0), (2, 1), (2, 2)].map(|(u, i)| (UserId(u), ItemId(i)));
        let pairs = Interactions::from_pairs(3, 3, pairs).unwrap();
        let config = KdLabel { rank: 0, strength: 0.5, decay: 0.01, epochs: 1000, ..KdLabel::default() };
        let teacher = config.fit_to_uniform(&uniform, Nodes { n_users: 3, n_items: 3 }, Seed(1));
        let found = config.labels(&teacher, &pairs, &[1.0, -1.0, 1.0]);
        // The lowest score adds 0 and the highest the strength; item 2, of which nothing is known,
        // lies in the middle.
        assert_eq!((found[0], found[1]), (1.0, -0.5));
        assert!((found[2] - 1.25).abs() < 0.02, "{found:?}");
    }
}
