//! Tests of what loading says: times, ids that do not meet, repeats, low ratings.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use gcnrec_graphs::Seed;
use tempfile::TempDir;

use super::super::{Config, Duplicates, PerSecond, Rule, Split, Unknown, ValidRows, load};
use crate::error::Result;

fn write(files: &[(&str, String)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load_one(text: &str, config: Config) -> Result<Split> {
    let folder = write(&[("data.csv", text.into())]);
    load(&Config { path: Some(folder.path().join("data.csv")), ..config }, Seed(1))
}

fn leave_one_out() -> Config {
    Config { split: Rule::LeaveOneOut, ..Config::default() }
}

/// Ten users who met A, B, C and D in this order within one second, in a file that is sorted
/// otherwise: `time` writes the time of the row's fraction.
fn within_a_second(time: impl Fn(&str) -> String) -> String {
    let mut rows = String::from("user,item,timestamp\n");
    for user in 0..10 {
        for at in [3, 0, 2, 1] {
            let item = char::from(b'A' + (at + 4 * user) % 4);
            let fraction = ["000", "250", "5", "75"][usize::from(at)];
            writeln!(rows, "u{user},{item}{user},{}", time(fraction)).unwrap();
        }
    }
    rows
}

#[test]
fn fractions_scientific_notation_and_dates_decide_the_order() {
    let decimal = |fraction: &str| format!("1396874869.{fraction}");
    let scientific = |fraction: &str| format!("1.396874869{fraction}e+09");
    let date = |fraction: &str| format!("2014-04-07T12:47:49.{fraction}Z");
    for text in [within_a_second(decimal), within_a_second(scientific), within_a_second(date)] {
        let split = load_one(&text, leave_one_out()).unwrap();
        assert_eq!((split.test.len(), split.ticks), (10, PerSecond(100)));
        assert!(split.test.items.iter().all(|&item| split.items.key(item).starts_with('D')), "{text}");
        assert!(split.valid.items.iter().all(|&item| split.items.key(item).starts_with('C')), "{text}");
    }
}

#[test]
fn parts_of_which_one_is_finer_are_counted_alike() {
    let folder = write(&[
        ("train", "user,item,time\na,x,10\na,y,11\nb,x,10\n".into()),
        ("test", "user,item,time\na,x,10.5\nb,y,12.25\n".into()),
    ]);
    let path = |name: &str| Some(folder.path().join(name));
    let config = Config { train: path("train"), test: path("test"), valid_fraction: 0.0, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!((split.train.times, split.test.times), (vec![1000, 1100, 1000], vec![1050, 1225]));
    let other_way = Config { train: path("test"), test: path("train"), ..config };
    let split = load(&other_way, Seed(1)).unwrap();
    assert_eq!((split.test.times, split.train.times), (vec![1000, 1100, 1000], vec![1050, 1225]));
}

#[test]
fn milliseconds_are_told_and_days_of_them_are_days() {
    let rows = |unit: i64| {
        let row = |day: i64| format!("u{},i{day},{}\n", day % 2, (1_396_874_869 + day * 86_400) * unit);
        format!("user,item,time\n{}", (0..20).map(row).collect::<String>())
    };
    let loaded = |unit: i64| {
        let config = Config {
            recent_days: Some(5.0),
            half_life_days: Some(2.0),
            valid_fraction: 0.0,
            ratios: [1.0, 0.0, 0.0],
            ..Config::default()
        };
        load_one(&rows(unit), config).unwrap()
    };
    let (seconds, milliseconds) = (loaded(1), loaded(1000));
    assert_eq!(seconds.train.items, milliseconds.train.items);
    assert_eq!((seconds.train.len(), &seconds.notes), (6, &vec![]));
    assert_eq!((seconds.half_life, milliseconds.half_life), (Some(2.0 * 86_400.0), Some(2.0 * 86_400_000.0)));
    let said = milliseconds.notes.join("\n");
    for key in ["recent_days", "half_life_days"] {
        assert!(
            said.contains(&format!("times are milliseconds, told by their size: data.{key} is converted")),
            "{said}"
        );
    }
}

#[test]
fn repeats_that_are_dropped_are_said_and_age_counts_from_the_newest() {
    let text = "user,item,time\na,x,10\na,y,20\na,x,30\n";
    let all = Config { valid_fraction: 0.0, ratios: [1.0, 0.0, 0.0], ..Config::default() };
    let split = load_one(text, all.clone()).unwrap();
    assert_eq!(split.train.times, [10, 20]);
    let said = "1 of 3 rows of data.csv repeat a pair of user and item and were dropped, the oldest stayed";
    assert!(split.notes[0].starts_with(said), "{:?}", split.notes);
    let recent = load_one(text, Config { half_life_days: Some(1.0), ..all.clone() }).unwrap();
    assert_eq!(recent.train.times, [20, 30]);
    let kept = load_one(text, Config { duplicates: Some(Duplicates::KeepAll), ..all }).unwrap();
    assert_eq!((kept.train.len(), kept.notes.len()), (3, 0));
}

#[test]
fn rows_rated_0_or_below_are_counted() {
    let text = "user,item,rating\na,x,0\na,y,1\nb,x,-1\nb,y,5\n";
    let all = Config { valid_fraction: 0.0, ratios: [1.0, 0.0, 0.0], ..Config::default() };
    let split = load_one(text, all.clone()).unwrap();
    assert_eq!(split.train.len(), 4);
    assert!(
        split.notes[0].starts_with("2 of 4 rows of data.csv are rated 0 or less and count as likes"),
        "{:?}",
        split.notes
    );
    assert!(load_one(text, Config { min_rating: Some(1.0), ..all }).unwrap().notes.is_empty());
}

/// Users 1 to 9 with items 1 to 9, and a test part in which both are written by `written`.
fn ids(written: impl Fn(u32) -> String, unknown: Option<Unknown>) -> Result<Split> {
    let rows = |write: &dyn Fn(u32) -> String, far: u32| {
        let rows = (1..10).map(|n| format!("{},{}\n", write(n), write((n + far) % 9 + 1)));
        format!("user_id,item_id\n{}", rows.collect::<String>())
    };
    let folder = write(&[("train", rows(&|n| n.to_string(), 0)), ("test", rows(&written, 3))]);
    let path = |name: &str| -> Option<PathBuf> { Some(folder.path().join(name)) };
    let config = Config { train: path("train"), test: path("test"), valid_fraction: 0.0, unknown, ..Config::default() };
    load(&config, Seed(1))
}

#[test]
fn ids_that_do_not_meet_are_refused_with_the_likely_cause_and_blanks_do_not_matter() {
    let met = ids(|n| format!(" {n} "), None).unwrap();
    assert_eq!((met.n_users(), met.n_items(), met.notes.len()), (9, 9, 0));
    let refused = |written: fn(u32) -> String| ids(written, None).unwrap_err().to_string();
    let floats = refused(|n| format!("{n}.0"));
    assert!(floats.contains("found 9 of 9 users that training lacks, such as \"1.0\" and \"2.0\""), "{floats}");
    assert!(
        floats.contains("users of the training part, such as \"1\" and \"2\"; they were written as floats"),
        "{floats}"
    );
    assert!(refused(|n| format!("{n:05}")).contains("leading zeros"));
    assert!(refused(|n| format!("{}", n + 100)).contains("numbered in another way"));
    let kept = ids(|n| format!("{n}.0"), Some(Unknown::Keep)).unwrap();
    assert_eq!((kept.n_users(), kept.test.len()), (18, 9));
    assert!(kept.notes[0].starts_with("9 of 9 users of the test part have no training row"), "{:?}", kept.notes);
}

#[test]
fn sessions_of_a_test_part_are_asked_for_their_newest_item_and_the_others_are_given() {
    let rows = |sessions: std::ops::Range<u32>| {
        // Newest first in the file: times decide.
        let row = |session: u32, at: u32| format!("{session},{},2022-06-0{}T10:00:00Z\n", (session + at) % 5, at + 1);
        let rows = sessions.flat_map(|session| [2, 1, 0].map(|at| row(session, at)));
        format!("session_id,item_id,timestamp\n{}", rows.collect::<String>())
    };
    let folder = write(&[("train", rows(0..10)), ("test", rows(10..14))]);
    let path = |name: &str| Some(folder.path().join(name));
    let config = Config { train: path("train"), test: path("test"), valid_fraction: 0.0, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    let names = |items: &[u32]| items.iter().map(|&item| split.items.key(item).to_string()).collect::<Vec<_>>();
    assert_eq!(names(&split.test.items), ["2", "3", "4", "0"]);
    assert_eq!((split.context.len(), split.train.len()), (8, 30));
    assert!(split.notes[0].starts_with("4 sessions of the test part are not in training"), "{:?}", split.notes);
    let as_users =
        load(&Config { unknown: Some(Unknown::Keep), valid_rows: Some(ValidRows::Last), ..config }, Seed(1)).unwrap();
    assert_eq!((as_users.context.len(), as_users.test.len()), (0, 12));
}
