//! The layers of each node attend to each other by scaled dot products.

use std::ops::Range;

use gcnrec_kernels::ops::combine::DotShape;
use rand::Rng;

use super::Combination;
use super::attentive::Attentive;
use super::parts::Sizes;
use crate::models::graph::init::normal;

pub(super) struct Dot;

impl Combination {
    /// The layers of each node attend to each other by scaled dot products.
    pub const DOT: Combination = Combination(&Dot);
}

impl Attentive for Dot {
    const NAME: &'static str = "dot";
    type Shape = DotShape;

    fn shape(&Sizes { dim, layers, hidden, bound, .. }: &Sizes) -> DotShape {
        DotShape { dim, key_dim: hidden, layers, bound }
    }

    /// `W_q = 0`, `W_k` random, `W_v = I`: uniform weights, but no gradient is dead.
    fn start(shape: &DotShape, theta: &[f32], random: &mut dyn Rng) -> Vec<f32> {
        let DotShape { dim, key_dim, .. } = *shape;
        let keys = normal(random, dim * key_dim, (1.0 / dim as f32).sqrt());
        let identity: Vec<f32> = (0..dim * dim).map(|i| if i / dim == i % dim { 1.0 } else { 0.0 }).collect();
        [theta, &vec![0.0; dim * key_dim], &keys, &identity].concat()
    }

    /// With a bound `W_v` stays the identity: a node may lean from the global weights, but what it
    /// sums up are the layers themselves.
    fn held(shape: &DotShape) -> Range<usize> {
        if shape.bound > 0.0 { shape.value() } else { 0..0 }
    }

    /// The row, its query and key, and a score and a weight for each layer.
    fn numbers_per_row(shape: &DotShape) -> usize {
        shape.dim + 2 * shape.key_dim + 2 * (shape.layers + 1)
    }
}
