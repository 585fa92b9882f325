//! Training: epochs, validation, early stopping, checkpoints.

pub mod config;

pub use config::Config;
