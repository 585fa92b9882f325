//! Columns of a row: where its fields stand in a line, and how a field becomes a number.

use std::path::Path;

use super::names::{EVENTS, ITEMS, RATINGS, TIMES, find, plain, user_column};
use super::{Row, Time, TimeFormat};
use crate::error::{Place, RecError, Result};

/// Which columns hold what, as far as the user named them: a header's name, or a number from 1
/// where there is no header.
///
/// ```
/// use gcnrec::reader::Columns;
///
/// // A header that no built-in name fits.
/// let columns = Columns { user: Some("customer".into()), item: Some("sku".into()), ..Columns::default() };
/// assert!(columns.rating.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// The user's name.
    pub user: Option<String>,
    /// The item's name.
    pub item: Option<String>,
    /// The rating or count.
    pub rating: Option<String>,
    /// The time.
    pub time: Option<String>,
    /// The title, in files of items.
    pub title: Option<String>,
    /// How times are written.
    pub times: TimeFormat,
}

/// Positions of the fields, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) user: usize,
    pub(super) item: usize,
    pub(super) rating: Option<usize>,
    pub(super) time: Option<usize>,
    /// What a row is an event of; not read, and said.
    pub(super) event: Option<usize>,
    pub(super) n_columns: usize,
    /// How times are written.
    pub(super) times: TimeFormat,
}

impl Layout {
    /// User, item, rating, time from the left, as many as there are.
    pub(super) fn plain(n_columns: usize, times: &TimeFormat) -> Self {
        let (rating, time) = ((n_columns > 2).then_some(2), (n_columns > 3).then_some(3));
        Layout { user: 0, item: 1, rating, time, event: None, n_columns, times: times.clone() }
    }

    /// From a header line. `None` when no column is known to hold users or items.
    ///
    /// # Errors
    /// [`RecError::Input`] when a column that the user named is not there, or when a column that is
    /// read is there twice.
    pub(super) fn from_header(header: &[&str], columns: &Columns, place: &Place) -> Result<Option<Self>> {
        let user = user_column(header, columns, place)?;
        let item = find(header, columns, &ITEMS, place)?;
        let rating = find(header, columns, &RATINGS, place)?;
        let time = find(header, columns, &TIMES, place)?;
        let event = find(header, columns, &EVENTS, place)?;
        for column in [user, item, rating, time].into_iter().flatten() {
            if header.iter().filter(|name| plain(name) == plain(header[column])).count() > 1 {
                return Err(RecError::input(
                    place.clone(),
                    format!("more than one column {}", header[column].trim()),
                    "one",
                )
                .with_todo("rename or remove the others"));
            }
        }
        Ok(match (user, item) {
            (Some(user), Some(item)) => {
                Some(Layout { user, item, rating, time, event, n_columns: header.len(), times: columns.times.clone() })
            }
            _ => None,
        })
    }

    /// Reads one row; `field(k)` gives the text of column k, from 0.
    ///
    /// # Errors
    /// [`RecError::Input`] for a wrong number of columns, an empty name, or a number that is none.
    pub(super) fn row<'a>(
        &self,
        path: &Path,
        line: u64,
        n_fields: usize,
        field: impl Fn(usize) -> &'a str,
    ) -> Result<Row<'a>> {
        if n_fields != self.n_columns {
            return Err(RecError::input(Place::line(path, line), count(n_fields), count(self.n_columns)));
        }
        // Blanks around a name are none of it, as in the header.
        let name = |column: usize, what: &'static str| match field(column).trim() {
            "" => Err(RecError::input(
                Place::column(path, line, column + 1, what),
                "nothing",
                format!("the name of {}", if what == "user" { "a user" } else { "an item" }),
            )),
            name => Ok(name),
        };
        let number_place = |column: usize, what| Place::column(path, line, column + 1, what);
        Ok(Row {
            user: name(self.user, "user")?,
            item: name(self.item, "item")?,
            rating: self.rating.map(|k| rating(field(k), || number_place(k, "rating"))).transpose()?,
            time: match self.time {
                Some(k) if self.times != TimeFormat::Unread => {
                    Some(time(field(k), &self.times, || number_place(k, TIME_FIELD))?)
                }
                _ => None,
            },
            line,
        })
    }
}

