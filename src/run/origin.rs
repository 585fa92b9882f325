//! Where a run comes from: when it was started, by which command, and from which files.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::data::Config;
use crate::report::{DataFile, Origin};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// How files begin that hold no lines: gzip, zip, xz, bzip2, zstd, Parquet.
const NOT_LINES: [&[u8]; 6] = [b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"PAR1"];

/// The origin of a run that starts now from these data.
pub(super) fn of(data: &Config, command: Option<String>) -> Origin {
    let named = [
        ("data.path", &data.path),
        ("data.train", &data.train),
        ("data.valid", &data.valid),
        ("data.test", &data.test),
        ("data.uniform", &data.uniform),
        ("data.candidates", &data.candidates),
        ("data.items", &data.items),
    ];
    let files = named.into_iter().filter_map(|(key, path)| Some(file(key, path.as_deref()?))).collect();
    Origin { date: date(SystemTime::now()), command, files }
}

/// A file of the data. It has been read a moment ago: where it cannot be read again, or is a
/// folder, its name alone is told.
fn file(key: &str, path: &Path) -> DataFile {
    let mut file = DataFile { key: key.into(), path: path.display().to_string(), ..DataFile::default() };
    if let Ok((sha256, bytes, lines)) = content(path) {
        (file.sha256, file.bytes, file.lines) = (Some(sha256), Some(bytes), lines);
    }
    file
}

/// SHA-256, size, and number of lines where there are lines.
fn content(path: &Path) -> std::io::Result<(String, u64, Option<u64>)> {
    let mut source = std::fs::File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    let (mut bytes, mut lines, mut last, mut has_lines) = (0, 0, b'\n', true);
    loop {
        let n = match source.read(&mut chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(&end) = chunk[..n].last() else { break };
        if bytes == 0 {
            has_lines = !NOT_LINES.iter().any(|start| chunk[..n].starts_with(start));
        }
        hash.update(&chunk[..n]);
        bytes += n as u64;
        lines += chunk[..n].iter().filter(|&&byte| byte == b'\n').count() as u64;
        last = end;
    }
    lines += u64::from(last != b'\n');
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, bytes, has_lines.then_some(lines)))
}

/// A moment in UTC, as RFC 3339 writes it: `2026-02-03T04:05:06Z`.
fn date(moment: SystemTime) -> String {
    let seconds = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Years of 365.2425 days that begin in March: Hinnant, chrono-compatible low-level date
    // algorithms, `civil_from_days`.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        // `date -u -d @SECONDS --iso-8601=seconds`.
        let at = |seconds| date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(1_709_251_200), "2024-03-01T00:00:00Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_file_is_told_by_its_hash_its_size_and_its_lines() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("f.csv");
        std::fs::write(&path, "abc\nd").unwrap();
        let told = file("data.path", &path);
        // `printf 'abc\nd' | sha256sum`.
        let sum = "4f0ef76b5a15634e3956ccb30dc53c7368f30c7c3153f8e2dbbf7a3e0fbd0e94";
        assert_eq!((told.sha256.as_deref(), told.bytes, told.lines), (Some(sum), Some(5), Some(2)));
        std::fs::write(&path, b"\x1f\x8b\n\n").unwrap();
        assert_eq!(file("data.path", &path).lines, None);
        assert_eq!(file("data.path", place.path()).sha256, None);
    }
}
