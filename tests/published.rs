//! Numbers that others can check: closed-form models on real data against values that independent programs gave.
//!
//! Skipped where the data are absent. They are looked for in `$GCNREC_DATA`, then beside the repository in `../shared/data`.

// clippy.toml allows `unwrap` inside test functions; here the functions beside them are tests too.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use gcnrec::eval::{Config, Evaluator, HeldOut, Metrics};
use gcnrec::models::Scorer;
use gcnrec::models::linear::{ease, popularity};
use gcnrec_graphs::{Interactions, ItemId, UserId};

/// The folder of benchmark data, or a printed line and nothing.
fn data(set: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folders = std::env::var_os("GCNREC_DATA").map(PathBuf::from).into_iter().chain([beside]);
    let found = folders.map(|folder| folder.join(set)).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no {set} in $GCNREC_DATA or ../shared/data");
    }
    found
}

/// Rows `user<TAB>item<TAB>rating<TAB>time` with ids from 1, those rated 4 or 5, over the 943 users and 1,682 items of the whole set.
fn rated_four_or_more(path: &Path) -> Interactions {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let pairs = text.lines().filter_map(|line| {
        let fields: Vec<u32> = line.split('\t').map(|field| field.parse().unwrap()).collect();
        (fields[2] >= 4).then(|| (UserId(fields[0] - 1), ItemId(fields[1] - 1)))
    });
    Interactions::from_pairs(943, 1682, pairs).unwrap()
}

/// Compares precision, recall and NDCG at 20.
fn assert_close(metrics: &Metrics, precision: f64, recall: f64, ndcg: f64) {
    for (name, expected) in [("precision@20", precision), ("recall@20", recall), ("ndcg@20", ndcg)] {
        let found = metrics.get(name).unwrap();
        assert!((found - expected).abs() <= 0.0005, "{name}: {found:.4}, published {expected}");
    }
}

/// SPEC.md M.1: measured with NumPy, so only the rounding of the table and the order of ties are left to differ.
#[test]
fn ease_and_popularity_reach_their_published_values_on_movielens_100k() {
    let Some(folder) = data("ml-100k") else { return };
    let (train, test) = (rated_four_or_more(&folder.join("u1.base.gz")), rated_four_or_more(&folder.join("u1.test")));
    assert_eq!((train.n_edges(), test.n_edges()), (44_140, 11_235));
    let held_out = HeldOut::new(&test, &train, &vec![Vec::new(); 943]).unwrap();
    let evaluator = Evaluator::new(held_out, &Config::default().metrics_at().unwrap()).unwrap();
    assert_eq!(evaluator.n_eval_users(), 456);
    let judge = |scorer: &dyn Scorer| evaluator.evaluate(scorer).unwrap();

    let ease = ease::fit(&train, &ease::Config { l2: 300.0, ..Default::default() }).unwrap();
    let metrics = judge(&ease);
    println!("ease: {}", serde_json::to_string(&metrics).unwrap());
    assert_close(&metrics, 0.2929, 0.3248, 0.4198);
    assert_eq!(judge(&*ease::load(&ease.state()).unwrap()), metrics, "a reloaded model gives the same numbers");

    let metrics = judge(&popularity::fit(&train, &popularity::Config::default()).unwrap());
    println!("popularity: {}", serde_json::to_string(&metrics).unwrap());
    assert_close(&metrics, 0.174, 0.171, 0.234);
}
