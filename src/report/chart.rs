//! Drawings as inline SVG: learning curves and shares. Colours come from the page, so that a dark
//! page has a dark drawing.

use std::fmt::Write;

use maud::{Markup, Render, html};

pub(super) const WIDTH: f64 = 640.0;
pub(super) const HEIGHT: f64 = 220.0;
pub(super) const LEFT: f64 = 64.0;
pub(super) const RIGHT: f64 = 16.0;
pub(super) const TOP: f64 = 14.0;
pub(super) const BOTTOM: f64 = 34.0;
/// A line with more points than this has no dots.
pub(super) const MOST_DOTS: usize = 60;

/// A length in a drawing, to a tenth.
pub(super) struct Px(pub f64);

impl Render for Px {
    fn render_to(&self, buffer: &mut String) {
        let _ = write!(buffer, "{:.1}", self.0);
    }
}

/// A line through the points, over epochs. `mark` draws a vertical line at the epoch that was kept,
/// `reference` a named horizontal one at what the curve should be above. Points that are not finite
/// are left out; with none left there is no drawing.
pub(super) fn line(
    label: &str,
    points: &[(u64, f64)],
    last_epoch: u64,
    mark: Option<u64>,
    reference: Option<(&str, f64)>,
) -> Option<Markup> {
    let points: Vec<(u64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    if points.is_empty() {
        return None;
    }
    let reference = reference.filter(|(_, value)| value.is_finite());
    let values = || points.iter().map(|point| point.1).chain(reference.map(|(_, value)| value));
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let x = |epoch: u64| LEFT + (WIDTH - LEFT - RIGHT) * epoch as f64 / last_epoch.max(1) as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / span;
    let levels = ticks(low, high, 4);
    let path: Vec<String> = points.iter().map(|&(epoch, value)| format!("{:.1},{:.1}", x(epoch), y(value))).collect();
    let content = html! {
        @for (value, words) in levels {
            (level(&words, y(value)))
        }
        (epochs(0.0, last_epoch as f64, |epoch| LEFT + (WIDTH - LEFT - RIGHT) * epoch / last_epoch.max(1) as f64))
        @if let Some(epoch) = mark {
            line.mark x1=(Px(x(epoch))) x2=(Px(x(epoch))) y1=(TOP) y2=(HEIGHT - BOTTOM) {}
        }
        @if let Some((name, value)) = reference {
            line class="path plain" x1=(Px(LEFT)) x2=(Px(WIDTH - RIGHT)) y1=(Px(y(value))) y2=(Px(y(value))) {}
            // Above the line, but for a line at the upper end.
            @let words = if y(value) > TOP + 16.0 { y(value) - 5.0 } else { y(value) + 14.0 };
            (text(WIDTH - RIGHT, words, "end", &format!("{name} {}", short(value))))
        }
        polyline.curve points=(path.join(" ")) {}
        @if points.len() <= MOST_DOTS {
            @for &(epoch, value) in &points {
                circle.dot cx=(Px(x(epoch))) cy=(Px(y(value))) r="2.5" {
                    title { "epoch " (epoch) ": " (short(value)) }
                }
            }
        }
    };
    Some(drawing(label, HEIGHT, &content))
}

/// Round epochs under a drawing, from `first` to `last`.
pub(super) fn epochs(first: f64, last: f64, x: impl Fn(f64) -> f64) -> Markup {
    // Epochs are whole: never more ticks than there are.
    let most = (last - first).clamp(1.0, 6.0) as usize;
    html! {
        @for (epoch, words) in ticks(first, last, most) {
            (text(x(epoch), HEIGHT - BOTTOM + 14.0, "middle", &words))
        }
        (text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0, "middle", "epoch"))
    }
}

