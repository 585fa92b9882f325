//! Data: readers of files, dense ids, logs of interactions, splits into parts, and the demo world.

mod config;
mod file_facts;
mod fingerprint;
mod ids;
mod load;
mod log;
mod parts;
pub mod reader;
mod recency;
mod split;
mod ticks;
mod unknown;
mod unread;
pub(crate) mod world;

#[cfg(test)]
mod tests;

pub use config::{Config, Duplicates, Feedback, GroupBy, HoldOut, Order, Rule, Unknown, ValidRows};
pub use file_facts::{FileFacts, UnreadTime};
pub(crate) use fingerprint::part_fingerprints;
pub use ids::IdMap;
pub use load::load;
pub use log::Log;
pub(crate) use parts::Clock;
pub use parts::{Part, Split};
pub use reader::Format;
pub(crate) use split::carve;
pub use ticks::PerSecond;
pub use world::World;
