//! Ranges of numeric settings, with the words that help, tables and errors use for them.

use std::fmt;

/// An interval of numbers. NaN lies in none of them, infinity only where an end is infinite and
/// closed, which no constructor makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    low_is_in: bool,
    high_is_in: bool,
    words: &'static str,
}

const fn range(low: f64, high: f64, low_is_in: bool, high_is_in: bool) -> Range {
    Range { low, high, low_is_in, high_is_in, words: "" }
}

/// `low..=high`.
pub(crate) const fn between(low: f64, high: f64) -> Range {
    range(low, high, true, true)
}

/// `low` or more.
pub(crate) const fn at_least(low: f64) -> Range {
    range(low, f64::INFINITY, true, false)
}

/// More than `low`.
pub(crate) const fn above(low: f64) -> Range {
    range(low, f64::INFINITY, false, false)
}

/// More than `low`, `high` or less.
pub(crate) const fn above_up_to(low: f64, high: f64) -> Range {
    range(low, high, false, true)
}

/// More than `low` and less than `high`.
pub(crate) const fn strictly_between(low: f64, high: f64) -> Range {
    range(low, high, false, false)
}

/// `low` or more, less than `high`.
pub(crate) const fn from_to_below(low: f64, high: f64) -> Range {
    range(low, high, true, false)
}

/// Any number but NaN and the infinities.
pub(crate) const fn finite() -> Range {
    range(f64::NEG_INFINITY, f64::INFINITY, false, false)
}

impl Range {
    /// The same range in other words, for a number that means something else than its size: `a
    /// whole number from 1 to 1024, or 0 for all`.
    pub const fn said(self, words: &'static str) -> Range {
        Range { words, ..self }
    }

    /// True for a number inside.
    pub fn contains(&self, number: f64) -> bool {
        let above = number > self.low || (self.low_is_in && number == self.low);
        let below = number < self.high || (self.high_is_in && number == self.high);
        above && below
    }

    /// As [`Range::contains`], with the ends rounded to 32 bits: what was written as `0.01` is not
    /// below 0.01.
    pub fn contains_f32(&self, number: f32) -> bool {
        let rounded = |end: f64| f64::from(end as f32);
        Range { low: rounded(self.low), high: rounded(self.high), ..*self }.contains(f64::from(number))
    }

    /// What is expected, as an error says it: `a whole number from 0 to 8`, `a number above 0`.
    pub fn expected(&self, is_whole: bool) -> String {
        if !self.words.is_empty() {
            return self.words.into();
        }
        let noun = if is_whole { "whole number" } else { "number" };
        let Range { low, high, low_is_in, high_is_in, .. } = self;
        match (low.is_finite(), high.is_finite(), low_is_in, high_is_in) {
            (false, ..) => format!("a finite {noun}"),
            (true, false, true, _) => format!("a {noun} of {low} or more"),
            (true, false, false, _) => format!("a {noun} above {low}"),
            (true, true, true, true) => format!("a {noun} from {low} to {high}"),
            (true, true, true, false) => format!("a {noun} from {low} to below {high}"),
            (true, true, false, true) => format!("a {noun} above {low}, up to {high}"),
            (true, true, false, false) => format!("a {noun} above {low} and below {high}"),
        }
    }
}

/// The range alone, as a table shows it: `0 to 8`, `above 0`.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.expected(false);
        let short = words.trim_start_matches("a whole number ").trim_start_matches("a number ");
        let short = short.trim_start_matches("from ").trim_start_matches("of ");
        f.write_str(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_in_or_out_and_nan_is_nowhere() {
        assert!(between(0.0, 8.0).contains(8.0) && !between(0.0, 8.0).contains(8.1));
        assert!(!above(0.0).contains(0.0) && above(0.0).contains(1e-30));
        assert!(from_to_below(0.0, 1.0).contains(0.0) && !from_to_below(0.0, 1.0).contains(1.0));
        assert!(above_up_to(0.0, 1.0).contains(1.0) && !strictly_between(0.0, 0.5).contains(0.5));
        for range in [between(0.0, 1.0), at_least(0.0), above(0.0), finite()] {
            assert!(!range.contains(f64::NAN) && !range.contains(f64::INFINITY), "{range:?}");
        }
    }

    #[test]
    fn an_end_of_64_bits_holds_the_number_of_32_bits_that_is_written_alike() {
        assert!(!between(0.01, 10.0).contains(f64::from(0.01f32)));
        assert!(between(0.01, 10.0).contains_f32(0.01));
    }

    #[test]
    fn ranges_are_said_in_words() {
        assert_eq!(between(0.0, 8.0).expected(true), "a whole number from 0 to 8");
        assert_eq!(at_least(0.0).expected(false), "a number of 0 or more");
        assert_eq!(above(0.0).expected(true), "a whole number above 0");
        assert_eq!(from_to_below(0.0, 1.0).expected(false), "a number from 0 to below 1");
        assert_eq!(strictly_between(0.0, 0.5).expected(false), "a number above 0 and below 0.5");
        assert_eq!(above_up_to(0.0, 1.0).expected(false), "a number above 0, up to 1");
        assert_eq!(finite().expected(false), "a finite number");
        let shown = [between(-2.0, 2.0), at_least(0.0), above(0.0), finite()].map(|range| range.to_string());
        assert_eq!(shown, ["-2 to 2", "0 or more", "above 0", "a finite number"]);
        let threads = between(0.0, 1024.0).said("a whole number from 1 to 1024, or 0 for all");
        assert_eq!(threads.expected(true), "a whole number from 1 to 1024, or 0 for all");
        assert_eq!((threads.to_string().as_str(), threads.contains(0.0)), ("1 to 1024, or 0 for all", true));
    }
}
