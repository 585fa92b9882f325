//! Helpers of the tests in this folder, and the tests that need more than one of its files.

mod load;
mod notes;
mod real;
mod robust;
mod times;
mod world;

use std::io::Cursor;
use std::path::Path;

use super::reader::{self, Columns, Format, Row, Source};
use crate::error::Result;

/// A row with names of its own, without its line.
pub(super) type OwnedRow = (String, String, Option<f32>, Option<i64>);

pub(super) fn row(user: &str, item: &str, rating: Option<f32>, time: Option<i64>) -> OwnedRow {
    (user.into(), item.into(), rating, time)
}

pub(super) fn read_text(format: Format, text: &str) -> Result<Vec<OwnedRow>> {
    read_columns(format, text.as_bytes(), &Columns::default())
}

pub(super) fn read_columns(format: Format, bytes: &[u8], columns: &Columns) -> Result<Vec<OwnedRow>> {
    let source = Source::from_reader(Path::new("test"), Cursor::new(bytes.to_vec()))?;
    let mut rows = Vec::new();
    reader::read(source, format, None, columns, &mut |row: Row<'_>| {
        rows.push((row.user.to_string(), row.item.to_string(), row.rating, row.time.map(|time| time.whole)));
        Ok(())
    })?;
    Ok(rows)
}
