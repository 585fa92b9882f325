//! What a debiasing method made of the training pairs: who counts how much, and which labels stand in for those that nobody gave.

use std::fmt::Write;

use super::chart::{RIGHT, WIDTH, escape, open, short, text};
use super::document::Report;
use super::page::{note, section, table};
use crate::debias::{IMPUTED, WeightRow};

/// Height of a bar with its air.
const ROW: f64 = 24.0;
/// Where bars begin: names stand before them, numbers after them.
const NAMES: f64 = 210.0;
const NUMBERS: f64 = 56.0;

/// The learned weights and the imputed values; nothing without a method.
pub(super) fn sections(body: &mut String, report: &Report) {
    let weights: Vec<&WeightRow> = report.example_weights.iter().filter(|row| row.feature != IMPUTED).collect();
    if let Some(numbers) = report.weight_table() {
        let mut content = note(
            "A pair without debiasing weighs 1; what matters is how the groups compare. The line marks the mean of all pairs: groups to the left of it are \
             trusted less than the rest of the log, because giving them less weight helped to predict what people said of randomly shown items.",
        );
        content.push_str(&extremes(&weights));
        content.push_str(&bars("mean weights of training pairs", &weights));
        content.push_str(&table(&numbers));
        section(body, "What the training pairs count", &content);
    }
    if let Some(numbers) = report.imputed_table() {
        let words = "Every pair of a user and an item also counts a little with a label that was learned: -1 is a dislike, +1 a liking.";
        section(body, "Imputed labels", &format!("{}{}", note(words), table(&numbers)));
    }
}

/// The groups that count least and most, in words.
fn extremes(rows: &[&WeightRow]) -> String {
    let groups = || rows.iter().filter(|row| row.feature != "all" && row.value.is_finite());
    let order = |a: &&&WeightRow, b: &&&WeightRow| a.value.total_cmp(&b.value);
    let (Some(least), Some(most)) = (groups().min_by(order), groups().max_by(order)) else { return String::new() };
    let name = |row: &WeightRow| format!("{} {}", row.feature, row.group);
    let words = format!(
        "Least: {} (weight {}). Most: {} (weight {}).",
        name(least),
        short(least.value),
        name(most),
        short(most.value)
    );
    format!("<p>{}</p>\n", escape(&words))
}

/// One bar per group, from zero, and a line at the mean of all pairs. Values that are not finite have no bar.
fn bars(label: &str, rows: &[&WeightRow]) -> String {
    let height = ROW * rows.len() as f64 + 4.0;
    let most = rows.iter().map(|row| row.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let width = |value: f64| if most > 0.0 { (WIDTH - NAMES - RIGHT - NUMBERS) * value.max(0.0) / most } else { 0.0 };
    let mut svg = open(label, height);
    for (n, row) in rows.iter().enumerate().filter(|(_, row)| row.value.is_finite()) {
        let top = ROW * n as f64 + 4.0;
        let name = if row.feature == "all" { "all pairs".into() } else { format!("{} {}", row.feature, row.group) };
        text(&mut svg, NAMES - 8.0, top + 14.0, "end", &name);
        let title = escape(&format!("{name}: {} over {} pairs", short(row.value), row.n));
        let long = width(row.value);
        let _ = write!(
            svg,
            "<rect class=\"bar s0\" x=\"{NAMES:.1}\" y=\"{top:.1}\" width=\"{long:.1}\" height=\"18\"><title>{title}</title></rect>"
        );
        text(&mut svg, NAMES + long + 6.0, top + 14.0, "start", &short(row.value));
    }
    if let Some(all) = rows.first().filter(|row| row.value.is_finite()) {
        let at = NAMES + width(all.value);
        let _ = write!(svg, "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height:.1}\"/>");
    }
    svg.push_str("</svg>\n");
    svg
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
        let mut page = String::new();
        sections(&mut page, &report());
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
        let (mut page, report) = (String::new(), Report::new("mf", 1, "cpu"));
        sections(&mut page, &report);
        assert!(page.is_empty() && report.weight_table().is_none() && report.imputed_table().is_none());
    }
}
