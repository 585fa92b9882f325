//! Tables: aligned columns for people, JSON and CSV for programs.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use crate::error::{RecError, Result};

/// How a table is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    #[default]
    Table,
    /// A list of objects, one per row.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

impl Format {
    /// Every name that `--output` accepts.
    pub const NAMES: [&str; 3] = ["table", "json", "csv"];

    /// A format by name.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Format::NAMES`].
    pub fn named(name: &str) -> Result<Format> {
        match name {
            "table" => Ok(Format::Table),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err(RecError::unknown("output", name, Self::NAMES)),
        }
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words, set to the left.
    Text(String),
    /// A whole number, set to the right.
    Whole(i64),
    /// A number with this many digits after the point in a printed table; JSON and CSV get all of
    /// them.
    Real(f64, usize),
    /// A number that cannot be told, such as the deviation of one value: a dash, null for programs.
    Undefined,
    /// Nothing.
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

/// Rows under a header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Table {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row. A row that is too short ends in empty cells; cells beyond the header are not
    /// kept.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().take(self.header.len()).collect();
        row.resize(self.header.len(), Cell::Empty);
        self.rows.push(row);
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The header.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// The whole table as text with a line end.
    ///
    /// In a printed table control characters are shown as escapes, so that a title from a data file
    /// cannot steer the terminal.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.aligned(),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
        }
    }

    /// Each row as an object, with the header's names as keys.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Map<String, Value>> {
        let object = |row: &Vec<Cell>| self.header.iter().cloned().zip(row.iter().map(Cell::json)).collect();
        self.rows.iter().map(object)
    }

    fn aligned(&self) -> String {
        let header: Vec<(String, bool)> =
            (0..self.header.len()).map(|c| (printable(&self.header[c]), self.is_number(c))).collect();
        let rows: Vec<Vec<(String, bool)>> =
            self.rows.iter().map(|row| row.iter().map(Cell::printed).collect()).collect();
        let width = |c: usize| {
            let cells = rows.iter().map(|row| row[c].0.width());
            cells.chain([header[c].0.width()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let mut text = String::new();
        for row in [&header].into_iter().chain(&rows) {
            let mut line = String::new();
            for ((cell, right), &width) in row.iter().zip(&widths) {
                if !line.is_empty() || width == 0 {
                    line.push_str("  ");
                }
                // `{cell:<width$}` would count characters, and a terminal gives some of them two
                // columns.
                let blanks = " ".repeat(width - cell.width());
                line.push_str(&if *right { blanks + cell } else { cell.clone() + &blanks });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn is_number(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Empty).peekable();
        cells.peek().is_some() && cells.all(|cell| !matches!(cell, Cell::Text(_)))
    }

    fn json(&self) -> String {
        let rows: Vec<Map<String, Value>> = self.objects().collect();
        let mut text = serde_json::to_string_pretty(&rows).expect("a table should be JSON: its keys are strings");
        text.push('\n');
        text
    }

    fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = writer
            .write_record(&self.header)
            .and_then(|()| self.rows.iter().try_for_each(|row| writer.write_record(row.iter().map(Cell::plain))));
        written.expect("writing rows of one length to memory should not fail");
        let bytes = writer.into_inner().expect("flushing to memory should not fail");
        String::from_utf8(bytes).expect("cells are strings, and quoting adds ASCII only")
    }
}

impl Cell {
    /// The cell as a page shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Cell::Real(value, _) if !value.is_finite() => "not defined".into(),
            Cell::Real(value, digits) => format!("{value:.digits$}"),
            Cell::Undefined => "–".into(),
            other => other.plain(),
        }
    }

    fn printed(&self) -> (String, bool) {
        match self {
            Cell::Text(text) => (printable(text), false),
            Cell::Real(value, _) if value.is_nan() => (self.shown(), true),
            Cell::Undefined => (self.shown(), true),
            Cell::Real(value, digits) => (format!("{value:.digits$}"), true),
            other => (other.plain(), true),
        }
    }

    fn plain(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Whole(value) => value.to_string(),
            Cell::Real(value, _) => value.to_string(),
            Cell::Undefined | Cell::Empty => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Text(text) => Value::from(text.as_str()),
            Cell::Whole(value) => Value::from(*value),
            Cell::Real(value, _) => Value::from(*value),
            Cell::Undefined | Cell::Empty => Value::Null,
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["item", "score", "n"]);
        table.row(["Alien (1979)".into(), Cell::Real(12.34567, 4), Cell::Whole(7)]);
        table.row(["B, \"C\"".into(), Cell::Real(-0.5, 4)]);
        table
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        let expected = "item            score  n\nAlien (1979)  12.3457  7\nB, \"C\"        -0.5000\n";
        assert_eq!(table().render(Format::Table), expected);
    }

    #[test]
    fn columns_are_those_of_a_terminal_whatever_the_script() {
        let mut table = Table::new(["title", "n"]);
        // Two columns a character; two columns for an emoji of four code points; none for the
        // accent.
        for title in ["卧虎藏龙", "👩\u{200d}🚀 up", "Ame\u{301}lie"] {
            table.row([title.into(), Cell::Whole(1)]);
        }
        let expected = "title     n\n卧虎藏龙  1\n👩\u{200d}🚀 up     1\nAme\u{301}lie    1\n";
        assert_eq!(table.render(Format::Table), expected);
    }

    #[test]
    fn json_keeps_numbers_as_numbers() {
        let rows: Value = serde_json::from_str(&table().render(Format::Json)).unwrap();
        assert_eq!(
            rows,
            serde_json::json!([{"item": "Alien (1979)", "score": 12.34567, "n": 7}, {"item": "B, \"C\"", "score": -0.5, "n": null}])
        );
    }

    #[test]
    fn csv_quotes_what_needs_quotes() {
        assert_eq!(table().render(Format::Csv), "item,score,n\nAlien (1979),12.34567,7\n\"B, \"\"C\"\"\",-0.5,\n");
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        let mut table = Table::new(["title"]);
        table.row(["\u{1b}[2Jgone\nnext".into()]);
        assert_eq!(table.render(Format::Table), "title\n\\u{1b}[2Jgone\\nnext\n");
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let table = Table::new(["a", "b"]);
        assert_eq!(table.render(Format::Table), "a  b\n");
        assert_eq!(table.render(Format::Csv), "a,b\n");
        assert_eq!(table.render(Format::Json), "[]\n");
    }

    #[test]
    fn an_unknown_output_is_refused_with_the_known_ones() {
        assert_eq!(Format::named("csv").unwrap(), Format::Csv);
        assert!(Format::named("yaml").unwrap_err().to_string().contains("unknown output \"yaml\""));
    }
}
