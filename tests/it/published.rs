//! Numbers that others can check: closed-form models on real data against values that independent
//! programs gave.
//!
//! Skipped where the data are absent. They are looked for in `$GCNREC_DATA`, then beside the
//! repository in `../shared/data`.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use gcnrec::internals::eval::Config;
use gcnrec::internals::models;
use gcnrec::internals::models::load_scorer;
use gcnrec::internals::models::{Fit, Nodes};
use gcnrec::{Evaluator, HeldOut, Metrics, Scorer};
use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::Device;

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

/// Rows `user<TAB>item<TAB>rating<TAB>time` with ids from 1, those rated 4 or 5, over the 943 users
/// and 1,682 items of the whole set.
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

/// Measured with NumPy, so only the rounding of the table and the order of ties are left to differ.
#[test]
fn ease_and_popularity_reach_their_published_values_on_movielens_100k() {
    let Some(folder) = data("ml-100k") else { return };
    let (train, test) = (rated_four_or_more(&folder.join("u1.base.gz")), rated_four_or_more(&folder.join("u1.test")));
    assert_eq!((train.n_edges(), test.n_edges()), (44_140, 11_235));
    let held_out = HeldOut::new(&test, &train, &vec![Vec::new(); 943]).unwrap();
    let evaluator = Evaluator::new(held_out, &Config::default().metrics_at().unwrap()).unwrap();
    assert_eq!(evaluator.n_eval_users(), 456);
    let judge = |scorer: &dyn Scorer| evaluator.evaluate(scorer).unwrap();

    let ease = fit("ease", "l2 = 300", &train);
    let metrics = judge(&*ease);
    println!("ease: {}", serde_json::to_string(&metrics).unwrap());
    assert_close(&metrics, 0.2929, 0.3248, 0.4198);
    assert_eq!(
        judge(&*load_scorer(&Device::Cpu, "ease", &ease.state(), Nodes { n_users: 943, n_items: 1682 }).unwrap()),
        metrics,
        "a reloaded model gives the same numbers"
    );

    let metrics = judge(&*fit("popularity", "", &train));
    println!("popularity: {}", serde_json::to_string(&metrics).unwrap());
    assert_close(&metrics, 0.174, 0.171, 0.234);
}

/// A model in closed form that reads no order.
fn fit(name: &str, settings: &str, train: &Interactions) -> Box<dyn Scorer> {
    let model = models::Config::parse(name, settings).unwrap();
    model.closed_form().unwrap().fit(&Fit { train, weights: None, histories: &Vec::new }).unwrap()
}

/// Lines `user item item …` with ids from 0, over the 29,858 users and 40,981 items of the whole
/// set.
fn gowalla(path: &Path) -> Interactions {
    let mut text = String::new();
    GzDecoder::new(&std::fs::read(path).unwrap()[..]).read_to_string(&mut text).unwrap();
    let pairs = text.lines().flat_map(|line| {
        let mut ids = line.split_whitespace().map(|id| id.parse::<u32>().unwrap());
        let user = UserId(ids.next().unwrap());
        ids.map(move |item| (user, ItemId(item))).collect::<Vec<_>>()
    });
    Interactions::from_pairs(29_858, 40_981, pairs).unwrap()
}

/// As published, and as a run with NumPy gives them: GF-CF is deterministic, so it checks data,
/// mask and metric at once. The second pair of numbers is its linear filter alone.
#[test]
fn gf_cf_reaches_its_published_values_on_gowalla() {
    let Some(folder) = data("gowalla") else { return };
    let file = |part: &str| {
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(part) && name.ends_with(".gz")
        })
    };
    let (train, test) = (gowalla(&file("train").unwrap()), gowalla(&file("test").unwrap()));
    assert_eq!((train.n_edges(), test.n_edges()), (810_128, 217_242));
    let held_out = HeldOut::new(&test, &train, &vec![Vec::new(); 29_858]).unwrap();
    let evaluator = Evaluator::new(held_out, &["recall@20", "ndcg@20"].map(|name| name.parse().unwrap())).unwrap();
    for (factors, recall, ndcg) in [(256, 0.1849, 0.1518), (0, 0.16817, 0.13313)] {
        let model = fit("gf_cf", &format!("factors = {factors}"), &train);
        let metrics = evaluator.evaluate(&*model).unwrap();
        println!("gf_cf with {factors} factors: {}", serde_json::to_string(&metrics).unwrap());
        for (name, expected) in [("recall@20", recall), ("ndcg@20", ndcg)] {
            let found = metrics.get(name).unwrap();
            assert!((found - expected).abs() <= 0.0003, "{name}: {found:.5}, published {expected}");
        }
    }
}

/// No published value belongs to these settings on this split; popularity is below them and EASE
/// above (`docs/results.md`).
#[test]
fn the_neighbourhood_models_stand_between_popularity_and_ease_on_movielens_100k() {
    let Some(folder) = data("ml-100k") else { return };
    let (train, test) = (rated_four_or_more(&folder.join("u1.base.gz")), rated_four_or_more(&folder.join("u1.test")));
    let held_out = HeldOut::new(&test, &train, &vec![Vec::new(); 943]).unwrap();
    let evaluator = Evaluator::new(held_out, &["ndcg@20".parse().unwrap()]).unwrap();
    for (name, settings) in [("item_knn", ""), ("rp3beta", ""), ("gf_cf", "factors = 64")] {
        let ndcg = evaluator.evaluate(&*fit(name, settings, &train)).unwrap().get("ndcg@20").unwrap();
        println!("{name}: ndcg@20 {ndcg:.4}");
        assert!((0.234..0.4198).contains(&ndcg), "{name}: {ndcg:.4}");
    }
}

/// Measured with NumPy and SciPy from the formulas: the signed filter with two settings, and the
/// linear filter that it becomes without its second term.
#[test]
fn the_signed_filter_reaches_its_numpy_values_on_movielens_100k() {
    let Some(folder) = data("ml-100k") else { return };
    let (train, test) = (rated_four_or_more(&folder.join("u1.base.gz")), rated_four_or_more(&folder.join("u1.test")));
    let held_out = HeldOut::new(&test, &train, &vec![Vec::new(); 943]).unwrap();
    let evaluator = Evaluator::new(held_out, &["recall@20", "ndcg@20"].map(|name| name.parse().unwrap())).unwrap();
    for (saturation, degree_power, recall, ndcg) in
        [(0.77, 0.0, 0.3109, 0.3958), (0.82, 0.3, 0.3216, 0.4131), (0.0, 0.3, 0.2930, 0.3660)]
    {
        let settings = format!("saturation = {saturation:?}\ndegree_power = {degree_power:?}");
        let metrics = evaluator.evaluate(&*fit("signed_filter", &settings, &train)).unwrap();
        println!("signed_filter {settings:?}: {}", serde_json::to_string(&metrics).unwrap());
        for (name, expected) in [("recall@20", recall), ("ndcg@20", ndcg)] {
            let found = metrics.get(name).unwrap();
            assert!((found - expected).abs() <= 0.0005, "{settings:?}, {name}: {found:.4}, expected {expected}");
        }
    }
}
