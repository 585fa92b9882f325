//! A small network looks at each node's layers and weighs them: additive attention.

use gcnrec_kernels::ops::combine::AdditiveShape;
use rand::Rng;

use super::Combination;
use super::attentive::Attentive;
use super::parts::Sizes;
use crate::models::graph::init::normal;

pub(super) struct Additive;

impl Combination {
    /// A small network looks at each node's layers and weighs them: additive attention.
    pub const ADDITIVE: Combination = Combination(&Additive);
}

impl Attentive for Additive {
    const NAME: &'static str = "additive";
    type Shape = AdditiveShape;

    fn shape(&Sizes { dim, layers, hidden, temperature, bound }: &Sizes) -> AdditiveShape {
        AdditiveShape { dim, hidden, layers, temperature, bound }
    }

    /// `q = 0` weighs all layers alike; a random `W` lets `q` learn.
    fn start(shape: &AdditiveShape, theta: &[f32], random: &mut dyn Rng) -> Vec<f32> {
        let network = normal(random, shape.hidden * shape.dim, (1.0 / shape.dim as f32).sqrt());
        [theta, &network, &vec![0.0; 2 * shape.hidden]].concat()
    }

    /// The row, what the network makes of it, its score and the score's slope.
    fn numbers_per_row(shape: &AdditiveShape) -> usize {
        shape.dim + shape.hidden + 2
    }
}
