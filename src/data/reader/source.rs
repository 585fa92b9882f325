//! Lines of a text file, plain or compressed, through one reused buffer.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use super::gzip::Members;
use crate::error::{Place, RecError, Result};

/// Longest line of a format with a fixed number of fields.
const LINE_LIMIT: usize = 1 << 20;
/// Longest line of a format in which a line lists a user's items.
const LIST_LIMIT: usize = 64 << 20;
/// How much is looked at to tell the format.
const HEAD: usize = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// An opened input file. Whether it is compressed is told by its first two bytes, not by its name.
///
/// ```
/// use std::path::Path;
///
/// use gcnrec::reader::Source;
///
/// let mut source = Source::from_reader(Path::new("events.csv"), "ann,b7\nbob,b2\n".as_bytes())?;
/// assert_eq!(source.next_line()?, Some((1, "ann,b7")));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
pub struct Source {
    path: PathBuf,
    input: Box<dyn BufRead>,
    head: Vec<u8>,
    compressed: bool,
    line: u64,
    limit: usize,
    buffer: Vec<u8>,
    text: String,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("line", &self.line).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// [`RecError::Missing`] when it is not there, [`RecError::Io`] when it cannot be read,
    /// [`RecError::Input`] when it is damaged gzip data.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(RecError::read(path))?;
        Source::from_reader(path, file)
    }

    /// Reads from anything; `path` only names it in messages and helps to tell the format.
    ///
    /// # Errors
    /// As [`Source::open`], for the first bytes.
    pub fn from_reader(path: &Path, reader: impl Read + 'static) -> Result<Self> {
        let mut raw = BufReader::with_capacity(1 << 16, reader);
        let mut magic = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut magic).map_err(RecError::read(path))?;
        let compressed = magic == [0x1f, 0x8b];
        let raw = Cursor::new(magic).chain(raw);
        let mut input: Box<dyn BufRead> =
            if compressed { Box::new(BufReader::with_capacity(1 << 16, Members::new(raw))) } else { Box::new(raw) };
        let mut head = Vec::new();
        let read = input.by_ref().take(HEAD as u64).read_to_end(&mut head);
        let mut source = Source {
            path: path.to_path_buf(),
            input: Box::new(io::empty()),
            head: Vec::new(),
            compressed,
            line: 0,
            limit: LINE_LIMIT,
            buffer: Vec::new(),
            text: String::new(),
        };
        read.map_err(|error| source.io_error(error))?;
        source.input = Box::new(Cursor::new(head.clone()).chain(input));
        source.head = head;
        Ok(source)
    }

    /// The name of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file as a place.
    pub fn place(&self) -> Place {
        Place::file(&self.path)
    }

    /// Allows the long lines of a format that lists all items of a user in one line.
    pub fn with_list_lines(mut self) -> Self {
        self.limit = LIST_LIMIT;
        self
    }

    /// The complete lines among the first bytes, at most `n`, without blank ones; damaged text is
    /// replaced, not refused.
    pub fn first_lines(&self, n: usize) -> Vec<String> {
        let head = self.head.strip_prefix(BOM).unwrap_or(&self.head);
        let whole = match head.iter().rposition(|&byte| byte == b'\n') {
            Some(end) if self.head.len() == HEAD => &head[..end],
            _ => head,
        };
        let lines = whole.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines
            .filter(|line| !line.trim_ascii().is_empty())
            .take(n)
            .map(|l| String::from_utf8_lossy(l).into_owned())
            .collect()
    }

    /// The next line without its ending, and its number from 1. `None` at the end.
    ///
    /// # Errors
    /// [`RecError::Input`] for a line that is too long, holds a NUL byte or is not UTF-8, and for
    /// damaged gzip data; [`RecError::Io`].
    pub fn next_line(&mut self) -> Result<Option<(u64, &str)>> {
        if !self.advance()? {
            return Ok(None);
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Some((self.line, text))),
            Err(error) => Err(RecError::input(
                Place::line(&self.path, self.line),
                format!("a byte that is not UTF-8 at position {}", error.valid_up_to() + 1),
                "UTF-8 text",
            )),
        }
    }

    /// As [`Source::next_line`], but a line that is not UTF-8 is taken for Latin-1, as in
    /// MovieLens's files of titles.
    ///
    /// # Errors
    /// As [`Source::next_line`], except for the encoding.
    pub fn next_line_or_latin1(&mut self) -> Result<Option<(u64, &str)>> {
        if !self.advance()? {
            return Ok(None);
        }
        self.text.clear();
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => self.text.push_str(text),
            // Latin-1 is the first 256 code points.
            Err(_) => self.text.extend(self.buffer.iter().map(|&byte| char::from(byte))),
        }
        Ok(Some((self.line, &self.text)))
    }

    fn advance(&mut self) -> Result<bool> {
        self.buffer.clear();
        let limit = self.limit as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.buffer);
        if read.map_err(|error| self.io_error(error))? == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        }
        // Also without a newline: the file may be cut between the two.
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if self.line == 1 && self.buffer.starts_with(BOM) {
            self.buffer.drain(..BOM.len());
        }
        let refuse = |found: String, expected: &str| {
            RecError::input(Place::line(&self.path, self.line), found, expected)
                .with_todo("is this a text file in the named format?")
        };
        if self.buffer.len() > self.limit {
            return Err(refuse(format!("more than {} bytes in one line", self.limit), "a shorter line"));
        }
        if self.buffer.contains(&0) {
            return Err(refuse("a NUL byte".into(), "UTF-8 text"));
        }
        Ok(true)
    }

    fn io_error(&self, error: io::Error) -> RecError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
                if self.compressed =>
            {
                RecError::input(
                    Place { file: self.path.clone(), line: Some(self.line + 1), column: None },
                    format!("damaged or incomplete gzip data ({error})"),
                    "a whole gzip file",
                )
                .with_todo("fetch or compress it again")
            }
            _ => RecError::read(&self.path)(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn source(bytes: &[u8]) -> Result<Source> {
        Source::from_reader(Path::new("f"), Cursor::new(bytes.to_vec()))
    }

    fn lines(bytes: &[u8]) -> Result<Vec<(u64, String)>> {
        let mut source = source(bytes)?;
        let mut lines = Vec::new();
        while let Some((number, line)) = source.next_line()? {
            lines.push((number, line.to_string()));
        }
        Ok(lines)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn byte_order_mark_carriage_returns_and_a_missing_last_newline_do_not_matter() {
        let expected = vec![(1, "a b".to_string()), (2, String::new()), (3, "c".to_string())];
        assert_eq!(lines(b"\xef\xbb\xbfa b\r\n\r\nc").unwrap(), expected);
        assert_eq!(lines(b"a b\n\nc\n").unwrap(), expected);
        assert_eq!(lines(b"a b\r\n\r\nc\r").unwrap(), expected, "cut within the last line end");
    }

    #[test]
    fn compressed_data_is_told_by_its_first_bytes_and_may_have_members() {
        let mut two = gzip(b"a\n");
        two.extend(gzip(b"b\n"));
        assert_eq!(lines(&two).unwrap(), vec![(1, "a".to_string()), (2, "b".to_string())]);
    }

    #[test]
    fn every_truncation_of_a_gzip_file_is_an_error() {
        let whole = gzip(b"1 2 3\n4 5 6\n");
        assert!(lines(&whole).is_ok());
        for end in 2..whole.len() {
            let error = lines(&whole[..end]).unwrap_err();
            assert!(matches!(error, RecError::Input { .. }), "{end}: {error}");
        }
    }

    #[test]
    fn binary_data_is_refused_with_its_line() {
        let nul = lines(b"a\nb\0c\n").unwrap_err().to_string();
        assert!(nul.starts_with("f:2: found a NUL byte, expected UTF-8 text"), "{nul}");
        let latin1 = lines(b"a\nd\xe9j\xe0\n").unwrap_err().to_string();
        assert!(latin1.starts_with("f:2: found a byte that is not UTF-8 at position 2"), "{latin1}");
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_a_list_may_be_longer() {
        let long = vec![b'1'; LINE_LIMIT + 1];
        assert!(lines(&long).unwrap_err().to_string().starts_with("f:1: found more than 1048576 bytes in one line"));
        assert_eq!(lines(&long[1..]).unwrap()[0].1.len(), LINE_LIMIT);
        assert!(source(&long).unwrap().with_list_lines().next_line().unwrap().is_some());
    }

    #[test]
    fn latin1_titles_become_text() {
        let mut source = source(b"Mis\xe9rables\nMis\xc3\xa9rables\n").unwrap();
        for number in 1..=2 {
            assert_eq!(source.next_line_or_latin1().unwrap(), Some((number, "Misérables")));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Source::open(Path::new("no/such/file")).unwrap_err();
        assert_eq!(error.to_string(), "file no/such/file is not there; check the path");
    }
}
