//! Configuration of a run: settings layered from several sources, with the origin of every value.
//!
//! Precedence, highest first: flags, `--set key=value`, environment (`GCNREC_*`), run file, preset,
//! defaults. Each source becomes a list of entries, one value each with its dotted key and the
//! place where it was written. An entry is checked alone, before anything is merged, so a typo is
//! refused even where a higher layer would have hidden it.
//!
//! `[model.NAME]`, `[objective.NAME]` and `[debias.NAME]` are choices: naming one replaces the
//! other tables of the lower layers as a whole.

mod check;
mod choice;
mod entry;
mod flags;
mod job;
mod layers;
mod losses;
mod paths;
mod presets;
mod run;
mod run_file;
mod settle;
mod spelling;
mod tree;
mod unread;

pub use flags::{FLAGS, Flag, FlagRow};
pub use layers::{Origins, Resolved, Sources, resolve};
pub(crate) use paths::check_files;
pub(crate) use paths::is_data_file;
pub use presets::NAMES as PRESETS;
pub use run::Config;
pub use tree::keys;

#[cfg(test)]
mod tests;
