//! `gcnrec compare`: several models on the same data, paired over seeds.

use std::path::{Path, PathBuf};

use gcnrec::internals::compare;
use gcnrec::internals::compare::Plan;
use gcnrec::internals::compare::Program;
use gcnrec::internals::compare::Search;
use gcnrec::internals::compare::Tune;
use gcnrec::{RecError, Result};
use gcnrec::{RunFolder, Stop};

use super::output::{OutputArgs, print, say};
use super::{interrupt, settings};

/// Compare models on the same data and the same split, paired over seeds, with tests and costs
///
/// Every run is trained in a process and a folder of its own. The first file is what the others are
/// compared with. Differences are tested over users (random signs of each user's difference) and
/// over seeds (Student's paired t), both corrected for the number of models (Holm).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec compare configs/compare/ml-100k/uniform-3.toml configs/compare/ml-100k/additive-3.toml
  gcnrec compare plain.toml attention.toml ease.toml --seeds 3 --out runs/attention
  gcnrec compare plain.toml attention.toml --tune 4 --search configs/compare/layers.toml
  gcnrec compare plain.toml attention.toml --seeds 3 --out runs/attention --resume

The folder of the comparison holds compare.json, compare.html and the run folders. A run that fails is reported in them; where the first
model has no run that did not, the command ends with exit code 1.")]
pub(super) struct Args {
    /// Run files; the others are compared with the first
    #[arg(value_name = "RUN.toml", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Trainings of each model, with the seeds 2020, 2021 and so on
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 2020, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(..=1 << 62))]
    first_seed: u64,
    /// The metric that is tested; default the one that picks the epoch in the first file
    #[arg(long, value_name = "NAME[@K]")]
    metric: Option<String>,
    /// Search settings first: this many trials for every model, its own settings among them, judged
    /// on validation
    #[arg(long, value_name = "N", requires = "search", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tune: Option<u32>,
    /// What the search may choose: a file with a table [search]
    #[arg(long, value_name = "FILE", requires = "tune")]
    search: Option<PathBuf>,
    /// The folder of the comparison; default runs/compare-n
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the comparison in the folder: finished runs are taken as they are
    #[arg(long, requires = "out")]
    resume: bool,
    /// Threads of each run; 0 takes all
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<u32>,
    /// Set a key in all files, as in --set train.max_epochs=50
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Compares, writes the folder, and prints the table.
pub(super) fn run(args: &Args) -> Result<()> {
    settings::settle_machine()?;
    let tune = match (args.tune, &args.search) {
        (Some(n_trials), Some(file)) => Some(Tune { n_trials: n_trials as usize, search: Search::read(file)? }),
        _ => None,
    };
    let mut plan = Plan {
        files: args.files.clone(),
        seeds: (0..u64::from(args.seeds)).map(|n| args.first_seed + n).collect(),
        out: args.out.clone().unwrap_or_default(),
        resume: args.resume,
        // As papers write it, NDCG@10.
        metric: args.metric.as_ref().map(|metric| metric.to_lowercase()),
        threads: args.threads,
        set: args.set.clone(),
        environment: settings::environment()?,
        tune,
    };
    let path =
        std::env::current_exe().map_err(|source| RecError::Io { path: "gcnrec".into(), doing: "find", source })?;
    let stop = Stop::default();
    interrupt::listen(&stop)?;
    let contestants = compare::read(&plan)?;
    if args.out.is_none() {
        // A name is reserved by a folder, so not before there is something to put into it.
        plan.out = RunFolder::next_free(Path::new("runs"), "compare")?;
    }
    let comparison = compare::run(&plan, contestants, &mut Program { path, stop }, &mut |line| say(line))?;
    comparison.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    args.output.print(&comparison.table())?;
    if args.output.for_people() {
        let verdicts: String = comparison.verdicts().iter().map(|verdict| format!("{verdict}\n")).collect();
        print(&format!("\n{verdicts}comparison: {}\n", plan.out.join("compare.html").display()))?;
    }
    compare::check_outcome(&comparison, &plan.out)
}
