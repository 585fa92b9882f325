//! Losses per example, their gradient and their tangent with respect to the final embeddings of the batch's rows.

pub mod config;

pub use config::Config;
