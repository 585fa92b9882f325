//! Plots of several models: lines over epochs, bars by group, intervals around zero, quality
//! against cost.

use maud::{Markup, html};

use super::chart::{
    BOTTOM, HEIGHT, LEFT, MOST_DOTS, Px, RIGHT, TOP, WIDTH, drawing, epochs, level, short, text, ticks,
};

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
    html! {
        @for (value, words) in ticks(axis.low, axis.high, 4) {
            (level(&words, axis.at(value)))
        }
    }
}

/// Lines over the epochs.
pub(super) fn lines(label: &str, series: &[Series]) -> Option<Markup> {
    let points =
        || series.iter().flat_map(|series| series.points.iter().copied()).filter(|(_, value)| value.is_finite());
    let (low, high) = ends(points().map(|(_, value)| value))?;
    let first = points().map(|(x, _)| x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| x).fold(f64::NEG_INFINITY, f64::max);
    let span = if last > first { (first, last) } else { (first - 1.0, last + 1.0) };
    // Points at the very edge would be cut in half.
    let x = Axis { low: span.0, high: span.1, from: LEFT + 6.0, to: WIDTH - RIGHT - 6.0 };
    let y = upright(low, high);
    let content = html! {
        (grid(y))
        (epochs(span.0, span.1, |epoch| x.at(epoch)))
        @for series in series {
            (path(series, x, y))
        }
    };
    Some(drawing(label, HEIGHT, &content))
}

