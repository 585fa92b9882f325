//! MovieLens: `u.data` (100K, tabs), `ratings.dat` (1M and 10M, `::`), `ratings.csv` (later sets,
//! with a header).

use super::csv::{Csv, is_header};
use super::detect::fits;
use super::layout::Layout;
use super::{Columns, Evidence, Format, Head, Outline, Reader, Sink, Source};
use crate::error::Result;

pub(super) struct Movielens;

impl Format {
    /// `movielens`: the files of MovieLens.
    pub const MOVIELENS: Format = Format::of(&Movielens);
}

impl Reader for Movielens {
    fn name(&self) -> &'static str {
        "movielens"
    }

    fn about(&self) -> &'static str {
        "u.data (tabs), ratings.dat (::) or ratings.csv (header)."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        let first = head.first();
        let fits = |divider: &str| fits(first.split(divider), 4..=4);
        // Columns that were named by numbers are those of `pairs`.
        let is_typical = fits("::") || (fits("\t") && !head.has_named_columns());
        is_typical.then_some(Evidence::Typical)
    }

    fn outline(&self, lines: &[String], columns: &Columns) -> Option<Outline> {
        let first = lines.first()?;
        if is_header(first, columns) {
            return Csv.outline(lines, columns);
        }
        let rows = lines.iter().map(|line| line.split(delimiter(first)).collect());
        Some(Outline::new(&Layout::plain(4, &columns.times), None, rows))
    }

    fn read(&self, mut source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let first = source.first_lines(1).pop().unwrap_or_default();
        if is_header(&first, columns) {
            return Csv.read(source, columns, sink);
        }
        let path = source.path().to_path_buf();
        let delimiter = delimiter(&first);
        let layout = Layout::plain(4, &columns.times);
        while let Some((line, text)) = source.next_line()? {
            if text.is_empty() {
                continue;
            }
            let (mut fields, mut n_fields) = ([""; 4], 0);
            for field in text.split(delimiter) {
                if let Some(slot) = fields.get_mut(n_fields) {
                    *slot = field;
                }
                n_fields += 1;
            }
            sink(layout.row(&path, line, n_fields, |k| fields[k])?)?;
        }
        Ok(())
    }
}

fn delimiter(first: &str) -> &'static str {
    if first.contains("::") { "::" } else { "\t" }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn the_three_generations_give_the_same_rows() {
        let expected = [row("196", "242", Some(3.5), Some(881_250_949))];
        for text in [
            "196\t242\t3.5\t881250949\n",
            "196::242::3.5::881250949\n",
            "userId,movieId,rating,timestamp\n196,242,3.5,881250949\n",
        ] {
            assert_eq!(read_text(Format::MOVIELENS, text).unwrap(), expected);
            assert_eq!(read_text(Format::AUTO, text).unwrap(), expected);
        }
    }

    #[test]
    fn a_wrong_number_of_columns_names_its_line() {
        let error = read_text(Format::MOVIELENS, "1\t2\t3\t4\n1\t2\t3\t4\t5\n").unwrap_err().to_string();
        assert_eq!(error, "test:2: found 5 columns, expected 4 columns");
    }
}
