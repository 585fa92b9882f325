//! The report of a run as an HTML page.

use maud::{Markup, html};

use super::chart;
use super::document::Report;
use super::insight_page;
use super::page::{self, note, section, table, warnings};
use super::table::Table;
use super::weights_page;
use crate::models::LayerWeights;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = format!("{} on {} users, {} items", report.model, report.dataset.n_users, report.dataset.n_items);
    let mut run = format!(
        "gcnrec {}, seed {}, {}; {} epochs run, epoch {} kept; {} numbers learnt",
        report.gcnrec, report.seed, report.device, report.epochs_run, report.best_epoch, report.n_parameters
    );
    // The loss, and the debiasing method where there is one.
    for (family, noun) in [("objective", "loss"), ("debias", "debiasing")] {
        if let Some(name) = report.config[family].as_object().and_then(|table| table.keys().next())
            && name != "none"
        {
            run += &format!("; {noun} {name}");
        }
    }
    let body = html! {
        (note(&run))
        (warnings(&report.warnings))
        (section("Metrics", &table(&report.metrics_table())))
        (curves(report))
        @if let Some(insight) = &report.insight {
            (insight_page::sections(&[(&report.model, insight)]))
        }
        (layers(report))
        (weights_page::sections(report))
        (section("Data and protocol", &table(&facts(report))))
        (settings(report))
    };
    page::frame(&title, &body)
}

fn curves(report: &Report) -> Markup {
    let curve = &report.learning_curve;
    let last_epoch = curve.iter().map(|point| point.epoch).max().unwrap_or(0);
    let mark = (1..=last_epoch).contains(&report.best_epoch).then_some(report.best_epoch);
    let metric: Vec<(u64, f64)> = curve.iter().filter_map(|point| Some((point.epoch, point.metric?))).collect();
    let loss: Vec<(u64, f64)> = curve.iter().map(|point| (point.epoch, point.loss)).collect();
    let name = report.selection_metric.as_deref().unwrap_or("metric");
    let drawings = [(format!("{name} on {}", report.protocol.selected_on), metric), ("training loss".into(), loss)];
    html! {
        @for (heading, points) in &drawings {
            @if let Some(svg) = chart::line(heading, points, last_epoch, mark) {
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

/// What was run: the settings that are not defaults.
fn settings(report: &Report) -> Markup {
    let mut rows = Table::new(["setting", "value", "default"]);
    for changed in &report.changed {
        rows.row([changed.key.as_str(), &changed.value, &changed.default].map(|text| text.into()));
    }
    let kept = "All other settings are the defaults; config.toml in the run folder has every one.";
    let content = html! { (note(kept)) @if !report.changed.is_empty() { (table(&rows)) } };
    section("Settings", &content)
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
    use super::super::document::Changed;
    use super::super::document::tests::full;
    use super::*;

    #[test]
    fn the_page_says_what_was_run() {
        let mut report = full();
        report.config = serde_json::json!({"objective": {"mse": {}}, "debias": {"autodebias": {}}});
        let (key, value, default) = ("train.patience".into(), "3".into(), "10".into());
        report.changed = vec![Changed { key, value, default }];
        let page = page(&report);
        assert!(page.contains("; loss mse; debiasing autodebias"), "{page}");
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
