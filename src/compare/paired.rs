//! Paired differences to the first model of a comparison: over users, over seeds, corrected.

use std::collections::BTreeMap;

use gcnrec_graphs::Seed;

use super::metric::Tested;
use super::statistics::{Spread, holm, paired_t, sign_flip};
use crate::report::{BothTest, Compared, Difference, SeedTest, UserTest};

/// Values of the tested metric by user's name.
pub(crate) type ByUser = BTreeMap<String, f64>;

/// The test metrics of a finished run, and the tested one by user.
pub(crate) type OfSeed = (BTreeMap<String, f64>, ByUser);

/// What is known of a model's finished runs, by seed.
pub(crate) type Scores = BTreeMap<u64, OfSeed>;

/// Adds to every model but the first how it differs from it, with tests corrected for their number.
pub(crate) fn compare_with_first(models: &mut [Compared], scores: &[Scores], metric: Tested, seed: Seed) {
    let Some((first, others)) = scores.split_first() else { return };
    let mut differences: Vec<Option<Difference>> =
        others.iter().map(|other| difference(first, other, metric, seed)).collect();
    let users: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.users?.p)).collect();
    let seeds: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.seeds?.p)).collect();
    let both: Vec<f64> = differences.iter().flatten().filter_map(|difference| Some(difference.both?.p)).collect();
    let [mut users, mut seeds, mut both] = [users, seeds, both].map(|p| holm(&p).into_iter());
    for difference in differences.iter_mut().flatten() {
        if let Some(test) = &mut difference.users {
            test.p_corrected = users.next().expect("every test over users should have been corrected");
        }
        if let Some(test) = &mut difference.seeds {
            test.p_corrected = seeds.next().expect("every test over seeds should have been corrected");
        }
        if let Some(test) = &mut difference.both {
            test.p_corrected = both.next().expect("every test over both should have been corrected");
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
    let users = metric.over_users().map(|_| over_users(&common, seed));
    let over_seeds = paired_t(&per_seed);
    Some(Difference {
        mean: Spread::of(&per_seed).mean,
        both: users.zip(over_seeds).map(|(users, seeds)| {
            let p = users.p.max(seeds.p);
            BothTest { p, p_corrected: p }
        }),
        metrics: names.map(|name| (name.clone(), Spread::of(&of_metric(name)).mean)).collect(),
        users,
        seeds: over_seeds.map(|test| SeedTest {
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
        // The larger of .5 and .2048.
        assert_eq!(difference.both.unwrap().p, 0.5);
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

    /// Over both, only what would convince over users and over seeds alike counts; the larger p is
    /// corrected by itself.
    #[test]
    fn the_test_over_both_is_the_larger_p_corrected_for_the_number_of_models() {
        let users = ["a", "b", "c", "d", "e", "f"];
        let run = |values: [f64; 6]| users.into_iter().zip(values).collect::<Vec<_>>();
        let of = |seeds: [[f64; 6]; 2]| {
            let [one, two] = seeds.map(run);
            scores(&[(1, &one), (2, &two)])
        };
        let first = of([[0.0; 6]; 2]);
        // Every user gains in every seed (2 of 64 sign patterns: .03125), by .5 and .75 in the mean:
        // t = .625 / .125 = 5, P = 1 - 2/pi atan 5 = .12567.
        let better = of([[0.5; 6], [0.75; 6]]);
        // Differences of the seeds 1 and -1: no mean, so both p are 1.
        let mixed = of([[1.0; 6], [-1.0; 6]]);
        let mut models = vec![Compared::default(), Compared::default(), Compared::default()];
        compare_with_first(&mut models, &[first, better, mixed], ndcg(), Seed(1));
        let both: Vec<BothTest> = models[1..].iter().map(|m| m.difference.as_ref().unwrap().both.unwrap()).collect();
        let p = 1.0 - 2.0 / std::f64::consts::PI * 5f64.atan();
        assert!((both[0].p - p).abs() < 1e-9 && (both[0].p_corrected - 2.0 * p).abs() < 1e-9, "{both:?}");
        assert_eq!((both[1].p, both[1].p_corrected), (1.0, 1.0));
        // One seed says nothing about other trainings, and so nothing about both.
        let alone = |values: [f64; 6]| scores(&[(1, &run(values))]);
        let difference = difference(&alone([0.0; 6]), &alone([0.5; 6]), ndcg(), Seed(1)).unwrap();
        assert!(difference.users.is_some() && difference.seeds.is_none() && difference.both.is_none());
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