/// A rating: any finite number.
fn rating(text: &str, place: impl Fn() -> Place) -> Result<f32> {
    match text.trim().parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(not_a_number(text, place(), "a finite number")),
    }
}

/// What the column of times is called in the places of errors.
pub(in crate::data) const TIME_FIELD: &str = "time";

/// A time: a number or a date.
fn time(text: &str, format: &TimeFormat, place: impl Fn() -> Place) -> Result<Time> {
    format.read(text).ok_or_else(|| {
        let expected = match format.pattern() {
            Some(pattern) => &format!("a time as {pattern} has it"),
            None => "a number such as seconds since 1970, or a date such as 2022-06-01T21:20:01Z",
        };
        not_a_number(text, place(), expected)
    })
}

fn not_a_number(text: &str, place: Place, expected: &str) -> RecError {
    let todo = match place.line {
        Some(1) => "if the first line is a header, use the format csv",
        _ => "",
    };
    RecError::input(place, quoted(text), expected).with_todo(todo)
}

/// A piece of input as it may stand in a message: quoted, control characters escaped, cut short.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// `3 columns`.
pub(super) fn count(n: usize) -> String {
    format!("{n} column{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(fields: &[&'a str]) -> Result<Row<'a>> {
        let fields = fields.to_vec();
        Layout::plain(4, &TimeFormat::Plain).row(Path::new("r.tsv"), 7, fields.len(), |k| fields[k])
    }

    #[test]
    fn numbers_that_are_none_name_their_place() {
        let message = |fields: &[&str]| row(fields).unwrap_err().to_string();
        assert_eq!(
            message(&["u", "i", "five", "0"]),
            "r.tsv:7: column 3 (rating): found \"five\", expected a finite number"
        );
        for bad in ["NaN", "inf", "-infinity", "1e60", ""] {
            assert!(row(&["u", "i", bad, "0"]).is_err(), "{bad}");
        }
        for bad in ["NaN", "inf", "1e30", "2020-13-01", "yesterday", ""] {
            assert!(message(&["u", "i", "1", bad]).starts_with("r.tsv:7: column 4 (time): found "), "{bad}");
        }
        assert_eq!(
            message(&["", "i", "1", "0"]),
            "r.tsv:7: column 1 (user): found nothing, expected the name of a user"
        );
        assert_eq!(message(&["u", "i", "1"]), "r.tsv:7: found 3 columns, expected 4 columns");
    }

    #[test]
    fn times_may_be_fractions_or_before_1970() {
        let time = |text| row(&["u", "i", "1", text]).unwrap().time.map(|time| (time.whole, time.nanos));
        assert_eq!(time("881250949.9"), Some((881_250_949, 900_000_000)));
        assert_eq!(time("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time("-9223372036854775808"), Some((i64::MIN, 0)));
    }

    #[test]
    fn blanks_around_a_name_are_none_of_it() {
        let named = row(&[" u 1", "\ti ", "1", "0"]).unwrap();
        assert_eq!((named.user, named.item), ("u 1", "i"));
        let error = row(&["u", "  ", "1", "0"]).unwrap_err().to_string();
        assert_eq!(error, "r.tsv:7: column 2 (item): found nothing, expected the name of an item");
    }

    #[test]
    fn headers_are_known_by_many_names_and_a_named_column_must_be_there() {
        let place = Place::line(Path::new("f"), 1);
        let layout = Layout::from_header(&["Movie ID", "user_id", "x"], &Columns::default(), &place).unwrap();
        assert_eq!(
            layout,
            Some(Layout {
                user: 1,
                item: 0,
                rating: None,
                time: None,
                event: None,
                n_columns: 3,
                times: TimeFormat::Plain
            })
        );
        let columns = Columns { rating: Some("grade".into()), ..Columns::default() };
        let error = Layout::from_header(&["user", "item"], &columns, &place).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f:1: found the columns user, item, expected a column grade, which data.rating_column names"
        );
    }

    #[test]
    fn long_pieces_of_input_are_cut_in_messages() {
        assert_eq!(quoted(&"é".repeat(100)).chars().count(), 43);
    }
}
