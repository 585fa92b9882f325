//! The report of a run as an HTML page.

use maud::{Markup, html};

use super::chart;
use super::document::{DataFile, Report};
use super::insight_page;
use super::page::{self, note, section, table, warnings};
use super::table::{Cell, Table};
use super::weights_page;
use crate::models::LayerWeights;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = title(report);
    let run = format!(
        "gcnrec {}, {}, {}; {} epochs run, epoch {} kept; {} numbers learnt",
        report.gcnrec, report.origin.date, report.device, report.epochs_run, report.best_epoch, report.n_parameters
    );
    let body = html! {
        (note(&run))
        (warnings(&report.warnings))
        (metrics(report))
        (settings(report))
        (curves(report))
        @if let Some(insight) = &report.insight {
            (insight_page::sections(&[(&report.model, insight)], &report.protocol.candidates))
        }
        (layers(report))
        (weights_page::sections(report))
        (section("Data and protocol", &table(&facts(report))))
    };
    page::frame(&title, &body)
}

/// Metrics by part; on the test part with an interval, and beside what popularity alone gives.
fn metrics(report: &Report) -> Markup {
    let numbers = report.metrics_table();
    let popularity = report.popularity.get("test");
    let (has_errors, has_popularity) = (!report.standard_errors.is_empty(), popularity.is_some());
    let more = [(has_errors, "test, 95 %"), (has_popularity, "popularity, test")];
    let more = more.into_iter().filter(|(is_there, _)| *is_there).map(|(_, name)| name.to_string());
    let mut wider = Table::new(numbers.header().iter().cloned().chain(more));
    for row in numbers.rows() {
        let Some(Cell::Text(name)) = row.first() else { continue };
        let test = report.metrics.get("test").and_then(|test| test.get(name));
        let mut row = row.clone();
        row.truncate(numbers.header().len());
        if has_errors {
            row.push(match (test, report.standard_errors.get(name)) {
                (Some(value), Some(error)) => {
                    format!("{:.4} to {:.4}", value - 1.96 * error, value + 1.96 * error).into()
                }
                _ => Cell::Empty,
            });
        }
        if has_popularity {
            row.push(popularity.and_then(|p| p.get(name)).map_or(Cell::Empty, |&value| Cell::Real(value, 5)));
        }
        wider.row(row);
    }
    let mut words = Vec::new();
    if has_errors {
        words.push(
            "The interval is 1.96 standard errors over the users of this one training: other seeds may differ by more.",
        );
    }
    if has_popularity {
        words.push("Popularity recommends the most popular items to everybody: what a model should beat.");
    }
    section("Metrics", &html! { (table(&wider)) @if !words.is_empty() { (note(&words.join(" "))) } })
}

/// What tells this run from others: model, loss, debiasing method, data, seed.
fn title(report: &Report) -> String {
    let mut title = report.model.clone();
    for (family, noun) in [("objective", "loss"), ("debias", "debiasing")] {
        if let Some(name) = report.config[family].as_object().and_then(|table| table.keys().next())
            && name != "none"
        {
            title += &format!(", {noun} {name}");
        }
    }
    let is_log = |file: &&DataFile| ["data.path", "data.train"].contains(&file.key.as_str());
    let data = report.origin.files.iter().find(is_log).map(|file| {
        let name = std::path::Path::new(&file.path).file_name();
        name.map_or_else(|| file.path.clone(), |name| name.to_string_lossy().into_owned())
    });
    let (n_users, n_items) = (report.dataset.n_users, report.dataset.n_items);
    let data = data.map_or_else(String::new, |name| format!("{name}, "));
    format!("{title}, seed {}, on {data}{n_users} users, {n_items} items", report.seed)
}

fn curves(report: &Report) -> Markup {
    let curve = &report.learning_curve;
    let last_epoch = curve.iter().map(|point| point.epoch).max().unwrap_or(0);
    let mark = (1..=last_epoch).contains(&report.best_epoch).then_some(report.best_epoch);
    let metric: Vec<(u64, f64)> = curve.iter().filter_map(|point| Some((point.epoch, point.metric?))).collect();
    let loss: Vec<(u64, f64)> = curve.iter().map(|point| (point.epoch, point.loss)).collect();
    let name = report.selection_metric.as_deref().unwrap_or("metric");
    let popularity = report.popularity.get("valid").and_then(|worth| worth.get(name));
    let popularity = popularity.map(|&value| ("popularity", value));
    let metric = (format!("{name} on {}", report.protocol.selected_on), metric, popularity);
    html! {
        @for (heading, points, reference) in &[metric, ("training loss".into(), loss, None)] {
            @if let Some(svg) = chart::line(heading, points, last_epoch, mark, *reference) {
                (section(heading, &svg))
            }
        }
    }
}

