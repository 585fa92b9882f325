//! What debiasing is worth, and what it costs.
//!
//! - `cargo bench --bench debias -- coat [SEEDS] [NAME…] [KEY=VALUE…]`: every run file of
//!   `configs/debias` over split seeds, with paired differences to `biased`; `implicit` the run
//!   files of `configs/debias/implicit`, `simulation` those of `configs/debias/simulation`. They
//!   need `GCNREC_DATA`.
//! - `… -- world [SEEDS] [NAME…] [KEY=VALUE…]`: the run files of `configs/debias/world` on the demo
//!   world, judged by its true preferences.
//! - `… -- cost`: a debiased LightGCN step against a plain one. Without an argument: `cost`.
//!
//! Names leave out the other run files, settings win over those of the files.
#![allow(clippy::unwrap_used, reason = "a program that prints a table may stop at the first thing that is wrong")]

mod cost;
mod table;
mod world;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let rest = words.get(1..).unwrap_or_default();
    match words.first().map(String::as_str) {
        Some("coat") => table::of_files("coat, explicit", "", &table::Asked::read(rest, 10)),
        Some("implicit") => table::of_files("coat, implicit", "implicit", &table::Asked::read(rest, 10)),
        Some("simulation") => table::of_files("simulation, lists", "simulation", &table::Asked::read(rest, 5)),
        Some("world") => world::table(&table::Asked::read(rest, 5)),
        None | Some("cost") => cost::table(),
        Some(other) => panic!("unknown part \"{other}\"; known: coat, implicit, simulation, world, cost"),
    }
}
