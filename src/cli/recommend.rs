//! `gcnrec recommend`: the best items for users, or for a history.

pub(super) mod many;

use std::path::{Path, PathBuf};

use gcnrec::Ranking;
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{RecError, Recommender, Result};

use super::output::{OutputArgs, say, score};
use super::settings;
use super::sink::Sink;
use many::Asked;

/// Recommend items to users of a trained run, or to somebody with a given history
#[derive(Debug, clap::Args)]
#[command(after_help = r#"Examples:
  gcnrec recommend runs/ml-100k-1 --user 196
  gcnrec recommend runs/ml-100k-1 --users users.txt -k 20 --output csv
  gcnrec recommend runs/ml-100k-1 --all -k 20 -o lists.jsonl
  gcnrec recommend runs/ml-100k-1 --history 50,172,181
  gcnrec recommend runs/songs-1 --history '"Hello, Goodbye",Yesterday'

Items that a user already has are left out, unless the run keeps them: eval.exclude_seen = false, which is the default for sessions."#)]
#[command(group = clap::ArgGroup::new("whom").required(true))]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// A user, by the name in the training data
    #[arg(long, value_name = "ID", group = "whom", allow_hyphen_values = true)]
    user: Option<String>,
    /// A file with one user a line; those that the run does not know are left out and named
    #[arg(long, value_name = "FILE", group = "whom")]
    users: Option<PathBuf>,
    /// Every user of the run
    #[arg(long, group = "whom")]
    all: bool,
    /// Refuse a file with a user that the run does not know
    #[arg(long)]
    strict: bool,
    /// Items that somebody new liked, oldest first, separated by commas; a name with a comma in
    /// double quotes, as in CSV
    #[arg(long, value_name = "ITEM,ITEM,…", group = "whom", allow_hyphen_values = true)]
    history: Option<String>,
    /// How many items
    #[arg(short = 'k', long = "k", value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Write into this file: CSV where it ends in .csv, one JSON object a line where it ends in
    /// .jsonl
    #[arg(short = 'o', long = "to", value_name = "FILE", conflicts_with = "output")]
    to: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints rank, item, title and score.
pub(super) fn run(args: &Args) -> Result<()> {
    settings::settle_machine()?;
    let recommender = open(&args.run)?;
    let mut sink = Sink::open(args.to.as_deref(), args.output)?;
    if args.all || args.users.is_some() {
        let asked = Asked { users: args.users.as_deref(), strict: args.strict, k: args.k as usize };
        many::answer(&asked, &recommender, &mut sink)?;
        return sink.finish();
    }
    let k = args.k as usize;
    let ranking = match (&args.user, &args.history) {
        (Some(user), _) => recommender.for_user(user, k)?,
        (None, Some(history)) => {
            let items = read_history(history)?;
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            recommender.for_history(&items, k)?
        }
        (None, None) => unreachable!("one of --user, --users, --all and --history is required"),
    };
    sink.write(&table_of(&recommender, &ranking))?;
    sink.finish()
}

/// Opens a run for serving, and says when an older checkpoint had to stand in.
pub(super) fn open(run: &Path) -> Result<Recommender> {
    let recommender = Recommender::open(run)?;
    if let Some(from) = recommender.recovered_from() {
        say(&format!("note: an older checkpoint is used: {from}"));
    }
    Ok(recommender)
}

/// A ranking as a table.
pub(super) fn table_of(recommender: &Recommender, ranking: &Ranking) -> Table {
    let mut table = Table::new(["rank", "item", "title", "score"]);
    add_rows(&mut table, None, recommender, ranking);
    table
}

fn add_rows(table: &mut Table, user: Option<&str>, recommender: &Recommender, ranking: &Ranking) {
    for (rank, (item, value)) in (1..).zip(ranking) {
        let title = recommender.title(item).map_or(Cell::Empty, Cell::from);
        let row = [Cell::Whole(rank), item.as_str().into(), title, Cell::Real(score(*value), 4)];
        table.row(user.map(Cell::from).into_iter().chain(row));
    }
}

/// The items of a history: one record of CSV. Blanks around a name and empty names do not count.
///
/// # Errors
/// [`RecError::Usage`] for a quote that is never closed.
fn read_history(text: &str) -> Result<Vec<String>> {
    // A line end is added: a field that keeps it has run on to the end, looking for its second
    // quote.
    let line = format!("{}\n", text.trim());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
    let mut items = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| refused(&error.to_string()))?;
        items.extend(record.iter().map(String::from));
    }
    if items.last().is_some_and(|item| item.ends_with('\n')) {
        return Err(refused("a quote is never closed"));
    }
    Ok(items.iter().map(|item| item.trim().to_string()).filter(|item| !item.is_empty()).collect())
}

fn refused(problem: &str) -> RecError {
    RecError::usage(
        format!("--history: {problem}"),
        "write item,item, with double quotes around a name that has a comma",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_may_name_items_with_commas_and_quotes() {
        assert_eq!(read_history("50, 172,,181 ").unwrap(), ["50", "172", "181"]);
        assert_eq!(read_history("\"Hello, Goodbye\",Yesterday").unwrap(), ["Hello, Goodbye", "Yesterday"]);
        assert_eq!(read_history("\"say \"\"no\"\"\",12\" mix").unwrap(), ["say \"no\"", "12\" mix"]);
        assert!(read_history("").unwrap().is_empty());
        let error = read_history("a,\"b,c").unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("a quote is never closed")), (2, true));
    }
}
