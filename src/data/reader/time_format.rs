//! Formats of times: dates that do not begin with their year, by a pattern such as
//! `%d/%m/%Y %H:%M`, and which patterns the first times of a file fit.

use super::time::{Time, billionths, days_since_1970, zone_seconds};

/// How the times of a file are written.
///
/// ```
/// use gcnrec::reader::{Columns, TimeFormat};
///
/// let times = TimeFormat::Pattern("%d.%m.%Y %H:%M".into());
/// assert!(times.is_date());
/// let columns = Columns { times, ..Columns::default() };
/// assert!(columns.time.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeFormat {
    /// Numbers, and dates that begin with their year.
    #[default]
    Plain,
    /// Dates as a pattern has them: `%Y %m %d %H %M %S %f %z`, `%y` (1969 to 2068), `%b` (the
    /// English name of a month), `%I %p` (hours up to 12), and other letters as they are.
    Pattern(String),
    /// The column is not read.
    Unread,
}

/// Patterns of days that are tried, in this order, and of the time of day that may follow.
const DAYS: [&str; 11] = [
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y%m%d",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d %b %Y",
    "%b %d, %Y",
    "%m %d, %Y",
];
const CLOCKS: [&str; 7] = ["", " %H:%M:%S.%f", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S %z"];

impl TimeFormat {
    /// Reads a time; nothing where the text is none of this format.
    pub(super) fn read(&self, text: &str) -> Option<Time> {
        match self {
            TimeFormat::Plain => Time::read(text),
            TimeFormat::Pattern(pattern) => by_pattern(text.trim(), pattern),
            TimeFormat::Unread => None,
        }
    }

    /// True for a pattern of dates.
    pub fn is_date(&self) -> bool {
        matches!(self, TimeFormat::Pattern(_))
    }

    /// The same pattern with day and month in the places of each other, where both are numbers.
    pub(crate) fn swapped(&self) -> Option<TimeFormat> {
        let TimeFormat::Pattern(pattern) = self else { return None };
        // A year that comes first is followed by the month everywhere.
        let is_either = pattern.contains("%d") && pattern.contains("%m") && !pattern.starts_with("%Y");
        let swapped = pattern.replace("%d", "\0").replace("%m", "%d").replace('\0', "%m");
        is_either.then_some(TimeFormat::Pattern(swapped))
    }

    /// The pattern.
    pub(crate) fn pattern(&self) -> Option<&str> {
        match self {
            TimeFormat::Pattern(pattern) => Some(pattern),
            _ => None,
        }
    }

    /// A pattern that a user gave.
    ///
    /// # Errors
    /// What is wrong with it: a letter behind `%` that means nothing, or no whole day.
    pub(crate) fn given(pattern: &str) -> Result<TimeFormat, String> {
        let mut codes = Vec::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            if letter == '%' {
                let code = letters.next().unwrap_or(' ');
                if !"YymdbHIMSfpz%".contains(code) {
                    return Err(format!("%{code}, which means nothing"));
                }
                codes.push(code);
            }
        }
        let has = |any: &str| codes.iter().any(|code| any.contains(*code));
        match has("Yy") && has("mb") && has("d") {
            true => Ok(TimeFormat::Pattern(pattern.to_string())),
            false => Err(format!("{pattern:?}, which has no year, month and day")),
        }
    }

    /// Formats in which the first times of a file can be read, to be tried on all of it in this
    /// order.
    pub(crate) fn candidates(sample: &[&str]) -> Vec<TimeFormat> {
        let fits = |format: &TimeFormat| sample.iter().all(|text| format.read(text).is_some());
        let is_day = |text: &&str| text.len() == 8 && text.starts_with(['1', '2']) && text[1..].starts_with(['9', '0']);
        // Eight digits are a number too: they are a day where all are one of these centuries.
        if !sample.is_empty() && fits(&TimeFormat::Plain) && !sample.iter().all(is_day) {
            return vec![TimeFormat::Plain];
        }
        let patterns = DAYS.iter().flat_map(|day| CLOCKS.iter().map(move |clock| format!("{day}{clock}")));
        let patterns = patterns.map(TimeFormat::Pattern).filter(|format| !sample.is_empty() && fits(format));
        patterns.chain([TimeFormat::Plain]).collect()
    }
}

