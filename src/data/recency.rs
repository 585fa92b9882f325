//! Time in training: a recent window to learn from, and pairs that count less the older they are.
//!
//! Both look at the training part alone (and, where a model learns from it too, at the validation
//! part): what is held out moves nothing.

use gcnrec_graphs::Interactions;

use super::config::Config;
use super::{Clock, Log, Part, Split};
use crate::error::{RecError, Result};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// Moves training rows that are older than the configured window to the context, and takes the
/// half-life down.
///
/// # Errors
/// [`RecError::Config`] where the data have no times to compare.
pub(super) fn apply(split: &mut Split, config: &Config) -> Result<()> {
    let needs = |key: &str, found: f64, enough: bool| {
        if enough { Ok(found) } else { Err(no_times(&format!("data.{key}"), found, split.clock)) }
    };
    let day = DAY * split.ticks.0 as f64;
    let in_seconds = split.clock == Clock::Seconds;
    let in_order = in_seconds || split.clock == Clock::Lines;
    if let Some(days) = config.half_life_days {
        split.half_life = Some(needs("half_life_days", days, in_seconds)? * day);
    }
    let times = &split.train.times;
    let start = match (config.recent_days, config.recent_fraction) {
        (Some(days), _) => {
            let newest = needs("recent_days", days, in_seconds).map(|_| times.iter().copied().max())?;
            newest.map(|newest| newest as f64 - days * day)
        }
        (_, Some(fraction)) => {
            needs("recent_fraction", fraction, in_order)?;
            newest_share(times.clone(), fraction).map(|start| start as f64)
        }
        (None, None) => None,
    };
    let Some(start) = start else { return Ok(()) };
    let rows = 0..split.train.len() as u32;
    let (recent, older): (Vec<u32>, Vec<u32>) = rows.partition(|&row| split.train.times[row as usize] as f64 >= start);
    split.context.append(&split.train.select(&older));
    split.train = split.train.select(&recent);
    Ok(())
}

/// When the newest share of some rows begins; rows as old as its oldest one belong to it.
fn newest_share(mut times: Vec<i64>, fraction: f64) -> Option<i64> {
    times.sort_unstable();
    let n_recent = (fraction * times.len() as f64).ceil() as usize;
    times.len().checked_sub(n_recent.max(1)).map(|place| times[place])
}

fn no_times(key: &str, found: f64, clock: Clock) -> RecError {
    let (expected, todo) = match clock {
        Clock::Rows => {
            ("nothing: the files have an order for each user and no times", "give files with a column of times")
        }
        Clock::Lines => ("nothing: the lines of sessions have an order and no times", "use data.recent_fraction"),
        Clock::None | Clock::Seconds => ("nothing: the files have no times", "name their column with data.time_column"),
    };
    RecError::range(key, found, expected).with_todo(format!("{todo}, or remove the key"))
}

impl Split {
    /// Only the newest share of the rows of some parts, as one log, by the rule of
    /// `data.recent_fraction`; `key` is who asks.
    ///
    /// # Errors
    /// [`RecError::Config`] where the rows have no times to compare.
    pub fn newest(&self, parts: &[Part], fraction: f64, key: &str) -> Result<Log> {
        let mut rows = Log::default();
        parts.iter().for_each(|&part| rows.append(self.part(part)));
        if !matches!(self.clock, Clock::Seconds | Clock::Lines) {
            return Err(no_times(key, fraction, self.clock));
        }
        if rows.times.len() < rows.len() {
            return Err(no_times(key, fraction, Clock::None));
        }
        let start = newest_share(rows.times.clone(), fraction);
        let recent: Vec<u32> = (0..rows.len() as u32)
            .filter(|&row| start.is_some_and(|start| rows.times[row as usize] >= start))
            .collect();
        Ok(rows.select(&recent))
    }

