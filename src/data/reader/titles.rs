//! Titles of items: MovieLens's `u.item` and `movies.dat`, RecBole's `.item`, or delimited text
//! with a header.

use super::atomic::typed_names;
use super::csv::{delimiter, fields};
use super::delimited::Records;
use super::layout::quoted;
use super::names::title_columns;
use super::{Columns, Source};
use crate::data::IdMap;
use crate::error::{Place, RecError, Result};

/// Reads `titles[item]` for every item of the data; an item that the file does not have keeps its
/// name as its title.
///
/// # Errors
/// [`RecError::Input`] when the file is none of the known kinds, or knows none of the items.
pub fn read_titles(source: Source, columns: &Columns, items: &IdMap) -> Result<Vec<String>> {
    let place = source.place();
    let mut titles: Vec<String> = items.keys().map(String::from).collect();
    let mut n_known = 0usize;
    each_title(source, columns, &mut |item, title| {
        if let Some(id) = items.get(item.trim()) {
            title.clone_into(&mut titles[id as usize]);
            n_known += 1;
        }
    })?;
    if n_known == 0 {
        return Err(RecError::input(place, "none of the items of the data", "a file with their titles"));
    }
    Ok(titles)
}

fn each_title(source: Source, columns: &Columns, sink: &mut dyn FnMut(&str, &str)) -> Result<()> {
    let first = source.first_lines(1).pop().unwrap_or_default();
    let place = Place::line(source.path(), 1);
    let known = "u.item, movies.dat, an atomic .item file, or a header with a column of items and one of titles";
    let unknown = RecError::input(place.clone(), quoted(&first), known)
        .with_todo("name the columns with data.item_column and data.title_column");
    if let Some(fields) = typed_names(&first).filter(|fields| fields.len() > 1) {
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let (item, title) = title_columns(&names, columns, &place)?.ok_or(unknown)?;
        return split_lines(source, "\t", (item, title), 1, sink);
    }
    let divider = char::from(delimiter(&first));
    if let Ok(Some((item, title))) = title_columns(&fields(&first), columns, &place) {
        let mut records = Records::new(source, divider as u8);
        records.next_record()?;
        while let Some((line, record)) = records.next_record()? {
            match (record.get(item), record.get(title)) {
                (Some(item), Some(title)) => sink(item, title),
                _ => return Err(too_few(records.place(line), item.max(title) + 1)),
            }
        }
        return Ok(());
    }
    match ["::", "|"].into_iter().find(|divider| first.contains(divider)) {
        Some(divider) => split_lines(source, divider, (0, 1), 0, sink),
        None => Err(unknown),
    }
}

fn split_lines(
    mut source: Source,
    divider: &str,
    (item, title): (usize, usize),
    n_header_lines: u64,
    sink: &mut dyn FnMut(&str, &str),
) -> Result<()> {
    let path = source.path().to_path_buf();
    while let Some((line, text)) = source.next_line_or_latin1()? {
        if line <= n_header_lines || text.is_empty() {
            continue;
        }
        match (text.split(divider).nth(item), text.split(divider).nth(title)) {
            (Some(item), Some(title)) => sink(item, title),
            _ => return Err(too_few(Place::line(&path, line), item.max(title) + 1)),
        }
    }
    Ok(())
}

fn too_few(place: Place, n: usize) -> RecError {
    RecError::input(place, "too few columns", format!("{n} columns or more"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn titles(text: &[u8]) -> Result<Vec<String>> {
        let items = ["2", "9", "1"].into_iter().collect();
        let source = Source::from_reader(Path::new("titles"), Cursor::new(text.to_vec()))?;
        read_titles(source, &Columns::default(), &items)
    }

    #[test]
    fn each_kind_of_file_is_known_and_a_missing_title_is_the_name() {
        for text in [
            &b"1|Toy Story|x\n2|Am\xe9lie|y\n3|Other|z\n"[..],
            b"1::Toy Story::x\n2::Am\xe9lie::y\n",
            "item_id:token\tmovie_title:token_seq\n1\tToy Story\n2\tAmélie\n".as_bytes(),
            "movieId,title,genres\n1,\"Toy Story\",x\n2,Amélie,y\n".as_bytes(),
        ] {
            assert_eq!(titles(text).unwrap(), ["Amélie", "9", "Toy Story"]);
        }
    }

    #[test]
    fn a_file_of_other_items_is_refused() {
        assert!(titles(b"77|Other|x\n").unwrap_err().to_string().contains("none of the items"));
        assert!(titles(b"just text\n").unwrap_err().to_string().starts_with("titles:1: found \"just text\""));
    }
}
