//! Layer combination: the K + 1 layer vectors of a row become one, `pooled_i = sum_k a_ik e_ik`.
//!
//! | weights `a_ik` | file |
//! |---|---|
//! | given, the same for every row | [`weighted`] |
//! | learned, the same for every row | [`global`] |
//! | learned per row, from an additive score | [`additive`] |
//! | learned per row, by self-attention over the layers | [`dot`] |
//!
//! Every learned kind has a forward pass, a vector-Jacobian product and a Jacobian-vector product.
//! [`attention`] holds the passes that the two kinds with weights per row share.

pub mod additive;
pub mod attention;
pub mod dot;
pub mod global;
#[cfg(feature = "gpu")]
mod gpu;
mod groups;
mod layers;
pub mod weighted;
mod weights;

pub use additive::AdditiveShape;
pub use attention::{Attention, Definition, Pooled, Reached, Workspace};
pub use dot::DotShape;
pub use global::{global_backward, global_forward, global_tangent, global_weights};
pub use layers::{Gradients, Layers, MAX_LAYERS, Motion};
pub use weighted::{layer_dots, weighted_sum, weighted_sum_direct};
