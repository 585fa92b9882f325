//! `gcnrec evaluate`: the metrics of a finished run, computed again from its checkpoint and its
//! data.

mod labeled;
mod trec;

use std::path::PathBuf;

use gcnrec::internals::eval::metrics::{METRICS, VALUE_METRICS};
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{Flag, Metrics, Part};
use gcnrec::{RecError, Result};

use super::flags::KeyFlags;
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
    #[arg(long, value_name = "PART", value_enum, default_value_t = JudgedPart::Test)]
    part: JudgedPart,
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
    #[arg(long, value_name = "FILE", requires = "qrels", conflicts_with_all = ["run", "part", "candidates", "data", "train", "valid", "test", "uniform", "items", "candidates-file"])]
    run_file: Option<PathBuf>,
    /// The held-out items for --run-file: a TREC qrels file
    #[arg(long, value_name = "FILE", requires = "run_file")]
    qrels: Option<PathBuf>,
    #[command(flatten)]
    files: KeyFlags<true>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum JudgedPart {
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
    if args.part == JudgedPart::Uniform && !labeled {
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
    let (config, split) = (loaded.config(), loaded.split());
    let learnt_from_valid = config.train.refit || config.model.is_closed_form();
    if args.part == JudgedPart::Valid && learnt_from_valid && !split.labelled && !split.valid.is_empty() {
        say("warning: this model has learnt from the validation pairs, so these numbers are too good");
    }
    if labeled {
        return labeled::judge(args, config, split, recommender.scorer());
    }
    if let (true, Some(candidates)) = (split.labelled, &args.candidates) {
        return Err(RecError::usage(
            format!("--candidates {candidates} ranks items, and this run is judged on labelled rows"),
            "drop --candidates",
        ));
    }

    let job = loaded.job()?;
    let (part, seen) = match args.part {
        JudgedPart::Valid => (Part::Valid, &[Part::Train][..]),
        JudgedPart::Test | JudgedPart::Uniform => (Part::Test, &[Part::Train, Part::Valid][..]),
    };
    let name = args.part.name();
    let evaluation = job
        .evaluator(part, seen)?
        .ok_or_else(|| RecError::missing("part", name, format!("the data of this run have no {name} pairs")))?;
    let metrics = evaluation.evaluate(recommender.scorer())?;
    warn_of_undefined(args.part, &evaluation.undefined());
    match (&args.trec, evaluation.lists()) {
        (Some(folder), Some(evaluator)) => trec::write(folder, &job, evaluator, recommender.scorer())?,
        (Some(_), None) => {
            return Err(RecError::usage("--trec writes lists, and this run is judged on labelled rows", "drop --trec"));
        }
        (None, _) => {}
    }
    let selected = !config.model.is_closed_form() && !job.split.valid.is_empty();
    let protocol = job.protocol(part, selected, evaluation.n_eval_users());
    let asked: Vec<String> = config.eval.metrics_at()?.iter().map(ToString::to_string).collect();
    // Labelled rows are also judged by what no list has.
    let names = if job.split.labelled { metrics.iter().map(|(name, _)| name.to_string()).collect() } else { asked };
    show(args, &protocol.to_string(), &names, &metrics)
}

impl JudgedPart {
    fn name(self) -> &'static str {
        match self {
            JudgedPart::Test => "test",
            JudgedPart::Valid => "valid",
            JudgedPart::Uniform => "uniform",
        }
    }
}

/// Says which metrics have no value on a part, and why.
fn warn_of_undefined(part: JudgedPart, undefined: &[(String, String)]) {
    for (metric, reason) in undefined {
        say(&format!("warning: {metric} is not defined on the {} part: {reason}", part.name()));
    }
}

/// Prints the protocol, and below it the metrics of these names.
fn show(args: &Args, protocol: &str, names: &[String], metrics: &Metrics) -> Result<()> {
    let part = args.part.name();
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
