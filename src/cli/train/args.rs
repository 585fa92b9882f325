//! Arguments of `gcnrec train`. The flags that set keys come from the library's table of flags.

use std::path::{Path, PathBuf};

use gcnrec::internals::config::{PRESETS, keys};
use gcnrec::{Config, Destination, Sources};
use gcnrec::{RecError, Result};

use crate::cli::flags::{ALL, KeyFlags};
use crate::cli::output::OutputArgs;
use crate::cli::settings;

const EXAMPLES: &str = "\
Examples:
  gcnrec train --attn-layers                                  the demo world, attention over the layers
  gcnrec train --data ratings.csv --min-rating 4              one file, split here
  gcnrec train --train u1.base --test u1.test --model ease    a split that exists
  gcnrec train configs/ml-100k.toml --epochs 50 --set train.patience=3
  gcnrec train --preset lightgcn-paper --data ratings.csv --out runs/paper
  gcnrec train --out runs/paper --resume                      go on after an interruption";

const SOURCES: &str = "\
Values come from, highest first: flags, --set, the environment (GCNREC_SEED, GCNREC_TRAIN__LEARNING_RATE, …),
the run file, the preset, defaults. configs/README.md lists every key.";

/// Train a model, evaluate it, and write a run folder. Without any data the built-in demo world is
/// used
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(in crate::cli) struct Args {
    /// A run file in TOML
    #[arg(value_name = "RUN.toml")]
    run_file: Option<PathBuf>,
    /// A named configuration to start from
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    #[command(flatten)]
    flags: KeyFlags<ALL>,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunArgs {
    /// The run folder; default runs/NAME-n
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Replace a run that is in the folder, as soon as the new one holds a model
    #[arg(long)]
    pub(super) force: bool,
    /// Go on with the run in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Set any key of the configuration, as in --set model.ease.l2=300
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// For gcnrec compare: a byte on stdin is an exit code to stop with, its end ends the process
    #[arg(long, hide = true)]
    pub(super) obey_stdin: bool,
}

impl RunArgs {
    /// Refuses flags that contradict each other.
    ///
    /// # Errors
    /// [`RecError::Usage`] for `--resume` with `--force`.
    pub(super) fn check(&self) -> Result<()> {
        if self.resume && self.force {
            let problem = "--resume goes on with a run and --force throws it away";
            return Err(RecError::usage(problem, "give one of them"));
        }
        Ok(())
    }
}

/// Examples, what can be named, and where values come from.
fn after_help() -> String {
    let names_at = |key: &str| -> Vec<&str> {
        let of_kind = Config::KEYS.iter().find(|row| row.name == key).map(|row| row.takes.names());
        let of_value = || keys().iter().find(|(path, _)| path == key).map(|(_, row)| row.takes.names());
        of_kind.or_else(of_value).unwrap_or_default()
    };
    let lists = [
        ("Models", names_at("model")),
        ("Losses", names_at("objective")),
        ("Presets", PRESETS.to_vec()),
        ("Formats", names_at("data.format")),
    ];
    let lists: String =
        lists.iter().map(|(title, names)| wrapped(&format!("{title}: {}.", names.join(", ")))).collect();
    format!("{EXAMPLES}\n\n{lists}\n{SOURCES}")
}

/// A paragraph in lines of at most 100 characters.
fn wrapped(text: &str) -> String {
    let (mut lines, mut width) = (String::new(), 0);
    for word in text.split(' ') {
        let gap = if width == 0 {
            ""
        } else if width + 1 + word.len() > 100 {
            "\n"
        } else {
            " "
        };
        width = if gap == "\n" { word.len() } else { width + gap.len() + word.len() };
        lines += gap;
        lines += word;
    }
    lines + "\n"
}

/// Endings of files that hold interactions and no settings.
const DATA_ENDINGS: [&str; 8] = ["csv", "tsv", "txt", "dat", "data", "inter", "base", "gz"];

impl Args {
    /// All layers.
    pub(super) fn sources(&self) -> Result<Sources> {
        self.check_run_file()?;
        Ok(Sources {
            preset: self.preset.clone(),
            run_file: self.run_file.clone(),
            environment: settings::environment()?,
            set: self.run.set.clone(),
            flags: self.flags.given()?,
            ..Sources::default()
        })
    }

    /// Refuses a data file in the place of the run file.
    fn check_run_file(&self) -> Result<()> {
        let Some(file) = &self.run_file else { return Ok(()) };
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !DATA_ENDINGS.contains(&ending.to_lowercase().as_str()) {
            return Ok(());
        }
        let file = file.display();
        Err(RecError::usage(
            format!("{file} is taken for a run file, which is TOML"),
            format!("give data with --data {file}"),
        ))
    }

    /// The run folder: the one that was named, or `runs/NAME-n` with the name of the run file or of
    /// the model.
    pub(super) fn destination(&self) -> Destination {
        match &self.run.out {
            Some(out) if self.run.force => Destination::replace(out),
            Some(out) if self.run.resume => Destination::resume(out),
            Some(out) => Destination::new(out),
            None => {
                let stem = self.run_file.as_deref().and_then(Path::file_stem);
                Destination::next_free(stem.and_then(|stem| stem.to_str()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
