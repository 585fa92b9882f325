//! Constructors of errors, and what is added to an error afterwards.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Place, RecError};

impl RecError {
    /// Wraps a reading error of the system.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> RecError {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => RecError::missing("file", path.display().to_string(), "check the path"),
            _ => RecError::Io { path, doing: "read", source },
        }
    }

    /// Wraps a writing error of the system.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> RecError {
        let path = path.to_path_buf();
        move |source| RecError::Io { path, doing: "write", source }
    }

    /// [`RecError::Input`] without advice.
    pub fn input(place: Place, found: impl Into<String>, expected: impl Into<String>) -> RecError {
        RecError::Input { place, found: found.into(), expected: expected.into(), todo: String::new() }
    }

    /// [`RecError::Missing`].
    pub fn missing(what: &'static str, name: impl Into<String>, todo: impl Into<String>) -> RecError {
        RecError::Missing { what, name: name.into(), todo: todo.into() }
    }

    /// [`RecError::Config`] for a value outside its range, without an origin and without advice.
    pub fn range(key: impl Into<String>, found: impl fmt::Display, expected: impl Into<String>) -> RecError {
        RecError::Config {
            key: key.into(),
            origin: String::new(),
            found: found.to_string(),
            expected: expected.into(),
            todo: String::new(),
        }
    }

    /// [`RecError::Unknown`] without an origin.
    pub fn unknown(
        what: &'static str,
        name: impl Into<String>,
        known: impl IntoIterator<Item = impl ToString>,
    ) -> RecError {
        let known = known.into_iter().map(|name| name.to_string()).collect();
        RecError::Unknown { what, origin: String::new(), name: name.into(), known }
    }

    /// [`RecError::Usage`].
    pub fn usage(problem: impl Into<String>, todo: impl Into<String>) -> RecError {
        RecError::Usage { problem: problem.into(), todo: todo.into() }
    }

    /// [`RecError::Resources`] without advice.
    pub fn resources(what: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> RecError {
        RecError::Resources { what: what.into(), found: found.into(), expected: expected.into(), todo: String::new() }
    }

    /// [`RecError::Checkpoint`].
    pub fn checkpoint(path: impl Into<PathBuf>, problem: impl Into<String>, todo: impl Into<String>) -> RecError {
        RecError::Checkpoint { path: path.into(), problem: problem.into(), todo: todo.into() }
    }

    /// [`RecError::Unsupported`] without advice.
    pub fn unsupported(model: impl Into<String>, problem: impl Into<String>) -> RecError {
        RecError::Unsupported { model: model.into(), problem: problem.into(), todo: String::new() }
    }

    /// A user without a history who was not in training: no model knows anything about such a user.
    pub(crate) fn stranger(model: &str) -> RecError {
        RecError::unsupported(model, "the user was not in training and has no history")
            .with_todo("pass a history to score a new user")
    }

    /// The same error with advice on what the user can do; unchanged where it has no room for any.
    #[must_use]
    pub fn with_todo(mut self, advice: impl Into<String>) -> RecError {
        match &mut self {
            RecError::Input { todo, .. }
            | RecError::Missing { todo, .. }
            | RecError::UnknownId { todo, .. }
            | RecError::Config { todo, .. }
            | RecError::Usage { todo, .. }
            | RecError::Resources { todo, .. }
            | RecError::Checkpoint { todo, .. }
            | RecError::NotFinite { todo, .. }
            | RecError::Unsupported { todo, .. }
            | RecError::Different { todo, .. }
            | RecError::Failed { todo, .. }
            | RecError::Interrupted { todo, .. } => *todo = advice.into(),
            RecError::Io { .. } | RecError::Unknown { .. } | RecError::Kernel(_) | RecError::Graph(_) => {}
        }
        self
    }

    /// The same error with the place where a setting was made (`run.toml:12`, `--set`).
    #[must_use]
    pub fn with_origin(mut self, place: impl Into<String>) -> RecError {
        if let RecError::Config { origin, .. } | RecError::Unknown { origin, .. } = &mut self {
            *origin = place.into();
        }
        self
    }
}
