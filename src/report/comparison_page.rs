//! The comparison as an HTML page.

use maud::{Markup, html};

use super::comparison::{Compared, Comparison, Difference, LEVEL};
use super::html::layer_bars;
use super::insight_page;
use super::page::{self, legend, note, section, table, warnings};
use super::plots::{Interval, Series, class_of, intervals, lines, scatter};
use super::table::{Cell, Table};
use crate::eval::Insight;
use crate::models::LayerWeights;

/// The whole page.
pub(super) fn page(comparison: &Comparison) -> String {
    let names: Vec<String> = comparison.models.iter().map(Compared::label).collect();
    let title = match names.split_first() {
        Some((first, others)) if !others.is_empty() => format!("{} compared with {first}", others.join(", ")),
        _ => names.join(", "),
    };
    let data = &comparison.dataset;
    let what = format!(
        "gcnrec {}; {}; {} users, {} items, {} training pairs; {} users judged",
        comparison.gcnrec,
        seeds(comparison),
        data.n_users,
        data.n_items,
        data.n_train,
        comparison.protocol.n_eval_users
    );
    let looked: Vec<(&str, &Insight)> = names
        .iter()
        .zip(&comparison.models)
        .filter_map(|(name, compared)| Some((name.as_str(), compared.insight.as_ref()?)))
        .collect();
    let body = html! {
        (note(&what))
        (warnings(&comparison.warnings))
        (cards(comparison))
        (section("Result", &result(comparison)))
        (differences(comparison))
        (cost(comparison))
        (curves(comparison))
        (insight_page::sections(&looked, &comparison.protocol.candidates))
        (layers(comparison))
        (tuning(comparison))
        (section("All metrics", &table(&comparison.metrics_table())))
        (section("Runs", &table(&runs(comparison))))
        (section("Data and protocol", &table(&facts(comparison))))
    };
    page::frame(&title, &body)
}

fn seeds(comparison: &Comparison) -> String {
    match &comparison.seeds[..] {
        [seed] => format!("seed {seed}"),
        [first, .., last] => format!("{} seeds, {first} to {last}", comparison.seeds.len()),
        [] => "no seed".into(),
    }
}

/// One card per model: its mean, and the verdict.
fn cards(comparison: &Comparison) -> Markup {
    let mean = |compared: &Compared| match compared.metrics.get(&comparison.metric) {
        Some(summary) => format!("{:.4}", summary.mean),
        None => "no result".into(),
    };
    html! {
        div.cards {
            @for compared in &comparison.models {
                div.card {
                    span { (compared.label()) }
                    b { (mean(compared)) }
                    span.soft { (in_short(compared.difference.as_ref())) }
                }
            }
        }
    }
}

fn in_short(difference: Option<&Difference>) -> String {
    let Some(difference) = difference else { return "what the others are compared with".into() };
    let users = difference.users.map(|test| test.p_corrected < LEVEL);
    let seeds = difference.seeds.map(|test| test.p_corrected < LEVEL);
    let both = difference.both.is_some_and(|test| test.p_corrected < LEVEL);
    let sure = match (users, seeds) {
        _ if both => "more than luck",
        (Some(true), Some(true)) => "more than luck over users and seeds one by one",
        (Some(true), _) => "more than luck over users only",
        (_, Some(true)) => "more than luck over seeds only",
        _ => "may be luck",
    };
    format!("{:+.4}: {sure}", difference.mean)
}

fn result(comparison: &Comparison) -> Markup {
    let words = format!(
        "Means over seeds of {} on the test part. p both is the one to quote: the larger of the two beside it. p users: how often random signs of the \
         users' differences give a mean as far from zero; it speaks of other users of these trainings. p seeds: Student's paired t over the seeds; it \
         speaks of other trainings. All users share the luck of a training, so p users alone calls too much a difference: of equal models 7 to 9 % at \
         .05. All are corrected for the number of models (Holm). A metric over all labelled rows has no value for one user and is tested over seeds alone.",
        comparison.metric
    );
    let verdicts = comparison.verdicts();
    html! {
        @if !verdicts.is_empty() {
            ul {
                @for verdict in &verdicts {
                    li { (verdict) }
                }
            }
        }
        (table(&comparison.table()))
        @if let Some(value) = comparison.popularity.get(&comparison.metric) {
            (note(&format!("The most popular items, the same for everybody, have {value:.5} (first seed).")))
        }
        (note(&words))
    }
}

