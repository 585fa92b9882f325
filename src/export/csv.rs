//! CSV (RFC 4180, with a header): rows as they are, vectors in one column a number.

use super::{Format, Shape};
use crate::report::{self, Table};

/// Comma-separated values with a header.
pub(super) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn rows(&self, table: &Table, is_first: bool) -> Option<String> {
        let text = table.render(report::Format::Csv);
        // The header is one line: it has no quoted line ends.
        Some(if is_first { text } else { text.split_once('\n').map_or(String::new(), |(_, rows)| rows.into()) })
    }

    /// `item,v0,v1,…`
    fn head(&self, shape: &Shape) -> Vec<u8> {
        let columns: String = (0..shape.width).map(|column| format!(",v{column}")).collect();
        format!("{}{columns}\n", shape.names).into_bytes()
    }

    fn vectors(&self, shape: &Shape, names: &[String], values: &[f32]) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        for (at, name) in names.iter().enumerate() {
            let row = &values[at * shape.width..(at + 1) * shape.width];
            // The shortest digits that give the same 32 bits again.
            let cells = std::iter::once(name.clone()).chain(row.iter().map(ToString::to_string));
            writer.write_record(cells).expect("writing rows of one length to memory should not fail");
        }
        writer.into_inner().expect("flushing to memory should not fail")
    }

    fn has_names_beside(&self) -> bool {
        false
    }

    fn python(&self, file: &str, shape: &Shape) -> String {
        format!(
            "import csv, numpy as np\n\
             rows = list(csv.reader(open({file:?}, newline=\"\", encoding=\"utf-8\")))[1:]\n\
             ids = [row[0] for row in rows]                      # {}s, as the data name them\n\
             vectors = np.array([row[1:] for row in rows], dtype=np.float32)",
            shape.names
        )
    }
}
