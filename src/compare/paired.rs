//! Paired differences to the first model of a comparison: over users, over seeds, corrected.

use std::collections::BTreeMap;

use gcnrec_graphs::Seed;

use super::metric::Tested;
use super::statistics::{Spread, holm, paired_t, sign_flip};
use crate::report::{Compared, Difference, SeedTest, UserTest};

/// Values of the tested metric by user's name.
pub type ByUser = BTreeMap<String, f64>;

/// The test metrics of a finished run, and the tested one by user.
pub type OfSeed = (BTreeMap<String, f64>, ByUser);

/// What is known of a model's finished runs, by seed.
pub type Scores = BTreeMap<u64, OfSeed>;

/// Adds to every model but the first how it differs from it, with tests corrected for their number.
pub fn compare_with_first(models: &mut [Compared], scores: &[Scores], metric: Tested, seed: Seed) {
    let Some((first, others)) = scores.split_first() else { return };
    let mut differences: Vec<Option<Difference>> =
        others.iter().map(|other| difference(first, other, metric, seed)).collect();
    let users: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.users?.p)).collect();
    let seeds: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.seeds?.p)).collect();
    let (mut users, mut seeds) = (holm(&users).into_iter(), holm(&seeds).into_iter());
    for difference in differences.iter_mut().flatten() {
        if let Some(test) = &mut difference.users {
            test.p_corrected = users.next().expect("every test over users should have been corrected");
        }
        if let Some(test) = &mut difference.seeds {
            test.p_corrected = seeds.next().expect("every test over seeds should have been corrected");
        }
    }
    for (compared, difference) in models.iter_mut().skip(1).zip(differences) {
        compared.difference = difference;
    }
}

/// A model against the first on their common seeds.
fn difference(first: &Scores, other: &Scores, metric: Tested, seed: Seed) -> Option<Difference> {
    let common: Vec<(&OfSeed, &OfSeed)> = first.iter().filter_map(|(seed, a)| Some((a, other.get(seed)?))).collect();
    if common.is_empty() {
        return None;
    }
    let of_metric = |name: &str| -> Vec<f64> {
        common.iter().filter_map(|((a, _), (b, _))| Some(b.get(name)? - a.get(name)?)).collect()
    };
    let per_seed = of_metric(&metric.to_string());
    let is_better = |difference: &&f64| if metric.higher_is_better() { **difference > 0.0 } else { **difference < 0.0 };
    let names = common[0].1.0.keys();
    Some(Difference {
        mean: Spread::of(&per_seed).mean,
        metrics: names.map(|name| (name.clone(), Spread::of(&of_metric(name)).mean)).collect(),
        users: metric.over_users().map(|_| over_users(&common, seed)),
        seeds: paired_t(&per_seed).map(|test| SeedTest {
            n: per_seed.len(),
            n_better: per_seed.iter().filter(is_better).count(),
            t: test.t,
            p: test.p,
            p_corrected: test.p,
        }),
        per_seed,
    })
}

/// Two models that are paired by the users of their common seeds.
fn over_users(common: &[(&OfSeed, &OfSeed)], seed: Seed) -> UserTest {
    let mut by_user: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for ((_, a), (_, b)) in common {
        for (user, value) in b {
            if let Some(first) = a.get(user) {
                by_user.entry(user).or_default().push(value - first);
            }
        }
    }
    let users: Vec<f64> = by_user.values().map(|values| Spread::of(values).mean).collect();
    let Spread { mean, deviation } = Spread::of(&users);
    let margin = 1.96 * deviation / (users.len() as f64).sqrt();
    let p = sign_flip(&users, seed);
    UserTest { n: users.len(), low: mean - margin, high: mean + margin, p, p_corrected: p }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ndcg() -> Tested {
        Tested::parse("--metric", "ndcg@20").unwrap()
    }

    fn scores(by_seed: &[(u64, &[(&str, f64)])]) -> Scores {
        let of = |users: &[(&str, f64)]| {
            let mean = users.iter().map(|(_, value)| value).sum::<f64>() / users.len() as f64;
            let by_user = users.iter().map(|&(user, value)| (user.to_string(), value)).collect();
            (BTreeMap::from([("ndcg@20".to_string(), mean)]), by_user)
        };
        by_seed.iter().map(|&(seed, users)| (seed, of(users))).collect()
    }

    #[test]
    fn differences_are_paired_by_seed_and_by_user() {
        let first =
            scores(&[(1, &[("a", 0.5), ("b", 0.25)]), (2, &[("a", 0.5), ("b", 0.75)]), (3, &[("a", 1.0), ("b", 1.0)])]);
        // Seed 3 has failed here. Differences: seed 1 .25 and 0 (mean .125), seed 2 .25 and .25
        // (mean .25).
        let other = scores(&[(1, &[("a", 0.75), ("b", 0.25)]), (2, &[("a", 0.75), ("b", 1.0)])]);
        let difference = difference(&first, &other, ndcg(), Seed(1)).unwrap();
        assert_eq!(difference.per_seed, [0.125, 0.25]);
        assert_eq!(difference.mean, 0.1875);
        // Users: a .25, b .125; two of the four sign patterns are as far away.
        let users = difference.users.unwrap();
        assert_eq!((users.n, users.p), (2, 0.5));
        // Deviation .0884, error .0625, 1.96 of it .1225.
        assert!((users.low - (0.1875 - 0.1225)).abs() < 1e-12, "{}", users.low);
        let seeds = difference.seeds.unwrap();
        assert_eq!((seeds.n, seeds.n_better), (2, 2));
        // Mean .1875, error .0625: t = 3; with one degree P = 1 - 2/pi atan 3 = .2048.
        assert!((seeds.t - 3.0).abs() < 1e-12 && (seeds.p - 0.20483).abs() < 1e-5);
        assert!(super::difference(&first, &Scores::new(), ndcg(), Seed(1)).is_none());
    }

    #[test]
    fn the_correction_counts_every_model_that_could_be_compared() {
        let first = scores(&[(1, &[("a", 0.0), ("b", 0.0), ("c", 0.0)])]);
        let better = scores(&[(1, &[("a", 0.5), ("b", 0.25), ("c", 1.0)])]);
        let mut models = vec![Compared::default(), Compared::default(), Compared::default(), Compared::default()];
        let all = [first, better.clone(), Scores::new(), better];
        compare_with_first(&mut models, &all, ndcg(), Seed(1));
        // Two of eight sign patterns: .25, twice: both are corrected by 2.
        let corrected: Vec<_> =
            models.iter().map(|m| m.difference.as_ref().map(|d| d.users.unwrap().p_corrected)).collect();
        assert_eq!(corrected, [None, Some(0.5), None, Some(0.5)]);
    }

    #[test]
    fn a_metric_of_rows_is_tested_over_seeds_alone_and_less_of_a_loss_is_better() {
        let run = |nll: f64| (BTreeMap::from([("nll".to_string(), nll)]), ByUser::new());
        let first = Scores::from([(1, run(0.5)), (2, run(0.75))]);
        let other = Scores::from([(1, run(0.25)), (2, run(0.625))]);
        let difference = difference(&first, &other, Tested::parse("--metric", "nll").unwrap(), Seed(1)).unwrap();
        assert_eq!((difference.mean, difference.users), (-0.1875, None));
        // -.25 and -.125: mean -.1875, error .0625.
        let seeds = difference.seeds.unwrap();
        assert_eq!((seeds.n_better, seeds.t), (2, -3.0));
    }
}
