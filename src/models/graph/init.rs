//! Initial weights.

use rand::{Rng, RngExt};

/// `n` draws from a normal distribution with mean 0, by Box and Muller's transform of two uniform
/// numbers.
pub(crate) fn normal(mut random: impl Rng, n: usize, std: f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // 1 - u lies in (0, 1], where the logarithm is finite.
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * random.random::<f64>();
        values.push((radius * angle.cos()) as f32 * std);
        values.push((radius * angle.sin()) as f32 * std);
    }
    values.truncate(n);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{Purpose, Seed};

    #[test]
    fn draws_have_the_moments_of_a_normal_distribution() {
        let n = 20_001;
        let values = normal(Seed(1).stream(Purpose::Init, 0, 0), n, 0.5);
        assert_eq!(values.len(), n);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n as f64;
        // standard errors: .5 / sqrt(20001) = .0035 for the mean, .25 * sqrt(2 / 20001) = .0025 for
        // the variance
        assert!(mean.abs() < 0.014, "{mean}");
        assert!((variance - 0.25).abs() < 0.01, "{variance}");
    }
}
