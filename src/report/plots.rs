//! Plots of several models: lines over epochs or groups, intervals around zero, quality against
//! cost.

use maud::{Markup, html};

use super::chart::{BOTTOM, HEIGHT, LEFT, MOST_DOTS, Px, RIGHT, TOP, WIDTH, drawing, level, short, text};

/// A named line of points; those that are not finite are left out.
pub(super) struct Series {
    /// What the reader sees when pointing at it.
    pub name: String,
    /// The class that colours it.
    pub class: String,
    /// Position along the axis, and value.
    pub points: Vec<(f64, f64)>,
}

/// The class of the n-th model's colour.
pub(super) fn class_of(n: usize) -> String {
    format!("s{}", n % 8)
}

/// The ends of the values, with a little air; `None` without a finite value.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    if low > high {
        return None;
    }
    let air = if high > low { (high - low) * 0.05 } else { high.abs().max(1e-9) * 0.05 };
    Some((low - air, high + air))
}

/// Maps an interval of values onto an interval of the drawing.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn at(self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value - self.low) / (self.high - self.low)
    }
}

fn upright(low: f64, high: f64) -> Axis {
    Axis { low, high, from: HEIGHT - BOTTOM, to: TOP }
}

fn grid(axis: Axis) -> Markup {
    let values = [0.0, 0.5, 1.0].map(|share| axis.low + (axis.high - axis.low) * share);
    html! {
        @for value in values {
            (level(value, axis.at(value)))
        }
    }
}

/// Lines over a common axis. `ticks` are words under the drawing. With `from_zero` the values begin
/// at zero.
pub(super) fn lines(label: &str, series: &[Series], ticks: &[(f64, String)], from_zero: bool) -> Option<Markup> {
    let points =
        || series.iter().flat_map(|series| series.points.iter().copied()).filter(|(_, value)| value.is_finite());
    let (mut low, high) = ends(points().map(|(_, value)| value))?;
    if from_zero {
        low = 0.0;
    }
    let first = points().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max);
    let span = if last > first { (first, last) } else { (first - 1.0, last + 1.0) };
    // Points at the very edge would be cut in half, and their words would leave the drawing.
    let inset = if ticks.len() > 2 { 40.0 } else { 6.0 };
    let x = Axis { low: span.0, high: span.1, from: LEFT + inset, to: WIDTH - RIGHT - inset };
    let y = upright(low, high);
    let anchor = if ticks.len() > 2 { "middle" } else { "end" };
    let content = html! {
        (grid(y))
        @for (at, words) in ticks {
            (text(x.at(*at), HEIGHT - 8.0, anchor, words))
        }
        @for series in series {
            (path(series, x, y))
        }
    };
    Some(drawing(label, HEIGHT, &content))
}

/// The line of a series, with a dot at each point where there are few.
fn path(series: &Series, x: Axis, y: Axis) -> Markup {
    let points: Vec<(f64, f64)> = series.points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    let path: Vec<String> = points.iter().map(|&(px, py)| format!("{:.1},{:.1}", x.at(px), y.at(py))).collect();
    html! {
        polyline class={"path " (series.class)} points=(path.join(" ")) {}
        @if points.len() <= MOST_DOTS {
            @for &(px, py) in &points {
                circle class={"point " (series.class)} cx=(Px(x.at(px))) cy=(Px(y.at(py))) r="3" {
                    title { (series.name) ": " (short(py)) }
                }
            }
        }
    }
}

/// A row of [`intervals`].
pub(super) struct Interval {
    /// The row's name.
    pub name: String,
    /// The class that colours it.
    pub class: String,
    /// Ends of the interval.
    pub ends: (f64, f64),
    /// The middle.
    pub mean: f64,
    /// Single values around it.
    pub values: Vec<f64>,
}

