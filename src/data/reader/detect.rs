//! Tells the format of a file by its name and its first lines.

use super::atomic::typed_names;
use super::csv::{is_header, looks_like_header};
use super::layout::quoted;
use super::pairs::delimiter;
use super::{Columns, Format, Source};
use crate::error::{Place, RecError, Result};

/// The format of a source. Lists of items (`user item item …`) are `lightgcn` and lines of two names are `sequence`, unless the sister file
/// `like` was read as the other of the two: nothing in such a file says whether its order means anything.
///
/// # Errors
/// [`RecError::Input`] when no format fits, with their names.
pub fn detect(source: &Source, columns: &Columns, like: Option<Format>) -> Result<Format> {
    let name = source.path().file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let lines = source.first_lines(100);
    let refuse = |line: Option<u64>, found: String, expected: &str| RecError::Input {
        place: Place { file: source.path().to_path_buf(), line, column: None },
        found,
        expected: expected.into(),
        todo: format!("name the format: {}", Format::NAMES[1..].join(", ")),
    };
    let Some(first) = lines.first() else {
        return Err(refuse(None, "an empty file".into(), "interactions"));
    };
    if first.contains('\0') {
        return Err(refuse(Some(1), "a NUL byte".into(), "UTF-8 text, plain or compressed with gzip"));
    }
    if name.strip_suffix(".gz").unwrap_or(&name).ends_with(".inter") || typed_names(first).is_some() {
        return Ok(Format::Atomic);
    }
    if is_header(first, columns, &source.place()) {
        return Ok(Format::Csv);
    }
    // Columns that were named by words are those of a header: its reader says which ones there are.
    let named = [&columns.user, &columns.item, &columns.rating, &columns.time].into_iter().flatten();
    let is_by_name = named.clone().any(|name| name.parse::<usize>().is_err());
    let has_header = || {
        let second = lines.get(1).filter(|_| delimiter(first) != b' ');
        is_header(first, &Columns::default(), &source.place())
            || second.is_some_and(|second| looks_like_header(first, second))
    };
    if is_by_name && has_header() {
        return Ok(Format::Csv);
    }
    let numbered = named.count() > 0;
    if !numbered && delimiter(first) != b' ' && lines.get(1).is_some_and(|second| looks_like_header(first, second)) {
        return Ok(Format::Csv);
    }
    if first.contains("::") && fits(first.split("::"), 4..=4) {
        return Ok(Format::Movielens);
    }
    let divider = delimiter(first);
    if divider != b' ' {
        let fields = || first.split(char::from(divider));
        // Four columns with tabs are u.data; with commas or semicolons they are columns like any others.
        let format = if divider == b'\t' && fields().count() == 4 { Format::Movielens } else { Format::Pairs };
        if numbered || fits(fields(), 2..=4) {
            return Ok(if numbered { Format::Pairs } else { format });
        }
    } else if lines.iter().all(|line| line.split_ascii_whitespace().all(is_whole)) {
        if let Some(format @ (Format::Lightgcn | Format::Sequence)) = like {
            return Ok(format);
        }
        let two = lines.iter().all(|line| line.split_ascii_whitespace().count() == 2);
        return Ok(if two { Format::Sequence } else { Format::Lightgcn });
    }
    Err(refuse(Some(1), quoted(first), "the first line of a known format"))
}

/// True when the number of fields is right and everything after the second is a number.
fn fits<'a>(fields: impl Iterator<Item = &'a str>, n: std::ops::RangeInclusive<usize>) -> bool {
    let fields: Vec<&str> = fields.collect();
    n.contains(&fields.len()) && fields.iter().skip(2).all(|field| field.trim().parse::<f64>().is_ok())
}

fn is_whole(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn detected(name: &str, text: &str, like: Option<Format>) -> Result<Format> {
        let source = Source::from_reader(Path::new(name), Cursor::new(text.as_bytes().to_vec()))?;
        detect(&source, &Columns::default(), like)
    }

    #[test]
    fn each_format_is_told_by_its_first_lines() {
        for (text, format) in [
            ("1\t2\t3\t4\n", Format::Movielens),
            ("1::2::3::4\n", Format::Movielens),
            ("userId,movieId,rating,timestamp\n", Format::Csv),
            ("\"user\";\"item\"\n", Format::Csv),
            ("user_id:token\titem_id:token\n", Format::Atomic),
            ("0 1 2 3\n1 4\n", Format::Lightgcn),
            ("0 1\n1\n", Format::Lightgcn),
            ("0 1\n0 2\n", Format::Sequence),
            ("0,1,2\n", Format::Pairs),
            ("0,1,2,3\n", Format::Pairs),
            ("0\t1\t2\n", Format::Pairs),
        ] {
            assert_eq!(detected("f", text, None).unwrap(), format, "{text}");
        }
        assert_eq!(detected("x.INTER.gz", "anything", None).unwrap(), Format::Atomic);
    }

    #[test]
    fn a_column_that_is_named_and_not_there_is_looked_for_in_the_header() {
        let columns = Columns { user: Some("nosuch".into()), ..Columns::default() };
        let detected = |text: &str| {
            let source = Source::from_reader(Path::new("f"), Cursor::new(text.as_bytes().to_vec())).unwrap();
            detect(&source, &columns, None).unwrap()
        };
        assert_eq!(detected("user,item\n1,2\n"), Format::Csv);
        assert_eq!(detected("who\twhat\n1\t2\n"), Format::Csv);
        assert_eq!(detected("1,2\n3,4\n"), Format::Pairs);
    }

    #[test]
    fn a_file_of_blank_divided_numbers_follows_its_sister_file() {
        assert_eq!(detected("f", "0 1\n0 2\n", Some(Format::Lightgcn)).unwrap(), Format::Lightgcn);
        assert_eq!(detected("f", "0 1 2\n", Some(Format::Sequence)).unwrap(), Format::Sequence);
        assert_eq!(detected("f", "0,1,2\n", Some(Format::Sequence)).unwrap(), Format::Pairs);
    }

    #[test]
    fn prose_binary_data_and_nothing_are_refused_by_name() {
        let message = |text: &str| detected("f", text, None).unwrap_err().to_string();
        let prose = message("the quick brown fox\n");
        assert!(prose.starts_with("f:1: found \"the quick brown fox\", expected the first line of a known format"));
        assert!(
            prose.ends_with("name the format: movielens, lightgcn, atomic, csv, sequence, pairs, sessions"),
            "{prose}"
        );
        assert!(message(" \n\n").starts_with("f: found an empty file, expected interactions"));
        assert!(message("\0\0").contains("found a NUL byte, expected UTF-8 text"));
    }
}
