//! What was understood of a data file: format, columns, times, rows that were dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::reader::Outline;
use crate::error::{Place, RecError};

/// What was understood of one data file. As text it is one line.
///
/// ```
/// use gcnrec::{Seed, configs, load_data};
///
/// let mut config = configs::Data::default();
/// config.train = Some("examples/data/ratings.csv".into());
/// let split = load_data(&config, Seed(1))?;
/// assert_eq!(split.files[0].format, "csv");
/// assert!(split.files[0].to_string().contains("time = timestamp"));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FileFacts {
    /// The file as it was named.
    pub file: PathBuf,
    /// The name of its format.
    pub format: String,
    /// The columns that were read, by what they are (`user`, `item`, `rating`, `time`); empty for
    /// formats without columns.
    pub columns: BTreeMap<&'static str, String>,
    /// Why they are these, where no header says so.
    pub reason: Option<&'static str>,
    /// What the times count: `seconds`, `milliseconds`, … since 1970, `dates`, `days`, or
    /// `numbers`, of which the order alone is known.
    pub time_unit: Option<String>,
    /// The oldest and the newest time, as dates where they are any.
    pub time_span: Option<(String, String)>,
    /// The first time that could not be read; all times of the file are unused then.
    pub unread_time: Option<UnreadTime>,
    /// Rows that were read.
    pub n_rows: usize,
    /// Rows that were dropped because of `data.min_rating`.
    pub n_low: usize,
    /// Rows that were dropped because their pair is there already.
    pub n_repeats: usize,
    /// Rows that were dropped because of `data.min_user_interactions` and
    /// `data.min_item_interactions`.
    pub n_outside_core: usize,
    /// A column of events, which is not read, and the kinds of events in the first rows.
    pub events: Option<(String, Vec<String>)>,
    /// The other columns that are not read.
    pub unread: Vec<String>,
}

/// What columns are read for.
const KINDS: [&str; 4] = ["user", "item", "rating", "time"];

/// A time that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnreadTime {
    /// Its line, from 1; none where it is not one row's fault.
    pub line: Option<u64>,
    /// Its column, from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// What the user can do.
    pub todo: String,
}

/// What helps against times in a format that cannot be told.
pub(super) const SAY_FORMAT: &str =
    "say how they are written with --time-format, or name another column with --time-column";

impl FileFacts {
    /// Takes over what a file's columns are.
    pub(super) fn describe(&mut self, outline: &Outline) {
        let columns = [Some(outline.user), Some(outline.item), outline.rating, outline.time];
        let named = |(kind, column): (&'static str, Option<usize>)| Some((kind, outline.name(column?).to_string()));
        self.columns = KINDS.into_iter().zip(columns).filter_map(named).collect();
        self.reason = outline.reason;
        self.events = outline.event.map(|column| {
            let mut kinds: Vec<String> = outline.values(column).into_iter().map(String::from).collect();
            kinds.sort_unstable();
            kinds.dedup();
            kinds.truncate(8);
            (outline.name(column).to_string(), kinds)
        });
        let event = self.events.as_ref().map(|(name, _)| name.as_str());
        self.unread = outline.unread().filter(|name| Some(*name) != event).map(String::from).collect();
    }

    /// The error for who needs times that could not be read: `why` is who does.
    pub(crate) fn refuse_times(&self, why: &str) -> Option<RecError> {
        self.time_error(&format!(", because {why}"))
    }

    fn time_error(&self, why: &str) -> Option<RecError> {
        let UnreadTime { line, column, found, expected, todo } = self.unread_time.as_ref()?;
        let place = Place { file: self.file.clone(), line: *line, column: Some((*column, "time")) };
        Some(RecError::input(place, found.as_str(), format!("{expected}{why}")).with_todo(todo.as_str()))
    }

    /// The note for everybody else.
    pub(super) fn note_times(&self) -> Option<String> {
        Some(format!("times are not used: {}", self.time_error("")?))
    }
}

impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.format)?;
        let columns = KINDS.iter().filter_map(|kind| self.columns.get_key_value(kind));
        for (n, (kind, column)) in columns.enumerate() {
            write!(f, "{} {kind} = {column}", if n == 0 { ";" } else { "," })?;
            if *kind == "time" {
                self.fmt_times(f)?;
            }
        }
        if let Some(reason) = self.reason {
            write!(f, " ({reason})")?;
        }
        write!(f, "; {} rows", self.n_rows)?;
        for (n, why) in [
            (self.n_low, "below data.min_rating dropped"),
            (self.n_repeats, "repeats of a pair merged"),
            (self.n_outside_core, "outside the k-core dropped"),
        ] {
            if n > 0 {
                write!(f, ", {n} {why}")?;
            }
        }
        if let Some((name, kinds)) = &self.events {
            write!(f, "; events {name} ({}) all count alike", kinds.join(", "))?;
        }
        match self.unread.is_empty() {
            true => Ok(()),
            false => write!(f, "; not used: {}", self.unread.join(", ")),
        }
    }
}

impl FileFacts {
    fn fmt_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.time_unit, &self.time_span) {
            (Some(unit), Some((first, last))) => write!(f, " ({unit}, {first} to {last})"),
            _ => f.write_str(" (not used)"),
        }
    }
}
