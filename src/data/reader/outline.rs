//! Outline of a file: what its columns are called and which of them are read.

use super::layout::Layout;

/// What the columns of a file are called, and which of them are read; columns count from 0.
///
/// ```
/// use gcnrec::Format;
/// use gcnrec::reader::Columns;
///
/// let lines = ["customer,sku,shop".to_string(), "ann,b7,x".to_string()];
/// let reader = Format::CSV.reader().expect("csv has a reader");
/// let outline = reader.outline(&lines, &Columns::default()).expect("the header is understood");
/// assert_eq!((outline.name(outline.user), outline.name(outline.item)), ("customer", "sku"));
/// assert_eq!(outline.unread().collect::<Vec<_>>(), ["shop"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outline {
    /// Names of all columns: those of the header, or `column 1` and so on.
    pub names: Vec<String>,
    /// The column of users.
    pub user: usize,
    /// The column of items.
    pub item: usize,
    /// The column of ratings, weights or counts.
    pub rating: Option<usize>,
    /// The column of times.
    pub time: Option<usize>,
    /// What a row is an event of; it is not read.
    pub event: Option<usize>,
    /// Fields of the first rows, as far as each has all columns.
    pub rows: Vec<Vec<String>>,
    /// Why the columns are these where no header says so, if it is not their usual order.
    pub reason: Option<&'static str>,
}

impl Outline {
    /// From a layout, the fields of a header if there is one, and those of the first rows.
    pub(super) fn new<'a, R>(layout: &Layout, header: Option<&[&str]>, rows: R) -> Self
    where
        R: Iterator<Item = Vec<&'a str>>,
    {
        let n = layout.n_columns;
        let names = match header {
            Some(names) => names.iter().map(|name| name.trim().to_string()).collect(),
            None => (1..=n).map(|column| format!("column {column}")).collect(),
        };
        let owned = |row: Vec<&str>| row.iter().map(|field| field.trim().to_string()).collect();
        let Layout { user, item, rating, time, event, .. } = *layout;
        let rows = rows.filter(|row| row.len() == n).map(owned).collect();
        Outline { names, user, item, rating, time, event, rows, reason: None }
    }

    /// The name of a column.
    pub fn name(&self, column: usize) -> &str {
        &self.names[column]
    }

    /// The names of the columns that are not read; a column without a name is left out.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        let read = [Some(self.user), Some(self.item), self.rating, self.time];
        let named = self.names.iter().enumerate().filter(move |(column, _)| !read.contains(&Some(*column)));
        named.map(|(_, name)| name.as_str()).filter(|name| !name.is_empty())
    }

    /// The first values of a column.
    pub(crate) fn values(&self, column: usize) -> Vec<&str> {
        self.rows.iter().map(|row| row[column].as_str()).collect()
    }
}
