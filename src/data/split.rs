//! Splitting rules: a log divided into training, validation and test rows, with RecBole's rounding.

use std::cmp::Reverse;

use gcnrec_graphs::{Purpose, Seed};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::slice::ParallelSliceMut;

use super::Log;
use super::config::{Config, GroupBy, HoldOut, Order, Rule};
use crate::error::{RecError, Result};

/// Epoch numbers of the random streams for splits: the shuffle before a split, and the carving of
/// further parts.
const SHUFFLE: u64 = 0;
const CARVE: u64 = 1;

/// Divides a log as `config.split` says: training, validation, test. Each part keeps the order of
/// the file; the parts are disjoint and together are all rows. With a `valid_fraction` of 0 the
/// rows that would validate are training rows.
///
/// # Errors
/// [`RecError::Config`] when the order is by time and the log has no times.
///
/// # Source
/// RecBole 1.2.1, splits RS and LS with orders RO and TO. We differ: our shuffle is our own, so
/// random splits have RecBole's sizes but not its rows.
pub(crate) fn split(log: &Log, config: &Config, seed: Seed) -> Result<[Log; 3]> {
    let mut order: Vec<u32> = (0..log.len() as u32).collect();
    match config.order() {
        Order::Random => order.shuffle(&mut seed.stream(Purpose::Split, SHUFFLE, 0)),
        Order::Time if log.times.is_empty() && !log.is_empty() => {
            return Err(RecError::range("data.order", "time", "random").with_todo(
                "the file has no times; name its column with data.time_column, or set data.order = \"random\"",
            ));
        }
        Order::Time => order.sort_by_key(|&row| log.times[row as usize]),
    }
    if config.split == Rule::Time {
        return by_points_in_time(log, &order, config);
    }
    let groups = match (config.split, config.group_by) {
        (Rule::Ratio, GroupBy::None) => vec![order],
        _ => by_user(log, &order),
    };
    let mut parts: [Vec<u32>; 3] = Default::default();
    for group in groups {
        let counts = match config.split {
            Rule::Ratio => ratio_counts(group.len(), config.ratios),
            Rule::LeaveOneOut | Rule::Time => leave_one_out_counts(group.len(), config.hold_out),
        };
        let mut rest = group.as_slice();
        for (part, n) in parts.iter_mut().zip(counts) {
            let (rows, later) = rest.split_at(n);
            part.extend_from_slice(rows);
            rest = later;
        }
    }
    // Without a validation part, its rows are training rows.
    if config.valid_fraction == 0.0 {
        let rows = std::mem::take(&mut parts[1]);
        parts[0].extend(rows);
    }
    Ok(parts.map(|mut rows| {
        rows.sort_unstable();
        log.select(&rows)
    }))
}

/// Divides the rows, given in the order of their times, at two points in time. Rows of the same
/// time go to the later part together.
fn by_points_in_time(log: &Log, order: &[u32], config: &Config) -> Result<[Log; 3]> {
    let counts = ratio_counts(order.len(), config.ratios);
    let times: Vec<i64> = order.iter().map(|&row| log.times[row as usize]).collect();
    let start_of = |place: usize| times.get(place).map_or(times.len(), |&t| times.partition_point(|&time| time < t));
    let (valid, test) = (start_of(counts[0]), start_of(counts[0] + counts[1]));
    if valid == 0 && !order.is_empty() {
        return Err(RecError::range(
            "data.split",
            format!("time, and {} rows of which none is older than the point that divides them", order.len()),
            "times that differ",
        )
        .with_todo("raise the first of data.ratios, or use --split leave-one-out"));
    }
    let start = if config.valid_fraction == 0.0 { test } else { valid };
    Ok([&order[..start], &order[start..test], &order[test..]].map(|rows| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        log.select(&rows)
    }))
}

/// How many of `n` rows go to training, validation and test: the later parts get
/// `floor(ratio * n)`, training the rest; then, from the last part backwards and as long as
/// training has more than one row, a part whose share is above 0 but below one row gets a row from
/// training.
///
/// # Source
/// RecBole 1.2.1, `Dataset._calcu_split_ids`.
pub(crate) fn ratio_counts(n: usize, ratios: [f64; 3]) -> [usize; 3] {
    let sum = ratios[0] + ratios[1] + ratios[2];
    let share = ratios.map(|ratio| ratio / sum * n as f64);
    let mut counts = [0, share[1] as usize, share[2] as usize];
    // With ratios such as 0, 0.5, 0.5 rounding cannot take more than there is: both floors together
    // are at most n.
    counts[0] = n - counts[1] - counts[2];
    for part in [2, 1] {
        if counts[0] <= 1 {
            break;
        }
        if share[part] > 0.0 && share[part] < 1.0 {
            counts[part] += 1;
            counts[0] -= 1;
        }
    }
    counts
}

