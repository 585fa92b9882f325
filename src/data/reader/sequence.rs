//! Sequences: `user item` a line (SASRec) or `user item item …` (S3-Rec), each user's items in time
//! order.

use super::lightgcn::{is_list_in_order, read_lists};
use super::{Columns, Evidence, Format, Head, Reader, Sink, Source};
use crate::error::{Place, RecError, Result};

pub(super) struct Sequence;

impl Format {
    /// `sequence`: items in time order.
    pub const SEQUENCE: Format = Format::of(&Sequence);
}

impl Reader for Sequence {
    fn name(&self) -> &'static str {
        "sequence"
    }

    fn about(&self) -> &'static str {
        "user item, or user item item …, each user's items in time order."
    }

    fn recognises(&self, head: &Head<'_>) -> Option<Evidence> {
        (is_list_in_order(head) == Some(true)).then_some(Evidence::Fits)
    }

    fn read(&self, source: Source, _columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        read_lists(source, sink, |line, n_items| match n_items {
            0 => {
                Err(RecError::input(Place::line(&path, line), "a user without items", "user item, or user item item …"))
            }
            _ => Ok(()),
        })
    }

    fn is_ordered(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn pairs_and_lists_may_be_mixed() {
        let rows = read_text(Format::SEQUENCE, "1 8\n1 9\n2 9 8 7\n").unwrap();
        assert_eq!(rows.len(), 5);
        assert_eq!(rows[4], row("2", "7", None, None));
    }

    #[test]
    fn a_user_alone_is_refused() {
        let error = read_text(Format::SEQUENCE, "1 8\n2\n").unwrap_err().to_string();
        assert_eq!(error, "test:2: found a user without items, expected user item, or user item item …");
    }
}
