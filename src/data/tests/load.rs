//! Tests of loading: from files to splits.

use std::fs;
use std::path::PathBuf;

use gcnrec_graphs::Seed;
use tempfile::TempDir;

use super::super::{Clock, Config, Duplicates, Feedback, Format, Order, Part, Rule, Split, load};
use crate::error::{RecError, Result};

/// Files by name in a folder that goes when the value goes.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Files(folder)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.path().join(name))
    }
}

/// One file, nothing carved, all of it training.
fn load_one(text: &str, config: Config) -> Result<Split> {
    let files = Files::new(&[("data.csv", text)]);
    load(&Config { train: files.path("data.csv"), valid_fraction: 0.0, ..config }, Seed(1))
}

#[test]
fn ids_are_the_union_over_all_parts() {
    let files = Files::new(&[("train", "0 10 11\n1 10\n"), ("test", "0 12\n2\n1 11\n")]);
    let config =
        Config { train: files.path("train"), test: files.path("test"), valid_fraction: 0.0, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!(split.users.keys().collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(split.items.keys().collect::<Vec<_>>(), ["10", "11", "12"]);
    assert_eq!((split.train.len(), split.valid.len(), split.test.len()), (3, 0, 2));
    assert!(split.train.times.is_empty());
    assert_eq!(split.test_interactions().unwrap().n_edges(), 2);
}

#[test]
fn low_ratings_go_and_their_users_and_items_have_no_ids() {
    let text = "user,item,rating\na,x,5\nb,x,3.5\na,y,4\nb,z,1\n";
    let split = load_one(text, Config { min_rating: Some(4.0), ..Config::default() }).unwrap();
    assert_eq!((split.n_users(), split.n_items(), split.train.len()), (1, 2, 2));
    let error = load_one(text, Config { min_rating: Some(6.0), ..Config::default() }).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "found 4 interactions, all with a rating below data.min_rating, expected at least one with 6 or more; \
             lower data.min_rating (--min-rating)"
        ),
        "{error}"
    );
    let unrated = load_one("0 1 2\n", Config { min_rating: Some(4.0), ..Config::default() }).unwrap();
    assert_eq!(unrated.train.len(), 2);
}

#[test]
fn duplicates_follow_the_rule() {
    let text = "user,item,rating,time\na,x,1,20\na,y,2,21\na,x,3,10\n";
    let ratings = |duplicates| {
        load_one(text, Config { duplicates: Some(duplicates), ..Config::default() }).map(|split| split.train.ratings)
    };
    assert_eq!(ratings(Duplicates::KeepFirst).unwrap(), [2.0, 3.0]);
    assert_eq!(ratings(Duplicates::KeepLast).unwrap(), [1.0, 2.0]);
    assert_eq!(ratings(Duplicates::KeepAll).unwrap(), [1.0, 2.0, 3.0]);
    let error = ratings(Duplicates::Refuse).unwrap_err().to_string();
    assert!(
        error.contains("data.csv:4: found user \"a\" with item \"x\" a second time, expected each pair once"),
        "{error}"
    );
}

