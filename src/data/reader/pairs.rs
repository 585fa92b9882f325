//! Columns without a header: user, item, and optionally rating and time, divided by commas, tabs,
//! semicolons or blanks.

use super::delimited::Records;
use super::detect::fits;
use super::layout::{Layout, count};
use super::{Columns, Evidence, Format, Head, Reader, Sink, Source};
use crate::error::{Place, RecError, Result};

pub(super) struct Pairs;

impl Format {
    /// `pairs`: columns without a header.
    pub const PAIRS: Format = Format::of(&Pairs);
}

impl Reader for Pairs {
    fn name(&self) -> &'static str {
        "pairs"
    }

    fn about(&self) -> &'static str {
        "Two to four columns without a header: user, item, rating, time."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        let divider = delimiter(head.first());
        let fields = head.first().split(char::from(divider));
        let is_divided = divider != b' ' && (head.has_named_columns() || fits(fields, 2..=4));
        is_divided.then_some(Evidence::Fits)
    }

    fn read(&self, source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let first = source.first_lines(1).pop().unwrap_or_default();
        let mut records = Records::new(source, delimiter(&first));
        let mut layout = None;
        while let Some((line, record)) = records.next_record()? {
            let layout = match layout {
                Some(layout) => layout,
                None => *layout.insert(numbered(columns, record.len(), &Place::line(&path, line))?),
            };
            sink(layout.row(&path, line, record.len(), |k| record.get(k).unwrap_or(""))?)?;
        }
        Ok(())
    }
}

/// The first of tab, comma and semicolon that occurs; otherwise a blank.
pub(super) fn delimiter(line: &str) -> u8 {
    [b'\t', b',', b';'].into_iter().find(|&byte| line.as_bytes().contains(&byte)).unwrap_or(b' ')
}

/// User, item, rating and time from the left, unless the user gave column numbers.
fn numbered(columns: &Columns, n_columns: usize, place: &Place) -> Result<Layout> {
    let named = [&columns.user, &columns.item, &columns.rating, &columns.time];
    if named.iter().all(|name| name.is_none()) {
        if (2..=4).contains(&n_columns) {
            return Ok(Layout::plain(n_columns));
        }
        return Err(RecError::input(place.clone(), count(n_columns), "2 to 4 columns: user, item, rating, time")
            .with_todo("number the columns with data.user_column, data.item_column and so on"));
    }
    let number = |name: &Option<String>, key: &str| -> Result<Option<usize>> {
        let Some(name) = name else { return Ok(None) };
        match name.parse::<usize>() {
            Ok(number) if (1..=n_columns).contains(&number) => Ok(Some(number - 1)),
            _ => Err(RecError::range(
                format!("data.{key}_column"),
                format!("{name:?}"),
                format!("a column number from 1 to {n_columns}, because the file has no header"),
            )),
        }
    };
    Ok(Layout {
        user: number(&columns.user, "user")?.unwrap_or(0),
        item: number(&columns.item, "item")?.unwrap_or(1),
        rating: number(&columns.rating, "rating")?,
        time: number(&columns.time, "time")?,
        event: None,
        n_columns,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Columns, Format};
    use crate::data::tests::{read_columns, read_text, row};

    #[test]
    fn two_three_or_four_columns_with_any_delimiter() {
        assert_eq!(read_text(Format::PAIRS, "0,72\n1,5\n").unwrap()[1], row("1", "5", None, None));
        assert_eq!(read_text(Format::AUTO, "0,72,2\n").unwrap(), [row("0", "72", Some(2.0), None)]);
        assert_eq!(read_text(Format::AUTO, "424\t4076\t993\n").unwrap(), [row("424", "4076", Some(993.0), None)]);
        assert_eq!(read_text(Format::PAIRS, "a b 1 7\n").unwrap(), [row("a", "b", Some(1.0), Some(7))]);
    }

    #[test]
    fn the_number_of_columns_is_that_of_the_first_line() {
        let error = read_text(Format::PAIRS, "1,2,3\n1,2\n").unwrap_err().to_string();
        assert_eq!(error, "test:2: found 2 columns, expected 3 columns");
        assert!(read_text(Format::PAIRS, "1,2,3,4,5\n").unwrap_err().to_string().contains("expected 2 to 4 columns"));
    }

    #[test]
    fn numbered_columns_pick_fields_out_of_wider_files() {
        // The simulation data of AutoDebias: user, item, position, rating.
        let columns = Columns { rating: Some("4".into()), ..Columns::default() };
        assert_eq!(read_columns(Format::PAIRS, b"0,322,0,5\n", &columns).unwrap(), [row("0", "322", Some(5.0), None)]);
        let columns = Columns { rating: Some("5".into()), ..Columns::default() };
        let error = read_columns(Format::PAIRS, b"0,322,0,5\n", &columns).unwrap_err();
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn a_header_is_not_taken_for_a_rating() {
        let error = read_text(Format::PAIRS, "user,item,rating\n1,2,3\n").unwrap_err().to_string();
        assert!(error.starts_with("test:1: column 3 (rating): found \"rating\""), "{error}");
        assert!(error.ends_with("use the format csv"), "{error}");
    }
}