/// Bars from zero, side by side in each group; a point of a series stands at the number of its
/// group. Values of `reference` are lines across their groups.
pub(super) fn bars(label: &str, groups: &[String], series: &[Series], reference: Option<&Series>) -> Option<Markup> {
    let all = series.iter().chain(reference).flat_map(|series| series.points.iter().map(|(_, value)| *value));
    let (_, high) = ends(all.chain([0.0]))?;
    if groups.is_empty() || series.iter().all(|series| series.points.is_empty()) {
        return None;
    }
    let y = upright(0.0, high);
    let room = (WIDTH - LEFT - RIGHT) / groups.len() as f64;
    // A fifth of the room keeps the groups apart.
    let wide = room * 0.8 / series.len().max(1) as f64;
    let left = |group: f64| LEFT + room * (group + 0.1);
    let seen =
        |series: &Series| series.points.iter().copied().filter(|(_, value)| value.is_finite()).collect::<Vec<_>>();
    let content = html! {
        (grid(y))
        @for (group, words) in groups.iter().enumerate() {
            (text(left(group as f64) + room * 0.4, HEIGHT - 14.0, "middle", words))
        }
        @for (n, series) in series.iter().enumerate() {
            @for (group, value) in seen(series) {
                rect class={"bar " (series.class)} x=(Px(left(group) + wide * n as f64)) y=(Px(y.at(value)))
                    width=(Px((wide - 1.0).max(1.0))) height=(Px(y.at(0.0) - y.at(value))) {
                    title { (series.name) ": " (short(value)) }
                }
            }
        }
        @if let Some(reference) = reference {
            @for (group, value) in seen(reference) {
                line class={"path " (reference.class)} x1=(Px(left(group))) x2=(Px(left(group) + room * 0.8))
                    y1=(Px(y.at(value))) y2=(Px(y.at(value))) {
                    title { (reference.name) ": " (short(value)) }
                }
            }
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

/// Rows of intervals around zero, with single values as pale dots, over an axis of round numbers.
/// A row's words stand above it, and the lines of the axis run beside the intervals alone.
pub(super) fn intervals(label: &str, axis: &str, rows: &[Interval]) -> Option<Markup> {
    const ROW: f64 = 54.0;
    /// From the top of a row to its interval.
    const WORDS: f64 = 34.0;
    /// From an interval to where the lines of the axis end.
    const HALF: f64 = 14.0;
    let all = rows.iter().flat_map(|row| row.values.iter().copied().chain([row.ends.0, row.ends.1, row.mean]));
    // Without a row there is nothing to see, zero alone is none.
    ends(all.clone())?;
    let (low, high) = ends(all.chain([0.0]))?;
    let foot = ROW * rows.len() as f64;
    let x = Axis { low, high, from: RIGHT + 30.0, to: WIDTH - RIGHT - 30.0 };
    let numbers = ticks(low, high, 6);
    let content = html! {
        line.axis x1=(Px(x.from)) x2=(Px(x.to)) y1=(Px(foot)) y2=(Px(foot)) {}
        @for (value, words) in &numbers {
            line.axis x1=(Px(x.at(*value))) x2=(Px(x.at(*value))) y1=(Px(foot)) y2=(Px(foot + 5.0)) {}
            (text(x.at(*value), foot + 19.0, "middle", words))
        }
        (text((x.from + x.to) / 2.0, foot + 38.0, "middle", axis))
        @for (n, row) in rows.iter().enumerate() {
            @let middle = ROW * n as f64 + WORDS;
            @let class = &row.class;
            (text(x.from, middle - HALF - 5.0, "start", &row.name))
            @for (value, _) in &numbers {
                line.grid x1=(Px(x.at(*value))) x2=(Px(x.at(*value))) y1=(Px(middle - HALF)) y2=(Px(middle + HALF)) {}
            }
            line.zero x1=(Px(x.at(0.0))) x2=(Px(x.at(0.0))) y1=(Px(middle - HALF)) y2=(Px(middle + HALF)) {}
            line class={"span " (class)} x1=(Px(x.at(row.ends.0))) x2=(Px(x.at(row.ends.1))) y1=(Px(middle)) y2=(Px(middle)) {}
            @for &value in row.values.iter().filter(|value| value.is_finite()) {
                circle class={"pale " (class)} cx=(Px(x.at(value))) cy=(Px(middle)) r="4" {}
            }
            circle class={"point " (class)} cx=(Px(x.at(row.mean))) cy=(Px(middle)) r="6" {}
        }
    };
    Some(drawing(label, foot + 44.0, &content))
}

/// One dot per series: the first point of each. `reference` is a named value, a line across.
pub(super) fn scatter(label: &str, x_words: &str, series: &[Series], reference: Option<(&str, f64)>) -> Option<Markup> {
    let dots: Vec<(&Series, (f64, f64))> = series
        .iter()
        .filter_map(|series| Some((series, *series.points.first()?)))
        .filter(|(_, (x, y))| x.is_finite() && y.is_finite())
        .collect();
    let reference = reference.filter(|(_, value)| value.is_finite());
    let (_, right) = ends(dots.iter().map(|(_, (x, _))| *x))?;
    let (low, high) = ends(dots.iter().map(|(_, (_, y))| *y).chain(reference.map(|(_, value)| value)))?;
    let x = Axis { low: 0.0, high: right.max(1e-9), from: LEFT + 8.0, to: WIDTH - RIGHT - 16.0 };
    let y = upright(low, high);
    let content = html! {
        (grid(y))
        @for (value, words) in ticks(x.low, x.high, 6) {
            (text(x.at(value), HEIGHT - BOTTOM + 14.0, "middle", &words))
        }
        (text((x.from + x.to) / 2.0, HEIGHT - 4.0, "middle", x_words))
        @if let Some((name, value)) = reference {
            line class="path plain" x1=(Px(LEFT)) x2=(Px(WIDTH - RIGHT)) y1=(Px(y.at(value))) y2=(Px(y.at(value))) {}
            (text(WIDTH - RIGHT, y.at(value) - 5.0, "end", &format!("{name} {}", short(value))))
        }
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
        // -.1..2.1 over 186..14, so 0 is at 178.2, 2 at 21.8.
        let svg = lines("x", &[series(&[(1.0, 0.0), (2.0, f64::NAN), (3.0, 2.0)])]).unwrap().0;
        assert!(svg.contains("class=\"path s1\" points=\"70.0,178.2 618.0,21.8\""), "{svg}");
        assert!(svg.contains("&lt;a&gt;: 2.000") && svg.contains(">epoch<") && svg.contains(">2<"), "{svg}");
        assert!(lines("x", &[series(&[(1.0, f64::NAN)])]).is_none());
    }

    #[test]
    fn bars_stand_side_by_side_in_their_group_and_begin_at_zero() {
        let groups = ["few".to_string(), "many".to_string()];
        let two = [series(&[(0.0, 1.0), (1.0, 2.0)]), series(&[(0.0, f64::NAN), (1.0, 1.0)])];
        let svg = bars("x", &groups, &two, Some(&series(&[(0.0, 1.5)]))).unwrap().0;
        // 560 wide, 280 a group; bars are 112 less 1. Group 1 begins at 64 + 280 + 28 = 372, its
        // second bar at 484. 0..2.1 over 186..14: 1 is 81.9 high.
        assert_eq!(svg.matches("<rect").count(), 3, "{svg}");
        assert!(svg.contains("x=\"484.0\" y=\"104.1\" width=\"111.0\" height=\"81.9\""), "{svg}");
        // The reference runs across its whole group, from 92 to 316.
        assert!(svg.contains("class=\"path s1\" x1=\"92.0\" x2=\"316.0\""), "{svg}");
        assert!(bars("x", &groups, &[], None).is_none());
    }

    #[test]
    fn no_line_of_the_differences_runs_through_the_names() {
        let row = |name: &str| Interval {
            name: name.into(),
            class: class_of(1),
            ends: (1.0, 2.0),
            mean: 1.5,
            values: vec![1.25],
        };
        let svg = intervals("x", "difference in ndcg", &[row("a"), row("b")]).unwrap().0;
        // 0..2 with air -.1..2.1 over 46..594: zero at 46 + 548 * .1 / 2.2 = 70.9. The second row
        // begins at 54: its name at 69, its lines from 74 to 102.
        assert!(svg.contains("class=\"zero\" x1=\"70.9\" x2=\"70.9\" y1=\"74.0\" y2=\"102.0\""), "{svg}");
        assert!(svg.contains("y=\"69.0\" text-anchor=\"start\">b<"), "{svg}");
        for part in [">0.0<", ">0.5<", ">2.0<", ">difference in ndcg<"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert!(intervals("x", "y", &[]).is_none());
    }

    #[test]
    fn a_dot_stands_where_cost_and_quality_say() {
        let two = [series(&[(10.0, 0.25)]), series(&[(f64::NAN, 0.5)])];
        let svg = scatter("x", "seconds", &two, Some(("popularity", 0.125))).unwrap().0;
        // 0..10.5 over 72..608: 10 is at 72 + 536 * 10 / 10.5 = 582.5.
        assert!(svg.contains("cx=\"582.5\"") && svg.matches("<circle").count() == 1, "{svg}");
        assert!(svg.contains(">popularity 0.1250<") && svg.contains("class=\"path plain\""), "{svg}");
    }
}
