//! KD-Label: a teacher that is fitted on the uniform log speaks through the labels of the biased one: `y + strength * minmax(teacher's score)`.
//!
//! Source: Liu et al., *A General Knowledge Distillation Framework for Counterfactual Recommendation via Uniform Data*, SIGIR 2020 (label-based
//! distillation), in the form of DongHande/AutoDebias (SPEC C.3). We differ: scores are brought to 0..1 over all training pairs instead of within each
//! block; the teacher is a small matrix factorisation, fitted by full-batch Adam.

use gcnrec_graphs::{Interactions, Seed};
use serde::{Deserialize, Serialize};

use super::meta_adam::MetaAdam;
use super::small_mf::SmallMf;
use crate::data::Log;
use crate::objectives::Nodes;

/// `[debias.kd_label]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the teacher's highest score adds to a label, 0..=100; its lowest adds nothing. Default 1.
    pub strength: f64,
    /// Width of the teacher, beside its biases, 0..=256. Default 2.
    pub rank: usize,
    /// Steps of the teacher over the whole uniform log, 1..=100000. Default 200.
    pub epochs: u64,
    /// Adam's step size for the teacher, 0 or more. Default 0.01.
    pub rate: f64,
    /// Decay of the teacher, 0 or more. Default 1.
    pub decay: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { strength: 1.0, rank: 2, epochs: 200, rate: 0.01, decay: 1.0 }
    }
}

impl Config {
    /// Every number with its name and its range.
    pub(super) fn ranges(&self) -> Vec<(&'static str, f64, f64, f64)> {
        vec![
            ("strength", self.strength, 0.0, 100.0),
            ("rank", self.rank as f64, 0.0, 256.0),
            ("epochs", self.epochs as f64, 1.0, 1e5),
            ("rate", self.rate, 0.0, 1e3),
            ("decay", self.decay, 0.0, 1e3),
        ]
    }
}

/// The labels of the training pairs with what a teacher fitted on `uniform` adds to them.
pub(super) fn labels(config: &Config, pairs: &Interactions, given: &[f32], uniform: &Log, seed: Seed) -> Vec<f32> {
    let nodes = Nodes { n_users: pairs.n_users(), n_items: pairs.n_items() };
    let teacher = SmallMf { nodes, rank: config.rank };
    let mut learned = MetaAdam::new(teacher.start(seed, 11), config.rate, config.decay);
    for _ in 0..config.epochs {
        let mut gradient = vec![0.0; learned.value.len()];
        for ((&user, &item), &label) in uniform.users.iter().zip(&uniform.items).zip(&uniform.ratings) {
            teacher.push(&learned.value, (user, nodes.item(item)), f64::from(label), 1.0, &mut gradient);
        }
        learned.step(&gradient);
    }
    let scores: Vec<f64> =
        pairs.pairs().map(|(user, item)| teacher.score(&learned.value, (user.0, nodes.item(item.0)))).collect();
    given.iter().zip(to_unit(&scores)).map(|(label, told)| label + (config.strength * told) as f32).collect()
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

    /// Uniform rows say that item 1 is liked and item 0 is not, by whomever: without factors the teacher knows items (and users) by their bias.
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
        let config = Config { rank: 0, strength: 0.5, decay: 0.01, epochs: 1000, ..Config::default() };
        let found = labels(&config, &pairs, &[1.0, -1.0, 1.0], &uniform, Seed(1));
        // The lowest score adds 0 and the highest the strength; item 2, of which nothing is known, lies in the middle.
        assert_eq!((found[0], found[1]), (1.0, -0.5));
        assert!((found[2] - 1.25).abs() < 0.02, "{found:?}");
    }
}