fn layers(report: &Report) -> Markup {
    let (Some(weights), Some(numbers)) = (&report.layer_weights, report.layer_table()) else { return html! {} };
    section("Layer weights by number of interactions", &html! { (layer_bars(weights)) (table(&numbers)) })
}

/// A bar per group of nodes, divided by the weights of the layers.
pub(super) fn layer_bars(weights: &LayerWeights) -> Markup {
    let mut rows = vec![("all nodes".to_string(), weights.mean.as_slice())];
    for (kind, buckets) in [("users", &weights.users), ("items", &weights.items)] {
        for bucket in buckets {
            rows.push((format!("{kind}, {} to {}", bucket.min_degree, bucket.max_degree), bucket.weights.as_slice()));
        }
    }
    html! {
        p.legend {
            @for layer in 0..weights.mean.len() {
                span { i class={"layer" (layer % 9)} {} "layer " (layer) }
            }
        }
        (chart::shares("mean layer weights by number of interactions", &rows))
    }
}

/// What was run: command, files, and the settings that are not defaults.
fn settings(report: &Report) -> Markup {
    let mut rows = Table::new(["setting", "value", "default"]);
    for changed in &report.changed {
        rows.row([changed.key.as_str(), &changed.value, &changed.default].map(|text| text.into()));
    }
    let mut files = Table::new(["file", "path", "lines", "bytes", "SHA-256"]);
    for DataFile { key, path, bytes, lines, sha256 } in &report.origin.files {
        let whole = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok()).map_or(Cell::Empty, Cell::Whole);
        let sum = sha256.as_deref().map_or(Cell::Empty, Cell::from);
        files.row([key.as_str().into(), path.as_str().into(), whole(*lines), whole(*bytes), sum]);
    }
    let kept = match report.changed.is_empty() {
        true => "All settings are the defaults; config.toml in the run folder has every one.",
        false => "All other settings are the defaults; config.toml in the run folder has every one.",
    };
    let content = html! {
        @if let Some(command) = &report.origin.command { p { code { (command) } } }
        @if !report.changed.is_empty() { (table(&rows)) }
        (note(kept))
        @if !report.origin.files.is_empty() { (table(&files)) }
    };
    section("What was run", &content)
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
        ("learnt from the validation pairs too", yes(protocol.refit)),
        ("pairs learnt from in the end", data.n_learnt.to_string()),
        ("users evaluated", protocol.n_eval_users.to_string()),
        ("seconds to load", format!("{:.2}", timing.load_s)),
        ("seconds to train", format!("{:.2}", timing.train_s)),
        ("seconds per epoch (median)", format!("{:.3}", timing.epoch_s_median)),
        ("seconds to evaluate", format!("{:.2}", timing.evaluate_s)),
        ("peak memory", format!("{} MB", report.peak_rss_mb)),
        ("fingerprint of the data", data.fingerprint.clone()),
    ];
    if let Some(share) = report.evaluation_share {
        rows.push(("validation, of the time of training", format!("{:.0} %", 100.0 * share)));
    }
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

#[cfg(test)]
mod tests {
    use super::super::document::tests::full;
    use super::super::document::{Changed, Origin};
    use super::*;

    #[test]
    fn the_page_says_what_was_run() {
        let mut report = full();
        report.config = serde_json::json!({"objective": {"mse": {}}, "debias": {"autodebias": {}}});
        let (key, value, default) = ("train.patience".into(), "3".into(), "10".into());
        report.changed = vec![Changed { key, value, default }];
        report.origin = Origin {
            date: "2026-02-03T04:05:06Z".into(),
            command: Some("gcnrec train a.toml --set 'x = [1]'".into()),
            files: vec![DataFile { key: "data.train".into(), path: "/d/coat.csv".into(), ..DataFile::default() }],
        };
        let page = page(&report);
        let title = "lightgcn, loss mse, debiasing autodebias, seed 2020, on coat.csv, ";
        for part in
            [title, "2026-02-03T04:05:06Z", "<code>gcnrec train a.toml --set", "<td data-label=\"path\">/d/coat.csv"]
        {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(page.contains("<td>train.patience</td>"), "{page}");
    }

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
    fn lists_over_all_items_are_said_where_metrics_rank_a_sample() {
        use crate::eval::{Breakdown, Insight};
        let breakdown = Breakdown { metric: "ndcg@20".into(), users: Vec::new(), items: Vec::new(), coverage: 0.5 };
        let mut report = full();
        report.insight = Some(Insight { breakdown, examples: Vec::new() });
        for (candidates, is_said) in [("all", false), ("uni100", true)] {
            report.protocol.candidates = candidates.into();
            assert_eq!(page(&report).contains("over all items, while the metrics rank uni100"), is_said);
        }
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
