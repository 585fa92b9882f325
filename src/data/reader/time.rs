//! Times as files write them: numbers, also with fractions and in scientific notation, and dates
//! such as `2022-06-01T21:20:01.277Z`. They are read exactly: the order of two rows is the order of
//! what is written, down to a billionth.

/// A point in time, or how far along whatever the file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole units, rounded down: usually seconds since 1970.
    pub whole: i64,
    /// Billionths of a unit beyond them.
    pub nanos: u32,
}

impl From<i64> for Time {
    fn from(whole: i64) -> Time {
        Time { whole, nanos: 0 }
    }
}

/// A billion: what a unit is divided into.
const NANOS: i128 = 1_000_000_000;

impl Time {
    /// Reads a number or a date; nothing where the text is neither.
    pub(super) fn read(text: &str) -> Option<Time> {
        let text = text.trim();
        if let Ok(whole) = text.parse::<i64>() {
            return Some(Time::from(whole));
        }
        number(text).or_else(|| date(text))
    }

    fn of_nanos(nanos: i128) -> Option<Time> {
        let whole = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
        Some(Time { whole, nanos: nanos.rem_euclid(NANOS) as u32 })
    }
}

/// A decimal number, rounded down to a billionth: `881250949.5`, `-1.5`, `1.3968748696e+09`.
fn number(text: &str) -> Option<Time> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_whole = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if before.len() + after.len() == 0 || !is_whole(before) || !is_whole(after) {
        return None;
    }
    // The number is `digits * 10^shift` billionths.
    let after = after.trim_end_matches('0');
    let shift = exponent.checked_add(9)?.checked_sub(i32::try_from(after.len()).ok()?)?;
    let add = |value: i128, byte: u8| value.checked_mul(10)?.checked_add(i128::from(byte - b'0'));
    let value = before.bytes().chain(after.bytes()).try_fold(0, add)?;
    let value = if is_negative { -value } else { value };
    let power = 10i128.checked_pow(shift.unsigned_abs());
    Time::of_nanos(match (shift >= 0, power) {
        (true, Some(power)) => value.checked_mul(power)?,
        (true, None) if value == 0 => 0,
        (true, None) => return None,
        (false, Some(power)) => value.div_euclid(power),
        (false, None) => -i128::from(value < 0),
    })
}

/// A date, or a date and a time of day: `2022-06-01`, `2022/06/01 21:20`,
/// `2022-06-01T21:20:01.277Z`, `2022-06-01 21:20:01+02:00`. Without a zone it is UTC.
fn date(text: &str) -> Option<Time> {
    let (day, rest) = text.split_at_checked(10)?;
    let divider = day.as_bytes()[4];
    if !matches!(divider, b'-' | b'/') || day.as_bytes()[7] != divider {
        return None;
    }
    let days = days_since_1970(whole(&day[..4], 9999)?, whole(&day[5..7], 12)?, whole(&day[8..], 31)?)?;
    if rest.is_empty() {
        return Some(Time::from(days * 86_400));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len()));
    let mut parts = clock.split(':');
    let (hours, minutes) = (whole(parts.next()?, 23)?, whole(parts.next()?, 59)?);
    let (seconds, nanos) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (seconds, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, "0"));
            let nanos = billionths(fraction)?;
            // A leap second is a second 60.
            (whole(seconds, 60)?, nanos)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    let ahead = zone_seconds(zone.trim())?;
    Some(Time { whole: days * 86_400 + hours * 3600 + minutes * 60 + seconds - ahead, nanos })
}

/// The digits behind a decimal point as billionths, rounded down.
pub(super) fn billionths(digits: &str) -> Option<u32> {
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let nine = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    is_whole.then(|| nine.fold(0, |nanos, byte| 10 * nanos + u32::from(byte - b'0')))
}

/// How many seconds a zone is ahead of UTC: none, `Z`, `UTC`, `+02:00`, `-0530`, `+02`.
pub(super) fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let (sign, digits) = match zone.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() { 0 } else { whole(minutes, 59)? };
    Some(sign * (whole(hours, 23)? * 3600 + minutes * 60))
}

/// A number of digits alone, at most `most`.
fn whole(text: &str, most: i64) -> Option<i64> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_whole && number <= most)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; nothing for a day that there is not.
pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + i64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if day < 1 || day > length {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Year, month and day of a number of days since 1970.
pub(in crate::data) fn day_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months count from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(i64, u32)> {
        Time::read(text).map(|time| (time.whole, time.nanos))
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!((day_of(0), day_of(-1)), ((1970, 1, 1), (1969, 12, 31)));
        for days in (-400_000..400_000).step_by(17) {
            let (year, month, day) = day_of(days);
            assert_eq!(days_since_1970(year, month, day), Some(days));
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        assert_eq!(read("881250949"), Some((881_250_949, 0)));
        assert_eq!(read(" 881250949.0 "), Some((881_250_949, 0)));
        assert_eq!(read("1396874869.600"), Some((1_396_874_869, 600_000_000)));
        assert_eq!(read("1.396874869600e+09"), Some((1_396_874_869, 600_000_000)));
        assert_eq!(read("1.39687486960000012345E9"), Some((1_396_874_869, 600_000_123)));
        assert_eq!(read("-1.5"), Some((-2, 500_000_000)));
        assert_eq!(
            (read("1e3"), read("15e-1"), read("1e-20")),
            (Some((1000, 0)), Some((1, 500_000_000)), Some((0, 0)))
        );
        assert_eq!(
            (read(".5"), read("0e99"), read("-1e-20")),
            (Some((0, 500_000_000)), Some((0, 0)), Some((-1, 999_999_999)))
        );
        assert_eq!(read("-9223372036854775808"), Some((i64::MIN, 0)));
        for bad in ["", ".", "e5", "NaN", "inf", "1e30", "1e99999999999", "0x10", "1.2.3", "--1", "9223372036854775808"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    /// Seconds as `date -u -d TEXT +%s` of GNU coreutils prints them.
    #[test]
    fn dates_are_seconds_since_1970() {
        assert_eq!(read("2022-06-01T21:20:01.277Z"), Some((1_654_118_401, 277_000_000)));
        assert_eq!(read("2022-06-01 21:20:01"), Some((1_654_118_401, 0)));
        assert_eq!(read("2022-06-01 21:20:01 UTC"), Some((1_654_118_401, 0)));
        assert_eq!(read("2022-06-01T23:20:01+02:00"), Some((1_654_118_401, 0)));
        assert_eq!(read("2022-06-01T15:50:01-0530"), Some((1_654_118_401, 0)));
        assert_eq!(read("2022/06/01 21:20"), Some((1_654_118_400, 0)));
        assert_eq!(read("1970-01-01"), Some((0, 0)));
        assert_eq!(read("2000-02-29"), Some((951_782_400, 0)));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some((-1, 500_000_000)));
        for bad in [
            "2022-13-01",
            "2022-02-30",
            "1900-02-29",
            "2022-06/01",
            "2022-06-01T25:00:00",
            "2022-06-01x",
            "2022-06-01T1:2:3:4",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
