//! The parts of a page that look beyond the means, for one model or for several side by side.

use std::fmt::Write;

use super::chart::escape;
use super::page::{legend, note, section};
use super::plots::{Series, class_of, lines};
use crate::eval::{Breakdown, Example, Insight, ItemGroup};

/// Groups of users, groups of items, and a few users' lists. Models are named; all have looked at the same test part.
pub(super) fn sections(body: &mut String, models: &[(&str, &Insight)]) {
    let Some((_, first)) = models.first() else { return };
    let breakdowns: Vec<(&str, &Breakdown)> =
        models.iter().map(|&(name, insight)| (name, &insight.breakdown)).collect();
    users(body, &breakdowns);
    items(body, &breakdowns);
    examples(body, models, &first.examples);
}

fn names(models: &[(&str, &Breakdown)]) -> Vec<(String, String)> {
    models.iter().enumerate().map(|(n, (name, _))| (class_of(n), name.to_string())).collect()
}

/// A legend where there is more than one line.
fn legend_of(entries: &[(String, String)]) -> String {
    if entries.len() > 1 { legend(entries) } else { String::new() }
}

fn users(body: &mut String, models: &[(&str, &Breakdown)]) {
    let groups = &models[0].1.users;
    let degrees = |min: usize, max: usize| if min == max { min.to_string() } else { format!("{min}-{max}") };
    let ticks: Vec<(f64, String)> =
        groups.iter().enumerate().map(|(n, group)| (n as f64, degrees(group.min_degree, group.max_degree))).collect();
    let series: Vec<Series> = models
        .iter()
        .enumerate()
        .map(|(n, (name, breakdown))| Series {
            name: name.to_string(),
            class: class_of(n),
            points: breakdown.users.iter().enumerate().map(|(at, group)| (at as f64, group.value)).collect(),
        })
        .collect();
    let heading = format!("{} by activity of the user", models[0].1.metric);
    let Some(svg) = lines(&heading, &series, &ticks, true) else { return };
    let counts: Vec<String> = groups.iter().map(|group| group.n.to_string()).collect();
    let words = format!(
        "Users in groups by the number of items that are known of them, from few (left) to many; {} users.",
        counts.join(", ")
    );
    section(body, &heading, &format!("{}{}{svg}", note(&words), legend_of(&names(models))));
}

fn items(body: &mut String, models: &[(&str, &Breakdown)]) {
    let groups = &models[0].1.items;
    let words_of = |group: &ItemGroup| format!("{} item{}", group.n, if group.n == 1 { "" } else { "s" });
    let ticks: Vec<(f64, String)> = groups.iter().enumerate().map(|(n, group)| (n as f64, words_of(group))).collect();
    let of = |value: fn(&ItemGroup) -> f64, breakdown: &Breakdown| -> Vec<(f64, f64)> {
        breakdown.items.iter().enumerate().map(|(at, group)| (at as f64, 100.0 * value(group))).collect()
    };
    let series = |value: fn(&ItemGroup) -> f64| -> Vec<Series> {
        let one = |(n, (name, breakdown)): (usize, &(&str, &Breakdown))| Series {
            name: name.to_string(),
            class: class_of(n),
            points: of(value, breakdown),
        };
        models.iter().enumerate().map(one).collect()
    };
    let held_out = Series {
        name: "what the users went on to choose".into(),
        class: "plain".into(),
        points: of(|group| group.held_out, models[0].1),
    };
    let mut listed = series(|group| group.listed);
    listed.push(held_out);
    let mut entries = names(models);
    let found_legend = legend_of(&entries);
    entries.push(("plain".into(), "what the users went on to choose".into()));
    if let Some(svg) = lines("share of the lists by popularity of the items", &listed, &ticks, true) {
        let coverage: Vec<String> =
            models.iter().map(|(name, breakdown)| format!("{name} {:.1} %", 100.0 * breakdown.coverage)).collect();
        let words = format!(
            "Percent of the places in the lists that go to each group of items. Every group holds a fifth of the known interactions: few popular \
             items on the left, many rare ones on the right. Items that stand in at least one list: {}.",
            coverage.join(", ")
        );
        section(body, "Popularity of what is recommended", &format!("{}{}{svg}", note(&words), legend(&entries)));
    }
    if let Some(svg) = lines("share of the held-out items that are found", &series(|group| group.found), &ticks, true) {
        let words = "Percent of the held-out items of each group that stand in their user's list.";
        section(body, "Found, by popularity of the item", &format!("{}{found_legend}{svg}", note(words)));
    }
}

fn examples(body: &mut String, models: &[(&str, &Insight)], shown: &[Example]) {
    let mut content =
        note("Items that the user really went on to choose are marked. Nothing was chosen by looking at these lists.");
    for example in shown {
        let _ = write!(
            content,
            "<h3>user {} <span class=\"soft\">({} known items, {} held out)</span></h3>\n<div class=\"cards lists\">",
            escape(&example.user),
            example.n_known,
            example.n_held_out
        );
        let known: String = example.known.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
        let _ = write!(content, "<div class=\"card\"><h3>lately had</h3><ul>{known}</ul></div>");
        for (name, insight) in models {
            let Some(theirs) = insight.examples.iter().find(|other| other.user == example.user) else { continue };
            let _ = write!(content, "<div class=\"card\"><h3>{}</h3><ol>", escape(name));
            for place in &theirs.list {
                let (class, mark) = if place.hit { (" class=\"hit\"", " ✓") } else { ("", "") };
                let _ = write!(content, "<li{class}>{}{mark}</li>", escape(&place.item));
            }
            content.push_str("</ol></div>");
        }
        content.push_str("</div>\n");
    }
    if !shown.is_empty() {
        section(body, "Some lists", &content);
    }
}
