//! Ids, interactions, and the user-item graph with its normalisation. Knows no file format and no device.

mod ids;
mod random;

pub use ids::{ItemId, UserId};
pub use random::{Purpose, Seed};
