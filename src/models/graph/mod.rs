//! The graph family: LightGCN with a choice of layer combinations; with no layers it is matrix factorisation.

pub mod config;

pub use config::Config;