fn differences(comparison: &Comparison) -> Markup {
    let rows: Vec<Interval> = comparison
        .models
        .iter()
        .enumerate()
        .filter_map(|(n, compared)| {
            let difference = compared.difference.as_ref()?;
            let ends = difference.users.map(|test| (test.low, test.high));
            let within = ends.map_or_else(String::new, |(low, high)| format!(" ({low:+.4} to {high:+.4})"));
            Some(Interval {
                name: format!("{}  {:+.4}{within}", compared.label(), difference.mean),
                class: class_of(n),
                ends: ends.unwrap_or((difference.mean, difference.mean)),
                mean: difference.mean,
                values: difference.per_seed.clone(),
            })
        })
        .collect();
    let Some(first) = comparison.models.first() else { return html! {} };
    let heading = format!("Differences to {} in {}", first.label(), comparison.metric);
    let axis = format!("difference in {}; left of zero {} is higher", comparison.metric, first.label());
    let Some(svg) = intervals(&heading, &axis, &rows) else { return html! {} };
    let words = "Large dot: the mean. Pale dots: single seeds. Band: 95 % interval of the mean over users (its ends in brackets).";
    section(&heading, &html! { (note(words)) (svg) })
}

/// One series per model with a result.
fn series(comparison: &Comparison, points: impl Fn(&Compared) -> Vec<(f64, f64)>) -> Vec<Series> {
    let one = |(n, compared): (usize, &Compared)| Series {
        name: compared.label(),
        class: class_of(n),
        points: points(compared),
    };
    comparison.models.iter().enumerate().map(one).filter(|series| !series.points.is_empty()).collect()
}

fn legend_of(series: &[Series]) -> Markup {
    legend(&series.iter().map(|series| (series.class.clone(), series.name.clone())).collect::<Vec<_>>())
}

fn cost(comparison: &Comparison) -> Markup {
    let series = series(comparison, |compared| {
        let mean = compared.metrics.get(&comparison.metric).map(|summary| summary.mean);
        mean.map(|mean| (compared.cost.train_s, mean)).into_iter().collect()
    });
    let popularity = comparison.popularity.get(&comparison.metric).map(|&value| ("popularity", value));
    let Some(svg) = scatter("quality against cost", "seconds of training", &series, popularity) else {
        return html! {};
    };
    let words = format!(
        "{} (upwards) against seconds of training, means over the seeds. The dashed line is what the most popular items give.",
        comparison.metric
    );
    section("Quality and cost", &html! { (note(&words)) (legend_of(&series)) (svg) })
}

fn curves(comparison: &Comparison) -> Markup {
    let series = series(comparison, |compared| {
        let point = |point: &super::document::CurvePoint| Some((point.epoch as f64, point.metric?));
        compared.learning_curve.iter().filter_map(point).collect()
    });
    let Some(svg) = lines("learning curves", &series) else { return html! {} };
    let seed = comparison.seeds.first().copied().unwrap_or_default();
    let words = format!(
        "The metric that picks the epoch, on validation, over the epochs of the first finished run (seed {seed} where it did not fail)."
    );
    section("Learning curves", &html! { (note(&words)) (legend_of(&series)) (svg) })
}

fn layers(comparison: &Comparison) -> Markup {
    let weights = |compared: &Compared| compared.layer_weights.clone().filter(|weights| weights.mean.len() > 1);
    let content = html! {
        @for compared in &comparison.models {
            @if let Some(weights) = weights(compared) {
                h3 { (compared.label()) }
                (layer_bars(&without_repeats(&weights)))
            }
        }
    };
    section("Layer weights by number of interactions", &content)
}

