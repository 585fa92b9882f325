//! Tests on public data sets, where they lie beside the repository (`../shared/data`, or the folder
//! that `GCNREC_DATA` names).

use std::path::PathBuf;

use gcnrec_graphs::Seed;

use super::super::{Config, Format, Order, Rule, Split, load};

/// The folder of the data sets; says so when a test is skipped.
fn folder() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("GCNREC_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no data sets in {}", folder.display());
    None
}

fn load_config(config: &Config) -> Split {
    load(config, Seed(2020)).unwrap_or_else(|error| panic!("{error}"))
}

fn n_users_with_rows(split: &Split) -> usize {
    let mut users = split.test.users.clone();
    users.sort_unstable();
    users.dedup();
    users.len()
}

#[test]
fn gowalla_has_its_published_size() {
    let Some(folder) = folder() else { return };
    let split = load_config(&Config {
        train: Some(folder.join("gowalla/train.txt.gz")),
        test: Some(folder.join("gowalla/test.txt.gz")),
        valid_fraction: 0.0,
        ..Config::default()
    });
    assert_eq!((split.n_users(), split.n_items()), (29_858, 40_981));
    assert_eq!((split.train.len(), split.test.len(), split.n_overlap), (810_128, 217_242, 0));
}

#[test]
fn movielens_100k_fold_u1_has_its_known_size() {
    let Some(folder) = folder() else { return };
    let split = load_config(&Config {
        train: Some(folder.join("ml-100k/u1.base.gz")),
        test: Some(folder.join("ml-100k/u1.test")),
        items: Some(folder.join("ml-100k/u.item")),
        min_rating: Some(4.0),
        ..Config::default()
    });
    assert_eq!((split.train.len() + split.valid.len(), split.test.len()), (44_140, 11_235));
    assert_eq!(n_users_with_rows(&split), 456);
    assert!((0.095..0.105).contains(&(split.valid.len() as f64 / 44_140.0)), "{}", split.valid.len());
    println!("ml-100k u1: {} users, {} items", split.n_users(), split.n_items());
    let toy_story = split.items.get("1").expect("Toy Story should be rated 4 or more");
    assert_eq!(split.titles[toy_story as usize], "Toy Story (1995)");
}

#[test]
fn atomic_movielens_100k_is_the_original_but_for_one_rating() {
    let Some(folder) = folder() else { return };
    let whole = |name: &str| {
        let config =
            Config { path: Some(folder.join(name)), ratios: [1.0, 0.0, 0.0], valid_fraction: 0.0, ..Config::default() };
        load_config(&config)
    };
    let atomic = whole("ml-100k-atomic/ml-100k.inter.gz");
    assert_eq!((atomic.n_users(), atomic.n_items(), atomic.train.len()), (943, 1682, 100_000));
    let original = whole("ml-100k/u.data.gz");
    assert_eq!(
        (&atomic.users, &atomic.items, &atomic.train.times),
        (&original.users, &original.items, &original.train.times)
    );
    // The copy that RecBole packages has one rating changed: user 94, item 1224 has 3 instead of 4.
    let changed: Vec<usize> =
        (0..100_000).filter(|&row| atomic.train.ratings[row] != original.train.ratings[row]).collect();
    assert_eq!((changed.as_slice(), atomic.train.ratings[384], original.train.ratings[384]), (&[384][..], 3.0, 4.0));
    assert_ne!(atomic.fingerprint, original.fingerprint);
}

#[test]
fn movielens_1m_is_read_as_sequences_and_as_ratings() {
    let Some(folder) = folder() else { return };
    let sequences = load_config(&Config {
        path: Some(folder.join("ml-1m/ml-1m.txt.gz")),
        split: Rule::LeaveOneOut,
        ..Config::default()
    });
    assert_eq!((sequences.n_users(), sequences.n_items()), (6_040, 3_416));
    assert_eq!((sequences.valid.len(), sequences.test.len()), (6_040, 6_040));
    assert_eq!(sequences.train.len() + 12_080, 999_611);
    let ratings = load_config(&Config {
        path: Some(folder.join("ml-1m/ratings_ge4.dat.gz")),
        items: Some(folder.join("ml-1m/movies.dat")),
        order: Some(Order::Time),
        ..Config::default()
    });
    assert_eq!((ratings.n_users(), ratings.n_items()), (6_038, 3_533));
    assert_eq!(ratings.train.len() + ratings.valid.len() + ratings.test.len(), 575_281);
    assert!(ratings.titles.iter().any(|title| title.starts_with("Misérables, Les")));
}

#[test]
fn coat_and_the_simulation_give_labels() {
    let Some(folder) = folder() else { return };
    for (name, n) in
        [("random.unif_train.txt", 232), ("random.valid.txt", 232), ("random.test.txt", 4_176), ("random.txt", 4_640)]
    {
        let split = load_config(&Config {
            train: Some(folder.join("coat/user.txt")),
            uniform: Some(folder.join("coat").join(name)),
            uniform_ratios: [1.0, 0.0, 0.0],
            valid_fraction: 0.0,
            ..Config::default()
        });
        assert_eq!((split.n_users(), split.n_items(), split.train.len()), (290, 300, 6_960));
        assert_eq!(split.uniform.len(), n);
        if n == 4_640 {
            assert_eq!(split.uniform.ratings.iter().filter(|&&label| label == 1.0).count(), 860);
        }
    }
    let simulation = folder.join("autodebias-simulation");
    let split = load_config(&Config {
        path: Some(simulation.join("user.txt.gz")),
        rating_column: Some("4".into()),
        duplicates: Some(super::super::Duplicates::KeepAll),
        ratios: [1.0, 0.0, 0.0],
        valid_fraction: 0.0,
        ..Config::default()
    });
    assert_eq!((split.n_users(), split.train.len()), (500, 12_500));
    assert_eq!(split.train.ratings.iter().filter(|&&rating| rating == 5.0).count(), 7_513);
}

#[test]
fn lastfm_counts_are_read_as_pairs() {
    let Some(folder) = folder() else { return };
    let split = load_config(&Config {
        train: Some(folder.join("lastfm/data1.txt")),
        test: Some(folder.join("lastfm/test1.txt")),
        valid_fraction: 0.0,
        ..Config::default()
    });
    assert_eq!((split.train.len(), split.test.len()), (42_135, 10_533));
    assert_eq!((split.n_users(), split.n_items()), (1_880, 4_489));
}

#[test]
fn lists_in_time_order_are_read_as_sequences() {
    let Some(folder) = folder() else { return };
    for (name, n_users, n_items, n_rows) in
        [("Beauty.txt.gz", 22_363, 12_101, 198_502), ("LastFM.txt", 1_090, 3_646, 52_551)]
    {
        let split = load_config(&Config {
            path: Some(folder.join("sequential").join(name)),
            format: Format::SEQUENCE,
            split: Rule::LeaveOneOut,
            ..Config::default()
        });
        assert_eq!((split.n_users(), split.n_items()), (n_users, n_items), "{name}");
        assert_eq!(split.train.len() + split.valid.len() + split.test.len(), n_rows, "{name}");
        assert_eq!((split.valid.len(), split.test.len()), (n_users, n_users), "{name}");
    }
}
