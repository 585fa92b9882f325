//! Ids, interactions, and the user-item graph with its normalisation. Knows no file format and no
//! device.

mod adjacency;
mod bipartite;
mod communities;
mod dropout;
mod error;
mod hops;
mod ids;
mod interactions;
mod kcore;
mod normalization;
mod order;
mod random;
mod rcm;
mod stats;
#[cfg(test)]
mod worlds;

pub use adjacency::NormalizedAdjacency;
pub use bipartite::BipartiteGraph;
pub use error::{GraphError, Side};
pub use hops::{Neighbors, UNREACHED, VisitedNodes};
pub use ids::{ItemId, UserId};
pub use interactions::{Interactions, MAX_EDGES};
pub use kcore::{k_core, k_core_within};
pub use normalization::Normalization;
pub use order::{NodeOrder, NodePermutation};
pub use random::{Purpose, Seed};
pub use stats::{DegreeStats, GraphStats};
