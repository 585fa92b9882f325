//! Format detection: each reader looks at a file's name and first lines, and the surest one reads
//! it.

use super::csv;
use super::layout::quoted;
use super::names::unknown_header;
use super::{Columns, Format, READERS, Reader, Source};
use crate::error::{Place, RecError, Result};

/// How surely a file is of a format, rising.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Its lines can be read in this format.
    Fits,
    /// Its lines have the shape of this format's best-known files.
    Typical,
    /// Its first line names its columns.
    Header,
    /// Its name or its first line says so.
    Declared,
}

/// What a format is recognised by: the file's name and its first lines.
#[derive(Debug)]
pub struct Head<'a> {
    /// The file's name in lower case, without `.gz`.
    pub name: String,
    /// The first lines without blank ones, 1 to 100.
    pub lines: Vec<String>,
    /// The columns that the user named.
    pub columns: &'a Columns,
    /// The format of a sister file (the training part), if any: nothing in a list of numbers says
    /// whether its order means anything.
    pub like: Option<Format>,
}

impl Head<'_> {
    /// The first line.
    pub fn first(&self) -> &str {
        &self.lines[0]
    }

    /// Whether the user named the columns of the rows, by a number or in words.
    pub fn has_named_columns(&self) -> bool {
        self.named_columns().count() > 0
    }

    /// Whether the user named a column in words, which only a header can explain.
    pub fn has_columns_in_words(&self) -> bool {
        self.named_columns().any(|name| name.parse::<usize>().is_err())
    }

    fn named_columns(&self) -> impl Iterator<Item = &String> {
        [&self.columns.user, &self.columns.item, &self.columns.rating, &self.columns.time].into_iter().flatten()
    }
}

/// The reader of a source: the surest one, the first among equals.
///
/// # Errors
/// [`RecError::Input`] when no format fits, with their names.
pub fn detect(source: &Source, columns: &Columns, like: Option<Format>) -> Result<&'static dyn Reader> {
    let refuse = |line: Option<u64>, found: &str, expected: &str| {
        let place = Place { file: source.path().to_path_buf(), line, column: None };
        RecError::input(place, found, expected)
            .with_todo(format!("name the format: {}", Format::names()[1..].join(", ")))
    };
    let name = source.path().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name).to_string();
    let head = Head { name, lines: source.first_lines(100), columns, like };
    if head.lines.is_empty() {
        return Err(refuse(None, "an empty file", "interactions"));
    }
    if head.first().contains('\0') {
        return Err(refuse(Some(1), "a NUL byte", "UTF-8 text, plain or compressed with gzip"));
    }
    let recognised = READERS.iter().filter_map(|reader| Some((reader.recognises(&head)?, *reader)));
    // `max_by_key` takes the last of equals.
    match recognised.rev().max_by_key(|(evidence, _)| *evidence) {
        Some((_, reader)) => Ok(reader),
        None if are_records(&head.lines) => {
            let place = Place { file: source.path().to_path_buf(), line: Some(1), column: None };
            Err(unknown_header(&csv::fields(head.first()), columns, place))
        }
        None => Err(refuse(Some(1), &quoted(head.first()), "the first line of a known format")),
    }
}

/// True where the first lines are divided into the same number of fields, at least two.
fn are_records(lines: &[String]) -> bool {
    let divider = char::from(csv::delimiter(&lines[0]));
    let n_fields = lines[0].split(divider).count();
    n_fields > 1 && lines.iter().skip(1).take(3).all(|line| line.split(divider).count() == n_fields)
}

