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
