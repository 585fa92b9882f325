//! Sessions: `item item …` a line, oldest first, of somebody without a name (SR-GNN, GCE-GNN). A tab may stand before the last item, to mark it as the
//! one to be found.

use super::{Columns, Reader, Row, Sink, Source};
use crate::error::{Place, RecError, Result};

pub(super) struct Sessions;

impl Reader for Sessions {
    fn read(&self, source: Source, _columns: &Columns, sink: Sink<'_>) -> Result<()> {
        let path = source.path().to_path_buf();
        let mut source = source.with_list_lines();
        while let Some((line, text)) = source.next_line()? {
            if let Some((before, after)) = text.split_once('\t')
                && (before.trim().is_empty() || after.split_ascii_whitespace().count() != 1 || after.contains('\t'))
            {
                return Err(RecError::Input {
                    place: Place::line(&path, line),
                    found: "a tab that is not between the items before and the one item to be found".into(),
                    expected: "item item …, or item item …<TAB>item".into(),
                    todo: String::new(),
                });
            }
            text.split_ascii_whitespace()
                .try_for_each(|item| sink(Row { user: "", item, rating: None, time: None, line }))?;
        }
        Ok(())
    }

    fn ordered(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use crate::data::tests::{read_text, row};

    #[test]
    fn a_line_is_a_session_and_a_tab_may_mark_its_last_item() {
        let rows = read_text(Format::Sessions, "8 9 8\n\n9 7\t5\n").unwrap();
        let items = ["8", "9", "8", "9", "7", "5"];
        assert_eq!(rows, items.map(|item| row("", item, None, None)));
    }

    #[test]
    fn a_tab_elsewhere_is_refused_with_its_line() {
        for text in ["1 2\n3\t4 5\n", "1\n\t4\n", "1 2\n3\t\n", "1\n2\t3\t4\n"] {
            let error = read_text(Format::Sessions, text).unwrap_err().to_string();
            assert!(error.starts_with("test:2: found a tab that is not between"), "{error}");
        }
    }
}