/// Rows of intervals around a line at zero, with single values as pale dots.
pub(super) fn intervals(label: &str, rows: &[Interval]) -> Option<Markup> {
    const ROW: f64 = 34.0;
    let all = rows.iter().flat_map(|row| row.values.iter().copied().chain([row.ends.0, row.ends.1, row.mean, 0.0]));
    let (low, high) = ends(all)?;
    let height = ROW * 2.0 * rows.len() as f64 + BOTTOM;
    let x = Axis { low, high, from: RIGHT + 30.0, to: WIDTH - RIGHT - 30.0 };
    let zero = x.at(0.0);
    let content = html! {
        line.zero x1=(Px(zero)) x2=(Px(zero)) y1="4" y2=(Px(height - BOTTOM)) {}
        (text(zero, height - 8.0, "middle", "no difference"))
        @for (n, row) in rows.iter().enumerate() {
            @let middle = ROW * 2.0 * n as f64 + ROW * 1.4;
            @let class = &row.class;
            (text(12.0, middle - 20.0, "start", &format!("{}  {:+.4}", row.name, row.mean)))
            line class={"span " (class)} x1=(Px(x.at(row.ends.0))) x2=(Px(x.at(row.ends.1))) y1=(Px(middle)) y2=(Px(middle)) {}
            @for &value in row.values.iter().filter(|value| value.is_finite()) {
                circle class={"pale " (class)} cx=(Px(x.at(value))) cy=(Px(middle)) r="4" {}
            }
            circle class={"point " (class)} cx=(Px(x.at(row.mean))) cy=(Px(middle)) r="6" {}
        }
    };
    Some(drawing(label, height, &content))
}

/// One dot per series, named beside it: the first point of each.
pub(super) fn scatter(label: &str, x_words: &str, series: &[Series]) -> Option<Markup> {
    let dots: Vec<(&Series, (f64, f64))> = series
        .iter()
        .filter_map(|series| Some((series, *series.points.first()?)))
        .filter(|(_, (x, y))| x.is_finite() && y.is_finite())
        .collect();
    let (_, right) = ends(dots.iter().map(|(_, (x, _))| *x))?;
    let (low, high) = ends(dots.iter().map(|(_, (_, y))| *y))?;
    let (x, y) =
        (Axis { low: 0.0, high: right.max(1e-9), from: LEFT + 8.0, to: WIDTH - RIGHT - 16.0 }, upright(low, high));
    let content = html! {
        (grid(y))
        (text(LEFT, HEIGHT - 8.0, "start", "0"))
        (text(WIDTH - RIGHT, HEIGHT - 8.0, "end", &format!("{} {x_words}", short(right))))
        @for (series, (px, py)) in dots {
            circle class={"point " (series.class)} cx=(Px(x.at(px))) cy=(Px(y.at(py))) r="7" {
                title { (series.name) ": " (short(py)) ", " (short(px)) " " (x_words) }
            }
        }
    };
    Some(drawing(label, HEIGHT, &content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, f64)]) -> Series {
        Series { name: "<a>".into(), class: class_of(9), points: points.to_vec() }
    }

    #[test]
    fn lines_run_from_edge_to_edge_and_leave_out_what_is_not_finite() {
        // 64 + 6 = 70 on the left, 640 - 16 - 6 = 618 on the right. Values 0..2 with 5 % air:
        // -.1..2.1 over 190..14, so 0 is at 182, 2 at 22.
        let svg = lines("x", &[series(&[(1.0, 0.0), (2.0, f64::NAN), (3.0, 2.0)])], &[], false).unwrap().0;
        assert!(svg.contains("class=\"path s1\" points=\"70.0,182.0 618.0,22.0\""), "{svg}");
        assert!(svg.contains("&lt;a&gt;: 2.000"), "{svg}");
        assert!(lines("x", &[series(&[(1.0, f64::NAN)])], &[], false).is_none());
        assert!(lines("x", &[series(&[(1.0, 0.5)])], &[(1.0, "one".into())], true).unwrap().0.contains(">one<"));
    }

    #[test]
    fn zero_is_always_within_the_intervals() {
        let row = Interval { name: "b".into(), class: class_of(1), ends: (1.0, 2.0), mean: 1.5, values: vec![1.25] };
        let svg = intervals("x", &[row]).unwrap().0;
        // 0..2 with air -.1..2.1 over 46..594: zero at 46 + 548 * .1 / 2.2 = 70.9.
        assert!(svg.contains("class=\"zero\" x1=\"70.9\"") && svg.contains("b  +1.5000"), "{svg}");
        assert!(intervals("x", &[]).is_none());
    }

    #[test]
    fn a_dot_stands_where_cost_and_quality_say() {
        let svg = scatter("x", "seconds", &[series(&[(10.0, 0.25)]), series(&[(f64::NAN, 0.5)])]).unwrap().0;
        // 0..10.5 over 72..608: 10 is at 72 + 536 * 10 / 10.5 = 582.5.
        assert!(svg.contains("cx=\"582.5\"") && svg.matches("<circle").count() == 1, "{svg}");
    }
}
