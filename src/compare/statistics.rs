//! Significance tests of paired differences: sign flips over users, Student's t over seeds, Holm's
//! correction.
//!
//! - Over users: each user's difference keeps its size and gets a random sign; how often is the
//!   mean as far from zero as the one that was seen? The answer speaks of other users of the same
//!   kind, with these trained models.
//! - Over seeds: Student's paired t of the differences per seed. The answer speaks of other
//!   trainings on the same data.
//! - Holm's step-down correction holds the chance of even one false alarm over all comparisons at
//!   the level of the test.
//!
//! # Source
//! Smucker, Allan and Carterette, *A comparison of statistical significance tests for information
//! retrieval evaluation*, CIKM 2007 (the randomisation test); Abramowitz and Stegun, eq. 26.7.3 and
//! 26.7.4 (Student's distribution for whole degrees of freedom); Holm 1979.

use gcnrec_graphs::{Purpose, Seed};
use rand::Rng;

/// Random sign patterns where there are too many to try all.
pub(crate) const N_FLIPS: usize = 10_000;
/// Up to this many differences every sign pattern is tried: 2^13 of them are fewer than
/// [`N_FLIPS`].
const ALL_PATTERNS: usize = 13;

/// Mean and deviation of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The mean; NaN of no values.
    pub mean: f64,
    /// The standard deviation with n - 1 below the line; 0 of a single value, NaN of none.
    pub deviation: f64,
}

impl Spread {
    /// Of these values, summed in order.
    pub(crate) fn of(values: &[f64]) -> Spread {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if values.len() == 1 { 0.0 } else { (squares / (n - 1.0)).sqrt() };
        Spread { mean, deviation: if values.is_empty() { f64::NAN } else { deviation } }
    }
}

/// The two-sided probability of a mean at least as far from zero when every difference may as well
/// have the other sign.
///
/// All sign patterns are tried where there are few differences, otherwise [`N_FLIPS`] random ones,
/// which are a function of `seed`; the pattern that was seen counts as one of them. 1 when there is
/// no difference at all.
pub(crate) fn sign_flip(differences: &[f64], seed: Seed) -> f64 {
    // A sum that is equal but for rounding is as far from zero.
    let size: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let seen = differences.iter().sum::<f64>().abs() - 1e-12 * size;
    if differences.len() <= ALL_PATTERNS {
        let n_patterns = 1u32 << differences.len();
        let as_far = (0..n_patterns).filter(|&pattern| flipped_sum(differences, |n| pattern >> n & 1 == 1) >= seen);
        return as_far.count() as f64 / f64::from(n_patterns);
    }
    let as_far = (0..N_FLIPS as u64).filter(|&flip| {
        let mut stream = seed.stream(Purpose::Analysis, 0, flip);
        let mut bits = 0u64;
        let sum = flipped_sum(differences, |n| {
            if n % 64 == 0 {
                bits = stream.next_u64();
            }
            bits >> (n % 64) & 1 == 1
        });
        sum >= seen
    });
    (as_far.count() + 1) as f64 / (N_FLIPS + 1) as f64
}

fn flipped_sum(differences: &[f64], mut flip: impl FnMut(usize) -> bool) -> f64 {
    let sum: f64 = differences.iter().enumerate().map(|(n, &x)| if flip(n) { -x } else { x }).sum();
    sum.abs()
}

/// Student's paired t of some differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PairedT {
    /// Mean over standard error.
    pub t: f64,
    /// Two-sided probability of a t at least as far from zero.
    pub p: f64,
}

/// Tests the differences of two or more pairs; nothing for fewer, and nothing when all differences
/// are equal: their spread tells nothing then.
pub(crate) fn paired_t(differences: &[f64]) -> Option<PairedT> {
    let Spread { mean, deviation } = Spread::of(differences);
    if differences.len() < 2 || deviation <= 1e-12 * mean.abs() || deviation == 0.0 {
        return None;
    }
    let t = mean / (deviation / (differences.len() as f64).sqrt());
    Some(PairedT { t, p: student_tails(t, differences.len() - 1) })
}