/// True when the number of fields is right and everything after the second is a number.
pub(super) fn fits<'a>(fields: impl Iterator<Item = &'a str>, n: std::ops::RangeInclusive<usize>) -> bool {
    let fields: Vec<&str> = fields.collect();
    n.contains(&fields.len()) && fields.iter().skip(2).all(|field| field.trim().parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn detected_with(name: &str, text: &str, like: Option<Format>, columns: &Columns) -> Result<&'static str> {
        let source = Source::from_reader(Path::new(name), Cursor::new(text.as_bytes().to_vec()))?;
        detect(&source, columns, like).map(Reader::name)
    }

    fn detected(name: &str, text: &str, like: Option<Format>) -> Result<&'static str> {
        detected_with(name, text, like, &Columns::default())
    }

    #[test]
    fn each_format_is_told_by_its_first_lines() {
        for (text, format) in [
            ("1\t2\t3\t4\n", "movielens"),
            ("1::2::3::4\n", "movielens"),
            ("userId,movieId,rating,timestamp\n", "csv"),
            ("\"user\";\"item\"\n", "csv"),
            ("user_id:token\titem_id:token\n", "atomic"),
            ("0 1 2 3\n1 4\n", "lightgcn"),
            ("0 1\n1\n", "lightgcn"),
            ("0 1\n0 2\n", "sequence"),
            ("1 5 7\n2 5 8\n", "lightgcn"),
            // Ratings, and a rating and a time, with blanks between them.
            ("1 1 2\n1 2 4\n2 1 4\n", "pairs"),
            ("196 242 3 881250949\n186 302 3 891717742\n", "pairs"),
            ("0,1,2\n", "pairs"),
            ("0,1,2,3\n", "pairs"),
            ("0\t1\t2\n", "pairs"),
        ] {
            assert_eq!(detected("f", text, None).unwrap(), format, "{text}");
        }
        assert_eq!(detected("x.INTER.gz", "anything", None).unwrap(), "atomic");
    }

    #[test]
    fn a_column_that_is_named_and_not_there_is_looked_for_in_the_header() {
        let columns = Columns { user: Some("nosuch".into()), ..Columns::default() };
        let detected = |text: &str| detected_with("f", text, None, &columns).unwrap();
        assert_eq!(detected("user,item\n1,2\n"), "csv");
        assert_eq!(detected("who\twhat\n1\t2\n"), "csv");
        assert_eq!(detected("1,2\n3,4\n"), "pairs");
    }

    #[test]
    fn columns_by_number_make_pairs_of_what_would_be_ratings_of_movielens() {
        let columns = Columns { rating: Some("4".into()), ..Columns::default() };
        assert_eq!(detected_with("f", "1\t2\t3\t4\n", None, &columns).unwrap(), "pairs");
        assert_eq!(detected_with("f", "a\tb\n1\t2\n", None, &columns).unwrap(), "pairs", "a header has no numbers");
        assert_eq!(detected_with("f", "1::2::3::4\n", None, &columns).unwrap(), "movielens");
    }

    #[test]
    fn a_file_of_blank_divided_numbers_follows_its_sister_file() {
        assert_eq!(detected("f", "0 1\n0 2\n", Some(Format::LIGHTGCN)).unwrap(), "lightgcn");
        assert_eq!(detected("f", "0 1 2\n", Some(Format::SEQUENCE)).unwrap(), "sequence");
        assert_eq!(detected("f", "0,1,2\n", Some(Format::SEQUENCE)).unwrap(), "pairs");
    }

    #[test]
    fn prose_binary_data_and_nothing_are_refused_by_name() {
        let message = |text: &str| detected("f", text, None).err().unwrap().to_string();
        let prose = message("the quick brown fox\n");
        assert!(prose.starts_with("f:1: found \"the quick brown fox\", expected the first line of a known format"));
        assert!(
            prose.ends_with("name the format: movielens, lightgcn, atomic, csv, sequence, pairs, sessions"),
            "{prose}"
        );
        let columns = message("who,what,when\nann,jazz,now\n");
        assert!(columns.starts_with("f:1: found the columns who, what, when, expected a header with"), "{columns}");
        assert!(message(" \n\n").starts_with("f: found an empty file, expected interactions"));
        assert!(message("\0\0").contains("found a NUL byte, expected UTF-8 text"));
    }
}
