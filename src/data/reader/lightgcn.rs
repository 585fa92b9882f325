//! The files of LightGCN: `user item item …`, one user a line, blanks between. The order of the
//! items means nothing.

use super::pairs::delimiter;
use super::{Columns, Evidence, Format, Head, Reader, Row, Sink, Source};
use crate::error::Result;

pub(super) struct Lightgcn;

impl Format {
    /// `lightgcn`: lists of items in any order.
    pub const LIGHTGCN: Format = Format::of(&Lightgcn);
}

impl Reader for Lightgcn {
    fn name(&self) -> &'static str {
        "lightgcn"
    }

    fn about(&self) -> &'static str {
        "user item item …, one user a line; the order of the items means nothing."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        (is_list_in_order(head) == Some(false)).then_some(Evidence::Fits)
    }

    /// A user without items (amazon-book's test file has four) is a line like any other and gives
    /// no row.
    fn read(&self, source: Source, _columns: &Columns, sink: Sink<'_>) -> Result<()> {
        read_lists(source, sink, |_, _| Ok(()))
    }
}

/// Whether lines of whole numbers with blanks between them are in time order; nothing for other
/// lines. Such a file is read as its sister file was; otherwise lines of two numbers are taken for
/// sequences.
pub(super) fn is_list_in_order(head: &Head<'_>) -> Option<bool> {
    let is_whole = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let are_lists =
        delimiter(head.first()) == b' ' && head.lines.iter().all(|line| line.split_ascii_whitespace().all(is_whole));
    let are_pairs = || head.lines.iter().all(|line| line.split_ascii_whitespace().count() == 2);
    are_lists
        .then(|| match head.like {
            Some(like) if like == Format::LIGHTGCN => false,
            Some(like) if like == Format::SEQUENCE => true,
            _ => are_pairs(),
        })
        .filter(|_| head.like.is_some() || !are_rows(&head.lines))
}

/// True for lines of three or four numbers that are no lists: a user of a list has one line, and no
/// item is a point in time (1973 and later, in seconds).
pub(super) fn are_rows(lines: &[String]) -> bool {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split_ascii_whitespace().collect()).collect();
    let n_fields = rows[0].len();
    if !(3..=4).contains(&n_fields) || rows.iter().any(|row| row.len() != n_fields) {
        return false;
    }
    let users: std::collections::HashSet<&str> = rows.iter().map(|row| row[0]).collect();
    let is_time = |row: &Vec<&str>| row[n_fields - 1].parse::<u64>().is_ok_and(|last| last >= 100_000_000);
    users.len() < rows.len() || rows.iter().all(is_time)
}

/// Hands out one row for each item of each line. `check` sees the number of items of each line that
/// is not blank.
pub(super) fn read_lists(source: Source, sink: Sink<'_>, check: impl Fn(u64, usize) -> Result<()>) -> Result<()> {
    let mut source = source.with_list_lines();
    while let Some((line, text)) = source.next_line()? {
        let mut names = text.split_ascii_whitespace();
        let Some(user) = names.next() else { continue };
        let mut n_items = 0;
        for item in names {
            n_items += 1;
            sink(Row { user, item, rating: None, time: None, line })?;
        }
        check(line, n_items)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn a_user_may_have_no_items_and_blanks_may_be_doubled() {
        let rows = read_text(Format::LIGHTGCN, "0 5  7 \n1\n2 \r\n\n3 5\n").unwrap();
        assert_eq!(rows, [row("0", "5", None, None), row("0", "7", None, None), row("3", "5", None, None)]);
    }

    #[test]
    fn a_file_of_users_without_items_is_refused() {
        let error = read_text(Format::LIGHTGCN, "0\n1\n").unwrap_err().to_string();
        assert_eq!(error, "test: found no interaction, expected at least one");
    }
}