/// How many of a user's `n` rows go to training, validation and test when the last ones are held
/// out. Training keeps at least one; a user with two rows gives the second to test.
///
/// # Source
/// RecBole 1.2.1, `Dataset._split_index_by_leave_one_out`.
pub(crate) fn leave_one_out_counts(n: usize, hold_out: HoldOut) -> [usize; 3] {
    let spare = n.saturating_sub(1);
    let [valid, test] = match hold_out {
        HoldOut::ValidAndTest => [usize::from(spare >= 2), usize::from(spare >= 1)],
        HoldOut::ValidOnly => [spare.min(1), 0],
        HoldOut::TestOnly => [0, spare.min(1)],
    };
    [n - valid - test, valid, test]
}

/// Takes a seeded share of each user's rows out of a log: (kept, carved), both in file order.
///
/// Of `n` rows `n * fraction` are carved, rounded down or up at random so that the share is right
/// on average for users with few rows too; at least one row of each user is kept. Different values
/// of `index` carve independently: 0 is the validation part, 1 the part for layer weights.
pub(crate) fn carve(log: &Log, fraction: f64, seed: Seed, index: u64) -> (Log, Log) {
    let mut rng = seed.stream(Purpose::Split, CARVE, index);
    let order: Vec<u32> = (0..log.len() as u32).collect();
    let mut is_carved = vec![false; log.len()];
    for mut rows in by_user(log, &order) {
        let share = rows.len() as f64 * fraction;
        let rounded_up = rng.random::<f64>() < share.fract();
        let n = (share as usize + usize::from(rounded_up)).min(rows.len() - 1);
        for place in 0..n {
            let chosen = rng.random_range(place..rows.len());
            rows.swap(place, chosen);
            is_carved[rows[place] as usize] = true;
        }
    }
    let (carved, kept): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|&row| is_carved[row as usize]);
    (log.select(&kept), log.select(&carved))
}

/// Takes the newest row of a seeded share of the users out of a log: (kept, carved), both in file
/// order. Of rows of the same time the last in the file is the newest; users with one row keep it.
/// `index` as in [`carve`].
pub(crate) fn carve_last(log: &Log, fraction: f64, seed: Seed, index: u64) -> (Log, Log) {
    let mut rng = seed.stream(Purpose::Split, CARVE, index);
    let order: Vec<u32> = (0..log.len() as u32).collect();
    let time = |row: u32| log.times.get(row as usize).copied().unwrap_or(0);
    let mut is_carved = vec![false; log.len()];
    for rows in by_user(log, &order) {
        let chosen = rng.random::<f64>() < fraction;
        if chosen && rows.len() > 1 {
            let newest = rows.iter().copied().max_by_key(|&row| (time(row), row)).expect("a group should have rows");
            is_carved[newest as usize] = true;
        }
    }
    let (carved, kept): (Vec<u32>, Vec<u32>) = order.into_iter().partition(|&row| is_carved[row as usize]);
    (log.select(&kept), log.select(&carved))
}

/// The rows of each user, in the given order; users without rows are left out.
fn by_user(log: &Log, order: &[u32]) -> Vec<Vec<u32>> {
    let n_users = log.users.iter().max().map_or(0, |&user| user as usize + 1);
    let mut groups = vec![Vec::new(); n_users];
    for &row in order {
        groups[log.users[row as usize] as usize].push(row);
    }
    groups.retain(|group: &Vec<u32>| !group.is_empty());
    groups
}

/// The positions of a log's rows with one row for each pair: the earliest or the latest, in file
/// order.
pub(super) fn distinct_rows(log: &Log, keep_last: bool) -> Vec<u32> {
    let pair = |row: u32| (log.users[row as usize], log.items[row as usize]);
    let time = |row: u32| log.times.get(row as usize).copied().unwrap_or(0);
    let mut rows: Vec<u32> = (0..log.len() as u32).collect();
    if keep_last {
        rows.par_sort_unstable_by_key(|&row| (pair(row), Reverse((time(row), row))));
    } else {
        rows.par_sort_unstable_by_key(|&row| (pair(row), time(row), row));
    }
    rows.dedup_by_key(|row| pair(*row));
    rows.par_sort_unstable();
    rows
}

#[cfg(test)]
mod tests;