    /// The weight of every pair by its age: `2^(-age / half_life)`, age being the time from the
    /// newest row of the pair to the newest row of all of them; then all are divided by their mean,
    /// so that a pair weighs 1 on average. None without a half-life.
    ///
    /// # Shapes
    /// - returns `[n_edges]`
    pub fn recency_weights(&self, pairs: &Interactions) -> Option<Vec<f32>> {
        let half_life = self.half_life?;
        let mut newest: Vec<Option<i64>> = vec![None; pairs.n_edges()];
        let timed = |log: &&Log| log.times.len() == log.len();
        for log in [&self.train, &self.valid].into_iter().filter(timed) {
            for ((user, item), &time) in log.pairs().zip(&log.times) {
                if let Some(edge) = pairs.edge(user, item) {
                    newest[edge] = newest[edge].max(Some(time));
                }
            }
        }
        let last = newest.iter().flatten().max().copied().unwrap_or(0);
        // A pair whose time nobody knows counts like the newest.
        let weight = |time: &Option<i64>| time.map_or(1.0, |time| ((time - last) as f64 / half_life).exp2());
        let weights: Vec<f64> = newest.iter().map(weight).collect();
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        Some(weights.iter().map(|weight| (weight / mean) as f32).collect())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    const TEN_DAYS: i64 = 864_000;

    /// Rows 0, 10, 20 and 30 days after an unknown beginning, and a test row long after them.
    fn split(clock: Clock) -> Split {
        let times = (0..4).map(|row| 1_000 + row * TEN_DAYS).collect();
        Split {
            users: ["a", "b"].iter().collect(),
            items: ["w", "x", "y", "z"].iter().collect(),
            train: Log { users: vec![0, 1, 0, 1], items: vec![0, 1, 2, 3], times, ..Log::default() },
            test: Log { users: vec![0], items: vec![3], times: vec![1_000 + 90 * TEN_DAYS], ..Log::default() },
            clock,
            ..Split::default()
        }
    }

    fn windowed(config: Config) -> (Vec<u32>, Vec<u32>) {
        let mut split = split(Clock::Seconds);
        apply(&mut split, &config).unwrap();
        (split.train.items, split.context.items)
    }

    #[test]
    fn a_window_keeps_the_newest_rows_and_the_others_stay_known() {
        // 30 - 15 = 15 days: rows at 20 and 30 days. 30 - 10 = 20: the row at 20 days is just
        // within.
        assert_eq!(windowed(Config { recent_days: Some(15.0), ..Config::default() }), (vec![2, 3], vec![0, 1]));
        assert_eq!(windowed(Config { recent_days: Some(10.0), ..Config::default() }), (vec![2, 3], vec![0, 1]));
        assert_eq!(windowed(Config { recent_days: Some(9.0), ..Config::default() }), (vec![3], vec![0, 1, 2]));
        // .3 of 4 rows is 1.2, rounded up 2.
        assert_eq!(windowed(Config { recent_fraction: Some(0.3), ..Config::default() }), (vec![2, 3], vec![0, 1]));
        assert_eq!(windowed(Config { recent_fraction: Some(1.0), ..Config::default() }), (vec![0, 1, 2, 3], vec![]));
        assert_eq!(windowed(Config::default()), (vec![0, 1, 2, 3], vec![]));
    }

    #[test]
    fn the_newest_share_of_several_parts_is_that_of_their_rows_together() {
        let timed = split(Clock::Seconds);
        let newest =
            |parts: &[Part], fraction| timed.newest(parts, fraction, "train.finetune_recent_fraction").unwrap().items;
        // Rows at 0, 10, 20 and 30 days, and the test row after them: of 5 the newest 2.
        assert_eq!(newest(&[Part::Train], 0.5), [2, 3]);
        assert_eq!(newest(&[Part::Train, Part::Test], 0.4), [3, 3]);
        assert_eq!(newest(&[Part::Train], 1.0), [0, 1, 2, 3]);
        let error =
            split(Clock::Rows).newest(&[Part::Train], 0.5, "train.finetune_recent_fraction").unwrap_err().to_string();
        assert!(error.starts_with("train.finetune_recent_fraction: found 0.5, expected nothing: the files"), "{error}");
    }

    #[test]
    fn rows_as_old_as_the_oldest_recent_one_stay_together() {
        let mut tied = split(Clock::Lines);
        tied.train.times = vec![1, 2, 2, 3];
        apply(&mut tied, &Config { recent_fraction: Some(0.5), ..Config::default() }).unwrap();
        assert_eq!((tied.train.items, tied.context.items), (vec![1, 2, 3], vec![0]));
    }

    #[test]
    fn a_pair_halves_with_every_half_life_and_the_mean_weight_is_one() {
        let mut split = split(Clock::Seconds);
        assert_eq!(split.recency_weights(&split.train_interactions().unwrap()), None);
        apply(&mut split, &Config { half_life_days: Some(10.0), ..Config::default() }).unwrap();
        // Edges by user: (a, w) 0 days, (a, y) 20, (b, x) 10, (b, z) 30: 1/8, 1/2, 1/4, 1 with the
        // mean 15/32.
        let weights = split.recency_weights(&split.train_interactions().unwrap()).unwrap();
        let expected = [4.0 / 15.0, 16.0 / 15.0, 8.0 / 15.0, 32.0 / 15.0];
        assert_abs_diff_eq!(&weights[..], &expected[..], epsilon = 1e-6);
        // A pair that is met again is as new as its newest row: (a, w) at 30 days. 1, 1/2, 1/4, 1
        // with the mean 11/16.
        split.train.append(&Log {
            users: vec![0],
            items: vec![0],
            times: vec![1_000 + 3 * TEN_DAYS],
            ..Log::default()
        });
        let weights = split.recency_weights(&split.train_interactions().unwrap()).unwrap();
        assert_abs_diff_eq!(&weights[..], &[16.0 / 11.0, 8.0 / 11.0, 4.0 / 11.0, 16.0 / 11.0][..], epsilon = 1e-6);
    }

    #[test]
    fn an_order_without_times_is_refused_where_times_are_compared() {
        let refused = |clock, config: Config| apply(&mut split(clock), &config).map_err(|error| error.to_string());
        let days = || Config { recent_days: Some(7.0), ..Config::default() };
        let error = refused(Clock::Rows, days()).unwrap_err();
        assert!(error.starts_with("data.recent_days: found 7, expected nothing: the files have an order"), "{error}");
        let error = refused(Clock::Lines, days()).unwrap_err();
        assert!(error.ends_with("use data.recent_fraction, or remove the key"), "{error}");
        let half_life = Config { half_life_days: Some(7.0), ..Config::default() };
        let error = refused(Clock::None, half_life).unwrap_err();
        assert!(
            error.starts_with("data.half_life_days: found 7, expected nothing: the files have no times"),
            "{error}"
        );
        let fraction = || Config { recent_fraction: Some(0.5), ..Config::default() };
        assert!(refused(Clock::Lines, fraction()).is_ok() && refused(Clock::Rows, fraction()).is_err());
    }
}
