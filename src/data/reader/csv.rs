//! Delimited text with a header line: comma, tab or semicolon.

use std::path::Path;

use super::delimited::Records;
use super::layout::Layout;
use super::names::{names_some, unknown_header};
use super::{Columns, Evidence, Format, Head, Outline, Reader, Sink, Source};
use crate::error::{Place, Result};

/// The delimiters that are tried, in this order.
const DELIMITERS: [u8; 3] = [b',', b'\t', b';'];

pub(super) struct Csv;

impl Format {
    /// `csv`: delimited text with a header line.
    pub const CSV: Format = Format::of(&Csv);
}

impl Reader for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "Comma, tab or semicolon, with a header line."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        let first = head.first();
        let is_named = || {
            let is_divided = || first.contains(char::from(delimiter(first)));
            head.lines.get(1).is_some_and(|second| looks_like_header(first, second))
                || (is_divided() && names_some(&fields(first)))
        };
        let is_header = if is_header(first, head.columns) {
            true
        } else if head.has_columns_in_words() {
            // The user named a column that is not there: reading it says which ones are.
            is_header(first, &Columns::default()) || is_named()
        } else {
            // Columns that were named by numbers are those of `pairs`.
            !head.has_named_columns() && is_named()
        };
        is_header.then_some(Evidence::Header)
    }

    fn outline(&self, lines: &[String], columns: &Columns) -> Option<Outline> {
        let header = fields(lines.first()?);
        let layout = Layout::from_header(&header, columns, &Place::file(Path::new("header"))).ok()??;
        let divider = delimiter(&lines[0]);
        Some(Outline::new(&layout, Some(&header), lines[1..].iter().map(|line| divided(line, divider))))
    }

    fn read(&self, source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let first = source.first_lines(1).pop().unwrap_or_default();
        let delimiter = delimiter(&first);
        let mut records = Records::new(source, delimiter);
        let Some((line, header)) = records.next_record()? else { return Ok(()) };
        let header: Vec<&str> = header.iter().collect();
        let place = Place::line(&path, line);
        let Some(layout) = Layout::from_header(&header, columns, &place)? else {
            return Err(unknown_header(&header, columns, place));
        };
        while let Some((line, record)) = records.next_record()? {
            sink(layout.row(&path, line, record.len(), |k| record.get(k).unwrap_or(""))?)?;
        }
        Ok(())
    }
}

/// The delimiter that divides a line into the most fields; a comma when none does.
pub(super) fn delimiter(line: &str) -> u8 {
    let n = |delimiter: &u8| line.bytes().filter(|byte| byte == delimiter).count();
    // The first of equals wins: `max_by_key` would take the last.
    DELIMITERS.into_iter().rev().max_by_key(n).unwrap_or(b',')
}

/// The fields of a line without their quotes, as far as one line tells.
pub(super) fn fields(line: &str) -> Vec<&str> {
    divided(line, delimiter(line))
}

/// The same by the divider of another line.
pub(super) fn divided(line: &str, divider: u8) -> Vec<&str> {
    line.split(char::from(divider)).map(|field| field.trim().trim_matches('"')).collect()
}

/// True when the line is a header of this format.
pub(super) fn is_header(line: &str, columns: &Columns) -> bool {
    matches!(Layout::from_header(&fields(line), columns, &Place::file(Path::new("header"))), Ok(Some(_)))
}

/// True when the first of two lines names columns, in whatever words: it is divided, none of its
/// fields holds a digit, and every field of the second line does.
fn looks_like_header(first: &str, second: &str) -> bool {
    let divider = char::from(delimiter(first));
    let has_digit = |field: &str| field.bytes().any(|byte| byte.is_ascii_digit());
    let is_name = |name: &str| !has_digit(name) && !name.trim().is_empty();
    first.contains(divider) && first.split(divider).all(is_name) && second.split(divider).all(has_digit)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn a_header_names_the_columns_in_any_order() {
        let text = "timestamp;note;item_id;user_id;rating\n-3.5;x;\"a;b\";ü 1;4.5\n";
        assert_eq!(read_text(Format::CSV, text).unwrap(), [row("ü 1", "a;b", Some(4.5), Some(-4))]);
        assert_eq!(read_text(Format::AUTO, text).unwrap().len(), 1);
    }

    #[test]
    fn large_numbers_and_emoji_are_just_names() {
        let text = "user\titem\n18446744073709551615\t🎧\n";
        assert_eq!(read_text(Format::CSV, text).unwrap(), [row("18446744073709551615", "🎧", None, None)]);
    }

    #[test]
    fn a_header_without_users_is_refused_with_what_to_do() {
        let error = read_text(Format::CSV, "who,what\n1,2\n").unwrap_err().to_string();
        assert!(error.starts_with("test:1: found the columns who, what, expected a header"), "{error}");
        assert!(error.contains("name them with --user-column and --item-column (data.user_column"), "{error}");
        assert_eq!(read_text(Format::AUTO, "who,what\n1,2\n").unwrap_err().to_string(), error);
        assert_eq!(read_text(Format::AUTO, "ann,jazz\nbob,soul\n").unwrap().len(), 2, "names are no header");
    }

    #[test]
    fn a_header_of_which_one_column_is_known_says_which_one_is_missing() {
        let error = read_text(Format::AUTO, "customer,what,qty\nann,jazz,2\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "test:1: found the columns customer, what, qty, expected a column of items beside customer, that of users; \
             name it with --item-column (data.user_column, data.item_column), or use the format pairs if the first line \
             is a row"
        );
    }

    #[test]
    fn a_column_that_is_there_twice_is_refused() {
        for format in [Format::CSV, Format::AUTO] {
            let error = read_text(format, "user,item,User,rating\n1,2,3,4\n").unwrap_err().to_string();
            assert_eq!(error, "test:1: found more than one column user, expected one; rename or remove the others");
        }
        assert!(
            read_text(Format::CSV, "user,item,note,note\n1,2,x,y\n").is_ok(),
            "what is not read may be there twice"
        );
    }

    #[test]
    fn a_missing_column_names_its_line() {
        let error = read_text(Format::CSV, "user,item,rating\n1,2,3\n\n1,2\n").unwrap_err().to_string();
        assert_eq!(error, "test:4: found 2 columns, expected 3 columns");
    }
}
