//! Where rows go, block by block: stdout, or a file that is there whole or not at all.

use std::path::Path;

use gcnrec::internals::export::{self, WholeFile};
use gcnrec::internals::report::{Format, Table};
use gcnrec::{RecError, Result};

use super::output::{OutputArgs, print};

/// Where blocks of rows are written, and how.
enum To {
    Stdout(Format),
    File(&'static dyn export::Format, WholeFile),
}

/// Writes tables of one header after each other as if they were one.
pub(super) struct Sink {
    to: To,
    n_rows: usize,
    has_begun: bool,
}

impl Sink {
    /// To a file whose ending names the format, or to stdout.
    ///
    /// # Errors
    /// [`RecError::Usage`] for an ending that names no format of rows; [`RecError::Io`] when the
    /// file cannot be made.
    pub(super) fn open(file: Option<&Path>, output: OutputArgs) -> Result<Sink> {
        match file {
            None => Ok(Sink { to: To::Stdout(output.format()), n_rows: 0, has_begun: false }),
            Some(file) => Sink::into_file(file, format_of(file)?),
        }
    }

    /// To a file of this format.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a format that holds numbers alone; as [`Sink::open`].
    pub(super) fn into_file(file: &Path, format: &'static dyn export::Format) -> Result<Sink> {
        if format.rows(&Table::default(), true).is_none() {
            let name = format.name();
            return Err(RecError::usage(format!("{name} holds numbers and no names"), "write csv or jsonl"));
        }
        Ok(Sink { to: To::File(format, WholeFile::create(file)?), n_rows: 0, has_begun: false })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`RecError::Io`] when stdout is closed or the disk is full.
    pub(super) fn write(&mut self, table: &Table) -> Result<()> {
        let text = self.text(table);
        self.put(&text)
    }

    fn text(&mut self, table: &Table) -> String {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let had_rows = self.n_rows > 0;
        self.n_rows += table.n_rows();
        match &self.to {
            To::Stdout(Format::Json) => {
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
            To::Stdout(format) if is_first => table.render(*format),
            // The header is one line: it has no quoted line ends.
            To::Stdout(format) => table.render(*format).split_once('\n').map_or(String::new(), |(_, rows)| rows.into()),
            To::File(format, _) => format.rows(table, is_first).expect("a format of rows was asked for"),
        }
    }

    /// Ends what was written, and gives the file its name.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub(super) fn finish(mut self) -> Result<()> {
        self.put(self.end())?;
        match self.to {
            To::Stdout(_) => Ok(()),
            To::File(_, file) => file.finish(),
        }
    }

    fn end(&self) -> &'static str {
        match (&self.to, self.has_begun, self.n_rows) {
            (To::Stdout(Format::Json), false, _) => "[]\n",
            (To::Stdout(Format::Json), true, 0) => "]\n",
            (To::Stdout(Format::Json), true, _) => "\n]\n",
            _ => "",
        }
    }

    fn put(&mut self, text: &str) -> Result<()> {
        match &mut self.to {
            To::Stdout(_) => print(text),
            To::File(_, file) => file.write(text.as_bytes()),
        }
    }
}

/// The format of rows that the ending of a file names.
fn format_of(file: &Path) -> Result<&'static dyn export::Format> {
    let todo = "name a file that ends in .csv, or in .jsonl for one object a line";
    let refuse = |problem: String| RecError::usage(format!("-o {}: {problem}", file.display()), todo);
    match export::of_file(file) {
        Ok(format) if format.rows(&Table::default(), true).is_some() => Ok(format),
        Ok(format) => Err(refuse(format!("{} holds numbers and no names", format.name()))),
        Err(RecError::Usage { problem, .. }) if problem.starts_with("Parquet") => Err(refuse(problem)),
        Err(_) => Err(refuse("its ending names no format".into())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use gcnrec::internals::report::Cell;

    use super::*;

    fn table(users: &[&str]) -> Table {
        let mut table = Table::new(["user", "rank"]);
        users.iter().for_each(|user| table.row([Cell::from(*user), Cell::Whole(1)]));
        table
    }

    /// What blocks come to in a file of this name.
    fn written(name: &str, blocks: &[&[&str]]) -> String {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(name);
        let mut sink = Sink::into_file(&path, format_of(&path).unwrap()).unwrap();
        blocks.iter().for_each(|users| sink.write(&table(users)).unwrap());
        sink.finish().unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn blocks_come_out_as_one_table_would() {
        for blocks in [&[&["a", "b"][..]][..], &[&["a"], &["b"]], &[&[], &["a"], &[], &["b"]], &[&["a\nx,\"y"]]] {
            assert_eq!(written("out.csv", blocks), table(&blocks.concat()).render(Format::Csv), "{blocks:?}");
            let mut sink = Sink { to: To::Stdout(Format::Json), n_rows: 0, has_begun: false };
            let text: String = blocks.iter().map(|users| sink.text(&table(users))).collect();
            assert_eq!(text + sink.end(), table(&blocks.concat()).render(Format::Json), "{blocks:?}");
        }
        assert_eq!(Sink { to: To::Stdout(Format::Json), n_rows: 0, has_begun: false }.end(), "[]\n");
        // Nothing was asked for: not even a header.
        assert_eq!(written("out.csv", &[]), "");
        let lines = "{\"user\":\"a\",\"rank\":1}\n{\"user\":\"b\",\"rank\":1}\n";
        assert_eq!(written("out.jsonl", &[&["a"], &["b"]]), lines);
    }

    #[test]
    fn the_ending_names_the_format_and_others_are_refused() {
        assert_eq!(format_of(Path::new("a/b.CSV")).unwrap().name(), "csv");
        assert_eq!(format_of(Path::new("b.jsonl")).unwrap().name(), "jsonl");
        for (name, says) in [("b.parquet", "Parquet"), ("b", "ending"), ("b.xlsx", "ending"), ("b.npy", "no names")] {
            let Err(error) = format_of(Path::new(name)) else { panic!("{name} should be refused") };
            assert!(error.exit_code() == 2 && error.to_string().contains(says), "{error}");
        }
    }
}
