//! RecBole's atomic files (`.inter`): tabs, and a header of `name:type`.

use std::path::Path;

use super::layout::{Layout, quoted};
use super::names::{TYPES, unknown_header};
use super::{Columns, Evidence, Format, Head, Outline, Reader, Sink, Source};
use crate::error::{Place, RecError, Result};

pub(super) struct Atomic;

impl Format {
    /// `atomic`: RecBole's `.inter` files.
    pub const ATOMIC: Format = Format::of(&Atomic);
}

impl Reader for Atomic {
    fn name(&self) -> &'static str {
        "atomic"
    }

    fn about(&self) -> &'static str {
        "RecBole's .inter: tabs, and a header of name:type."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        let is_typed = || typed_names(head.first()).is_some_and(|fields| fields.len() > 1);
        let is_atomic = head.name.ends_with(".inter") || is_typed();
        is_atomic.then_some(Evidence::Declared)
    }

    fn outline(&self, lines: &[String], columns: &Columns) -> Option<Outline> {
        let layout = header(lines.first()?, columns, &Place::file(Path::new("header"))).ok()?;
        let names: Vec<&str> = typed_names(&lines[0])?.iter().map(|(name, _)| *name).collect();
        Some(Outline::new(&layout, Some(&names), lines[1..].iter().map(|line| line.split('\t').collect())))
    }

    fn read(&self, mut source: Source, columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let mut layout = None;
        while let Some((line, text)) = source.next_line()? {
            if text.is_empty() {
                continue;
            }
            let Some(layout) = &layout else {
                layout = Some(header(text, columns, &Place::line(&path, line))?);
                continue;
            };
            let n_fields = text.split('\t').count();
            sink(layout.row(&path, line, n_fields, |k| text.split('\t').nth(k).unwrap_or(""))?)?;
        }
        Ok(())
    }
}

/// The names and the types of a header's columns; `None` when one of them is no `name:type`.
pub(super) fn typed_names(header: &str) -> Option<Vec<(&str, &str)>> {
    let split = |field: &'_ str| -> Option<(usize, usize)> {
        let colon = field.rfind(':')?;
        TYPES.contains(&&field[colon + 1..]).then_some((colon, colon + 1))
    };
    header.split('\t').map(|field| split(field).map(|(end, start)| (&field[..end], &field[start..]))).collect()
}

fn header(text: &str, columns: &Columns, place: &Place) -> Result<Layout> {
    let refuse = |found: String, expected: &str| RecError::input(place.clone(), found, expected);
    let Some(fields) = typed_names(text) else {
        return Err(refuse(
            quoted(text),
            "a header of name:type, tab-separated, types token, token_seq, float or float_seq",
        ));
    };
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let Some(layout) = Layout::from_header(&names, columns, place)? else {
        return Err(unknown_header(&names, columns, place.clone()));
    };
    let typed = |column: usize, wanted: &str| match fields[column] {
        (_, kind) if kind == wanted => Ok(()),
        (name, kind) => Err(refuse(format!("{name}:{kind}"), &format!("{name}:{wanted}"))),
    };
    typed(layout.user, "token")?;
    typed(layout.item, "token")?;
    layout.rating.map_or(Ok(()), |column| typed(column, "float"))?;
    layout.time.map_or(Ok(()), |column| typed(column, "float"))?;
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn names_and_types_come_from_the_header() {
        let text = "item_id:token\tuser_id:token\ttags:token_seq\ttimestamp:float\n242\t196\ta b\t881250949\n";
        assert_eq!(read_text(Format::AUTO, text).unwrap(), [row("196", "242", None, Some(881_250_949))]);
    }

    #[test]
    fn headers_without_types_users_or_the_right_type_are_refused() {
        let message = |text: &str| read_text(Format::ATOMIC, text).unwrap_err().to_string();
        assert!(message("user_id\titem_id\n").contains("expected a header of name:type"));
        assert!(message("user_id:token\tx:token\n").contains("expected a column of items beside user_id"));
        assert!(message("user_id:token\titem_id:token_seq\n").contains("expected item_id:token"));
        assert!(message("user_id:token\titem_id:token\n").contains("no interaction"));
    }
}
