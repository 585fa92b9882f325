//! The program from outside: its commands on the built-in demo world, and what it says to input that it cannot use.

// clippy.toml allows `unwrap` inside test functions; here the functions beside them are tests too.
#![allow(clippy::unwrap_used)]

mod bad_arguments;
mod bad_files;
mod bad_keys;
mod bad_runs;
mod case;
mod commands;
mod compare;
#[path = "../support/keys.rs"]
mod keys;
