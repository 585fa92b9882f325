//! The program from outside: its commands on the built-in demo world, and what it says to input
//! that it cannot use.

mod bad_arguments;
mod bad_files;
mod bad_keys;
mod bad_runs;
pub mod case;
mod commands;
mod compare;
mod export;
mod labelled;
mod said;
mod serving;
