//! Readers: one file per format. A reader turns a file into rows, a line at a time, and hands each row to a sink; ids stay text here.
//!
//! A new format is one file with a [`Reader`], and its row in [`Format`] and in [`Format::reader`].

mod atomic;
mod csv;
mod delimited;
mod detect;
mod layout;
mod lightgcn;
mod movielens;
mod pairs;
mod sequence;
mod sessions;
mod source;
mod titles;

use serde::{Deserialize, Serialize};

use crate::error::{RecError, Result};

pub use detect::detect;
pub use layout::Columns;
pub use source::Source;
pub use titles::read_titles;

/// One interaction as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The user's name; empty in sessions, whose lines stand for users.
    pub user: &'a str,
    /// The item's name.
    pub item: &'a str,
    /// The rating or count, finite. Either all rows of a file have one or none has.
    pub rating: Option<f32>,
    /// The time, rounded down to a whole number. Either all rows of a file have one or none has.
    pub time: Option<i64>,
    /// The line on which the row starts, from 1.
    pub line: u64,
}

/// What takes the rows; an error of the sink ends the reading.
pub type Sink<'a> = &'a mut dyn FnMut(Row<'_>) -> Result<()>;

/// One format.
pub trait Reader: Sync {
    /// Reads all rows of a source, in file order.
    ///
    /// # Errors
    /// [`RecError::Input`] with the place for anything that is not this format; what the sink returns.
    fn read(&self, source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()>;

    /// True when each user's rows stand in time order in the file although there is no column of times.
    fn ordered(&self) -> bool {
        false
    }
}

/// The formats by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Looks at the name and the first lines.
    #[default]
    Auto,
    /// `u.data` (tabs), `ratings.dat` (`::`) or `ratings.csv` (header).
    Movielens,
    /// `user item item …`, one user a line.
    Lightgcn,
    /// RecBole's `.inter`: tabs, typed header.
    Atomic,
    /// Comma, tab or semicolon with a header line.
    Csv,
    /// `user item` or `user item item …`, in time order.
    Sequence,
    /// Two to four columns without a header: user, item, rating, time.
    Pairs,
    /// `item item …`: a session a line, oldest first, of somebody without a name.
    Sessions,
}

impl Format {
    /// Every name that `--format` and `data.format` accept.
    pub const NAMES: [&str; 8] = ["auto", "movielens", "lightgcn", "atomic", "csv", "sequence", "pairs", "sessions"];

    /// True when every line is a session of its own, and nobody has a name.
    pub fn is_of_sessions(self) -> bool {
        self == Format::Sessions
    }

    /// A format by name.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Format::NAMES`].
    pub fn named(name: &str) -> Result<Format> {
        Ok(match name {
            "auto" => Format::Auto,
            "movielens" => Format::Movielens,
            "lightgcn" => Format::Lightgcn,
            "atomic" => Format::Atomic,
            "csv" => Format::Csv,
            "sequence" => Format::Sequence,
            "pairs" => Format::Pairs,
            "sessions" => Format::Sessions,
            _ => {
                return Err(RecError::Unknown {
                    what: "format",
                    origin: String::new(),
                    name: name.into(),
                    known: Format::NAMES.map(String::from).to_vec(),
                });
            }
        })
    }

    /// The reader of this format; none for [`Format::Auto`], which stands for one of the others.
    pub fn reader(self) -> Option<&'static dyn Reader> {
        match self {
            Format::Auto => None,
            Format::Movielens => Some(&movielens::Movielens),
            Format::Lightgcn => Some(&lightgcn::Lightgcn),
            Format::Atomic => Some(&atomic::Atomic),
            Format::Csv => Some(&csv::Csv),
            Format::Sequence => Some(&sequence::Sequence),
            Format::Pairs => Some(&pairs::Pairs),
            Format::Sessions => Some(&sessions::Sessions),
        }
    }
}

/// Reads all rows of a source and returns the format that it was read in. `like` is the format of a sister file (the training part), if any.
///
/// # Errors
/// [`RecError::Input`] when the source is empty, has no row, or has a line that does not fit; what the sink returns.
pub fn read(source: Source, format: Format, like: Option<Format>, columns: &Columns, sink: Sink<'_>) -> Result<Format> {
    let format = if format == Format::Auto { detect(&source, columns, like)? } else { format };
    let reader = format.reader().expect("a detected format should have a reader");
    let place = source.place();
    let mut n_rows = 0u64;
    reader.read(source, columns, &mut |row| {
        n_rows += 1;
        sink(row)
    })?;
    if n_rows == 0 {
        return Err(RecError::Input {
            place,
            found: "no interaction".into(),
            expected: "at least one".into(),
            todo: String::new(),
        });
    }
    Ok(format)
}