#[test]
fn the_core_is_kept_with_ids_that_count_anew() {
    // c has one row; without it z has one row; without z nothing else falls.
    let files = Files::new(&[("f", "c,z\na,z\na,x\na,y\nb,x\nb,y\n")]);
    let config = Config {
        path: files.path("f"),
        min_user_interactions: 2,
        min_item_interactions: 2,
        ratios: [1.0, 0.0, 0.0],
        valid_fraction: 0.0,
        ..Config::default()
    };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!(split.users.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(split.items.keys().collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!((split.train.users, split.train.items), (vec![0, 0, 1, 1], vec![0, 1, 0, 1]));
    let error = load(&Config { min_item_interactions: 3, ..config }, Seed(1)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn one_file_is_split_into_three_parts_and_the_seed_decides_which() {
    let text: String = (0..20).flat_map(|user| (0..10).map(move |item| format!("{user},{item}\n"))).collect();
    let files = Files::new(&[("f", &text)]);
    let config = Config { path: files.path("f"), ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!((split.train.len(), split.valid.len(), split.test.len()), (160, 20, 20));
    assert_eq!(load(&config, Seed(1)).unwrap(), split);
    assert_ne!(load(&config, Seed(2)).unwrap().fingerprint, split.fingerprint);
}

#[test]
fn a_validation_part_is_carved_only_where_there_is_none() {
    let files = Files::new(&[("train", "0 1 2 3 4 5 6 7 8 9 10\n"), ("valid", "0 11\n")]);
    let config = Config { train: files.path("train"), ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!((split.train.len(), split.valid.len()), (9, 1));
    let split = load(&Config { valid: files.path("valid"), ..config }, Seed(1)).unwrap();
    assert_eq!((split.train.len(), split.valid.len()), (10, 1));
}

#[test]
fn test_pairs_that_were_trained_on_stay_and_are_counted() {
    let files = Files::new(&[("train", "0 1 2 3\n"), ("test", "0 3 4\n")]);
    let split =
        load(&Config { train: files.path("train"), test: files.path("test"), ..Config::default() }, Seed(1)).unwrap();
    assert_eq!((split.test.len(), split.n_overlap), (2, 1));
}

#[test]
fn sequences_count_on_from_part_to_part() {
    let files = Files::new(&[("train", "7 1\n7 2\n8 1\n"), ("test", "7 3\n")]);
    let config =
        Config { train: files.path("train"), test: files.path("test"), valid_fraction: 0.0, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!((split.train.times.as_slice(), split.test.times.as_slice()), (&[0, 1, 0][..], &[2][..]));
    let history = &split.histories(&[Part::Test, Part::Train])[0];
    assert_eq!(history.iter().map(|item| item.0).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn leaving_one_out_of_a_sequence_takes_the_last_items() {
    let files = Files::new(&[("f", "1 5 6 7 8\n2 5 6\n")]);
    let config =
        Config { path: files.path("f"), format: Format::SEQUENCE, split: Rule::LeaveOneOut, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    let names = |part: Part| {
        let log = split.part(part);
        log.items.iter().map(|&item| split.items.key(item)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((names(Part::Train), names(Part::Valid), names(Part::Test)), ("5 6 5".into(), "7".into(), "8 6".into()));
    let random = load(&Config { order: Some(Order::Random), ..config }, Seed(1)).unwrap();
    assert_eq!(random.test.len(), 2);
}

#[test]
fn uniform_rows_become_labels_and_all_stay() {
    let files = Files::new(&[
        ("train", "0,1,5\n0,2,1\n"),
        ("uniform", "0,1,4\n0,3,3\n"),
        ("ready", "0,1,1\n0,3,-1\n"),
        ("bare", "0,1\n"),
    ]);
    let config = |name: &str, min_rating| Config {
        train: files.path("train"),
        uniform: files.path(name),
        uniform_ratios: [1.0, 0.0, 0.0],
        min_rating,
        valid_fraction: 0.0,
        ..Config::default()
    };
    let split = load(&config("uniform", None), Seed(1)).unwrap();
    assert_eq!((split.train.len(), split.uniform.ratings.as_slice()), (2, &[1.0, -1.0][..]));
    assert_eq!((split.users.get("0"), split.items.get("3")), (Some(0), Some(2)));
    let split = load(&config("uniform", Some(3.0)), Seed(1)).unwrap();
    assert_eq!((split.train.len(), split.uniform.ratings.as_slice()), (1, &[1.0, 1.0][..]));
    assert_eq!(load(&config("ready", Some(3.0)), Seed(1)).unwrap().uniform.ratings, [1.0, -1.0]);
    assert!(load(&config("bare", None), Seed(1)).unwrap_err().to_string().contains("found no ratings"));
}

/// 40 rows: 2 teach, 2 validate, 36 test.
#[test]
fn a_uniform_part_alone_is_divided_into_rows_that_teach_validate_and_test() {
    let rows: String = (0..40).map(|row| format!("{},{},{}\n", row % 4, row / 4, 1 + row % 5)).collect();
    let files = Files::new(&[("train", "0,1,5\n1,2,1\n2,3,4\n3,1,3\n"), ("uniform", &rows)]);
    let config = Config {
        train: files.path("train"),
        uniform: files.path("uniform"),
        min_rating: Some(4.0),
        ..Config::default()
    };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!((split.uniform.len(), split.valid.len(), split.test.len(), split.train.len()), (2, 2, 36, 2));
    assert!(split.labelled && !split.explicit);
    let mut all: Vec<_> = split.uniform.pairs().chain(split.valid.pairs()).chain(split.test.pairs()).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "every row is in one part");
    assert_ne!(load(&config, Seed(2)).unwrap().uniform, split.uniform, "the seed divides");
    let explicit = load(&Config { feedback: Feedback::Explicit, ..config }, Seed(1)).unwrap();
    assert!(explicit.explicit);
    assert_eq!(explicit.train.ratings, [1.0, -1.0, 1.0, -1.0]);
}

#[test]
fn rows_that_judge_and_users_without_training_rows_are_refused_in_a_uniform_part() {
    let files = Files::new(&[
        ("train", "0,1,5\n1,2,1\n"),
        ("test", "0,3,5\n1,1,2\n"),
        ("overlap", "0,2,4\n1,1,2\n"),
        ("unknown", "0,2,4\n7,1,2\n"),
        ("good", "0,2,4\n1,3,2\n"),
    ]);
    let config = |uniform: &str| Config {
        train: files.path("train"),
        test: files.path("test"),
        uniform: files.path(uniform),
        ..Config::default()
    };
    let message = |uniform: &str| load(&config(uniform), Seed(1)).unwrap_err().to_string();
    assert!(message("overlap").contains("user \"1\" with item \"1\", which is also a row of the test part"));
    assert!(message("unknown").contains(":2: found user \"7\", who has no training row"), "{}", message("unknown"));
    let split = load(&config("good"), Seed(1)).unwrap();
    assert_eq!((split.labelled, split.test.ratings.as_slice()), (true, &[1.0, -1.0][..]));
    assert_eq!(
        (split.uniform.len(), split.valid.len()),
        (2, 0),
        "a biased part never picks the epoch of a uniform test"
    );
}

#[test]
fn titles_follow_the_ids() {
    let files = Files::new(&[("train", "a,2\na,1\n"), ("u.item", "1|One|\n2|Two|\n3|Three|\n")]);
    let config = Config { train: files.path("train"), items: files.path("u.item"), ..Config::default() };
    assert_eq!(load(&config, Seed(1)).unwrap().titles, ["Two", "One"]);
}

#[test]
fn a_changed_rating_or_another_order_changes_the_fingerprint() {
    let fingerprint = |text: &str| load_one(text, Config::default()).unwrap().fingerprint;
    let base = fingerprint("a,x,5\nb,y,4\n");
    assert_eq!(base, fingerprint("a,x,5.0\r\nb,y,4\r\n"));
    assert_ne!(base, fingerprint("a,x,5\nb,y,3\n"));
    assert_ne!(base, fingerprint("b,y,4\na,x,5\n"));
}

#[test]
fn without_files_the_demo_world_is_loaded_and_a_missing_file_is_named() {
    assert_eq!(load(&Config::default(), Seed(5)).unwrap().n_users(), 1000);
    let error = load(&Config { train: Some("not/there.csv".into()), ..Config::default() }, Seed(1)).unwrap_err();
    assert!(matches!(error, RecError::Missing { what: "file", .. }), "{error}");
}

fn items_of(split: &Split, items: &[u32]) -> Vec<String> {
    items.iter().map(|&item| split.items.key(item).to_string()).collect()
}

#[test]
fn held_out_sessions_are_users_of_their_own_whose_last_item_is_to_be_found() {
    let files = Files::new(&[("train", "5 6 5\n7 6\n"), ("test", "5 7\t8\n\n6 6 5\n")]);
    let config = Config {
        train: files.path("train"),
        test: files.path("test"),
        format: Format::SESSIONS,
        valid_fraction: 0.0,
        ..Config::default()
    };
    let split = load(&config, Seed(1)).unwrap();
    assert_eq!(split.users.keys().collect::<Vec<_>>(), ["1", "2", "test-1", "test-3"]);
    assert_eq!((split.train.len(), split.clock), (5, Clock::Lines), "repeats stay");
    assert_eq!(
        (split.test.users.clone(), items_of(&split, &split.test.items)),
        (vec![2, 3], vec!["8".into(), "5".into()])
    );
    let histories = split.histories(&[Part::Context, Part::Train]);
    let names = |user: usize| histories[user].iter().map(|item| split.items.key(item.0)).collect::<Vec<_>>();
    assert_eq!((names(0), names(2), names(3)), (vec!["5", "6", "5"], vec!["5", "7"], vec!["6", "6"]));
}

#[test]
fn of_sessions_whole_last_clicks_validate() {
    let text: String = (0..200).map(|line| format!("{line} {} 900\n", line + 1)).collect();
    let files = Files::new(&[("train", &text)]);
    let config =
        Config { train: files.path("train"), format: Format::SESSIONS, valid_fraction: 0.5, ..Config::default() };
    let split = load(&config, Seed(1)).unwrap();
    assert!(split.valid.len() > 60 && split.valid.len() < 140, "{}", split.valid.len());
    assert!(split.valid.items.iter().all(|&item| split.items.key(item) == "900"));
}

#[test]
fn candidates_are_read_by_name_and_may_bring_items_of_their_own() {
    let files = Files::new(&[("data", "1 7 8 9\n2 9 7 8\n"), ("candidates", "2 7 50\n1 8\n2 51\n")]);
    let config = Config {
        path: files.path("data"),
        candidates: files.path("candidates"),
        format: Format::SEQUENCE,
        split: Rule::LeaveOneOut,
        ..Config::default()
    };
    let split = load(&config, Seed(1)).unwrap();
    let lists: Vec<Vec<String>> = split.candidates.iter().map(|list| items_of(&split, list)).collect();
    assert_eq!(lists, [vec!["8"], vec!["7", "50", "51"]]);
    assert_eq!((split.n_items(), split.clock), (5, Clock::Rows));
    let without = load(&Config { candidates: None, ..config }, Seed(1)).unwrap();
    assert_ne!(split.fingerprint, without.fingerprint);
}

#[test]
fn a_window_leaves_ids_and_test_as_they_are() {
    let rows = |days: &[(u32, u32, u32)]| {
        let rows = days.iter().map(|(user, item, day)| format!("{user},{item},{}\n", day * 86_400));
        format!("user,item,time\n{}", rows.collect::<String>())
    };
    let files = Files::new(&[("train", &rows(&[(1, 1, 0), (1, 2, 5), (2, 1, 9)])), ("test", &rows(&[(1, 3, 20)]))]);
    let config =
        Config { train: files.path("train"), test: files.path("test"), valid_fraction: 0.0, ..Config::default() };
    let (all, recent) = (
        load(&config, Seed(1)).unwrap(),
        load(&Config { recent_days: Some(4.0), half_life_days: Some(2.0), ..config }, Seed(1)).unwrap(),
    );
    assert_eq!((recent.train.len(), recent.context.len(), recent.test.len()), (2, 1, 1));
    assert_eq!((recent.n_users(), recent.n_items()), (all.n_users(), all.n_items()));
    assert_ne!(recent.fingerprint, all.fingerprint);
    assert_eq!(recent.histories(&[Part::Context, Part::Train]), all.histories(&[Part::Train]));
    // Days 5 and 9: 2^-2 and 1, with the mean 5/8.
    assert_eq!(recent.recency_weights(&recent.train_interactions().unwrap()), Some(vec![0.4, 1.6]));
}
