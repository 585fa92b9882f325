//! Errors with fields. `Display` builds one line: where, what was found, what was expected, what to
//! do.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use gcnrec_graphs::GraphError;
use gcnrec_kernels::KernelError;

mod constructors;
#[cfg(test)]
mod tests;

/// The result of everything in this library.
pub type Result<T, E = RecError> = std::result::Result<T, E>;

/// A place in an input file.
///
/// ```
/// use std::path::Path;
///
/// let place = gcnrec::Place::column(Path::new("ratings.csv"), 12, 3, "rating");
/// assert_eq!(place.to_string(), "ratings.csv:12: column 3 (rating)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named by the user.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: Option<u64>,
    /// Column number from 1 and the field's name, as in `column 3 (rating)`.
    pub column: Option<(usize, &'static str)>,
}

impl Place {
    /// A whole file.
    pub fn file(file: &Path) -> Self {
        Place { file: file.to_path_buf(), line: None, column: None }
    }

    /// A line of a file.
    pub fn line(file: &Path, line: u64) -> Self {
        Place { file: file.to_path_buf(), line: Some(line), column: None }
    }

    /// A field of a line.
    pub fn column(file: &Path, line: u64, column: usize, name: &'static str) -> Self {
        Place { file: file.to_path_buf(), line: Some(line), column: Some((column, name)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some((number, name)) = self.column {
            write!(f, ": column {number} ({name})")?;
        }
        Ok(())
    }
}

/// What went wrong.
///
/// ```
/// let error = gcnrec::Recommender::open("no/such/run").err().expect("there is no such run");
/// assert!(matches!(error, gcnrec::RecError::Missing { .. }));
/// assert_eq!(error.exit_code(), 3);
/// assert!(error.to_string().contains("no/such/run")); // one line for the user
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecError {
    /// Input data that cannot be used. Exit code 3.
    #[error("{place}: found {}, expected {}{}", one_line(.found), one_line(.expected), hint(.todo))]
    Input {
        /// Where.
        place: Place,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
        /// What the user can do; empty when the expectation says it.
        todo: String,
    },
    /// A file, a folder or an id that was named is not there. Exit code 3.
    #[error("{what} {} is not there{}", one_line(.name), hint(.todo))]
    Missing {
        /// What kind of thing (`file`, `run folder`, `user`).
        what: &'static str,
        /// Its name, quoted where it is not a path.
        name: String,
        /// What the user can do.
        todo: String,
    },
    /// A user or an item that is not in the checkpoint. Exit code 3.
    #[error("{what} {key:?} is not in this checkpoint{}", hint(.todo))]
    UnknownId {
        /// `user` or `item`.
        what: &'static str,
        /// Its name.
        key: String,
        /// What the user can do.
        todo: String,
    },
    /// The operating system refused to read or write. Exit code 3 for reading, 1 for writing, 5
    /// when the disk is full.
    #[error("{}: cannot {doing}: {source}", shown(.path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `write`, `create` …
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A configuration value that is unknown, of the wrong kind or out of its range. Exit code 4.
    #[error(
        "{}{}: found {}, expected {}{}",
        origin_prefix(.origin),
        one_line(.key),
        one_line(.found),
        one_line(.expected),
        hint(.todo)
    )]
    Config {
        /// The key, dotted (`model.lightgcn.layers`).
        key: String,
        /// Where it was set (`run.toml:12`, `--set`, `GCNREC_SEED`); empty for a default.
        origin: String,
        /// The value that was found.
        found: String,
        /// The range or kind expected.
        expected: String,
        /// What the user can do.
        todo: String,
    },
    /// A name that is in none of our tables (model, loss, metric, format, key). Exit code 4.
    #[error("{}unknown {what} \"{}\"{}", origin_prefix(.origin), one_line(.name), suggestion(.name, .known))]
    Unknown {
        /// `model`, `loss`, `metric`, `format`, `key` …
        what: &'static str,
        /// Where it was set; may be empty.
        origin: String,
        /// What was found.
        name: String,
        /// Every name that would have been right.
        known: Vec<String>,
    },
    /// Flags that contradict each other. Exit code 2.
    #[error("{}{}", one_line(.problem), hint(.todo))]
    Usage {
        /// The contradiction.
        problem: String,
        /// What to write instead.
        todo: String,
    },
    /// Too little memory or disk, or a device that is not there. Exit code 5.
    #[error("{what}: found {found}, expected {expected}{}", hint(.todo))]
    Resources {
        /// What ran short.
        what: String,
        /// What there is.
        found: String,
        /// What is needed.
        expected: String,
        /// What the user can do.
        todo: String,
    },
    /// A checkpoint that is damaged, foreign or newer than this program. Exit code 6.
    #[error("{}: {}{}", shown(.path), one_line(.problem), hint(.todo))]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What the user can do.
        todo: String,
    },
    /// A loss or a score that is NaN or infinite. Exit code 1.
    #[error("{what} is {value} at {place}{}", hint(.todo))]
    NotFinite {
        /// `loss`, `score` …
        what: &'static str,
        /// `NaN`, `inf`.
        value: f64,
        /// `epoch 3, step 12`.
        place: String,
        /// What the user can do.
        todo: String,
    },
    /// What was asked for does not exist for this model (a popularity model has no similar items).
    /// Exit code 1.
    #[error("{model}: {problem}{}", hint(.todo))]
    Unsupported {
        /// The model's name.
        model: String,
        /// What it cannot do.
        problem: String,
        /// What the user can do.
        todo: String,
    },
    /// A run that was repeated did not come out as it was recorded. Exit code 1.
    #[error("{}: different: {}{}", shown(.run), one_line(.what), hint(.todo))]
    Different {
        /// The run folder.
        run: PathBuf,
        /// The first difference: where, what was found, what was recorded.
        what: String,
        /// What the user can do.
        todo: String,
    },
    /// Nothing came of what was asked for, because the runs that it is made of failed. Exit code 1.
    #[error("{}: {}{}", shown(.place), one_line(.problem), hint(.todo))]
    Failed {
        /// The folder of the runs.
        place: PathBuf,
        /// How many failed, and why.
        problem: String,
        /// What the user can do.
        todo: String,
    },
    /// The user or the system asked the run to stop; a checkpoint was written. Exit code 129, 130
    /// or 143.
    #[error("interrupted{}", hint(.todo))]
    Interrupted {
        /// The exit code: 130 for Ctrl-C, 143 for a termination request, 129 for a terminal that is
        /// gone.
        code: u8,
        /// How to go on.
        todo: String,
    },
    /// An op refused its arguments, or a device failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The graph cannot be built from these pairs.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl RecError {
    /// The exit code of the binary for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            RecError::Usage { .. } => 2,
            RecError::Input { .. } | RecError::Missing { .. } | RecError::UnknownId { .. } | RecError::Graph(_) => 3,
            RecError::Config { .. } | RecError::Unknown { .. } => 4,
            RecError::Resources { .. } | RecError::Kernel(KernelError::Device { .. }) => 5,
            RecError::Checkpoint { .. } => 6,
            RecError::Interrupted { code, .. } => *code,
            RecError::Io { source, doing, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::FileTooLarge => 5,
                _ if *doing == "read" => 3,
                _ => 1,
            },
            RecError::NotFinite { .. }
            | RecError::Unsupported { .. }
            | RecError::Different { .. }
            | RecError::Failed { .. }
            | RecError::Kernel(_) => 1,
        }
    }
}

