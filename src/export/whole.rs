//! Files of any length that are written beside their place, and put there at the end; removed where
//! it does not come to that.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{RecError, Result};

/// A file on its way to its place.
pub struct WholeFile {
    place: PathBuf,
    /// Where it is written; none for a device or a pipe, which is written as it is.
    beside: Option<PathBuf>,
    writer: Option<BufWriter<File>>,
}

impl WholeFile {
    /// Begins a file beside the place. What stands at the place stays until [`WholeFile::finish`].
    /// A device or a pipe (`/dev/stdout`, `/dev/null`) keeps its place and takes the bytes as they
    /// come.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a folder; [`RecError::Io`] when the system refuses.
    pub fn create(place: &Path) -> Result<WholeFile> {
        if place.is_dir() {
            let todo = "name a file in it";
            return Err(RecError::usage(format!("-o {}: this is a folder", place.display()), todo));
        }
        let beside = (!is_device(place)).then(|| {
            let mut name = place.file_name().unwrap_or_default().to_os_string();
            // Of this process alone: a name that somebody else could have given a file is theirs.
            name.push(format!(".{}.tmp", std::process::id()));
            place.with_file_name(name)
        });
        let file = match &beside {
            None => OpenOptions::new().write(true).open(place).map_err(RecError::write(place))?,
            Some(path) => OpenOptions::new().write(true).create_new(true).open(path).map_err(RecError::write(place))?,
        };
        Ok(WholeFile { place: place.into(), beside, writer: Some(BufWriter::new(file)) })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("a file should be open until it is finished");
        writer.write_all(bytes).map_err(RecError::write(&self.place))
    }

    /// Puts the file in its place, when the disk has it.
    ///
    /// # Errors
    /// As [`WholeFile::write`]; then nothing is left of it.
    pub fn finish(mut self) -> Result<()> {
        let writer = self.writer.take().expect("a file should be finished once");
        let written = writer.into_inner().map_err(|error| error.into_error());
        let written = written.and_then(|file| match &self.beside {
            None => Ok(()),
            Some(path) => file.sync_all().and_then(|()| fs::rename(path, &self.place)),
        });
        written.map_err(|error| {
            // To give a full disk its space back.
            self.remove();
            RecError::write(&self.place)(error)
        })
    }

    fn remove(&self) {
        if let Some(path) = &self.beside {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.remove();
        }
    }
}

/// True for what a file must not take the place of: devices, pipes, and the names that a process
/// has for its own streams.
pub fn is_device(place: &Path) -> bool {
    let is_stream = ["/dev/stdout", "/dev/stderr"].map(Path::new).contains(&place)
        || ["/dev/fd", "/proc"].iter().any(|folder| place.starts_with(folder));
    is_stream || fs::metadata(place).is_ok_and(|found| !found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_is_not_there_and_the_old_one_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        fs::write(&path, "old").unwrap();
        fs::write(place.path().join("out.csv.tmp"), "somebody's").unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }
    #[cfg(unix)]
    #[test]
    fn a_device_takes_the_bytes_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        let mut file = WholeFile::create(Path::new("/dev/null")).unwrap();
        file.write(b"all").unwrap();
        file.finish().unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert!(
            fs::read_dir("/dev").unwrap().all(|entry| !entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("null."))
        );
    }
}
