//! Readers of interaction files, one file per format. A reader turns a file into rows, a line at a
//! time, and hands each row to a sink; ids stay text here.
//!
//! A new format is one file that implements [`Reader`], its `mod` line and its row in [`READERS`].

mod atomic;
mod csv;
mod delimited;
mod detect;
mod format;
mod gzip;
mod layout;
mod lightgcn;
mod movielens;
mod names;
mod outline;
mod pairs;
mod sequence;
mod sessions;
mod source;
mod time;
mod time_format;
mod titles;

use crate::error::{RecError, Result};

pub use detect::{Evidence, Head, detect};
pub use format::Format;
pub use layout::Columns;
pub(super) use layout::TIME_FIELD;
pub(super) use names::plain;
pub use outline::Outline;
pub use source::Source;
pub use time::Time;
pub(super) use time::day_of;
pub use time_format::TimeFormat;
pub use titles::read_titles;

/// Every format, in the order in which help and messages name them.
pub static READERS: [&dyn Reader; 7] = [
    &movielens::Movielens,
    &lightgcn::Lightgcn,
    &atomic::Atomic,
    &csv::Csv,
    &sequence::Sequence,
    &pairs::Pairs,
    &sessions::Sessions,
];

/// The reader of a format.
pub trait Reader: Sync {
    /// The name that `--format` and `data.format` take.
    fn name(&self) -> &'static str;

    /// The layout of a file, in one line.
    fn about(&self) -> &'static str;

    /// How surely a file is of this format; nothing where it is not, or where its first lines
    /// cannot tell.
    fn recognises(&self, head: &Head<'_>) -> Option<Evidence>;

    /// The columns of a file by its first lines, without blank ones; nothing for a format without
    /// columns, or where the lines do not tell.
    fn outline(&self, _lines: &[String], _columns: &Columns) -> Option<Outline> {
        None
    }

    /// Reads all rows of a source, in file order.
    ///
    /// # Errors
    /// [`RecError::Input`] with the place for anything that is not this format; what the sink
    /// returns.
    fn read(&self, source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()>;

    /// True when each user's rows stand in time order although there is no column of times.
    fn is_ordered(&self) -> bool {
        false
    }

    /// True when every line is a session of its own, of a user without a name.
    fn is_of_sessions(&self) -> bool {
        false
    }
}

/// One interaction as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The user's name; empty in sessions, whose lines stand for users.
    pub user: &'a str,
    /// The item's name.
    pub item: &'a str,
    /// The rating or count, finite. Either all rows of a file have one or none has.
    pub rating: Option<f32>,
    /// The time. Either all rows of a file have one or none has.
    pub time: Option<Time>,
    /// The line on which the row starts, from 1.
    pub line: u64,
}

/// What takes the rows; an error of the sink ends the reading.
pub type Sink<'a> = &'a mut dyn FnMut(Row<'_>) -> Result<()>;

/// True where a source has a header that calls its users sessions.
pub(super) fn names_sessions(source: &Source, columns: &Columns) -> bool {
    let first = source.first_lines(1).pop().unwrap_or_default();
    if let Some(fields) = atomic::typed_names(&first) {
        return names::names_sessions(&fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(), columns);
    }
    names::names_sessions(&csv::fields(&first), columns)
}

/// The reader of a source: that of the format, or the surest one. `like` is the format of a sister
/// file (the training part), if any.
///
/// # Errors
/// As [`detect`].
pub(super) fn choose(
    source: &Source,
    format: Format,
    like: Option<Format>,
    columns: &Columns,
) -> Result<&'static dyn Reader> {
    match format.reader() {
        Some(reader) => Ok(reader),
        None => detect(source, columns, like),
    }
}

/// Reads all rows of a source and returns the format that it was read in. `like` is the format of a
/// sister file (the training part), if any.
///
/// # Errors
/// [`RecError::Input`] when the source is empty, has no row, or has a line that does not fit; what
/// the sink returns.
pub fn read(source: Source, format: Format, like: Option<Format>, columns: &Columns, sink: Sink<'_>) -> Result<Format> {
    let reader = choose(&source, format, like, columns)?;
    let place = source.place();
    let mut n_rows = 0u64;
    reader.read(source, columns, &mut |row| {
        n_rows += 1;
        sink(row)
    })?;
    if n_rows == 0 {
        return Err(RecError::input(place, "no interaction", "at least one"));
    }
    Ok(Format::of(reader))
}
