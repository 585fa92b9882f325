//! Tests of the demo world: it can be learnt.

use gcnrec_graphs::{ItemId, Seed, UserId};

use super::super::{Part, Split, World, world};

fn world(exposure_bias: f64) -> World {
    World::generate(&world::Config { exposure_bias, ..world::Config::default() }, 0.1, Seed(2020)).unwrap()
}

/// Mean share of each user's test items among the 20 best of `score`, training and validation items
/// left out.
fn recall_at_20(split: &Split, score: impl Fn(u32) -> Vec<f64>) -> f64 {
    let seen = split.joint_interactions(&[Part::Train, Part::Valid]).unwrap();
    let test = split.test_interactions().unwrap();
    let (mut sum, mut n) = (0.0, 0.0);
    for user in 0..split.n_users() as u32 {
        let held_out = test.items_of(UserId(user));
        if held_out.is_empty() {
            continue;
        }
        let scores = score(user);
        let mut ranked: Vec<u32> =
            (0..split.n_items() as u32).filter(|&item| !seen.contains(UserId(user), ItemId(item))).collect();
        ranked.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let hits = ranked[..20].iter().filter(|item| held_out.contains(item)).count();
        sum += hits as f64 / held_out.len() as f64;
        n += 1.0;
    }
    sum / n
}

#[test]
fn neighbours_beat_popularity_clearly() {
    let split = &world(1.0).split;
    let train = split.train_interactions().unwrap();
    let counts: Vec<f64> = train.item_counts().iter().map(|&n| f64::from(n)).collect();
    let n_items = split.n_items();
    // Cosine item kNN over all neighbours.
    let mut together = vec![0.0; n_items * n_items];
    for user in 0..split.n_users() as u32 {
        let items = train.items_of(UserId(user));
        for &a in items {
            for &b in items.iter().filter(|&&b| b != a) {
                together[a as usize * n_items + b as usize] += 1.0;
            }
        }
    }
    let neighbours = |user: u32| {
        let mut scores = vec![0.0; n_items];
        for &a in train.items_of(UserId(user)) {
            for (b, score) in scores.iter_mut().enumerate() {
                *score += together[a as usize * n_items + b] / (counts[a as usize] * counts[b] + 1e-9).sqrt();
            }
        }
        scores
    };
    let popularity = recall_at_20(split, |_| counts.clone());
    let personal = recall_at_20(split, neighbours);
    println!("recall@20: popularity {popularity:.4}, item kNN {personal:.4}");
    assert!(personal > 1.5 * popularity, "popularity {popularity}, item kNN {personal}");
}

#[test]
fn the_earlier_recommender_pushed_some_items_and_communities() {
    let head = |world: World| {
        let mut counts = world.split.train_interactions().unwrap().item_counts().to_vec();
        counts.sort_unstable();
        let n = counts.len();
        f64::from(counts[n - n / 10..].iter().sum::<u32>()) / f64::from(counts.iter().sum::<u32>())
    };
    // The share of the most frequent tenth of the items.
    let (biased, unbiased) = (head(world(1.0)), head(world(0.0)));
    assert!(biased > 1.2 * unbiased, "{biased} {unbiased}");
}
