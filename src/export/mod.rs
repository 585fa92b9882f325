//! Results in files for other programs: one file per format, and the list of them.

mod csv;
mod jsonl;
mod notes;
mod npy;
mod safetensors;
mod whole;

pub use notes::how_to_load;
pub use whole::{WholeFile, is_device};

use std::path::{Path, PathBuf};

use crate::error::{RecError, Result};
use crate::report::Table;

/// Every format that is written.
pub const FORMATS: [&dyn Format; 4] = [&csv::Csv, &jsonl::JsonLines, &npy::Npy, &safetensors::Safetensors];

/// What vectors are of, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The name of the column of names: `user` or `item`.
    pub names: &'static str,
    /// The registry's name of the model.
    pub model: String,
    /// Number of vectors.
    pub n_rows: usize,
    /// Numbers of each.
    pub width: usize,
}

/// A format of files.
pub trait Format: Sync {
    /// Its name, which is the ending of its files.
    fn name(&self) -> &'static str;

    /// Rows of names and numbers as bytes of a file; `is_first` for the first block, which may have
    /// a header. Nothing for a format that holds numbers alone.
    fn rows(&self, table: &Table, is_first: bool) -> Option<String>;

    /// What stands before the vectors.
    fn head(&self, shape: &Shape) -> Vec<u8>;

    /// Some of the vectors, `values` with `width` numbers for each name.
    fn vectors(&self, shape: &Shape, names: &[String], values: &[f32]) -> Vec<u8>;

    /// True where names have no place beside their vectors: they go into a file of their own, one a
    /// line.
    fn has_names_beside(&self) -> bool;

    /// Lines of Python that read names and vectors of a file of this format as `ids` and `vectors`.
    fn python(&self, file: &str, shape: &Shape) -> String;
}

/// The format of this name.
///
/// # Errors
/// [`RecError::Usage`] naming those that there are.
pub fn named(name: &str) -> Result<&'static dyn Format> {
    let wanted = name.to_lowercase();
    let wanted = if wanted == "ndjson" { "jsonl" } else { &wanted };
    FORMATS.into_iter().find(|format| format.name() == wanted).ok_or_else(|| {
        let known = FORMATS.map(|format| format.name()).join(", ");
        let problem = match wanted {
            "parquet" => "Parquet is not written yet".into(),
            "" => "no format is named".into(),
            _ => format!("unknown format {name:?}"),
        };
        RecError::usage(problem, format!("formats are {known}"))
    })
}

/// The format that the ending of a file names.
///
/// # Errors
/// As [`named`].
pub fn of_file(file: &Path) -> Result<&'static dyn Format> {
    named(file.extension().and_then(|ending| ending.to_str()).unwrap_or_default())
}

/// Vectors on their way into a file, some at a time; it is there whole or not at all, with its
/// names beside it where the format has no place for them.
pub struct VectorFile {
    format: &'static dyn Format,
    shape: Shape,
    n_written: usize,
    values: WholeFile,
    names: Option<WholeFile>,
}

impl VectorFile {
    /// The file of names of a file of vectors: `items.npy.ids.txt`.
    pub fn names_beside(place: &Path) -> PathBuf {
        let mut name = place.file_name().unwrap_or_default().to_os_string();
        name.push(".ids.txt");
        place.with_file_name(name)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// Those of [`WholeFile::create`] and of writing.
    pub fn create(place: &Path, format: &'static dyn Format, shape: Shape) -> Result<VectorFile> {
        let mut values = WholeFile::create(place)?;
        values.write(&format.head(&shape))?;
        let names = format.has_names_beside().then(|| WholeFile::create(&Self::names_beside(place))).transpose()?;
        Ok(VectorFile { format, shape, n_written: 0, values, names })
    }

    /// Adds vectors, `[names.len(), width]` in rows.
    ///
    /// # Errors
    /// [`RecError::Io`]; [`RecError::Usage`] for a name that has no place in a line of its own.
    pub fn write(&mut self, names: &[String], values: &[f32]) -> Result<()> {
        assert_eq!(values.len(), names.len() * self.shape.width, "there should be a vector for each name");
        self.n_written += names.len();
        self.values.write(&self.format.vectors(&self.shape, names, values))?;
        let Some(file) = &mut self.names else { return Ok(()) };
        if let Some(name) = names.iter().find(|name| name.contains(['\n', '\r'])) {
            let problem = format!("the {} {name:?} has a line end in its name", self.shape.names);
            return Err(RecError::usage(problem, "write csv or jsonl, which have quotes around names"));
        }
        file.write((names.join("\n") + "\n").as_bytes())
    }

    /// Gives the files their names: that of the ids first, so that where vectors are, names are.
    ///
    /// # Errors
    /// [`RecError::Io`].
    pub fn finish(self) -> Result<()> {
        assert_eq!(self.n_written, self.shape.n_rows, "as many vectors should be written as the head says");
        self.names.map_or(Ok(()), WholeFile::finish)?;
        self.values.finish()
    }
}

/// The bytes of 32-bit floats, the lowest first.
fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests;
