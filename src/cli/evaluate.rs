//! `gcnrec evaluate`: the metrics of a finished run, computed again from its checkpoint and its
//! data.

mod trec;

use std::path::PathBuf;

use gcnrec::internals::eval::metrics::{METRICS, VALUE_METRICS};
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{Flag, Judged, JudgedPart, Metrics, RecError, Result};

use super::flags::{FILES, KeyFlags};
use super::output::{OutputArgs, print, say, wrapped};
use super::{recommend, settings};

/// Judge the model of a finished run on its test or validation part
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN", required_unless_present = "run_file")]
    run: Option<PathBuf>,
    /// Which part of the data is judged
    #[arg(long, value_name = "PART", value_enum, default_value_t = PartName::Test)]
    part: PartName,
    /// Metrics, separated by commas; default those of the run
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', value_parser = |name: &str| Ok::<_, std::convert::Infallible>(name.to_lowercase()))]
    metrics: Option<Vec<String>>,
    /// Lengths of the lists that are judged; default those of the run
    #[arg(long, value_name = "K,K", value_delimiter = ',', allow_negative_numbers = true)]
    k: Option<Vec<u32>>,
    /// What is ranked: all; uniN, popN or popN(recbole), the held-out items among N draws for
    /// each; or labeled
    #[arg(long, value_name = "KIND")]
    candidates: Option<String>,
    /// Also write the lists and the held-out items into this folder, as TREC's run.txt and
    /// qrels.txt
    #[arg(long, value_name = "DIR", conflicts_with = "run_file")]
    trec: Option<PathBuf>,
    /// Judge the lists of any tool: a TREC run file, together with --qrels
    #[arg(long, value_name = "FILE", requires = "qrels", conflicts_with_all = ["run", "part", "candidates", "data", "train", "valid", "test", "uniform", "items", "candidates-file", "user-column", "item-column", "rating-column", "time-column"])]
    run_file: Option<PathBuf>,
    /// The held-out items for --run-file: a TREC qrels file
    #[arg(long, value_name = "FILE", requires = "run_file")]
    qrels: Option<PathBuf>,
    #[command(flatten)]
    files: KeyFlags<FILES>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PartName {
    /// What is scored once, at the end
    Test,
    /// What picked the epoch
    Valid,
    /// Rows collected under uniform exposure, which have labels
    Uniform,
}

const EXAMPLES: &str = "\
Examples:
  gcnrec evaluate runs/lightgcn-1
  gcnrec evaluate runs/lightgcn-1 --part valid --metrics recall,ndcg --k 5,50
  gcnrec evaluate runs/lightgcn-1 --candidates uni100
  gcnrec evaluate runs/lightgcn-1 --part uniform --candidates labeled --metrics auc,logloss
  gcnrec evaluate runs/lightgcn-1 --trec lists
  gcnrec evaluate runs/lightgcn-1 --data ratings.csv          the same data, which lie elsewhere now
  gcnrec evaluate --run-file lists/run.txt --qrels lists/qrels.txt";

/// The examples, and below them every metric there is.
fn after_help() -> String {
    let lists = METRICS.iter().map(|metric| metric.name());
    let values = VALUE_METRICS.iter().map(|metric| metric.name());
    // A variant has its reason in brackets.
    let join = |names: Vec<&str>| names.join(", ");
    let plain = |name: &&str| !name.contains('(');
    let variants = lists.clone().chain(values.clone()).filter(|name| !plain(name)).collect();
    let words = format!(
        "Metrics of lists: {}. Of labelled rows: {}, or a list metric with its cut-off (ndcg@5) over each user's own rows. \
         Variants: {}.",
        join(lists.filter(plain).collect()),
        join(values.filter(plain).collect()),
        join(variants)
    );
    format!("{EXAMPLES}\n\n{}", wrapped(&words))
}

