//! Files that are read whole: never further than a limit, so that a device or the wrong file costs
//! an error and not the memory of the machine.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use crate::error::{Place, RecError, Result};

/// The most that a file of settings has: 16 MiB.
pub(crate) const SETTINGS_LIMIT: u64 = 16 << 20;

/// The most that a report, a list of names or the lines of a training have: 1 GiB.
pub const LINES_LIMIT: u64 = 1 << 30;

/// The bytes of a file that has at most `limit` of them. Also for what has no length, such as a
/// pipe or a device.
///
/// # Errors
/// [`RecError::Io`] when the system refuses; [`RecError::Input`] for a larger file, of which no
/// more than the limit was read.
pub(crate) fn read_small_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(RecError::read(path))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(RecError::read(path))?;
    if bytes.len() as u64 > limit {
        let expected = format!("at most {limit} bytes in a file of this kind");
        return Err(RecError::input(Place::file(path), format!("more than {limit} bytes"), expected)
            .with_todo("check that it is the file that was meant"));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// [`RecError::Input`] for a longer file, [`RecError::Io`] where it cannot be read and for bytes
/// that are not UTF-8.
pub fn read_small_text(path: &Path, limit: u64) -> Result<String> {
    let not_text = |error| RecError::read(path)(Error::new(ErrorKind::InvalidData, error));
    String::from_utf8(read_small_file(path, limit)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_limit_is_read_and_one_byte_more_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read_small_text(&path, 4).unwrap(), "1234");
        let error = read_small_file(&path, 3).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("more than 3 bytes"), "{error}");
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_small_text(&path, 4).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_device_without_end_is_refused() {
        assert_eq!(read_small_file(Path::new("/dev/zero"), 1000).unwrap_err().exit_code(), 3);
    }
}
