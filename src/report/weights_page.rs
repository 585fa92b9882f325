//! Page sections on debiasing: mean weights of training pairs by feature, and imputed labels.

use maud::{Markup, html};

use super::chart::{Px, RIGHT, WIDTH, drawing, short, text};
use super::document::Report;
use super::page::{note, section, table};
use crate::debias::{IMPUTED, WeightRow};

/// Height of a bar with its air.
const ROW: f64 = 24.0;
/// Where bars begin: names stand before them, numbers after them.
const NAMES: f64 = 210.0;
const NUMBERS: f64 = 56.0;

/// The learned weights and the imputed values; nothing without a method.
pub(super) fn sections(report: &Report) -> Markup {
    let rows: Vec<&WeightRow> = report.example_weights.iter().filter(|row| row.feature != IMPUTED).collect();
    let weights = report.weight_table().map(|numbers| {
        let words =
            "A pair without debiasing weighs 1; what matters is how the groups compare. The line marks the mean of all pairs: groups to the left of it are \
             trusted less than the rest of the log, because giving them less weight helped to predict what people said of randomly shown items.";
        html! { (note(words)) (extremes(&rows)) (bars("mean weights of training pairs", &rows)) (table(&numbers)) }
    });
    let imputed = report.imputed_table().map(|numbers| {
        let words = "Every pair of a user and an item also counts a little with a label that was learned: -1 is a dislike, +1 a liking.";
        html! { (note(words)) (table(&numbers)) }
    });
    html! {
        (section("What the training pairs count", &weights.unwrap_or_default()))
        (section("Imputed labels", &imputed.unwrap_or_default()))
    }
}

/// The groups that count least and most, in words.
fn extremes(rows: &[&WeightRow]) -> Markup {
    let groups = || rows.iter().filter(|row| row.feature != "all" && row.value.is_finite());
    let order = |a: &&&WeightRow, b: &&&WeightRow| a.value.total_cmp(&b.value);
    let (Some(least), Some(most)) = (groups().min_by(order), groups().max_by(order)) else { return html! {} };
    let name = |row: &WeightRow| format!("{} {}", row.feature, row.group);
    let words = format!(
        "Least: {} (weight {}). Most: {} (weight {}).",
        name(least),
        short(least.value),
        name(most),
        short(most.value)
    );
    html! { p { (words) } }
}

/// One bar per group, from zero, and a line at the mean of all pairs. Values that are not finite
/// have no bar.
fn bars(label: &str, rows: &[&WeightRow]) -> Markup {
    let height = ROW * rows.len() as f64 + 4.0;
    let most = rows.iter().map(|row| row.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let width = |value: f64| if most > 0.0 { (WIDTH - NAMES - RIGHT - NUMBERS) * value.max(0.0) / most } else { 0.0 };
    let mean = rows.first().map(|row| row.value).filter(|value| value.is_finite());
    let content = html! {
        @for (n, row) in rows.iter().enumerate().filter(|(_, row)| row.value.is_finite()) {
            @let top = ROW * n as f64 + 4.0;
            @let name = if row.feature == "all" { "all pairs".into() } else { format!("{} {}", row.feature, row.group) };
            @let long = width(row.value);
            (text(NAMES - 8.0, top + 14.0, "end", &name))
            rect class="bar s0" x=(Px(NAMES)) y=(Px(top)) width=(Px(long)) height="18" {
                title { (name) ": " (short(row.value)) " over " (row.n) " pairs" }
            }
            (text(NAMES + long + 6.0, top + 14.0, "start", &short(row.value)))
        }
        @if let Some(mean) = mean {
            @let at = Px(NAMES + width(mean));
            line.mark x1=(at) x2=(at) y1="0" y2=(Px(height)) {}
        }
    };
    drawing(label, height, &content)
}

#[cfg(test)]
mod tests {
    use super::super::table::Format;
    use super::*;

    fn row(feature: &'static str, group: &str, n: usize, value: f64) -> WeightRow {
        WeightRow { feature, group: group.into(), n, value }
    }

    fn report() -> Report {
        let mut report = Report::new("mf", 1, "cpu");
        report.example_weights = vec![
            row("all", "all", 10, 0.8),
            row("label", "-1", 6, 0.4),
            row("item popularity", "8 to 20 pairs", 4, 1.6),
            row(IMPUTED, "unobserved", 0, -0.25),
        ];
        report
    }

    /// 640 - 210 - 16 - 56 = 358 for the largest weight, 1.6; .8 is half of it, .4 a quarter.
    #[test]
    fn bars_are_as_long_as_their_weights_and_the_mean_is_marked() {
        let page = sections(&report()).0;
        for part in ["width=\"358.0\"", "width=\"179.0\"", "width=\"89.5\"", "class=\"mark\" x1=\"389.0\""] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(page.contains("Least: label -1 (weight 0.4000). Most: item popularity 8 to 20 pairs (weight 1.600)."));
        assert!(page.contains("<h2>Imputed labels</h2>") && page.contains("<td>unobserved</td>"), "{page}");
    }

    #[test]
    fn the_tables_keep_weights_and_imputed_labels_apart() {
        let text = report().weight_table().unwrap().render(Format::Csv);
        let expected = "feature,group,pairs,mean weight,of the mean\nall,all,10,0.8,1\nlabel,-1,6,0.4,0.5\n\
                        item popularity,8 to 20 pairs,4,1.6,2\n";
        assert_eq!(text, expected);
        assert_eq!(report().imputed_table().unwrap().render(Format::Csv), "pair,imputed label\nunobserved,-0.25\n");
    }

    #[test]
    fn a_run_without_debiasing_has_no_such_section() {
        let report = Report::new("mf", 1, "cpu");
        assert!(sections(&report).0.is_empty() && report.weight_table().is_none() && report.imputed_table().is_none());
    }
}