/// Prints one row per metric.
pub(super) fn run(args: &Args) -> Result<()> {
    if let (Some(run), Some(qrels)) = (&args.run_file, &args.qrels) {
        return trec::judge(args, run, qrels);
    }
    let run = args.run.as_deref().expect("RUN should be there: it is required without --run-file");
    let labeled = args.candidates.as_deref() == Some("labeled");
    if args.part == PartName::Uniform && !labeled {
        return Err(RecError::usage(
            "--part uniform has labelled rows and no held-out items to rank",
            "add --candidates labeled",
        ));
    }
    if labeled && args.trec.is_some() {
        return Err(RecError::usage(
            "--trec writes lists, and labelled rows are none",
            "drop --trec or --candidates labeled",
        ));
    }
    // What is judged is a frozen model, which is on the CPU.
    let mut flags = if labeled { Vec::new() } else { flags(args) };
    flags.extend(args.files.given()?);
    let recorded = settings::of_run(run, flags)?.on_cpu();
    recorded.check_files()?;
    let recommender = recommend::open(run)?;
    let loaded = recorded.load()?;
    loaded.check_trained(&recommender, run)?;
    let part = JudgedPart::from(args.part);
    if let Some(warning) = loaded.warning_of(part) {
        say(&format!("warning: {warning}"));
    }
    if labeled {
        return show(args, &loaded.judge_rows(part, args.metrics.as_deref(), recommender.scorer())?);
    }
    if let (true, Some(candidates)) = (loaded.split().labelled, &args.candidates) {
        return Err(RecError::usage(
            format!("--candidates {candidates} ranks items, and this run is judged on labelled rows"),
            "drop --candidates",
        ));
    }
    let judged = loaded.judge(part, recommender.scorer())?;
    if let Some(folder) = &args.trec {
        let lists = judged.ranked.as_ref().and_then(|(job, evaluation)| Some((job, evaluation.lists()?)));
        let (job, evaluator) = lists.ok_or_else(|| {
            RecError::usage("--trec writes lists, and this run is judged on labelled rows", "drop --trec")
        })?;
        trec::write(folder, job, evaluator, recommender.scorer())?;
    }
    show(args, &judged)
}

impl From<PartName> for JudgedPart {
    fn from(name: PartName) -> JudgedPart {
        match name {
            PartName::Test => JudgedPart::Test,
            PartName::Valid => JudgedPart::Valid,
            PartName::Uniform => JudgedPart::Uniform,
        }
    }
}

/// Says which metrics have no value and why, and prints the protocol with the others.
fn show(args: &Args, judged: &Judged) -> Result<()> {
    let part = JudgedPart::from(args.part).name();
    for (metric, reason) in &judged.undefined {
        say(&format!("warning: {metric} is not defined on the {part} part: {reason}"));
    }
    print_metrics(args, &judged.protocol, &judged.names, &judged.metrics)
}

/// Prints the protocol, and below it the metrics of these names.
fn print_metrics(args: &Args, protocol: &str, names: &[String], metrics: &Metrics) -> Result<()> {
    let part = JudgedPart::from(args.part).name();
    if args.output.for_people() {
        print(&format!("{part}: {protocol}\n"))?;
    } else {
        say(&format!("{part}: {protocol}"));
    }
    let mut table = Table::new(["metric", part]);
    for name in names {
        let value = metrics.get(name).map_or(Cell::Empty, |value| Cell::Real(value, 5));
        table.row([Cell::from(name.as_str()), value]);
    }
    args.output.print(&table)
}

fn flags(args: &Args) -> Vec<Flag> {
    let metrics = args.metrics.as_ref().map(|names| Flag::new("--metrics", names.clone()));
    let ks = args.k.as_ref().map(|ks| Flag::new("--k", ks.iter().map(|&k| i64::from(k)).collect::<Vec<_>>()));
    let candidates = args.candidates.as_ref().map(|kind| Flag::new("--candidates", kind.clone()));
    metrics.into_iter().chain(ks).chain(candidates).collect()
}
