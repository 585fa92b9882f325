//! Columns without a header: user, item, and optionally rating and time, divided by commas, tabs,
//! semicolons or blanks.

use std::path::Path;

use super::csv::divided;
use super::delimited::Records;
use super::detect::fits;
use super::layout::{Layout, count};
use super::lightgcn::are_rows;
use super::{Columns, Evidence, Format, Head, Outline, Reader, Sink, Source};
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
        let is_divided =
            (divider != b' ' || are_rows(&head.lines)) && (head.has_named_columns() || fits(fields, 2..=4));
        is_divided.then_some(Evidence::Fits)
    }

    fn outline(&self, lines: &[String], columns: &Columns) -> Option<Outline> {
        let divider = delimiter(lines.first()?);
        let mut rows = lines.iter().map(|line| divided(line, divider)).peekable();
        let is_item_first = is_item_first(lines, divider, columns);
        let n_columns = rows.peek()?.len();
        let layout = numbered(columns, n_columns, is_item_first, &Place::file(Path::new("first line"))).ok()?;
        let reason = is_item_first.then_some("items stand first, told by Amazon's item and user codes");
        Some(Outline { reason, ..Outline::new(&layout, None, rows) })
    }

    fn read(&self, source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let lines = source.first_lines(100);
        let divider = delimiter(lines.first().map_or("", String::as_str));
        let is_item_first = is_item_first(&lines, divider, columns);
        let mut records = Records::new(source, divider);
        let mut layout = None;
        while let Some((line, record)) = records.next_record()? {
            let layout = match &layout {
                Some(layout) => layout,
                None => layout.insert(numbered(columns, record.len(), is_item_first, &Place::line(&path, line))?),
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

/// True for lines as Amazon's rating files of 2018 have them: `item,user,rating,time`, items being
/// codes of ten letters and digits (`B00E…`, an ISBN), users others that begin with `A`.
fn is_item_first(lines: &[String], divider: u8, columns: &Columns) -> bool {
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let is_item = |code: &str| code.len() == 10 && is_code(code) && !code.starts_with('A');
    let is_user = |code: &str| (5..=21).contains(&code.len()) && is_code(code) && code.starts_with('A');
    let is_row = |line: &String| match divided(line, divider)[..] {
        [item, user, rating, time] => {
            is_item(item) && is_user(user) && rating.parse::<f32>().is_ok() && time.parse::<u64>().is_ok()
        }
        _ => false,
    };
    [&columns.user, &columns.item, &columns.rating, &columns.time].iter().all(|name| name.is_none())
        && !lines.is_empty()
        && lines.iter().all(is_row)
}

/// User, item, rating and time from the left, unless the user gave column numbers.
fn numbered(columns: &Columns, n_columns: usize, is_item_first: bool, place: &Place) -> Result<Layout> {
    let named = [&columns.user, &columns.item, &columns.rating, &columns.time];
    if named.iter().all(|name| name.is_none()) {
        if (2..=4).contains(&n_columns) {
            let plain = Layout::plain(n_columns, &columns.times);
            return Ok(if is_item_first { Layout { user: plain.item, item: plain.user, ..plain } } else { plain });
        }
        return Err(RecError::input(place.clone(), count(n_columns), "2 to 4 columns: user, item, rating, time")
            .with_todo("number the columns with --user-column, --item-column and so on (data.user_column, …)"));
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
        times: columns.times.clone(),
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
    fn files_of_amazon_that_begin_with_the_item_are_told_by_their_codes() {
        let expected = [row("A3F73SC1LY51OO", "0700099867", Some(4.0), Some(1_377_129_600))];
        assert_eq!(read_text(Format::AUTO, "0700099867,A3F73SC1LY51OO,4.0,1377129600\n").unwrap(), expected);
        assert_eq!(read_text(Format::AUTO, "A3F73SC1LY51OO,0700099867,4.0,1377129600\n").unwrap(), expected);
        let columns = Columns { user: Some("1".into()), ..Columns::default() };
        let named = read_columns(Format::PAIRS, b"0700099867,A3F73SC1LY51OO,4.0,1377129600\n", &columns).unwrap();
        assert_eq!(named[0].0, "0700099867", "who names columns is obeyed");
    }

    #[test]
    fn a_header_is_not_taken_for_a_rating() {
        let error = read_text(Format::PAIRS, "user,item,rating\n1,2,3\n").unwrap_err().to_string();
        assert!(error.starts_with("test:1: column 3 (rating): found \"rating\""), "{error}");
        assert!(error.ends_with("use the format csv"), "{error}");
    }
}