/// Most characters of one part of a message: input may be a line of many kilobytes.
const LONGEST: usize = 600;

/// Input is quoted in messages, and a message is one line: control characters are written as
/// escapes, and what is longer than [`LONGEST`] is cut.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) && text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut line: String = text.chars().take(LONGEST).map(shown).collect();
    let n_left = text.chars().count().saturating_sub(LONGEST);
    if n_left > 0 {
        line += &format!("… ({n_left} more characters)");
    }
    Cow::Owned(line)
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string()).into_owned()
}

fn hint(todo: &str) -> String {
    if todo.is_empty() { String::new() } else { format!("; {}", one_line(todo)) }
}

fn origin_prefix(origin: &str) -> String {
    if origin.is_empty() { String::new() } else { format!("{}: ", one_line(origin)) }
}

fn suggestion(name: &str, known: &[String]) -> String {
    // Papers write `LightGCN` and `NDCG@10`: capitals make no other name.
    let written = name.to_lowercase();
    let close = |k: &&String| strsim::damerau_levenshtein(&k.to_lowercase(), &written);
    match known.iter().min_by_key(close) {
        Some(best) if close(&best) <= 1 + name.len() / 3 => format!("; did you mean \"{best}\"?"),
        _ => format!("; known: {}", known.join(", ")),
    }
}
