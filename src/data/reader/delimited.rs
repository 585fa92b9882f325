//! Delimited text with quotes, record by record, on top of the `csv` crate. Lines come from
//! [`Source`], so limits, encoding and line numbers are the same for all formats.

use std::io::{self, Read};

use ::csv::{Reader, ReaderBuilder, StringRecord, Terminator};

use super::Source;
use crate::error::{Place, RecError, Result};

/// A quoted field may span lines; a record may not be longer than this.
const RECORD_LIMIT: usize = 1 << 20;

/// The records of a delimited file.
pub(super) struct Records {
    reader: Reader<Lines>,
    record: StringRecord,
}

impl Records {
    /// Starts at the source's next line.
    pub(super) fn new(source: Source, delimiter: u8) -> Self {
        let lines = Lines { source, pending: Vec::new(), taken: 0, record_line: None, record_size: 0, ended: false };
        let mut builder = ReaderBuilder::new();
        // The source has taken the line ends off: a carriage return that is left belongs to a field
        // and must not start a record within the line.
        builder.has_headers(false).flexible(true).delimiter(delimiter).terminator(Terminator::Any(b'\n'));
        Records { reader: builder.from_reader(lines), record: StringRecord::new() }
    }

    /// The source's name as a place with a line.
    pub(super) fn place(&self, line: u64) -> Place {
        Place::line(self.reader.get_ref().source.path(), line)
    }

    /// The next record and the line on which it starts. Blank lines are skipped.
    ///
    /// # Errors
    /// Those of [`Source::next_line`]; [`RecError::Input`] for a quote that is never closed and for
    /// a record that is too long.
    pub(super) fn next_record(&mut self) -> Result<Option<(u64, &StringRecord)>> {
        let lines = self.reader.get_mut();
        (lines.record_line, lines.record_size) = (None, 0);
        let found = self.reader.read_record(&mut self.record);
        let lines = self.reader.get_ref();
        let place = Place { file: lines.source.path().to_path_buf(), line: lines.record_line, column: None };
        match found {
            // Every line handed out ends in a newline, so only an open quote can carry a record to
            // the end of the file.
            Ok(true) if lines.ended => {
                Err(RecError::input(place, "a quote that is never closed", "a second quote before the end of the file"))
            }
            Ok(true) => Ok(Some((lines.record_line.unwrap_or(0), &self.record))),
            Ok(false) => Ok(None),
            Err(error) => Err(unwrap_error(error, place)),
        }
    }
}

fn unwrap_error(error: ::csv::Error, place: Place) -> RecError {
    let other = |reason: String| RecError::input(place, reason, "delimited text");
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => match error.downcast::<RecError>() {
            Ok(error) => error,
            Err(error) => other(error.to_string()),
        },
        kind => other(format!("{kind:?}")),
    }
}

/// Hands out at most one line at a time, so that the line of a record is known.
struct Lines {
    source: Source,
    pending: Vec<u8>,
    taken: usize,
    record_line: Option<u64>,
    record_size: usize,
    ended: bool,
}

impl Read for Lines {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.pending.len() {
            let Some((line, text)) = self.source.next_line().map_err(io::Error::other)? else {
                self.ended = true;
                return Ok(0);
            };
            self.pending.clear();
            self.pending.extend_from_slice(text.as_bytes());
            self.pending.push(b'\n');
            self.taken = 0;
            self.record_size += self.pending.len();
            if !text.is_empty() {
                self.record_line.get_or_insert(line);
            }
            if self.record_size > RECORD_LIMIT + 1 && self.record_line != Some(line) {
                return Err(io::Error::other(
                    RecError::input(
                        Place { file: self.source.path().to_path_buf(), line: self.record_line, column: None },
                        format!("more than {RECORD_LIMIT} bytes in one record"),
                        "a shorter one",
                    )
                    .with_todo("is a quote left open?"),
                ));
            }
        }
        let n = out.len().min(self.pending.len() - self.taken);
        out[..n].copy_from_slice(&self.pending[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, Vec<String>)>> {
        let source = Source::from_reader(Path::new("f.csv"), Cursor::new(text.as_bytes().to_vec()))?;
        let mut records = Records::new(source, b',');
        let mut all = Vec::new();
        while let Some((line, record)) = records.next_record()? {
            all.push((line, record.iter().map(String::from).collect()));
        }
        Ok(all)
    }

    #[test]
    fn quotes_newlines_and_blank_lines_keep_the_line_numbers_right() {
        let text = "a,b\r\n\r\n\"x, \"\"y\"\"\r\nz\",1\r\n\r\nlast,2";
        let row = |line, a: &str, b: &str| (line, vec![a.to_string(), b.to_string()]);
        assert_eq!(read(text).unwrap(), [row(1, "a", "b"), row(3, "x, \"y\"\nz", "1"), row(6, "last", "2")]);
    }

    #[test]
    fn a_carriage_return_within_a_line_starts_no_record() {
        // Found by fuzzing: it gave a second record, on line 0.
        assert_eq!(
            read("u,a\r2,b\nv,c\n").unwrap(),
            [(1, vec!["u".to_string(), "a\r2".into(), "b".into()]), (2, vec!["v".into(), "c".into()])]
        );
    }

    #[test]
    fn an_open_quote_is_refused_at_the_line_where_its_record_starts() {
        let error = read("a,b\nc,\"d\ne,f\n").unwrap_err().to_string();
        assert!(error.starts_with("f.csv:2: found a quote that is never closed"), "{error}");
        let long = format!("a,b\nc,\"d\n{}", "e,f\n".repeat(300_000));
        let error = read(&long).unwrap_err().to_string();
        assert!(error.starts_with("f.csv:2: found more than 1048576 bytes in one record"), "{error}");
    }

    #[test]
    fn errors_of_the_lines_come_through() {
        assert!(read("a,b\nc\0,d\n").unwrap_err().to_string().starts_with("f.csv:2: found a NUL byte"));
    }
}
