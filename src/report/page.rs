//! Frame, style and tables of the HTML pages: one file without scripts, light or dark as the system
//! of the reader says, with tables that become cards on a phone.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::table::{Cell, Table};

const STYLE: &str = include_str!("page.css");

/// The whole page. Control characters, which titles from data files may hold, are replaced.
pub(super) fn frame(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (body)
            }
        }
    };
    let replaced = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    page.into_string().chars().map(replaced).collect()
}

/// A section under a heading; nothing where there is no content.
pub(super) fn section(heading: &str, content: &Markup) -> Markup {
    html! {
        @if !content.0.is_empty() {
            section {
                h2 { (heading) }
                (content)
            }
        }
    }
}

/// A paragraph that explains, in a softer colour.
pub(super) fn note(text: &str) -> Markup {
    html! { p.soft { (text) } }
}

/// What the reader should know before trusting the numbers.
pub(super) fn warnings(warnings: &[String]) -> Markup {
    html! {
        @for warning in warnings {
            p.warn { (warning) }
        }
    }
}

/// Colours and what they stand for.
pub(super) fn legend(entries: &[(String, String)]) -> Markup {
    html! {
        p.legend {
            @for (class, name) in entries {
                span { i class={"swatch " (class)} {} (name) }
            }
        }
    }
}

/// A table. On a narrow screen every row becomes a card whose cells carry the names of their
/// columns.
pub(super) fn table(table: &Table) -> Markup {
    let is_number = |column: usize| {
        let mut cells = table.rows().iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Empty);
        cells.next().is_some_and(|cell| matches!(cell, Cell::Real(..) | Cell::Whole(_) | Cell::Undefined))
    };
    let label = |column: usize| (column > 0).then(|| table.header()[column].as_str());
    html! {
        table {
            tr.head {
                @for (column, name) in table.header().iter().enumerate() {
                    th class=[is_number(column).then_some("right")] { (name) }
                }
            }
            @for row in table.rows() {
                tr {
                    @for (column, cell) in row.iter().enumerate() {
                        @match cell {
                            Cell::Empty => td {},
                            Cell::Text(text) => td data-label=[label(column)] { (text) },
                            number => td.right data-label=[label(column)] { (number.shown()) },
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_become_text() {
        let page = frame("<a href=\"x\">&</a>\u{1b}", &html! { p title="\"" { "<" } });
        assert!(page.contains("<h1>&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;\u{fffd}</h1>"), "{page}");
        assert!(page.contains("<p title=\"&quot;\">&lt;</p>"), "{page}");
    }

    #[test]
    fn a_number_that_is_not_defined_is_said_in_words() {
        let mut numbers = Table::new(["metric", "value"]);
        numbers.row(["auc".into(), Cell::Real(f64::NAN, 5)]);
        let cell = "<td class=\"right\" data-label=\"value\">not defined</td>";
        assert!(table(&numbers).0.contains(cell));
    }
}
