//! `gcnrec evaluate`: the metrics of a finished run, computed again from its checkpoint and its data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gcnrec::config::{self, Flag};
use gcnrec::data::{self, Part, Split};
use gcnrec::report::{Cell, Table};
use gcnrec::{RecError, Recommender, Result};
use gcnrec_graphs::Seed;
use serde_json::Value;

use super::output::{OutputArgs, say};
use super::{recommend, settings, train};

/// Judge the model of a finished run on its test or validation part
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec evaluate runs/lightgcn-1
  gcnrec evaluate runs/lightgcn-1 --part valid --metrics recall,ndcg --k 5,50

Metrics: recall, precision, ndcg, hit, mrr, map.")]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Which part of the data is judged
    #[arg(long, value_name = "PART", value_enum, default_value_t = JudgedPart::Test)]
    part: JudgedPart,
    /// Metrics, separated by commas; default those of the run
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    metrics: Option<Vec<String>>,
    /// Lengths of the lists that are judged; default those of the run
    #[arg(long, value_name = "K,K", value_delimiter = ',', allow_negative_numbers = true)]
    k: Option<Vec<u32>>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum JudgedPart {
    /// What is scored once, at the end
    Test,
    /// What picked the epoch
    Valid,
}

/// Prints one row per metric.
pub(super) fn run(args: &Args) -> Result<()> {
    let resolved = settings::of_run(&args.run, flags(args))?;
    let config = &resolved.config;
    config::check_files(&config.data, settings::data_folder().as_deref())?;
    let recommender = recommend::open(&args.run)?;
    let split = data::load(&config.data, Seed(config.seed))?;
    check_data(&args.run, &recommender, &split)?;

    let job = train::job(config, Arc::new(split), gcnrec_kernels::Device::Cpu, config.to_toml()?)?;
    let (part, name, seen) = match args.part {
        JudgedPart::Test => (Part::Test, "test", &[Part::Train, Part::Valid][..]),
        JudgedPart::Valid => (Part::Valid, "valid", &[Part::Train][..]),
    };
    let evaluator = job.evaluator(part, seen)?.ok_or_else(|| RecError::Missing {
        what: "part",
        name: name.into(),
        todo: format!("the data of this run have no {name} pairs"),
    })?;
    let learnt_from_valid = config.train.refit || config.objective.is_none();
    if args.part == JudgedPart::Valid && learnt_from_valid {
        say("warning: this model has learnt from the validation pairs, so these numbers are too good");
    }
    say(&format!("{} users with {name} pairs", evaluator.n_eval_users()));
    let metrics = evaluator.evaluate(recommender.scorer())?;
    let mut table = Table::new(["metric", name]);
    for metric in config.eval.metrics_at()? {
        let value = metrics.get(&metric.to_string()).map_or(Cell::Empty, |value| Cell::Real(value, 5));
        table.row([Cell::from(metric.to_string()), value]);
    }
    args.output.print(&table)
}

fn flags(args: &Args) -> Vec<Flag> {
    let metrics = args.metrics.as_ref().map(|names| Flag::new("--metrics", names.clone()));
    let ks = args.k.as_ref().map(|ks| Flag::new("--k", ks.iter().map(|&k| i64::from(k)).collect::<Vec<_>>()));
    metrics.into_iter().chain(ks).collect()
}

/// Refuses data that are not those of the run.
fn check_data(run: &Path, recommender: &Recommender, split: &Split) -> Result<()> {
    let recorded = recommender.facts().get("fingerprint").and_then(Value::as_str);
    if recorded == Some(split.fingerprint.as_str()) {
        return Ok(());
    }
    Err(RecError::Input {
        place: gcnrec::error::Place::file(run),
        found: "data that are not those that the run was trained on".into(),
        expected: format!("the fingerprint {}", recorded.unwrap_or("of the checkpoint, which has none")),
        todo: "restore the files, or train again".into(),
    })
}
