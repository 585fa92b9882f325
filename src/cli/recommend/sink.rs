//! Where recommendations go, block by block: stdout, or a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use gcnrec::internals::report::{Format, Table};
use gcnrec::{RecError, Result};

use crate::cli::output::{OutputArgs, print};

/// How blocks of rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// As one table of a format.
    One(Format),
    /// JSON, one row a line.
    Lines,
}

/// Writes tables of one header after each other as if they were one.
pub(super) struct Sink {
    shape: Shape,
    file: Option<Beside>,
    n_rows: usize,
    has_begun: bool,
}

impl Sink {
    /// To a file whose ending names the format, or to stdout.
    ///
    /// # Errors
    /// [`RecError::Usage`] for an ending that names no format; [`RecError::Io`] when the file cannot
    /// be made.
    pub(super) fn open(file: Option<&Path>, output: OutputArgs) -> Result<Sink> {
        let shape = file.map_or(Ok(Shape::One(output.format())), shape_of)?;
        Ok(Sink { shape, file: file.map(Beside::create).transpose()?, n_rows: 0, has_begun: false })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`RecError::Io`] when stdout is closed or the disk is full.
    pub(super) fn write(&mut self, table: &Table) -> Result<()> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let had_rows = self.n_rows > 0;
        self.n_rows += table.n_rows();
        let text = match self.shape {
            Shape::One(Format::Json) => {
                let rows = table.render(Format::Json);
                let rows = rows.trim_start_matches('[').trim_end().trim_end_matches(']').trim_matches('\n');
                let between = if is_first { "[" } else { "" };
                let gap = match (rows.is_empty(), had_rows) {
                    (true, _) => "",
                    (false, true) => ",\n",
                    (false, false) => "\n",
                };
                format!("{between}{gap}{rows}")
            }
            Shape::One(format) if is_first => table.render(format),
            // The header is one line: it has no quoted line ends.
            Shape::One(format) => table.render(format).split_once('\n').map_or(String::new(), |(_, rows)| rows.into()),
            Shape::Lines => lines(table),
        };
        self.put(&text)
    }

    /// Ends what was written, and gives the file its name.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub(super) fn finish(mut self) -> Result<()> {
        if self.shape == Shape::One(Format::Json) {
            self.put(match (self.has_begun, self.n_rows) {
                (false, _) => "[]\n",
                (true, 0) => "]\n",
                (true, _) => "\n]\n",
            })?;
        }
        self.file.map_or(Ok(()), Beside::finish)
    }

    fn put(&mut self, text: &str) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write(text),
            None => print(text),
        }
    }
}

/// Each row of a table as an object on a line of its own.
fn lines(table: &Table) -> String {
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&table.render(Format::Json)).expect("a table in JSON should be a list");
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn shape_of(file: &Path) -> Result<Shape> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    let refuse = |problem: &str| {
        let todo = "name a file that ends in .csv, or in .jsonl for one object a line";
        Err(RecError::usage(format!("-o {}: {problem}", file.display()), todo))
    };
    match ending.as_str() {
        "csv" => Ok(Shape::One(Format::Csv)),
        "jsonl" | "ndjson" => Ok(Shape::Lines),
        "parquet" => refuse("Parquet is not written yet"),
        _ => refuse("its ending names no format"),
    }
}

/// A file that is written beside its place, and put there at the end; removed where it does not come
/// to that.
struct Beside {
    place: PathBuf,
    path: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl Beside {
    fn create(place: &Path) -> Result<Beside> {
        let mut name = place.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let path = place.with_file_name(name);
        if place.is_dir() {
            let todo = "name a file in it";
            return Err(RecError::usage(format!("-o {}: this is a folder", place.display()), todo));
        }
        // What an earlier call left; a link there is removed and not followed.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(RecError::write(&path))?;
        Ok(Beside { place: place.into(), path, writer: Some(BufWriter::new(file)) })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let writer = self.writer.as_mut().expect("a file should be open until it is finished");
        writer.write_all(text.as_bytes()).map_err(RecError::write(&self.place))
    }

    fn finish(mut self) -> Result<()> {
        let writer = self.writer.take().expect("a file should be finished once");
        let written = writer.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all());
        let written = written.and_then(|()| fs::rename(&self.path, &self.place));
        written.map_err(|error| {
            // To give a full disk its space back.
            let _ = fs::remove_file(&self.path);
            RecError::write(&self.place)(error)
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use gcnrec::internals::report::Cell;

    use super::*;

    fn table(users: &[&str]) -> Table {
        let mut table = Table::new(["user", "rank"]);
        users.iter().for_each(|user| table.row([Cell::from(*user), Cell::Whole(1)]));
        table
    }

    /// What blocks come to in a file.
    fn written(shape: Shape, blocks: &[&[&str]]) -> String {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        let file = Some(Beside::create(&path).unwrap());
        let mut sink = Sink { shape, file, n_rows: 0, has_begun: false };
        blocks.iter().for_each(|users| sink.write(&table(users)).unwrap());
        sink.finish().unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn blocks_come_out_as_one_table_would() {
        for format in [Format::Json, Format::Csv] {
            for blocks in
                [&[][..], &[&["a", "b"][..]], &[&["a"], &["b"]], &[&[], &["a"], &[], &["b"]], &[&["a\nx,\"y"]]]
            {
                let whole = table(&blocks.concat()).render(format);
                // Nothing was asked for: not even a header.
                let expected = if blocks.is_empty() && format == Format::Csv { "" } else { &whole };
                assert_eq!(written(Shape::One(format), blocks), expected, "{blocks:?}");
            }
        }
        let lines = "{\"user\":\"a\",\"rank\":1}\n{\"user\":\"b\",\"rank\":1}\n";
        assert_eq!(written(Shape::Lines, &[&["a"], &["b"]]), lines);
    }

    #[test]
    fn the_ending_names_the_format_and_others_are_refused() {
        assert_eq!(shape_of(Path::new("a/b.CSV")).unwrap(), Shape::One(Format::Csv));
        assert_eq!(shape_of(Path::new("b.jsonl")).unwrap(), Shape::Lines);
        for (name, says) in [("b.parquet", "Parquet"), ("b", "ending"), ("b.xlsx", "ending")] {
            let error = shape_of(Path::new(name)).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_finished_is_not_there_and_the_old_one_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        let mut file = Beside::create(&path).unwrap();
        file.write("half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