/// The weights without their groups where all groups have the same ones: one bar says it then.
fn without_repeats(weights: &LayerWeights) -> LayerWeights {
    let groups = || weights.users.iter().chain(&weights.items);
    let is_mean = |group: &[f64]| group.iter().zip(&weights.mean).all(|(a, b)| (a - b).abs() < 1e-6);
    if groups().all(|group| is_mean(&group.weights)) {
        return LayerWeights { mean: weights.mean.clone(), users: Vec::new(), items: Vec::new() };
    }
    weights.clone()
}

fn tuning(comparison: &Comparison) -> Markup {
    let Some(tuning) = &comparison.tuning else { return html! {} };
    let mut trials = Table::new(["model", "values", "validation", "chosen"]);
    for compared in &comparison.models {
        let Some(tuned) = &compared.tuned else { continue };
        for trial in &tuned.trials {
            let values: Vec<String> = trial.values.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let values = if values.is_empty() { "its own settings".into() } else { values.join(", ") };
            let valid = match (trial.valid, &trial.error) {
                (Some(value), _) => Cell::Real(value, 5),
                (None, Some(error)) => error.as_str().into(),
                (None, None) => Cell::Empty,
            };
            let chosen = if trial.values == tuned.values { "chosen" } else { "" };
            trials.row([compared.name.as_str().into(), values.into(), valid, chosen.into()]);
        }
    }
    let ranges: Vec<String> = tuning.search.iter().map(|(key, range)| format!("{key}: {range}")).collect();
    let words = format!(
        "{} trials for every model at most, judged by {} on the validation part with seed {}. {}.",
        tuning.n_trials,
        tuning.metric,
        tuning.seed,
        ranges.join("; ")
    );
    section("Search", &html! { (note(&words)) (table(&trials)) })
}

fn runs(comparison: &Comparison) -> Table {
    let mut table = Table::new([
        "model",
        "seed",
        &comparison.metric,
        "95 % over users",
        "epoch",
        "train s",
        "peak MB",
        "folder or error",
    ]);
    for compared in &comparison.models {
        for run in &compared.runs {
            let (name, seed) = (Cell::from(compared.label()), Cell::Whole(run.seed as i64));
            match &run.error {
                Some(error) => {
                    let empty = [const { Cell::Empty }; 5];
                    table.row([name, seed].into_iter().chain(empty).chain([error.as_str().into()]));
                }
                None => table.row([
                    name,
                    seed,
                    run.metrics.get(&comparison.metric).map_or(Cell::Empty, |&value| Cell::Real(value, 5)),
                    run.interval.map_or(Cell::Empty, |(low, high)| format!("{low:.4} to {high:.4}").into()),
                    Cell::Whole(run.best_epoch as i64),
                    Cell::Real(run.train_s, 1),
                    Cell::Whole(run.peak_rss_mb as i64),
                    run.folder.as_str().into(),
                ]),
            }
        }
    }
    table
}

fn facts(comparison: &Comparison) -> Table {
    let (data, protocol) = (&comparison.dataset, &comparison.protocol);
    let yes = |fact: bool| if fact { "yes" } else { "no" };
    let mut table = Table::new(["fact", "value"]);
    let mut row = |fact: &str, value: String| table.row([fact.into(), value.into()]);
    row("items ranked", protocol.candidates.clone());
    row("seen items left out", yes(protocol.exclude_seen).into());
    row("first model: epoch picked on", protocol.selected_on.clone());
    row("first model: learnt from the validation pairs too", yes(protocol.refit).into());
    row("pairs for training, validation, test", format!("{}, {}, {}", data.n_train, data.n_valid, data.n_test));
    row("memory", "the most that a run's own process had in use".into());
    row("fingerprint of the data, first seed", data.fingerprint.clone());
    for compared in &comparison.models {
        row("run file", format!("{}: {}", compared.name, compared.file));
    }
    table
}

#[cfg(test)]
mod tests;
