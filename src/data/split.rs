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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// User k has `sizes[k]` rows; items are numbered through, times run backwards.
    fn log(sizes: &[usize]) -> Log {
        let users: Vec<u32> = sizes.iter().enumerate().flat_map(|(user, &n)| vec![user as u32; n]).collect();
        let n = users.len();
        Log { users, items: (0..n as u32).collect(), ratings: Vec::new(), times: (0..n as i64).rev().collect() }
    }

    #[test]
    fn ratios_round_as_in_recbole() {
        // Taken from RecBole's code: 1, 2, 3, 4, 5, 10, 19, 20 for (.8, .1, .1). Between them the
        // rule is worked by hand: for n <= 9 each later part has a share below 1 and takes one row
        // while training has two or more; for 10..=19 floor(n/10) = 1.
        for n in 1..=20 {
            let expected = match n {
                1 => [1, 0, 0],
                2 => [1, 0, 1],
                3..=19 => [n - 2, 1, 1],
                _ => [16, 2, 2],
            };
            assert_eq!(ratio_counts(n, [0.8, 0.1, 0.1]), expected, "{n}");
        }
        assert_eq!(ratio_counts(10, [7.0, 2.0, 1.0]), [7, 2, 1]);
        assert_eq!(ratio_counts(19, [7.0, 2.0, 1.0]), [15, 3, 1]);
        assert_eq!(ratio_counts(20, [7.0, 2.0, 1.0]), [14, 4, 2]);
        assert_eq!(ratio_counts(3, [0.8, 0.0, 0.2]), [2, 0, 1]);
        assert_eq!(ratio_counts(0, [0.8, 0.1, 0.1]), [0, 0, 0]);
    }

    #[test]
    fn a_log_without_rows_is_divided_into_nothing_in_any_order() {
        for order in [Order::Random, Order::Time] {
            let config = Config { order: Some(order), ..Config::default() };
            assert!(split(&Log::default(), &config, Seed(1)).unwrap().iter().all(Log::is_empty));
        }
    }

    #[test]
    fn leaving_one_out_keeps_one_row_for_training() {
        assert_eq!(leave_one_out_counts(0, HoldOut::ValidAndTest), [0, 0, 0]);
        assert_eq!(leave_one_out_counts(1, HoldOut::ValidAndTest), [1, 0, 0]);
        assert_eq!(leave_one_out_counts(2, HoldOut::ValidAndTest), [1, 0, 1]);
        assert_eq!(leave_one_out_counts(5, HoldOut::ValidAndTest), [3, 1, 1]);
        assert_eq!(leave_one_out_counts(1, HoldOut::ValidOnly), [1, 0, 0]);
        assert_eq!(leave_one_out_counts(5, HoldOut::ValidOnly), [4, 1, 0]);
        assert_eq!(leave_one_out_counts(5, HoldOut::TestOnly), [4, 0, 1]);
    }

    #[test]
    fn by_time_the_latest_rows_are_held_out_and_equal_times_keep_file_order() {
        // Times run backwards, so the first row of each user is the latest.
        let config = Config { split: Rule::LeaveOneOut, ..Config::default() };
        let [train, valid, test] = split(&log(&[4, 1]), &config, Seed(1)).unwrap();
        assert_eq!((train.items, valid.items, test.items), (vec![2, 3, 4], vec![1], vec![0]));
        let tied = Log { times: vec![7; 4], ..log(&[4]) };
        let [train, valid, test] = split(&tied, &config, Seed(1)).unwrap();
        assert_eq!((train.items, valid.items, test.items), (vec![0, 1], vec![2], vec![3]));
    }

    #[test]
    fn a_log_without_times_cannot_be_split_by_time() {
        let config = Config { split: Rule::LeaveOneOut, ..Config::default() };
        let untimed = Log { times: Vec::new(), ..log(&[4]) };
        let error = split(&untimed, &config, Seed(1)).unwrap_err();
        assert!(error.to_string().starts_with("data.order: found time, expected random"), "{error}");
    }

    #[test]
    fn without_groups_the_whole_log_is_divided_at_once() {
        let config = Config { group_by: GroupBy::None, ..Config::default() };
        let parts = split(&log(&[1; 20]), &config, Seed(1)).unwrap();
        assert_eq!(parts.map(|part| part.len()), [16, 2, 2]);
    }

    #[test]
    fn carving_leaves_every_user_a_row_and_takes_the_share_on_average() {
        let log = log(&[1; 50].into_iter().chain([5; 2000]).collect::<Vec<_>>());
        let (kept, carved) = carve(&log, 0.1, Seed(3), 0);
        assert_eq!(kept.len() + carved.len(), log.len());
        assert!((0..2050).all(|user| kept.users.contains(&user)));
        assert!(carved.users.iter().all(|&user| user >= 50));
        // 2000 users with .5 rows each: mean 1000, standard deviation sqrt(2000 / 4) = 22.4; five
        // of them are 112.
        assert!((888..=1112).contains(&carved.len()), "{}", carved.len());
        assert_eq!(carve(&log, 0.0, Seed(3), 0).1.len(), 0);
        assert_ne!(carve(&log, 0.1, Seed(3), 1).1, carved);
        assert_eq!(carve(&log, 0.1, Seed(3), 0).1, carved);
    }

    #[test]
    fn points_in_time_divide_everybody_alike_and_never_one_moment() {
        let log = Log {
            users: vec![0, 1, 0, 1, 0, 1],
            items: (0..6).collect(),
            times: vec![50, 10, 20, 30, 30, 40],
            ..Log::default()
        };
        // Of six rows .5, .25 and .25 are 4, 1 and 1. In order of time 10 20 30 30 40 50:
        // validation starts at 40, test at 50.
        let config = Config { split: Rule::Time, ratios: [0.5, 0.25, 0.25], ..Config::default() };
        let parts = split(&log, &config, Seed(1)).unwrap();
        assert_eq!(parts.map(|part| part.items), [vec![1, 2, 3, 4], vec![5], vec![0]]);
        // .2, .4 and .4 are 2, 2 and 2: validation starts at 30, test at 40.
        let config = Config { ratios: [0.2, 0.4, 0.4], ..config };
        let parts = split(&log, &config, Seed(1)).unwrap();
        assert_eq!(parts.map(|part| part.items), [vec![1, 2], vec![3, 4], vec![0, 5]]);
        // 3, 1 and 2 (shares 6 x .5/1.01, .17/1.01 and .34/1.01): the fourth row has the time of
        // the third, so both validate.
        let config = Config { ratios: [0.5, 0.17, 0.34], ..config };
        let parts = split(&log, &config, Seed(1)).unwrap();
        assert_eq!(parts.map(|part| part.items), [vec![1, 2], vec![3, 4], vec![0, 5]]);
        let still = Log { times: vec![7; 6], ..log };
        let error = split(&still, &config, Seed(1)).unwrap_err();
        assert!(error.to_string().starts_with("data.split: found time, and 6 rows"), "{error}");
    }

    #[test]
    fn without_a_validation_part_its_rows_are_training_rows() {
        let times = (0..10).collect();
        let log = Log { users: vec![0; 10], items: (0..10).collect(), times, ..Log::default() };
        let ordered = Config { order: Some(Order::Time), valid_fraction: 0.0, ..Config::default() };
        // A tenth of ten rows, and the last one, are the same row.
        for rule in [Rule::Ratio, Rule::LeaveOneOut, Rule::Time] {
            let parts = split(&log, &Config { split: rule, ..ordered.clone() }, Seed(1)).unwrap();
            assert_eq!(parts.map(|part| part.items), [(0..9).collect(), vec![], vec![9]], "{rule:?}");
        }
    }

    #[test]
    fn the_newest_row_of_a_share_of_the_users_is_carved() {
        let log = log(&[1; 50].into_iter().chain([3; 2000]).collect::<Vec<_>>());
        let (kept, carved) = carve_last(&log, 0.1, Seed(3), 0);
        assert_eq!(kept.len() + carved.len(), log.len());
        assert!(carved.users.iter().all(|&user| user >= 50), "users with one row keep it");
        // Times fall along the file, and users from 50 on have three rows each: the newest is the
        // first of them. Items are rows.
        for (user, item) in carved.users.iter().zip(&carved.items) {
            assert_eq!(*item, 50 + (user - 50) * 3);
        }
        // 2000 users with a chance of .1: mean 200, standard deviation sqrt(180) = 13.4; five of
        // them are 67.
        assert!((133..=267).contains(&carved.len()), "{}", carved.len());
        assert_eq!(carve_last(&log, 0.0, Seed(3), 0).1.len(), 0);
    }

    #[test]
    fn of_equal_pairs_the_earliest_or_the_latest_stays() {
        let log = Log { users: vec![0, 1, 0, 0], items: vec![5, 5, 5, 6], ratings: vec![], times: vec![9, 9, 3, 9] };
        assert_eq!(distinct_rows(&log, false), [1, 2, 3]);
        assert_eq!(distinct_rows(&log, true), [0, 1, 3]);
        let untimed = Log { times: vec![], ..log };
        assert_eq!(distinct_rows(&untimed, false), [0, 1, 3]);
        assert_eq!(distinct_rows(&untimed, true), [1, 2, 3]);
    }

    fn sorted(parts: &[&Log]) -> Vec<u32> {
        let mut items: Vec<u32> = parts.iter().flat_map(|part| part.items.iter().copied()).collect();
        items.sort_unstable();
        items
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_together_everything(
            sizes in prop::collection::vec(0usize..30, 1..20),
            ratios in [0.0f64..5.0, 0.0..5.0, 0.0..5.0],
            leave in any::<bool>(),
            grouped in any::<bool>(),
            timed in any::<bool>(),
            seed in any::<u64>(),
            fraction in 0.0f64..1.0,
        ) {
            let log = log(&sizes);
            let config = Config {
                split: if leave { Rule::LeaveOneOut } else { Rule::Ratio },
                ratios: [ratios[0] + 0.01, ratios[1], ratios[2]],
                group_by: if grouped { GroupBy::User } else { GroupBy::None },
                order: Some(if timed { Order::Time } else { Order::Random }),
                ..Config::default()
            };
            let parts = split(&log, &config, Seed(seed)).unwrap();
            // Items are unique, so they stand for rows.
            prop_assert_eq!(sorted(&parts.iter().collect::<Vec<_>>()), (0..log.len() as u32).collect::<Vec<_>>());
            let (kept, carved) = carve(&parts[0], fraction, Seed(seed), 0);
            prop_assert_eq!(sorted(&[&kept, &carved]), sorted(&[&parts[0]]));
            let n_users = |log: &Log| log.users.iter().collect::<std::collections::BTreeSet<_>>().len();
            prop_assert_eq!(n_users(&kept), n_users(&parts[0]));
        }
    }
}
