//! Output of the program: results to stdout, everything else to stderr.

use std::io::{self, ErrorKind, Write};

use gcnrec::internals::report::{Format, Table};
use gcnrec::{RecError, Result};

/// What a table is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns, for people
    Table,
    /// A list of objects, one per row
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// `--output`, the same for every command that prints a table.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct OutputArgs {
    /// How tables are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl OutputArgs {
    /// Prints a table to stdout.
    pub(super) fn print(self, table: &Table) -> Result<()> {
        print(&table.render(self.format()))
    }

    /// The format that was asked for.
    pub(super) fn format(self) -> Format {
        match self.output {
            Output::Table => Format::Table,
            Output::Json => Format::Json,
            Output::Csv => Format::Csv,
        }
    }

    /// True when a person reads the output, so that more than the table may be printed.
    pub(super) fn for_people(self) -> bool {
        self.output == Output::Table
    }
}

/// Writes to stdout at once.
///
/// # Errors
/// [`RecError::Io`] when stdout is closed or its disk is full.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|source| RecError::Io { path: "stdout".into(), doing: "write", source })
}

/// Writes lines to stderr; names in them come from files, so that what would drive the terminal is
/// spelt out. Nobody can be told when that fails, so nothing is done about it.
pub(crate) fn say(lines: &str) {
    let lines: Vec<String> = lines.split('\n').map(one_line).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// Text for one line: characters that would end the line or drive the terminal are spelt out. They
/// come from names and from input.
pub(crate) fn one_line(text: &str) -> String {
    let spell = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(spell).collect()
}

/// Words in lines of at most 110 columns, the width of the help.
pub(super) fn wrapped(words: &str) -> String {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().expect("there should be a line: the first is there from the start");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= 110 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.into());
        }
    }
    lines.join("\n")
}

/// True for the error of writing to a program that stopped reading.
pub(crate) fn is_closed_pipe(error: &RecError) -> bool {
    matches!(error, RecError::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}

/// A 32-bit score with no more digits than it has.
pub(super) fn score(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_keeps_its_short_form() {
        assert_eq!(score(0.1), 0.1);
        assert_eq!(score(-1234.5), -1234.5);
    }

    #[test]
    fn control_characters_are_spelt_out() {
        assert_eq!(one_line("a\nb\u{1b}[31m Zoë 🎧"), "a\\nb\\u{1b}[31m Zoë 🎧");
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        let io = |kind: ErrorKind| RecError::Io { path: "stdout".into(), doing: "write", source: kind.into() };
        assert!(is_closed_pipe(&io(ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&io(ErrorKind::StorageFull)));
    }
}