/// About `n` round numbers within an interval, which are multiples of 1, 2 or 5 times a power of
/// ten, with as many digits as tell them apart. The ends where there is no such number.
pub(super) fn ticks(low: f64, high: f64, n: usize) -> Vec<(f64, String)> {
    let least = (high - low) / n.max(1) as f64;
    let power = 10f64.powf(least.log10().floor());
    // A hair for what is round but for its rounding.
    let step = [1.0, 2.0, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let is_usual = step > 1e-9 && first.abs().max(last.abs()) < 1e6;
    if !is_usual || last <= first {
        let ends = if high > low { vec![low, high] } else { vec![low] };
        return ends.into_iter().map(|value| (value, short(value))).collect();
    }
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let tick = |number: i64| {
        let value = number as f64 * step;
        (value, format!("{value:.digits$}"))
    };
    (first as i64..=last as i64).map(tick).collect()
}

/// One bar per row, divided by the row's shares. Class `layer0`, `layer1` … colours the parts.
pub(super) fn shares(label: &str, rows: &[(String, &[f64])]) -> Markup {
    const ROW: f64 = 26.0;
    const NAMES: f64 = 150.0;
    let parts = |weights: &[f64]| {
        let total: f64 = weights.iter().filter(|weight| weight.is_finite()).map(|weight| weight.max(0.0)).sum();
        let shown = |(_, weight): &(usize, f64)| weight.is_finite() && total > 0.0;
        let mut right = NAMES;
        let part = |(layer, weight): (usize, f64)| {
            let (left, width) = (right, (WIDTH - NAMES - RIGHT) * weight.max(0.0) / total);
            right += width;
            (layer, weight, left, width)
        };
        weights.iter().copied().enumerate().filter(shown).map(part).collect::<Vec<_>>()
    };
    let content = html! {
        @for (n, (name, weights)) in rows.iter().enumerate() {
            @let top = ROW * n as f64 + 4.0;
            (text(NAMES - 8.0, top + 15.0, "end", name))
            @for (layer, weight, left, width) in parts(weights) {
                rect class={"layer" (layer % 9)} x=(Px(left)) y=(Px(top)) width=(Px(width)) height="20" {
                    title { "layer " (layer) ": " (short(weight)) }
                }
            }
        }
    };
    drawing(label, ROW * rows.len() as f64 + 4.0, &content)
}

/// The frame of a drawing.
pub(super) fn drawing(label: &str, height: f64, content: &Markup) -> Markup {
    html! {
        svg viewBox={"0 0 " (WIDTH) " " (height)} role="img" aria-label=(label) { (content) }
    }
}

/// A value's line across the drawing, with its number.
pub(super) fn level(words: &str, at: f64) -> Markup {
    html! {
        (text(LEFT - 8.0, at + 4.0, "end", words))
        line.grid x1=(LEFT) x2=(Px(WIDTH - RIGHT)) y1=(Px(at)) y2=(Px(at)) {}
    }
}

/// Words at a point; `anchor` is `start`, `middle` or `end`.
pub(super) fn text(x: f64, y: f64, anchor: &str, words: &str) -> Markup {
    html! { text x=(Px(x)) y=(Px(y)) text-anchor=(anchor) { (words) } }
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
        // Width 640, margins 64 and 16: epoch 5 of 10 is at 64 + 560 / 2 = 344. Height 220, margins
        // 14 and 34: the ends are 14 and 186.
        let svg = line("loss", &[(5, 1.0), (10, 3.0)], 10, Some(5), None).unwrap().0;
        assert!(svg.contains("points=\"344.0,186.0 624.0,14.0\""), "{svg}");
        assert!(svg.contains("class=\"mark\" x1=\"344.0\""), "{svg}");
    }

    #[test]
    fn what_the_curve_should_be_above_is_part_of_the_drawing() {
        // From 1 (the reference, at 186) to 3 (at 14): the curve's 2 lies at 100.
        let svg = line("ndcg", &[(5, 2.0), (10, 3.0)], 10, None, Some(("popularity", 1.0))).unwrap().0;
        assert!(svg.contains("x2=\"624.0\" y1=\"186.0\"") && svg.contains("points=\"344.0,100.0"), "{svg}");
        assert!(svg.contains(">popularity 1.000<"), "{svg}");
    }

    #[test]
    fn a_flat_curve_a_single_point_and_nan_do_not_break_the_drawing() {
        assert!(
            line("loss", &[(1, 2.0), (2, 2.0), (3, f64::NAN)], 3, None, None)
                .unwrap()
                .0
                .contains("points=\"250.7,14.0 437.3,14.0\"")
        );
        assert!(line("loss", &[(0, 2.0)], 0, None, None).is_some());
        assert!(line("loss", &[(1, f64::NAN)], 1, None, None).is_none());
    }

    #[test]
    fn ticks_are_round_and_have_the_digits_that_tell_them_apart() {
        let words = |low, high, n| ticks(low, high, n).into_iter().map(|(_, words)| words).collect::<Vec<_>>();
        assert_eq!(words(0.2513, 0.3187, 4), ["0.26", "0.28", "0.30"]);
        assert_eq!(words(-0.0031, 0.0142, 4), ["0.000", "0.005", "0.010"]);
        assert_eq!(words(0.0, 300.0, 6), ["0", "50", "100", "150", "200", "250", "300"]);
        assert_eq!(words(0.0, 3.0, 3), ["0", "1", "2", "3"]);
        assert_eq!(words(0.3, 0.6, 3), ["0.3", "0.4", "0.5", "0.6"]);
        // Nothing round, and no interval at all.
        assert_eq!(words(1.0, 1.0, 4), ["1.000"]);
        assert_eq!(words(1e12, 1e12 + 1.0, 4), ["1.000e12", "1.000e12"]);
        assert_eq!(words(f64::NAN, f64::NAN, 4).len(), 1);
    }

    #[test]
    fn shares_fill_the_row_in_proportion() {
        // 640 - 150 - 16 = 474 wide: three quarters are 355.5.
        let svg = shares("weights", &[("all".into(), &[0.75, 0.25])]).0;
        assert!(svg.contains("x=\"150.0\" y=\"4.0\" width=\"355.5\"") && svg.contains("x=\"505.5\""), "{svg}");
    }

    #[test]
    fn numbers_are_shortened_to_four_digits() {
        let shortened: Vec<String> = [0.0, 0.123456, 12.3456, 1234.56, 0.000123456, 5e9].map(short).to_vec();
        assert_eq!(shortened, ["0", "0.1235", "12.35", "1235", "1.235e-4", "5.000e9"]);
    }
}
