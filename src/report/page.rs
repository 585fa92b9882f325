//! What all pages share: the frame, the style, tables that become cards on a phone. No script, no other file; light or dark as the reader's system
//! says.

use std::fmt::Write;

use super::chart::escape;
use super::table::{Cell, Table};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--page:#fff;--card:#f6f8fa;--accent:#0b62c4;--warn:#8a4b00;--warnbg:#fff4e0;--good:#1a7f37;
--c0:#0b62c4;--c1:#d9731a;--c2:#1b8a6b;--c3:#c2334d;--c4:#7b5ea7;--c5:#8a7a00;--c6:#3d8fb5;--c7:#b04f9c}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa6b5;--line:#333c48;--page:#12161c;--card:#1a2028;--accent:#6cb2ff;--warn:#ffc773;--warnbg:#33260f;--good:#58c27d;
--c0:#6cb2ff;--c1:#ffa657;--c2:#4fd1a5;--c3:#ff7b8f;--c4:#b79cf0;--c5:#d8c64a;--c6:#7fd0ee;--c7:#eb8fd6}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1rem;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .5rem}h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.25rem 0}.soft{color:var(--soft)}.hit{color:var(--good);font-weight:600}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%;font-size:.92rem;margin:.5rem 0}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:600;overflow-wrap:normal}.right{text-align:right;white-space:nowrap}
tr:first-child+tr td:first-child,td:first-child{font-weight:600}
.warn{background:var(--warnbg);color:var(--warn);padding:.5rem .75rem;border-radius:.4rem;margin:.5rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.75rem;margin:.75rem 0}
.lists{grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr))}
.card{background:var(--card);border-radius:.5rem;padding:.75rem 1rem}.card b{display:block;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}
.card ol,.card ul{margin:.3rem 0 0;padding-left:1.4rem;font-size:.88rem}.card h3{margin:0}
svg{width:100%;height:auto;background:var(--card);border-radius:.5rem;display:block;margin:.3rem 0;overflow:visible}
svg text{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line)}.mark,.zero{stroke:var(--soft);stroke-dasharray:4 4}
.curve{fill:none;stroke:var(--accent);stroke-width:2}.dot{fill:var(--accent)}
.s0{--c:var(--c0)}.s1{--c:var(--c1)}.s2{--c:var(--c2)}.s3{--c:var(--c3)}.s4{--c:var(--c4)}.s5{--c:var(--c5)}.s6{--c:var(--c6)}.s7{--c:var(--c7)}.plain{--c:var(--soft)}
.path{fill:none;stroke:var(--c);stroke-width:2}.plain.path{stroke-dasharray:5 4}.point,.bar{fill:var(--c)}.pale{fill:var(--c);opacity:.45}.span{stroke:var(--c);stroke-width:6;opacity:.35}
.layer0{fill:#0b62c4;background:#0b62c4}.layer1{fill:#2a9d8f;background:#2a9d8f}.layer2{fill:#e0a100;background:#e0a100}
.layer3{fill:#d1495b;background:#d1495b}.layer4{fill:#7b5ea7;background:#7b5ea7}.layer5{fill:#5c7c2f;background:#5c7c2f}
.layer6{fill:#b5651d;background:#b5651d}.layer7{fill:#5f7a94;background:#5f7a94}.layer8{fill:#c46b9c;background:#c46b9c}
.legend{font-size:.9rem}.legend span{display:inline-block;margin-right:1rem}.legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:.15rem;margin-right:.3rem}
.legend i.swatch{background:var(--c)}
@media(max-width:44rem){svg text{font-size:16px}
tr.head{display:none}table,tbody{display:block}tr{display:block;background:var(--card);border-radius:.4rem;margin:.5rem 0;padding:.3rem 0}
td,td.right{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.12rem .75rem;text-align:right;white-space:normal}
td:first-child{text-align:left}td[data-label]::before{content:attr(data-label);color:var(--soft);text-align:left;flex:none}td:empty{display:none}}
";

/// The whole page. The body is markup; the title is text.
pub(super) fn frame(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A section under a heading; nothing where there is no content.
pub(super) fn section(body: &mut String, heading: &str, content: &str) {
    if !content.is_empty() {
        let _ = writeln!(body, "<section>\n<h2>{}</h2>\n{content}\n</section>", escape(heading));
    }
}

/// A paragraph that explains, in a softer colour.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"soft\">{}</p>\n", escape(text))
}

/// Colours and what they stand for.
pub(super) fn legend(entries: &[(String, String)]) -> String {
    let mut html = "<p class=\"legend\">".to_string();
    for (class, name) in entries {
        let _ = write!(html, "<span><i class=\"swatch {class}\"></i>{}</span>", escape(name));
    }
    html.push_str("</p>\n");
    html
}

/// A table. On a narrow screen every row becomes a card whose cells carry the names of their columns.
pub(super) fn table(table: &Table) -> String {
    let mut html = "<table>\n<tr class=\"head\">".to_string();
    let is_number = |column: usize| {
        let mut cells = table.rows().iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Empty);
        cells.next().is_some_and(|cell| matches!(cell, Cell::Real(..) | Cell::Whole(_)))
    };
    for (column, name) in table.header().iter().enumerate() {
        let _ = write!(html, "<th{}>{}</th>", if is_number(column) { " class=\"right\"" } else { "" }, escape(name));
    }
    html.push_str("</tr>\n");
    for row in table.rows() {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let label = match column {
                0 => String::new(),
                _ => format!(" data-label=\"{}\"", escape(&table.header()[column])),
            };
            let _ = match cell {
                Cell::Text(text) => write!(html, "<td{label}>{}</td>", escape(text)),
                Cell::Whole(value) => write!(html, "<td class=\"right\"{label}>{value}</td>"),
                Cell::Real(value, _) if !value.is_finite() => {
                    write!(html, "<td class=\"right\"{label}>not defined</td>")
                }
                Cell::Real(value, digits) => write!(html, "<td class=\"right\"{label}>{value:.digits$}</td>"),
                Cell::Empty => write!(html, "<td></td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>");
    html
}
