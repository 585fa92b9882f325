//! Drawings as inline SVG. Colours come from the page, so that a dark page has a dark drawing.

use std::fmt::Write;

pub(super) const WIDTH: f64 = 640.0;
pub(super) const HEIGHT: f64 = 220.0;
pub(super) const LEFT: f64 = 64.0;
pub(super) const RIGHT: f64 = 16.0;
pub(super) const TOP: f64 = 14.0;
pub(super) const BOTTOM: f64 = 30.0;

/// Text that is safe between tags and inside quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A line through the points, over epochs. `mark` draws a vertical line at the epoch that was kept. Points that are not finite are left out;
/// with none left there is no drawing.
pub(super) fn line(label: &str, points: &[(u64, f64)], last_epoch: u64, mark: Option<u64>) -> Option<String> {
    let points: Vec<(u64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    if points.is_empty() {
        return None;
    }
    let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let x = |epoch: u64| LEFT + (WIDTH - LEFT - RIGHT) * epoch as f64 / last_epoch.max(1) as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span;
    let mut svg = open(label, HEIGHT);
    for value in if high > low { vec![low, (low + high) / 2.0, high] } else { vec![high] } {
        let at = y(value);
        text(&mut svg, LEFT - 8.0, at + 4.0, "end", &short(value));
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            WIDTH - RIGHT
        );
    }
    for (epoch, anchor) in [(0, "start"), (last_epoch, "end")] {
        text(&mut svg, x(epoch), HEIGHT - 8.0, anchor, &format!("epoch {epoch}"));
    }
    if let Some(epoch) = mark {
        let (at, bottom) = (x(epoch), HEIGHT - BOTTOM);
        let _ = write!(svg, "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
    }
    let path: Vec<String> = points.iter().map(|&(epoch, value)| format!("{:.1},{:.1}", x(epoch), y(value))).collect();
    let _ = write!(svg, "<polyline class=\"curve\" points=\"{}\"/>", path.join(" "));
    if points.len() <= 60 {
        for &(epoch, value) in &points {
            let title = escape(&format!("epoch {epoch}: {}", short(value)));
            let _ = write!(
                svg,
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>{title}</title></circle>",
                x(epoch),
                y(value)
            );
        }
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// One bar per row, divided by the row's shares. Class `layer0`, `layer1` … colours the parts.
pub(super) fn shares(label: &str, rows: &[(String, &[f64])]) -> String {
    const ROW: f64 = 26.0;
    const NAMES: f64 = 150.0;
    let mut svg = open(label, ROW * rows.len() as f64 + 4.0);
    for (n, (name, weights)) in rows.iter().enumerate() {
        let top = ROW * n as f64 + 4.0;
        text(&mut svg, NAMES - 8.0, top + 15.0, "end", name);
        let total: f64 = weights.iter().filter(|weight| weight.is_finite()).map(|weight| weight.max(0.0)).sum();
        let mut left = NAMES;
        for (layer, &weight) in weights.iter().enumerate().filter(|(_, weight)| weight.is_finite() && total > 0.0) {
            let width = (WIDTH - NAMES - RIGHT) * weight.max(0.0) / total;
            let title = escape(&format!("layer {layer}: {}", short(weight)));
            let _ = write!(
                svg,
                "<rect class=\"layer{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"20\"><title>{title}</title></rect>",
                layer % 9
            );
            left += width;
        }
    }
    svg.push_str("</svg>");
    svg
}

pub(super) fn open(label: &str, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(label))
}

pub(super) fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(words));
}

/// Four significant digits.
pub(super) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    format!("{value:.*}", digits.clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_point_is_at_the_top_and_the_last_epoch_at_the_right() {
        // Width 640, margins 64 and 16: epoch 5 of 10 is at 64 + 560 / 2 = 344. Height 220, margins 14 and 30: the ends are 14 and 190.
        let svg = line("loss", &[(5, 1.0), (10, 3.0)], 10, Some(5)).unwrap();
        assert!(svg.contains("points=\"344.0,190.0 624.0,14.0\""), "{svg}");
        assert!(svg.contains("class=\"mark\" x1=\"344.0\""), "{svg}");
    }

    #[test]
    fn a_flat_curve_a_single_point_and_nan_do_not_break_the_drawing() {
        assert!(
            line("loss", &[(1, 2.0), (2, 2.0), (3, f64::NAN)], 3, None)
                .unwrap()
                .contains("points=\"250.7,14.0 437.3,14.0\"")
        );
        assert!(line("loss", &[(0, 2.0)], 0, None).is_some());
        assert_eq!(line("loss", &[(1, f64::NAN)], 1, None), None);
    }

    #[test]
    fn shares_fill_the_row_in_proportion() {
        // 640 - 150 - 16 = 474 wide: three quarters are 355.5.
        let svg = shares("weights", &[("all".into(), &[0.75, 0.25])]);
        assert!(svg.contains("x=\"150.0\" y=\"4.0\" width=\"355.5\"") && svg.contains("x=\"505.5\""), "{svg}");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(
            escape("<a href=\"x\">'&'</a>\u{1b}"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\u{fffd}"
        );
    }

    #[test]
    fn numbers_are_shortened_to_four_digits() {
        let shortened: Vec<String> = [0.0, 0.123456, 12.3456, 1234.56, 0.000123456, 5e9].map(short).to_vec();
        assert_eq!(shortened, ["0", "0.1235", "12.35", "1235", "1.235e-4", "5.000e9"]);
    }
}
