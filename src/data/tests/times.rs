//! Tests of what loading makes of times, and of what it says about a file.

use std::fs;

use gcnrec_graphs::Seed;
use tempfile::TempDir;

use super::super::{Clock, Config, Rule, Split, load};
use crate::error::Result;

fn load_one(text: &str, config: Config) -> Result<Split> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data.csv");
    fs::write(&path, text).unwrap();
    load(&Config { path: Some(path), ratios: [1.0, 0.0, 0.0], valid_fraction: 0.0, ..config }, Seed(1))
}

/// A file with these times.
fn with_times(times: &[&str]) -> String {
    let rows = times.iter().enumerate().map(|(n, time)| format!("u{},i{n},{time}\n", n % 2));
    format!("user,item,ts\n{}", rows.collect::<String>())
}

fn times_of(times: &[&str], config: Config) -> Result<Vec<i64>> {
    load_one(&with_times(times), config).map(|split| split.train.times)
}

/// What is said of the file, without its folder.
fn said(split: &Split) -> String {
    let text = split.files[0].to_string();
    text[text.find("data.csv").unwrap()..].to_string()
}

#[test]
fn a_file_is_described_in_one_line() {
    let text = "customer,sku,qty,type,shop,created_at\n\
                ann,b1,2,view,x,1700000000123\nann,b1,1,cart,x,1700100000000\nbob,b2,-1,view,y,1700200000000\n";
    let config = Config { min_rating: Some(1.0), ..Config::default() };
    let split = load_one(text, config).unwrap();
    // 1,700,000,000 and 1,700,100,000 s are 2023-11-14 and 2023-11-16 (`date -u -d @1700100000`).
    assert_eq!(
        said(&split),
        "data.csv: csv; user = customer, item = sku, rating = qty, \
         time = created_at (milliseconds, 2023-11-14 to 2023-11-16); \
         3 rows, 1 below data.min_rating dropped, 1 repeats of a pair merged; \
         events type (cart, view) all count alike; not used: shop"
    );
    let lists = load_one("1 2 3\n2 3\n", Config::default()).unwrap();
    assert_eq!(said(&lists), "data.csv: lightgcn; 3 rows");
    let pairs = load_one("0700099867,A3F73SC1LY51OO,4.0,1377129600\n", Config::default()).unwrap();
    assert_eq!(
        said(&pairs),
        "data.csv: pairs; user = column 2, item = column 1, rating = column 3, time = column 4 (seconds, 2013-08-22 to \
         2013-08-22) (items stand first, told by Amazon's item and user codes); 1 rows"
    );
}

/// Seconds as `date -u -d 2010-12-01 +%s` of GNU coreutils prints them, and so on.
#[test]
fn day_and_month_are_told_by_a_day_above_12_wherever_it_stands() {
    let first = [1_291_161_600, 1_292_198_400];
    assert_eq!(times_of(&["12/1/2010", "12/13/2010"], Config::default()).unwrap(), first);
    assert_eq!(times_of(&["1/12/2010", "13/12/2010"], Config::default()).unwrap(), first);
    let late: Vec<&str> = std::iter::repeat_n("1/12/2010", 200).chain(["13/12/2010"]).collect();
    let times = times_of(&late, Config::default()).unwrap();
    assert_eq!((times[0], times[200]), (first[0], first[1]));
    assert_eq!(times_of(&["20101201", "20101213"], Config::default()).unwrap(), first);
    let given = |pattern: &str| Config { time_format: Some(pattern.into()), ..Config::default() };
    assert_eq!(times_of(&["1/12/2010"], given("%d/%m/%Y")).unwrap(), [first[0]]);
    let error = times_of(&["1.12.2010"], given("%d/%m/%Y")).unwrap_err().to_string();
    assert!(error.contains("data.csv:2: column 3 (time): found \"1.12.2010\", expected a time as %d/%m/%Y"), "{error}");
    let error = times_of(&["1.12.2010"], given("%d/%m")).unwrap_err().to_string();
    assert!(error.starts_with("data.time_format: found \"%d/%m\", which has no year"), "{error}");
}

/// Loads these times; answers the note, and the refusal of a split by time.
fn unread(times: &[&str]) -> (String, String) {
    let split = load_one(&with_times(times), Config::default()).unwrap();
    assert_eq!((split.train.len(), split.train.times.len(), split.clock), (times.len(), 0, Clock::None));
    assert!(said(&split).contains("time = ts (not used)"), "{}", said(&split));
    let by_time = Config { split: Rule::Time, ..Config::default() };
    let error = load_one(&with_times(times), by_time).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    (split.notes[0].clone(), error.to_string())
}

#[test]
fn times_that_nothing_reads_are_no_reason_to_refuse_a_file_and_are_said() {
    let (note, error) = unread(&["1700000000", "yesterday", "1700000001"]);
    for text in [&note, &error] {
        assert!(text.contains("data.csv:3: column 3 (time): found \"yesterday\", expected a number such as"), "{text}");
        assert!(
            text.ends_with("say how they are written with --time-format, or name another column with --time-column")
        );
    }
    assert!(note.starts_with("times are not used: "), "{note}");
    assert!(error.contains("because rows are divided by it (data.split, data.order)"), "{error}");
    let by_age = Config { half_life_days: Some(3.0), ..Config::default() };
    let error = load_one(&with_times(&["soon"]), by_age).unwrap_err().to_string();
    assert!(error.contains("data.csv:2: column 3 (time): found \"soon\""), "{error}");
}

#[test]
fn dates_that_may_be_either_and_times_of_two_units_are_not_used() {
    let (note, _) = unread(&["1/12/2010", "2/11/2010"]);
    assert!(note.contains("dates such as \"1/12/2010\", of which none says what is the day"), "{note}");
    assert!(note.ends_with("say which it is with --time-format \"%m/%d/%Y\" or \"%d/%m/%Y\""), "{note}");
    let (note, error) = unread(&["1396874869", "1396874870", "1396874869000"]);
    let found = "found 1 of 3 times that no other is near, such as 1396874869000, which in seconds would be 46235-";
    assert!(note.contains(found) && error.contains(found), "{note}");
}

#[test]
fn days_that_are_numbered_are_days() {
    let text = "household_key,PRODUCT_ID,QUANTITY,DAY\n1,2,1,1\n1,3,1,711\n";
    let split = load_one(text, Config::default()).unwrap();
    assert_eq!(split.train.times, [86_400, 711 * 86_400]);
    assert!(said(&split).contains("time = DAY (days, 1 to 711)"), "{}", said(&split));
}