/// The parts of a date while it is read.
struct Parts {
    day: [i64; 3],
    /// Hours, minutes, seconds.
    clock: [i64; 3],
    nanos: u32,
    is_afternoon: Option<bool>,
    ahead: i64,
}

fn by_pattern(text: &str, pattern: &str) -> Option<Time> {
    let mut parts = Parts { day: [0; 3], clock: [0; 3], nanos: 0, is_afternoon: None, ahead: 0 };
    let mut rest = text;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        rest = match letter {
            '%' => parts.take(letters.next()?, rest)?,
            letter if letter.is_whitespace() => {
                let after = rest.trim_start();
                (after.len() < rest.len()).then_some(after)?
            }
            letter => rest.strip_prefix(letter)?,
        };
    }
    if rest.is_empty() { parts.time() } else { None }
}

impl Parts {
    /// Takes what a letter behind `%` stands for off the text.
    fn take<'t>(&mut self, code: char, text: &'t str) -> Option<&'t str> {
        let (slot, n_digits, range): (&mut i64, usize, _) = match code {
            'Y' => (&mut self.day[0], 4, 0..=9999),
            'y' => {
                let (year, rest) = digits(text, 2, 0..=99)?;
                self.day[0] = if year < 69 { 2000 + year } else { 1900 + year };
                return Some(rest);
            }
            'm' => (&mut self.day[1], 2, 1..=12),
            'd' => (&mut self.day[2], 2, 1..=31),
            'H' => (&mut self.clock[0], 2, 0..=23),
            'I' => (&mut self.clock[0], 2, 1..=12),
            'M' => (&mut self.clock[1], 2, 0..=59),
            // A leap second is a second 60.
            'S' => (&mut self.clock[2], 2, 0..=60),
            _ => return self.take_text(code, text),
        };
        let (value, rest) = digits(text, n_digits, range)?;
        // A year has all of its digits.
        if code == 'Y' && text.len() - rest.len() < 4 {
            return None;
        }
        *slot = value;
        Some(rest)
    }

    fn take_text<'t>(&mut self, code: char, text: &'t str) -> Option<&'t str> {
        match code {
            'f' => {
                let end = text.bytes().take_while(u8::is_ascii_digit).count();
                self.nanos = billionths(&text[..end])?;
                Some(&text[end..])
            }
            'b' => {
                let end = text.bytes().take_while(u8::is_ascii_alphabetic).count();
                self.day[1] = month(&text[..end])?;
                Some(&text[end..])
            }
            'p' => {
                let (half, rest) = text.split_at_checked(2)?;
                self.is_afternoon = Some(match half {
                    "AM" | "am" => false,
                    "PM" | "pm" => true,
                    _ => return None,
                });
                Some(rest)
            }
            'z' => {
                let end = text.find(char::is_whitespace).unwrap_or(text.len());
                self.ahead = zone_seconds(&text[..end]).filter(|_| end > 0)?;
                Some(&text[end..])
            }
            '%' => text.strip_prefix('%'),
            _ => None,
        }
    }

    fn time(self) -> Option<Time> {
        let [year, month, day] = self.day;
        let [hours, minutes, seconds] = self.clock;
        let hours = match self.is_afternoon {
            None => hours,
            Some(is_afternoon) => (hours <= 12).then_some(hours % 12 + if is_afternoon { 12 } else { 0 })?,
        };
        let days = days_since_1970(year, month, day)?;
        let whole = days * 86_400 + hours * 3600 + minutes * 60 + seconds - self.ahead;
        Some(Time { whole, nanos: self.nanos })
    }
}

/// A number of at most so many digits at the beginning of a text, and what follows.
fn digits(text: &str, most: usize, range: std::ops::RangeInclusive<i64>) -> Option<(i64, &str)> {
    let end = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let value = text[..end].parse().ok().filter(|value| range.contains(value))?;
    Some((value, &text[end..]))
}

