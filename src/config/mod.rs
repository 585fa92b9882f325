//! The configuration of a run: the families' own settings side by side, layered from several sources, with the origin of every value.
//!
//! Precedence, highest first: flags, `--set key=value`, environment (`GCNREC_*`), run file, preset, defaults. Each source becomes a list of
//! `Entry`s, one value each with its dotted key and the place where it was written. An entry is checked alone, before anything is
//! merged, so a typo is refused even where a higher layer would have hidden it.
//!
//! `[model.NAME]` and `[objective.NAME]` are choices: naming one replaces the other tables of the lower layers as a whole.

mod check;
mod choice;
mod entry;
mod flags;
mod job;
mod layers;
mod paths;
mod presets;
mod run;
mod run_file;
mod settle;
mod unread;

pub use flags::{Flag, check_run_flags};
pub use layers::{Origins, Resolved, Sources, resolve};
pub use paths::check_files;
pub use presets::NAMES as PRESETS;
pub use run::Config;

#[cfg(test)]
mod tests;
