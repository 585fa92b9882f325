//! Sessions: `item item …` a line, oldest first, of a user without a name (SR-GNN, GCE-GNN). A tab
//! may stand before the last item, to mark it as the one to be found.

use super::{Columns, Evidence, Format, Head, Reader, Row, Sink, Source};
use crate::error::{Place, RecError, Result};

pub(super) struct Sessions;

impl Format {
    /// `sessions`: a session a line, of a user without a name.
    pub const SESSIONS: Format = Format::of(&Sessions);
}

impl Reader for Sessions {
    fn name(&self) -> &'static str {
        "sessions"
    }

    fn about(&self) -> &'static str {
        "item item …, one session a line, oldest item first, of a user without a name."
    }

    fn recognises(&self, _head: &Head<'_>) -> Option<Evidence> {
        // A line of items looks like a user with items.
        None
    }

    fn read(&self, source: Source, _columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let mut source = source.with_list_lines();
        while let Some((line, text)) = source.next_line()? {
            if let Some((before, after)) = text.split_once('\t')
                && (before.trim().is_empty() || after.split_ascii_whitespace().count() != 1 || after.contains('\t'))
            {
                return Err(RecError::input(
                    Place::line(&path, line),
                    "a tab that is not between the items before and the one item to be found",
                    "item item …, or item item …<TAB>item",
                ));
            }
            text.split_ascii_whitespace()
                .try_for_each(|item| sink(Row { user: "", item, rating: None, time: None, line }))?;
        }
        Ok(())
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn is_of_sessions(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn a_line_is_a_session_and_a_tab_may_mark_its_last_item() {
        let rows = read_text(Format::SESSIONS, "8 9 8\n\n9 7\t5\n").unwrap();
        let items = ["8", "9", "8", "9", "7", "5"];
        assert_eq!(rows, items.map(|item| row("", item, None, None)));
    }

    #[test]
    fn a_tab_elsewhere_is_refused_with_its_line() {
        for text in ["1 2\n3\t4 5\n", "1\n\t4\n", "1 2\n3\t\n", "1\n2\t3\t4\n"] {
            let error = read_text(Format::SESSIONS, text).unwrap_err().to_string();
            assert!(error.starts_with("test:2: found a tab that is not between"), "{error}");
        }
    }
}