/// `P(|T| >= |t|)` for Student's T with a whole number of degrees of freedom, 1 or more.
fn student_tails(t: f64, freedom: usize) -> f64 {
    let angle = (t.abs() / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    // Both series run over every second power of the cosine; they differ in the first term and in
    // which numbers stand above the line.
    let odd = freedom % 2 == 1;
    let (mut term, mut sum) = if odd { (cosine, 0.0) } else { (1.0, 0.0) };
    let mut power = if odd { 1 } else { 0 };
    while power + 2 <= freedom {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    let within = if odd { 2.0 / std::f64::consts::PI * (angle + sine * sum) } else { sine * sum };
    (1.0 - within).clamp(0.0, 1.0)
}

/// Holm's correction: probabilities of a family of comparisons, corrected so that each may be held
/// against the usual level.
pub(crate) fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut corrected = vec![1.0; probabilities.len()];
    let mut highest: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        highest = highest.max(probabilities[at] * (probabilities.len() - rank) as f64);
        corrected[at] = highest.min(1.0);
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_a_few_values() {
        // Mean 5, squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32, 32 / 7.
        let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(spread, Spread { mean: 5.0, deviation: (32.0f64 / 7.0).sqrt() });
        assert_eq!(Spread::of(&[3.0]), Spread { mean: 3.0, deviation: 0.0 });
        assert!(Spread::of(&[]).mean.is_nan() && Spread::of(&[]).deviation.is_nan());
    }

    #[test]
    fn few_differences_are_flipped_in_every_way() {
        // 1 + 2 + 3 = 6: of the 8 patterns only +++ and --- reach 6.
        assert_eq!(sign_flip(&[1.0, 2.0, 3.0], Seed(1)), 0.25);
        // 1 + 2 - 3 = 0: every pattern is at least 0 away.
        assert_eq!(sign_flip(&[1.0, 2.0, -3.0], Seed(1)), 1.0);
        // Five of one sign: 2 of 32 patterns. No five seeds can reach .05 in this test.
        assert_eq!(sign_flip(&[1.0; 5], Seed(1)), 0.0625);
        assert_eq!(sign_flip(&[0.0; 3], Seed(1)), 1.0);
        assert_eq!(sign_flip(&[], Seed(1)), 1.0);
    }

    #[test]
    fn many_differences_are_flipped_at_random_and_the_seed_decides_how() {
        // 14 equal differences: all signs alike has probability 2^-13, expected in 1.2 of 10,000
        // flips; 2 + 12 of them would be a wonder.
        let strong = sign_flip(&[0.5; 14], Seed(1));
        assert!((1.0 / 10_001.0..13.0 / 10_001.0).contains(&strong), "{strong}");
        let mixed: Vec<f64> = (0..100).map(|n| if n % 2 == 0 { 1.0 } else { -1.0 } * f64::from(n)).collect();
        // The sum is -50; its deviation over random signs is sqrt(sum of squares) = 573: P(|Z| >=
        // .0873) = .9304, error .0026.
        let weak = sign_flip(&mixed, Seed(1));
        assert!((weak - 0.9304).abs() < 0.015, "{weak}");
        assert_eq!(weak, sign_flip(&mixed, Seed(1)));
        assert_ne!(weak, sign_flip(&mixed, Seed(2)));
    }

    #[test]
    fn students_tails_are_those_of_the_tables() {
        // Critical values of two-sided tests at .05 (Abramowitz and Stegun, table 26.10): 12.706,
        // 4.303, 3.182, 2.776, 2.228, 2.042.
        for (freedom, t) in [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (10, 2.228), (30, 2.042)] {
            assert!((student_tails(t, freedom) - 0.05).abs() < 5e-5, "{freedom}");
        }
        // At .01 with 4 and 9 degrees: 4.604, 3.250.
        assert!((student_tails(-4.604, 4) - 0.01).abs() < 5e-6);
        assert!((student_tails(3.250, 9) - 0.01).abs() < 5e-6);
        assert_eq!(student_tails(0.0, 5), 1.0);
    }

    #[test]
    fn the_paired_t_is_the_mean_over_its_error() {
        // Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt 3 = 3.4641; with 2 degrees p = 1 - t
        // / sqrt(2 + t^2) = 1 - 3.4641 / 3.7417 = .0742.
        let test = paired_t(&[1.0, 2.0, 3.0]).unwrap();
        assert!((test.t - 12f64.sqrt()).abs() < 1e-12 && (test.p - 0.07418).abs() < 1e-5, "{test:?}");
        assert_eq!(paired_t(&[1.0]), None);
        assert_eq!(paired_t(&[0.5, 0.5, 0.5]), None);
        assert_eq!(paired_t(&[0.0, 0.0]), None);
    }

    #[test]
    fn holm_multiplies_by_the_comparisons_that_are_left_and_never_falls() {
        // .01 * 4, .02 * 3, .03 * 2 = .06, .04 * 1 -> not below .06.
        let corrected = holm(&[0.04, 0.01, 0.03, 0.02]);
        let expected = [0.06, 0.04, 0.06, 0.06];
        assert!(corrected.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{corrected:?}");
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
