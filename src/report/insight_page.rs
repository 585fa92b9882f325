//! Page sections on groups of users, groups of items and single users' lists, for one model or for
//! several side by side.

use maud::{Markup, html};

use super::page::{legend, note, section};
use super::plots::{Series, bars, class_of};
use crate::eval::{Breakdown, Example, Insight, ItemGroup, Listed};

/// Groups of users, groups of items, and a few users' lists. Models are named; all have looked at
/// the same test part, by metrics that rank `candidates` (`all`, or the name of a sample). Lists
/// are over all items in any case: they are what users would get.
pub(super) fn sections(models: &[(&str, &Insight)], candidates: &str) -> Markup {
    let Some((_, first)) = models.first() else { return html! {} };
    let breakdowns: Vec<(&str, &Breakdown)> =
        models.iter().map(|&(name, insight)| (name, &insight.breakdown)).collect();
    html! {
        (users(&breakdowns))
        (items(&breakdowns))
        @if candidates != "all" {
            (note(&format!("The lists here and below are over all items, while the metrics rank {candidates}.")))
        }
        (examples(models, &first.examples))
    }
}

fn names(models: &[(&str, &Breakdown)]) -> Vec<(String, String)> {
    models.iter().enumerate().map(|(n, (name, _))| (class_of(n), name.to_string())).collect()
}

/// A legend where there is more than one line.
fn legend_of(entries: &[(String, String)]) -> Markup {
    if entries.len() > 1 {
        legend(entries)
    } else {
        html! {}
    }
}

fn users(models: &[(&str, &Breakdown)]) -> Markup {
    let groups = &models[0].1.users;
    let degrees = |min: usize, max: usize| if min == max { min.to_string() } else { format!("{min}-{max}") };
    let names_of: Vec<String> = groups.iter().map(|group| degrees(group.min_degree, group.max_degree)).collect();
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
    let Some(svg) = bars(&heading, &names_of, &series, None) else { return html! {} };
    let counts: Vec<String> = groups.iter().map(|group| group.n.to_string()).collect();
    let words = format!(
        "Users in groups by the number of items that are known of them, from few (left) to many; {} users.",
        counts.join(", ")
    );
    section(&heading, &html! { (note(&words)) (legend_of(&names(models))) (svg) })
}

fn items(models: &[(&str, &Breakdown)]) -> Markup {
    let groups = &models[0].1.items;
    let words_of = |group: &ItemGroup| format!("{} item{}", group.n, if group.n == 1 { "" } else { "s" });
    let names_of: Vec<String> = groups.iter().map(words_of).collect();
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
    let mut entries = names(models);
    let found_legend = legend_of(&entries);
    entries.push(("plain".into(), "what the users went on to choose".into()));
    let popularity = bars(
        "share of the lists by popularity of the items",
        &names_of,
        &series(|group| group.listed),
        Some(&held_out),
    );
    let popularity = popularity.map(|svg| {
        let coverage: Vec<String> =
            models.iter().map(|(name, breakdown)| format!("{name} {:.1} %", 100.0 * breakdown.coverage)).collect();
        let words = format!(
            "Percent of the places in the lists that go to each group of items; the line across a group is the share of what the users went on to choose. Every group holds a fifth of the known interactions: few popular \
             items on the left, many rare ones on the right. Items that stand in at least one list: {}.",
            coverage.join(", ")
        );
        section("Popularity of what is recommended", &html! { (note(&words)) (legend(&entries)) (svg) })
    });
    let found = bars("share of the held-out items that are found", &names_of, &series(|group| group.found), None);
    let found = found.map(|svg| {
        let words = "Percent of the held-out items of each group that stand in their user's list.";
        section("Found, by popularity of the item", &html! { (note(words)) (found_legend) (svg) })
    });
    html! {
        (popularity.unwrap_or_default())
        (found.unwrap_or_default())
    }
}

fn examples(models: &[(&str, &Insight)], shown: &[Example]) -> Markup {
    let words =
        "Items that the user really went on to choose are marked. Nothing was chosen by looking at these lists.";
    let content = html! {
        (note(words))
        @for example in shown {
            h3 {
                "user " (example.user) " "
                span.soft { "(" (example.n_known) " known items, " (example.n_held_out) " held out)" }
            }
            div.cards.lists {
                div.card {
                    h3 { "lately had" }
                    ul {
                        @for item in &example.known {
                            li { (item) }
                        }
                    }
                }
                @for (name, insight) in models {
                    @if let Some(theirs) = insight.examples.iter().find(|other| other.user == example.user) {
                        (card(name, &theirs.list))
                    }
                }
            }
        }
    };
    if shown.is_empty() {
        html! {}
    } else {
        section("Some lists", &content)
    }
}

/// A model's list for a user.
fn card(name: &str, list: &[Listed]) -> Markup {
    html! {
        div.card {
            h3 { (name) }
            ol {
                @for place in list {
                    li class=[place.hit.then_some("hit")] { (place.item) @if place.hit { " ✓" } }
                }
            }
        }
    }
}