/// The number of a month by its English name, whole or its first three letters.
fn month(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_name = |whole: &&str| whole.eq_ignore_ascii_case(name) || whole[..3].eq_ignore_ascii_case(name);
    NAMES.iter().position(is_name).map(|month| month as i64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, text: &str) -> Option<(i64, u32)> {
        TimeFormat::Pattern(pattern.into()).read(text).map(|time| (time.whole, time.nanos))
    }

    /// Seconds as `date -u -d "2010-12-01 08:26" +%s` of GNU coreutils prints them, and so on.
    #[test]
    fn dates_are_read_by_their_pattern() {
        for (pattern, text, seconds) in [
            ("%m/%d/%Y %H:%M", "12/1/2010 8:26", 1_291_191_960),
            ("%d/%m/%Y %H:%M", "01/12/2010 08:26", 1_291_191_960),
            ("%d.%m.%Y", "1.12.2010", 1_291_161_600),
            ("%Y%m%d", "20101201", 1_291_161_600),
            ("%m/%d/%y", "12/01/10", 1_291_161_600),
            ("%d %b %Y", "1 dec 2010", 1_291_161_600),
            ("%b %d, %Y", "December 1, 2010", 1_291_161_600),
            ("%m %d, %Y", "12 1, 2010", 1_291_161_600),
            ("%m/%d/%Y %I:%M %p", "12/1/2010 8:26 PM", 1_291_235_160),
            ("%m/%d/%Y %I:%M %p", "12/1/2010 12:26 AM", 1_291_163_160),
            ("%m/%d/%Y %H:%M:%S %z", "12/1/2010 09:26:00 +01:00", 1_291_191_960),
        ] {
            assert_eq!(read(pattern, text), Some((seconds, 0)), "{text}");
        }
        assert_eq!(read("%d/%m/%Y %H:%M:%S.%f", "01/12/2010 08:26:00.25"), Some((1_291_191_960, 250_000_000)));
        for (pattern, text) in [
            ("%m/%d/%Y", "13/1/2010"),
            ("%m/%d/%Y", "2/30/2010"),
            ("%m/%d/%Y", "1/2/10"),
            ("%m/%d/%Y", "1/2/2010 8:00"),
            ("%m/%d/%Y %I:%M %p", "1/2/2010 13:00 PM"),
            ("%d %b %Y", "1 foo 2010"),
            ("%d %b %Y", "é"),
        ] {
            assert_eq!(read(pattern, text), None, "{text}");
        }
    }

    #[test]
    fn the_first_times_of_a_file_tell_which_formats_it_may_have() {
        let patterns = |sample: &[&str]| -> Vec<String> {
            let of = |format: &TimeFormat| format.pattern().unwrap_or("plain").to_string();
            TimeFormat::candidates(sample).iter().map(of).collect()
        };
        assert_eq!(patterns(&["881250949", "2022-06-01"]), ["plain"]);
        assert_eq!(patterns(&["12/1/2010 8:26"]), ["%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "plain"]);
        assert_eq!(patterns(&["12/1/2010 8:26", "12/13/2010 8:26"]), ["%m/%d/%Y %H:%M", "plain"]);
        assert_eq!(patterns(&["20180925", "20181231"]), ["%Y%m%d", "plain"]);
        assert_eq!(patterns(&["20180925", "20181331"]), ["plain"]);
        assert_eq!(patterns(&["yesterday"]), ["plain"]);
    }

    #[test]
    fn a_given_pattern_has_a_day_and_known_letters() {
        assert_eq!(TimeFormat::given("%d.%m.%Y"), Ok(TimeFormat::Pattern("%d.%m.%Y".into())));
        assert_eq!(TimeFormat::given("%d.%m"), Err("\"%d.%m\", which has no year, month and day".into()));
        assert_eq!(TimeFormat::given("%Y-%Q-%d"), Err("%Q, which means nothing".into()));
        assert_eq!(TimeFormat::given("%d.%m.%Y").unwrap().swapped().unwrap().pattern(), Some("%m.%d.%Y"));
    }
}
