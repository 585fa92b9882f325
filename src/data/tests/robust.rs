//! Property tests of the readers: any bytes give rows or an error, and what is written in a format
//! is read back.

use std::io::Write;

use proptest::prelude::*;

use super::super::reader::{Columns, Format};
use super::{OwnedRow, read_columns};

fn formats() -> impl Iterator<Item = Format> {
    Format::names().iter().map(|name| Format::named(name).unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check_all(bytes: &[u8]) {
    for format in formats() {
        let plain = read_columns(format, bytes, &Columns::default());
        let compressed = read_columns(format, &gzip(bytes), &Columns::default());
        assert_eq!(plain.as_ref().ok(), compressed.as_ref().ok(), "{format:?}");
        for (user, item, rating, _) in plain.into_iter().flatten() {
            assert!((format.is_of_sessions() || !user.is_empty()) && !item.is_empty());
            assert!(rating.is_none_or(f32::is_finite));
        }
    }
}

/// Pieces of which the formats consist, and pieces that break them.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"1"[..],
        b"-2.5",
        b"NaN",
        b"1e39",
        b"\t",
        b",",
        b";",
        b" ",
        b"::",
        b":",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\"",
        b"\"\"",
        b"|",
        b"user",
        b"user_id:token",
        b"item_id:token",
        b"rating:float",
        b"item",
        b"timestamp",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        "🎧".as_bytes(),
        b"\x1f\x8b\x08",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_all(&bytes);
    }

    #[test]
    fn any_pieces_give_rows_or_an_error(bytes in pieces()) {
        check_all(&bytes);
    }

    #[test]
    fn any_damage_to_a_compressed_file_gives_rows_or_an_error(at in 0usize..60, byte in any::<u8>(), end in 0usize..60) {
        let mut bytes = gzip(b"1\t2\t3\t4\n5\t6\t7\t8\n");
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(end.max(at + 1));
        for format in formats() {
            let _ = read_columns(format, &bytes, &Columns::default());
        }
    }
}

/// Rows with names of the given pattern, without blanks around them.
fn rows(name: &'static str) -> impl Strategy<Value = Vec<OwnedRow>> {
    let trimmed = |name: String| if name.trim().is_empty() { "x".into() } else { name.trim().to_string() };
    let row = (name.prop_map(trimmed), name.prop_map(trimmed), -10i32..=10, any::<i64>());
    let row = row.prop_map(|(user, item, rating, time)| (user, item, Some(rating as f32 / 2.0), Some(time)));
    prop::collection::vec(row, 1..30)
}

fn lines(rows: &[OwnedRow], divider: &str) -> String {
    let line = |(user, item, rating, time): &OwnedRow| {
        let (rating, time) = (rating.unwrap_or(0.0), time.unwrap_or(0));
        format!("{user}{divider}{item}{divider}{rating}{divider}{time}\n")
    };
    rows.iter().map(line).collect()
}

fn read_back(format: Format, text: &str, rows: &[OwnedRow]) {
    assert_eq!(read_columns(format, text.as_bytes(), &Columns::default()).unwrap(), rows);
}

proptest! {
    #[test]
    fn movielens_and_atomic_files_come_back(rows in rows("[a-zé0-9 ]{1,6}")) {
        read_back(Format::MOVIELENS, &lines(&rows, "\t"), &rows);
        read_back(Format::MOVIELENS, &lines(&rows, "::"), &rows);
        let header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";
        read_back(Format::ATOMIC, &format!("{header}{}", lines(&rows, "\t")), &rows);
        read_back(Format::AUTO, &format!("{header}{}", lines(&rows, "\t")), &rows);
    }

    #[test]
    fn delimited_files_come_back_with_any_text_in_their_names(
        rows in rows("[^\\x00\\r\u{feff}]{1,6}"),
        delimiter in prop::sample::select(vec![b',', b'\t', b';']),
    ) {
        let write = |header: Option<[&str; 4]>| {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            header.map_or(Ok(()), |header| writer.write_record(header)).unwrap();
            for (user, item, rating, time) in &rows {
                let (rating, time) = (rating.unwrap().to_string(), time.unwrap().to_string());
                writer.write_record([user, item, &rating, &time]).unwrap();
            }
            String::from_utf8(writer.into_inner().unwrap()).unwrap()
        };
        read_back(Format::CSV, &write(Some(["user", "item", "rating", "timestamp"])), &rows);
        read_back(Format::AUTO, &write(Some(["user", "item", "rating", "timestamp"])), &rows);
    }

    #[test]
    fn pairs_come_back_with_any_delimiter(rows in rows("[a-z0-9é]{1,6}")) {
        for divider in [",", "\t", ";", " "] {
            read_back(Format::PAIRS, &lines(&rows, divider), &rows);
        }
    }

    #[test]
    fn lists_come_back(lists in prop::collection::vec(("[0-9]{1,4}", prop::collection::vec("[0-9]{1,4}", 1..8)), 1..20)) {
        let mut text = String::new();
        let mut rows = Vec::new();
        for (user, items) in &lists {
            text.push_str(&format!("{user} {}\n", items.join(" ")));
            rows.extend(items.iter().map(|item| (user.clone(), item.clone(), None, None)));
        }
        for format in [Format::LIGHTGCN, Format::SEQUENCE, Format::AUTO] {
            read_back(format, &text, &rows);
        }
    }
}
