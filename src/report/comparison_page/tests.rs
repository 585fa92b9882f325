use std::collections::BTreeMap;

use super::super::comparison::{BothTest, Cost, Run, SeedTest, Summary, Trial, Tuned, Tuning, UserTest};
use super::*;
use crate::eval::breakdown::UserGroup;
use crate::eval::{Breakdown, Example, ItemGroup, Listed};
use crate::report::table::Format;

fn model(name: &str, mean: f64) -> Compared {
    let run = Run { seed: 2020, folder: format!("{name}/seed-2020"), train_s: 2.0, peak_rss_mb: 9, ..Run::default() };
    let metrics = BTreeMap::from([("ndcg@20".to_string(), mean)]);
    let group = ItemGroup { min_degree: 1, max_degree: 3, n: 4, known: 1.0, held_out: 1.0, listed: 1.0, found: 0.5 };
    let breakdown = Breakdown {
        metric: "ndcg@20".into(),
        users: vec![UserGroup { min_degree: 1, max_degree: 2, n: 3, value: mean }],
        items: vec![group],
        coverage: 0.5,
    };
    let example = Example {
        user: "<u>".into(),
        n_known: 1,
        known: vec!["A & B".into()],
        n_held_out: 1,
        list: vec![Listed { item: "<script>alert(1)</script>".into(), hit: true }],
    };
    Compared {
        name: name.into(),
        model: "lightgcn".into(),
        runs: vec![Run { metrics, ..run }],
        metrics: BTreeMap::from([("ndcg@20".into(), Summary { mean, deviation: 0.001, n: 2 })]),
        cost: Cost { train_s: 2.0, peak_rss_mb: 9, n_parameters: 12 },
        insight: Some(Insight { breakdown, examples: vec![example] }),
        ..Compared::default()
    }
}

fn comparison() -> Comparison {
    let mut better = model("<b>attention</b>", 0.3);
    let users = UserTest { n: 9, low: 0.01, high: 0.09, p: 0.01, p_corrected: 0.02 };
    let seeds = SeedTest { n: 5, n_better: 4, t: 2.0, p: 0.1, p_corrected: 0.2 };
    let metrics = BTreeMap::from([("ndcg@20".to_string(), 0.05)]);
    better.difference = Some(Difference {
        mean: 0.05,
        per_seed: vec![0.04, 0.06],
        metrics,
        users: Some(users),
        both: Some(BothTest { p: 0.1, p_corrected: 0.2 }),
        seeds: Some(seeds),
    });
    better.runs.push(Run { seed: 2021, error: Some("loss is NaN".into()), ..Run::default() });
    let trial = Trial { values: BTreeMap::new(), valid: Some(0.25), error: None };
    better.tuned = Some(Tuned { values: BTreeMap::new(), trials: vec![trial] });
    Comparison {
        schema: 1,
        gcnrec: "0".into(),
        metric: "ndcg@20".into(),
        seeds: vec![2020, 2021],
        dataset: Default::default(),
        protocol: Default::default(),
        tuning: Some(Tuning { n_trials: 1, seed: 2020, metric: "ndcg@20".into(), search: BTreeMap::new() }),
        popularity: BTreeMap::from([("ndcg@20".to_string(), 0.125)]),
        models: vec![model("plain", 0.25), better],
        warnings: vec!["a < b".into()],
    }
}

#[test]
fn the_table_holds_quality_tests_cost_and_what_failed() {
    let text = comparison().table().render(Format::Csv);
    let expected = "model (ndcg@20),mean,sd,difference,p both,p users,p seeds,better,train s,peak MB,parameters,runs\n\
                    plain,0.25,0.001,,,,,,2,9,12,1\n\
                    <b>attention</b>,0.3,0.001,0.05,0.2,0.02,0.2,4 of 5,2,9,12,1 of 2; seed 2021: loss is NaN\n";
    assert_eq!(text, expected);
    assert_eq!(
        comparison().verdicts(),
        ["<b>attention</b> is 0.0500 above plain in ndcg@20: more than luck over users, not over seeds"]
    );
}

#[test]
fn what_one_seed_cannot_tell_is_a_dash_and_null() {
    let mut comparison = comparison();
    let metrics = BTreeMap::from([("ndcg@20".into(), Summary { mean: 0.25, deviation: f64::NAN, n: 1 })]);
    comparison.models[0].metrics = metrics;
    let difference = comparison.models[1].difference.as_mut().unwrap();
    (difference.seeds, difference.both) = (None, None);
    let text = comparison.table().render(Format::Table);
    assert!(text.contains("0.25000        –"), "{text}");
    assert!(text.contains("0.05000       –   0.0200        –"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&comparison.to_json()).unwrap();
    assert!(json["models"][0]["metrics"]["ndcg@20"]["deviation"].is_null());
    assert!(page(&comparison).contains("<td class=\"right\" data-label=\"sd\">–</td>"));
}

#[test]
fn a_model_is_called_what_the_search_made_of_it() {
    let mut comparison = comparison();
    let values = BTreeMap::from([("model.lightgcn.layers".to_string(), "2".to_string())]);
    comparison.models[1].tuned = Some(Tuned { values, trials: Vec::new() });
    let name = "<b>attention</b> (layers = 2)";
    assert!(comparison.table().render(Format::Csv).contains(name));
    assert!(comparison.verdicts()[0].starts_with(name));
    let page = page(&comparison);
    assert!(page.contains("<span>&lt;b&gt;attention&lt;/b&gt; (layers = 2)</span>"), "{page}");
    for part in [">popularity 0.1250<", "have 0.12500 (first seed)", "(+0.0100 to +0.0900)"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn the_page_shows_everything_and_asks_for_nothing_else() {
    let page = page(&comparison());
    for part in
        ["+0.0500: more than luck over users only", "class=\"zero\"", "a &lt; b", "loss is NaN", "Search", "A &amp; B"]
    {
        assert!(page.contains(part), "{part}");
    }
    for part in ["http", "src=", "url(", "<script", "<u>", "<b>attention"] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn every_tag_that_opens_closes() {
    let page = page(&comparison());
    for tag in
        ["section", "table", "tr", "td", "th", "svg", "text", "p", "span", "h2", "h3", "div", "ul", "ol", "li", "b"]
    {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_json_has_the_documented_fields() {
    let json: serde_json::Value = serde_json::from_str(&comparison().to_json()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["models"][1]["difference"]["users"]["p_corrected"], 0.02);
    assert_eq!(json["models"][1]["runs"][1]["error"], "loss is NaN");
    assert!(json["models"][0].get("difference").is_none());
}
