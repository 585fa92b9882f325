//! Units of time: what the numbers of a column count, and how finely the times of a split do.

use super::reader::Time;

/// How many units of [`super::Log::times`] are one second, where the source counts time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerSecond(pub u64);

impl Default for PerSecond {
    fn default() -> Self {
        PerSecond(1)
    }
}

/// Units that a number since 1970 may count, each with the size from which on it is meant: 10^11
/// seconds are the year 5138, and 10^11 milliseconds the year 1973.
const UNITS: [(u64, u64, &str); 3] = [
    (100_000_000_000_000_000, 1_000_000_000, "nanoseconds"),
    (100_000_000_000_000, 1_000_000, "microseconds"),
    (100_000_000_000, 1_000, "milliseconds"),
];

/// Numbers from here on are points in time: 10^8 seconds are the year 1973. Smaller ones count
/// something of their own.
const SINCE_1970: u64 = 100_000_000;

/// The times of a file while it is read.
#[derive(Debug, Default)]
pub(super) struct Times {
    whole: Vec<i64>,
    /// Empty as long as all are 0.
    nanos: Vec<u32>,
    /// How many are as large as the unit in the same place of [`UNITS`].
    n_large: [usize; 3],
    /// How many are [`SINCE_1970`] or more.
    n_dated: usize,
}

/// The times of a file in one unit.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) times: Vec<i64>,
    pub(super) ticks: PerSecond,
    /// What the numbers of the file count: units of a second, and their name.
    pub(super) unit: (u64, &'static str),
    /// True where most of them are points in time, not small numbers.
    pub(super) is_dated: bool,
}

impl Times {
    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Whole units in the order of the rows.
    pub(super) fn whole(&self) -> &[i64] {
        &self.whole
    }

    pub(super) fn push(&mut self, time: Time) {
        if time.nanos != 0 || !self.nanos.is_empty() {
            self.nanos.resize(self.whole.len(), 0);
            self.nanos.push(time.nanos);
        }
        self.whole.push(time.whole);
        self.n_dated += usize::from(time.whole.unsigned_abs() >= SINCE_1970);
        for ((from, ..), n) in UNITS.iter().zip(&mut self.n_large) {
            *n += usize::from(time.whole.unsigned_abs() >= *from);
        }
    }

    /// The times in a unit that is fine enough for all that was written, as far as 64 bits hold it.
    pub(super) fn finish(self) -> Read {
        let Times { whole: mut times, nanos, n_large, n_dated } = self;
        let is_dated = 2 * n_dated > times.len();
        // One wrong number should not change the unit of all the others.
        let is_meant = |&(_, n): &(_, usize)| 2 * n > times.len();
        let unit =
            UNITS.iter().zip(n_large).find(is_meant).map_or((1, "seconds"), |((_, unit, name), _)| (*unit, *name));
        let largest = times.iter().map(|time| time.unsigned_abs()).max().unwrap_or(0);
        let power = |digits: u32| 10u64.pow(digits);
        let is_exact = |&digits: &u32| nanos.iter().all(|nanos| u64::from(*nanos) % power(9 - digits) == 0);
        let holds = |&digits: &u32| {
            largest.checked_add(1).is_some_and(|n| n.checked_mul(power(digits)).is_some_and(|n| n <= 1 << 62))
        };
        let digits = (0..9).find(is_exact).unwrap_or(9);
        let digits = (0..=digits).rev().find(holds).unwrap_or(0);
        if digits > 0 {
            for (time, nanos) in times.iter_mut().zip(&nanos) {
                *time = *time * power(digits) as i64 + (u64::from(*nanos) / power(9 - digits)) as i64;
            }
        }
        Read { times, ticks: PerSecond(unit.0.saturating_mul(power(digits))), unit, is_dated }
    }
}

impl Read {
    /// The oldest and the newest time.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    /// Takes small numbers for days.
    pub(super) fn count_days(&mut self) {
        if finer(&mut self.times, 86_400).is_some() {
            self.unit.1 = "days";
        }
    }

