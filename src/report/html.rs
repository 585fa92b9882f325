//! The report as one page: no script, no other file, readable on a phone, light or dark as the reader's system says.

use std::fmt::Write;

use super::chart::{self, escape};
use super::document::Report;
use super::table::{Cell, Table};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--page:#fff;--card:#f6f8fa;--accent:#0b62c4;--warn:#8a4b00;--warnbg:#fff4e0}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa6b5;--line:#333c48;--page:#12161c;--card:#1a2028;--accent:#6cb2ff;--warn:#ffc773;--warnbg:#33260f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}.soft{color:var(--soft)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .75rem;border-bottom:1px solid var(--line);text-align:left;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600;white-space:nowrap}.right{text-align:right;white-space:nowrap}
.warn{background:var(--warnbg);color:var(--warn);padding:.5rem .75rem;border-radius:.4rem;margin:.5rem 0}
svg{width:100%;height:auto;background:var(--card);border-radius:.4rem}
svg text{fill:var(--soft);font-size:12px}
.grid{stroke:var(--line)}.mark{stroke:var(--soft);stroke-dasharray:4 4}
.curve{fill:none;stroke:var(--accent);stroke-width:2}.dot{fill:var(--accent)}
.layer0{fill:#0b62c4;background:#0b62c4}.layer1{fill:#2a9d8f;background:#2a9d8f}.layer2{fill:#e0a100;background:#e0a100}
.layer3{fill:#d1495b;background:#d1495b}.layer4{fill:#7b5ea7;background:#7b5ea7}.layer5{fill:#5c7c2f;background:#5c7c2f}
.layer6{fill:#b5651d;background:#b5651d}.layer7{fill:#5f7a94;background:#5f7a94}.layer8{fill:#c46b9c;background:#c46b9c}
.legend span{display:inline-block;margin-right:1rem}.legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:.15rem;margin-right:.3rem}
";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title =
        escape(&format!("{} on {} users, {} items", report.model, report.dataset.n_users, report.dataset.n_items));
    let mut body = format!("<h1>{title}</h1>\n");
    let _ = writeln!(
        body,
        "<p class=\"soft\">gcnrec {}, seed {}, {}; {} epochs run, epoch {} kept</p>",
        escape(&report.gcnrec),
        report.seed,
        escape(&report.device),
        report.epochs_run,
        report.best_epoch
    );
    for warning in &report.warnings {
        let _ = writeln!(body, "<p class=\"warn\">{}</p>", escape(warning));
    }
    section(&mut body, "Metrics", &table(&report.metrics_table()));
    curves(&mut body, report);
    layers(&mut body, report);
    section(&mut body, "Data and protocol", &table(&facts(report)));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

fn section(body: &mut String, heading: &str, content: &str) {
    let _ = writeln!(body, "<section>\n<h2>{}</h2>\n{content}\n</section>", escape(heading));
}

fn curves(body: &mut String, report: &Report) {
    let curve = &report.learning_curve;
    let last_epoch = curve.iter().map(|point| point.epoch).max().unwrap_or(0);
    let mark = (1..=last_epoch).contains(&report.best_epoch).then_some(report.best_epoch);
    let metric: Vec<(u64, f64)> = curve.iter().filter_map(|point| Some((point.epoch, point.metric?))).collect();
    let loss: Vec<(u64, f64)> = curve.iter().map(|point| (point.epoch, point.loss)).collect();
    let name = report.selection_metric.as_deref().unwrap_or("metric");
    for (heading, points) in
        [(format!("{name} on {}", report.protocol.selected_on), metric), ("training loss".into(), loss)]
    {
        if let Some(svg) = chart::line(&heading, &points, last_epoch, mark) {
            section(body, &heading, &svg);
        }
    }
}

fn layers(body: &mut String, report: &Report) {
    let (Some(weights), Some(numbers)) = (&report.layer_weights, report.layer_table()) else { return };
    let mut rows = vec![("all nodes".to_string(), weights.mean.as_slice())];
    for (kind, buckets) in [("users", &weights.users), ("items", &weights.items)] {
        for bucket in buckets {
            rows.push((format!("{kind}, {} to {}", bucket.min_degree, bucket.max_degree), bucket.weights.as_slice()));
        }
    }
    let mut content = "<p class=\"legend\">".to_string();
    for layer in 0..weights.mean.len() {
        let _ = write!(content, "<span><i class=\"layer{}\"></i>layer {layer}</span>", layer % 9);
    }
    let svg = chart::shares("mean layer weights by number of interactions", &rows);
    let _ = write!(content, "</p>\n{svg}\n{}", table(&numbers));
    section(body, "Layer weights by number of interactions", &content);
}

fn facts(report: &Report) -> Table {
    let (data, protocol, timing) = (&report.dataset, &report.protocol, &report.timing);
    let yes = |fact: bool| if fact { "yes" } else { "no" }.to_string();
    let mut rows = vec![
        ("pairs for training", data.n_train.to_string()),
        ("pairs for validation", data.n_valid.to_string()),
        ("pairs for test", data.n_test.to_string()),
        ("items ranked", protocol.candidates.clone()),
        ("seen items left out", yes(protocol.exclude_seen)),
        ("epoch picked on", protocol.selected_on.clone()),
        ("trained again on training and validation", yes(protocol.refit)),
        ("users evaluated", protocol.n_eval_users.to_string()),
        ("seconds to load", format!("{:.2}", timing.load_s)),
        ("seconds to train", format!("{:.2}", timing.train_s)),
        ("seconds per epoch (median)", format!("{:.3}", timing.epoch_s_median)),
        ("seconds to evaluate", format!("{:.2}", timing.evaluate_s)),
        ("peak memory", format!("{} MB", report.peak_rss_mb)),
        ("fingerprint of the data", data.fingerprint.clone()),
    ];
    for stage in &report.stages {
        rows.push((
            "stage",
            format!("{}: {} epochs on {} pairs ({})", stage.name, stage.epochs, stage.n_pairs, stage.learnt_from),
        ));
    }
    let mut table = Table::new(["fact", "value"]);
    for (fact, value) in rows {
        table.row([fact.into(), value.into()]);
    }
    table
}

fn table(table: &Table) -> String {
    let mut html = "<div class=\"scroll\"><table>\n<tr>".to_string();
    for (column, name) in table.header().iter().enumerate() {
        let is_number = table.rows().first().is_some_and(|row| matches!(row[column], Cell::Real(..) | Cell::Whole(_)));
        let _ = write!(html, "<th{}>{}</th>", if is_number { " class=\"right\"" } else { "" }, escape(name));
    }
    html.push_str("</tr>\n");
    for row in table.rows() {
        html.push_str("<tr>");
        for cell in row {
            let _ = match cell {
                Cell::Text(text) => write!(html, "<td>{}</td>", escape(text)),
                Cell::Whole(value) => write!(html, "<td class=\"right\">{value}</td>"),
                Cell::Real(value, _) if !value.is_finite() => write!(html, "<td class=\"right\">not defined</td>"),
                Cell::Real(value, digits) => write!(html, "<td class=\"right\">{value:.digits$}</td>"),
                Cell::Empty => write!(html, "<td></td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>");
    html
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::full;
    use super::*;

    #[test]
    fn the_page_shows_metrics_curve_and_layer_weights_and_asks_for_nothing_else() {
        let page = page(&full());
        for part in
            ["<td>ndcg@20</td>", "0.25000", "class=\"curve\"", "class=\"layer1\"", "items, 2 to 9", "train+valid"]
        {
            assert!(page.contains(part), "{part}");
        }
        for part in ["prefers-color-scheme:dark", "width=device-width"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("http") && !page.contains("src=") && !page.contains("url("));
    }

    #[test]
    fn words_from_outside_cannot_become_markup() {
        let page = page(&full());
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"));
    }

    #[test]
    fn every_tag_that_opens_closes() {
        let page = page(&full());
        for tag in ["section", "table", "tr", "td", "th", "svg", "text", "p", "span", "h2", "div"] {
            let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_report_with_nothing_in_it_is_still_a_page() {
        let page = page(&Report::new("popularity", 1, "cpu"));
        assert!(page.contains("<h2>Metrics</h2>") && !page.contains("<svg"));
    }
}
