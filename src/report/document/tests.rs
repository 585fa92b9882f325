//! The fields of a report and its tables.

use super::super::table::Format;
use super::*;
use crate::models::DegreeBucket;
use serde_json::{Value, json};

/// A report with every part filled in.
pub(in crate::report) fn full() -> Report {
    let bucket = |min_degree, max_degree| DegreeBucket { min_degree, max_degree, n: 10, weights: vec![0.75, 0.25] };
    let metrics =
        |ndcg| BTreeMap::from([("ndcg@20".to_string(), ndcg), ("ndcg@5".to_string(), 0.125), ("auc".to_string(), 0.5)]);
    let mut report = Report::new("lightgcn", 2020, "cpu");
    report.metrics = BTreeMap::from([("valid".into(), metrics(0.25)), ("test".into(), metrics(0.2))]);
    report.layer_weights =
        Some(LayerWeights { mean: vec![0.75, 0.25], users: vec![bucket(1, 1)], items: vec![bucket(2, 9)] });
    report.learning_curve = (1..=10)
        .map(|epoch| CurvePoint { epoch, loss: 1.0 / epoch as f64, metric: (epoch % 5 == 0).then_some(0.2) })
        .collect();
    report.selection_metric = Some("ndcg@20".into());
    report.stages = vec![Stage { name: "refit".into(), learnt_from: "train+valid".into(), n_pairs: 9, epochs: 5 }];
    report.warnings = vec!["<script>alert(1)</script>".into()];
    (report.best_epoch, report.epochs_run) = (5, 10);
    report
}

#[test]
fn the_json_has_every_field_of_schema_1_in_the_documented_places() {
    let json: Value = serde_json::from_str(&full().to_json()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["metrics"]["test"]["ndcg@20"], 0.2);
    assert_eq!(json["layer_weights"]["mean"], json!([0.75, 0.25]));
    for key in ["gcnrec", "model", "seed", "device", "best_epoch", "epochs_run", "peak_rss_mb", "warnings"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let keys = |name: &str| json[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys("dataset"), ["fingerprint", "n_users", "n_items", "n_train", "n_learnt", "n_valid", "n_test"]);
    assert_eq!(keys("protocol"), ["candidates", "exclude_seen", "selected_on", "refit", "n_eval_users"]);
    assert_eq!(keys("timing"), ["load_s", "train_s", "epoch_s_median", "evaluate_s"]);
}

#[test]
fn a_model_without_layers_reports_no_weights() {
    let report = Report::new("ease", 1, "cpu");
    assert!(report.layer_table().is_none());
    assert!(!report.to_json().contains("layer_weights"));
}

#[test]
fn the_metrics_table_counts_cut_offs_as_numbers_and_puts_validation_first() {
    let expected =
        "metric     valid     test\nauc      0.50000  0.50000\nndcg@5   0.12500  0.12500\nndcg@20  0.25000  0.20000\n";
    assert_eq!(full().metrics_table().render(Format::Table), expected);
}

#[test]
fn the_layer_table_shows_users_and_items_by_degree() {
    let text = full().layer_table().unwrap().render(Format::Csv);
    assert_eq!(text, "nodes,degree,n,layer 0,layer 1\nall,,,0.75,0.25\nusers,1,10,0.75,0.25\nitems,2-9,10,0.75,0.25\n");
}
