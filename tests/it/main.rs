//! The integration tests as one program: what it needs is linked once.
//!
//! `cargo test --test it NAME` runs the tests of one module. Tests that need a process of their
//! own, or another build, are files beside this folder.

// clippy.toml allows `unwrap` inside test functions; here the functions beside them are tests too.
#![allow(clippy::unwrap_used)]

mod attacks;
mod cli;
mod configs;
mod conformance;
mod damage;
mod determinism;
mod fuzz_seeds;
mod goldens;
mod jobs;
mod keys;
#[cfg(unix)]
mod kill;
mod layering;
#[cfg(unix)]
mod locks;
mod moved;
mod old_runs;
#[cfg(any(feature = "cuda", feature = "vulkan"))]
mod parity;
mod protocol;
mod published;
mod readme;
mod rules;
mod trust;
mod verify;