    /// Numbers that cannot be points in time in the unit of the others: the first of them, and how
    /// many there are. Beside others of our time, 0 stands for one that is missing, and a number
    /// of another unit for a day in 1970 or in a far century.
    pub(super) fn absurd(&self) -> Option<(i64, usize)> {
        // 1900, the year around 1970, and 2200, in seconds.
        const YEAR: i64 = 31_536_000;
        let per_second = self.ticks.0 as i64;
        let is_absurd = |time: &&i64| {
            let seconds = **time / per_second.max(1);
            !(-70 * YEAR..230 * YEAR).contains(&seconds) || seconds.abs() < YEAR
        };
        let mut absurd = self.times.iter().filter(is_absurd);
        let first = self.is_dated.then(|| absurd.next()).flatten()?;
        Some((*first, 1 + absurd.count()))
    }
}

/// Counts times more finely; nothing where 64 bits do not hold them.
pub(super) fn finer(times: &mut [i64], factor: u64) -> Option<()> {
    let factor = i64::try_from(factor).ok()?;
    times.iter_mut().try_for_each(|time| {
        *time = time.checked_mul(factor)?;
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(times: &[(i64, u32)]) -> Read {
        let mut read = Times::default();
        times.iter().for_each(|&(whole, nanos)| read.push(Time { whole, nanos }));
        read.finish()
    }

    #[test]
    fn whole_seconds_stay_and_fractions_get_as_many_digits_as_are_written() {
        let seconds = |per_second, times: &[i64]| Read {
            times: times.to_vec(),
            ticks: PerSecond(per_second),
            unit: (1, "seconds"),
            is_dated: false,
        };
        assert_eq!(finished(&[(7, 0), (-2, 0)]), seconds(1, &[7, -2]));
        // 1.6 s, 2 s and -1.5 s (which is .5 beyond -2) in tenths.
        assert_eq!(finished(&[(1, 600_000_000), (2, 0), (-2, 500_000_000)]), seconds(10, &[16, 20, -15]));
        assert_eq!(finished(&[(2, 0), (1, 250_000_000)]), seconds(100, &[200, 125]));
        assert_eq!(finished(&[(1, 1)]), seconds(1_000_000_000, &[1_000_000_001]));
    }

    #[test]
    fn the_unit_is_told_by_the_size_of_most_numbers() {
        let unit = |times: &[i64]| finished(&times.iter().map(|&time| (time, 0)).collect::<Vec<_>>()).unit.1;
        assert_eq!(unit(&[1_396_874_869, 1_396_874_870, i64::MAX]), "seconds");
        assert_eq!(unit(&[1_396_874_869_600, 0, 1_396_874_869_700]), "milliseconds");
        assert_eq!(unit(&[1_396_874_869_600_000]), "microseconds");
        assert_eq!(unit(&[-1_396_874_869_600_000_000]), "nanoseconds");
        assert_eq!(finished(&[(1_396_874_869_600, 500_000_000)]).ticks, PerSecond(10_000));
    }

    #[test]
    fn numbers_of_another_unit_or_none_are_found_among_points_in_time() {
        let absurd = |times: &[i64]| finished(&times.iter().map(|&time| (time, 0)).collect::<Vec<_>>()).absurd();
        assert_eq!(absurd(&[1_396_874_869, 1_396_874_870, 1_396_874_871, 0, 0]), Some((0, 2)));
        assert_eq!(absurd(&[1_396_874_869, 1_396_874_870, 1_396_874_869_000]), Some((1_396_874_869_000, 1)));
        // Seconds among milliseconds are 16 days of 1970.
        assert_eq!(absurd(&[1_396_874_869_000, 1_396_874_870, 1_396_874_869_000]), Some((1_396_874_870, 1)));
        assert_eq!(absurd(&[1_396_874_869, -1_000_000_000]), None, "1938");
        assert_eq!(absurd(&[0, 1, 2, 711]), None, "no points in time");
    }

    #[test]
    fn what_64_bits_do_not_hold_is_counted_less_finely() {
        // 4 * 10^18 with a fraction: no digit more fits.
        assert_eq!(finished(&[(4_000_000_000_000_000_000, 1)]).times, [4_000_000_000_000_000_000]);
        assert_eq!(finer(&mut [i64::MAX / 2], 10), None);
    }
}
