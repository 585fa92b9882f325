//! What each kind of export writes, some rows at a time.

use std::fs::File;
use std::path::Path;

use gcnrec::internals::export::{Format, Shape, VectorFile, WholeFile, how_to_load};
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{DegreeBucket, Place, RecError, Recommender, Result, RunFolder};
use ndarray::s;
use rayon::prelude::*;

use crate::cli::output::{say, score};
use crate::cli::recommend::many::{self, Asked, LeftOut};
use crate::cli::sink::Sink;

/// Numbers of vectors, and rows of a table, that are held at once.
const NUMBERS: usize = 4 << 20;
const ROWS: usize = 100_000;

/// Whose vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Users,
    Items,
}

/// Writes the vectors of all users or all items, and notes how to load them.
///
/// # Errors
/// [`RecError::Unsupported`] for a model without vectors; those of writing.
pub(super) fn vectors(
    recommender: &Recommender,
    side: Side,
    format: &'static dyn Format,
    file: &Path,
    notes: &Path,
) -> Result<()> {
    let items = recommender.item_vectors()?;
    let (names, all) = match side {
        Side::Users => ("user", recommender.users()),
        Side::Items => ("item", recommender.items()),
    };
    let shape = Shape { names, model: recommender.model().into(), n_rows: all.len(), width: items.ncols() };
    let mut out = VectorFile::create(file, format, shape.clone())?;
    let block = (NUMBERS / shape.width.max(1)).clamp(1, 1 << 14);
    for (at, names) in all.chunks(block).enumerate() {
        let of_users;
        let vectors = match side {
            Side::Items => items.slice(s![at * block..at * block + names.len(), ..]),
            Side::Users => {
                of_users = recommender.user_vectors(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
                of_users.view()
            }
        };
        out.write(names, vectors.as_slice().expect("rows should follow each other"))?;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut page = WholeFile::create(notes)?;
    page.write(how_to_load(format, &name, &shape).as_bytes())?;
    out.finish()?;
    page.finish()?;
    let place = notes.display();
    say(&format!("{} {names} vectors of {} numbers; {place} says how to load them", shape.n_rows, shape.width));
    Ok(())
}

/// Writes the best items of all users, in the order of the users: what `recommend --all` writes.
///
/// # Errors
/// Those of [`many::answer`].
pub(super) fn recommendations(recommender: &Recommender, k: usize, mut sink: Sink) -> Result<()> {
    many::answer(&Asked { users: None, strict: false, k }, recommender, &mut sink)?;
    sink.finish()
}

/// Writes the most similar items of all items, in the order of the items.
///
/// # Errors
/// Those of writing; the first reason where no item can be answered.
pub(super) fn similar(recommender: &Recommender, k: usize, mut sink: Sink) -> Result<()> {
    let mut left_out = LeftOut::of("items");
    for block in recommender.items().chunks((ROWS / k).clamp(1, 4096)) {
        let lists: Vec<_> = block.par_iter().map(|item| recommender.similar_items(item, k)).collect();
        let mut table = Table::new(["item", "rank", "similar", "title", "score"]);
        for (item, list) in block.iter().zip(lists) {
            match list {
                Err(error) => left_out.add(item, error, false)?,
                Ok(list) => {
                    for (rank, (other, value)) in (1..).zip(&list) {
                        let title = recommender.title(other).map_or(Cell::Empty, Cell::from);
                        let names = [Cell::from(item.as_str()), Cell::Whole(rank), other.as_str().into()];
                        table.row(names.into_iter().chain([title, Cell::Real(score(*value), 4)]));
                    }
                }
            }
        }
        left_out.n_asked += block.len();
        sink.write(&table)?;
    }
    left_out.tell(None)?;
    sink.finish()
}

/// Writes what each training pair counted, as the run folder has it.
///
/// # Errors
/// [`RecError::Missing`] for a run without; [`RecError::Input`] for a file that is no such table.
pub(super) fn weights(run: &Path, sink: impl FnOnce() -> Result<Sink>) -> Result<()> {
    let path = RunFolder::open(run)?.weights();
    if !path.is_file() {
        let todo = "a run with --debias has them; layer weights are --what layer-weights";
        return Err(RecError::missing("a table of weights,", path.display().to_string(), todo));
    }
    let damaged = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        RecError::input(Place::line(&path, line), error.to_string(), "a table of user, item, label, weight")
    };
    let mut reader = csv::Reader::from_reader(File::open(&path).map_err(RecError::read(&path))?);
    let header: Vec<String> = reader.headers().map_err(damaged)?.iter().map(String::from).collect();
    let is_number: Vec<bool> = header.iter().map(|name| ["label", "weight"].contains(&name.as_str())).collect();
    let (mut sink, mut table) = (sink()?, Table::new(&header));
    for record in reader.records() {
        let record = record.map_err(damaged)?;
        let mut row = Vec::with_capacity(header.len());
        for (text, is_number) in record.iter().zip(&is_number) {
            row.push(if *is_number { number(&path, &record, text)? } else { text.into() });
        }
        table.row(row);
        if table.n_rows() == ROWS {
            sink.write(&std::mem::replace(&mut table, Table::new(&header)))?;
        }
    }
    sink.write(&table)?;
    sink.finish()
}

fn number(path: &Path, record: &csv::StringRecord, text: &str) -> Result<Cell> {
    let line = record.position().map_or(1, csv::Position::line);
    let refuse = |_| RecError::input(Place::line(path, line), format!("{text:?}"), "a number");
    text.parse().map(|value| Cell::Real(value, 4)).map_err(refuse)
}

/// Writes the mean layer weights of users and items by their degree, a row for each layer.
///
/// # Errors
/// [`RecError::Unsupported`] for a model without.
pub(super) fn layer_weights(recommender: &Recommender, sink: impl FnOnce() -> Result<Sink>) -> Result<()> {
    let weights = recommender.scorer().layer_weights().ok_or_else(|| {
        RecError::unsupported(recommender.model(), "it has no layers to weigh").with_todo("use lightgcn")
    })?;
    let mut table = Table::new(["side", "min_degree", "max_degree", "n", "layer", "weight"]);
    for (side, buckets) in [("user", &weights.users), ("item", &weights.items)] {
        for DegreeBucket { min_degree, max_degree, n, weights } in buckets {
            for (layer, weight) in (0..).zip(weights) {
                let degrees = [min_degree, max_degree].map(|degree| Cell::Whole(i64::from(*degree)));
                let rest = [Cell::Whole(*n as i64), Cell::Whole(layer), Cell::Real(*weight, 4)];
                table.row([Cell::from(side)].into_iter().chain(degrees).chain(rest));
            }
        }
    }
    let mut sink = sink()?;
    sink.write(&table)?;
    sink.finish()
}
