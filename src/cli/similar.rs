//! `gcnrec similar`: the items most like an item.

use std::path::PathBuf;

use gcnrec::Result;

use super::output::OutputArgs;
use super::{recommend, settings};

/// List the items that a trained run finds most like an item
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gcnrec similar runs/ml-100k-1 --item 50\n  gcnrec similar runs/ml-100k-1 --item 50 -k 5 --output json"
)]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The item, by the name in the training data
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    item: String,
    /// How many items
    #[arg(short = 'k', long = "k", value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints rank, item, title and score.
pub(super) fn run(args: &Args) -> Result<()> {
    settings::settle_machine()?;
    let recommender = recommend::open(&args.run)?;
    let ranking = recommender.similar_items(&args.item, args.k as usize)?;
    args.output.print(&recommend::table_of(&recommender, &ranking))
}
