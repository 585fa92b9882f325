//! `gcnrec export`: vectors, recommendations, similar items and learned weights of a run, in files
//! for other programs.

mod contents;

use std::path::{Path, PathBuf};

use gcnrec::internals::export::{self, Format, VectorFile};
use gcnrec::{RecError, Result};

use super::sink::Sink;
use super::{recommend, settings};
use contents::Side;

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// A vector for each user, to ask an index of item vectors with
    UserVectors,
    /// A vector for each item: its inner product with a user's vector ranks as the model does
    ItemVectors,
    /// The best items of every user
    Recommendations,
    /// The most similar items of every item
    Similar,
    /// What debiasing made each training pair count
    Weights,
    /// The learned layer weights of users and items, by degree
    LayerWeights,
}

/// Write vectors, recommendations or weights of a run into a file for other programs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec export runs/ml-100k-1 --what item-vectors -o items.npy
  gcnrec export runs/ml-100k-1 --what user-vectors -o users.npy
  gcnrec export runs/ml-100k-1 --what recommendations -k 20 -o lists.jsonl
  gcnrec export runs/ml-100k-1 --what similar -k 20 -o similar.csv

Formats: csv, jsonl (one object a line); of vectors also npy and safetensors, with the ids in FILE.ids.txt, one a line.
How NumPy, FAISS, Qdrant and pgvector load vectors is written beside them, into FILE.README.md.")]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// What to write
    #[arg(long, value_name = "WHAT", value_enum)]
    what: What,
    /// The format; without it the ending of the file names it
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,
    /// The file to write
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    file: PathBuf,
    /// How many items for each user or item [default: 10]
    #[arg(short = 'k', long = "k", value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    k: Option<u32>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes one file, whole or not at all, and says what it holds.
pub(super) fn run(args: &Args) -> Result<()> {
    let format = format_of(args)?;
    if args.k.is_some() && !matches!(args.what, What::Recommendations | What::Similar) {
        return Err(RecError::usage("-k does not fit --what", "it is for recommendations and similar"));
    }
    let beside = |ending: &str| {
        let mut name = args.file.file_name().unwrap_or_default().to_os_string();
        name.push(ending);
        args.file.with_file_name(name)
    };
    let (names, notes) = (VectorFile::names_beside(&args.file), beside(".README.md"));
    let of_vectors = matches!(args.what, What::UserVectors | What::ItemVectors);
    let companions = [(format.has_names_beside(), &names), (true, &notes)];
    let companions = companions.into_iter().filter(|(is_written, _)| of_vectors && *is_written).map(|(_, path)| path);
    if of_vectors && export::is_device(&args.file) {
        let problem = format!("-o {}: vectors need a file, their ids and notes go beside it", args.file.display());
        return Err(RecError::usage(problem, "name a file"));
    }
    for path in [&args.file].into_iter().chain(companions) {
        check_free(path, args.force)?;
    }
    settings::settle_machine()?;
    let sink = || Sink::into_file(&args.file, format);
    let k = args.k.unwrap_or(10) as usize;
    let file = &args.file;
    match args.what {
        What::UserVectors => contents::vectors(&recommend::open(&args.run)?, Side::Users, format, file, &notes),
        What::ItemVectors => contents::vectors(&recommend::open(&args.run)?, Side::Items, format, file, &notes),
        What::Recommendations => contents::recommendations(&recommend::open(&args.run)?, k, sink()?),
        What::Similar => contents::similar(&recommend::open(&args.run)?, k, sink()?),
        What::Weights => contents::weights(&args.run, sink),
        What::LayerWeights => contents::layer_weights(&recommend::open(&args.run)?, sink),
    }
}

/// The format of `--to`, or that of the file's ending.
///
/// # Errors
/// [`RecError::Usage`] for a format that is not written, and for an ending that contradicts `--to`.
fn format_of(args: &Args) -> Result<&'static dyn Format> {
    let in_place = |place: String| {
        move |error| match error {
            RecError::Usage { problem, todo } => RecError::usage(format!("{place}: {problem}"), todo),
            other => other,
        }
    };
    let file = args.file.display();
    let Some(name) = &args.to else {
        return export::of_file(&args.file).map_err(in_place(format!("-o {file}")));
    };
    let format = export::named(name).map_err(in_place(format!("--to {name}")))?;
    match export::of_file(&args.file) {
        Ok(other) if other.name() != format.name() => Err(RecError::usage(
            format!("-o {file}: its ending says {}, and --to says {}", other.name(), format.name()),
            "leave --to out, or name another file",
        )),
        _ => Ok(format),
    }
}

fn check_free(path: &Path, force: bool) -> Result<()> {
    if path.is_file() && !force {
        let todo = "give --force to replace it, or another -o";
        return Err(RecError::usage(format!("{} is there already", path.display()), todo));
    }
    Ok(())
}
