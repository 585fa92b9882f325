//! Adam for the parameters of a debiasing method, in f64 on the host: there are about as many as
//! users and items.

use crate::objectives::Parameters;

/// One array of parameters with its moments.
#[derive(Debug, Clone)]
pub(super) struct MetaAdam {
    pub(super) value: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
    step: u32,
    learning_rate: f64,
    /// Added to the gradient, times the parameter.
    decay: f64,
}

impl MetaAdam {
    pub(super) fn new(value: Vec<f32>, learning_rate: f64, decay: f64) -> Self {
        let zeros = vec![0.0; value.len()];
        let value = value.into_iter().map(f64::from).collect();
        MetaAdam { value, m: zeros.clone(), v: zeros, step: 0, learning_rate, decay }
    }

    /// One step against the gradient. Values are kept as 32-bit numbers, so that a checkpoint holds
    /// all of them.
    pub(super) fn step(&mut self, gradient: &[f64]) {
        const BETA1: f64 = 0.9;
        const BETA2: f64 = 0.999;
        self.step += 1;
        let (first, second) = (1.0 - BETA1.powf(self.step.into()), 1.0 - BETA2.powf(self.step.into()));
        let short = |x: f64| f64::from(x as f32);
        for (i, gradient) in gradient.iter().enumerate() {
            let gradient = gradient + self.decay * self.value[i];
            self.m[i] = short(BETA1 * self.m[i] + (1.0 - BETA1) * gradient);
            self.v[i] = short(BETA2 * self.v[i] + (1.0 - BETA2) * gradient * gradient);
            let update = (self.m[i] / first) / ((self.v[i] / second).sqrt() + 1e-8);
            self.value[i] = short(self.value[i] - self.learning_rate * update);
        }
    }

    /// Value, moments and step under four names. The step is stored by its bits.
    pub(super) fn save(&self, names: [&'static str; 4]) -> Parameters {
        let narrow = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let [value, m, v, step] = names;
        // Two halves of 16 bits: each is a number that 32-bit floats hold exactly.
        let halves = vec![(self.step >> 16) as f32, (self.step & 0xffff) as f32];
        vec![(value, narrow(&self.value)), (m, narrow(&self.m)), (v, narrow(&self.v)), (step, halves)]
    }

    /// Takes back what [`MetaAdam::save`] gave.
    pub(super) fn load(&mut self, saved: &mut impl Iterator<Item = (&'static str, Vec<f32>)>) {
        let mut next = || saved.next().map(|(_, values)| values).unwrap_or_default();
        for array in [&mut self.value, &mut self.m, &mut self.v] {
            array.iter_mut().zip(next()).for_each(|(to, from)| *to = f64::from(from));
        }
        if let [high, low] = next()[..] {
            self.step = (high as u32) << 16 | low as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First step: m = .1 g, v = .001 g^2, both corrected to g and g^2, so every parameter moves by
    /// the step size against its gradient, whose sign the decay can turn: -0.5 + 0.2 * 4 > 0.
    #[test]
    fn the_first_step_has_the_length_of_the_step_size() {
        let mut adam = MetaAdam::new(vec![1.0, -2.0, 4.0], 0.25, 0.2);
        adam.step(&[3.0, -0.5, -0.5]);
        for (found, expected) in adam.value.iter().zip([0.75, -1.75, 3.75]) {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn what_is_saved_goes_on_with_the_same_bits() {
        let mut one = MetaAdam::new(vec![0.1, 0.2], 0.1, 1e-3);
        (0..70_000).for_each(|i| one.step(&[f64::from(i % 7) - 3.0, 0.1]));
        let mut other = MetaAdam::new(vec![0.0; 2], 0.1, 1e-3);
        other.load(&mut one.save(["value", "m", "v", "step"]).into_iter());
        one.step(&[1.0, 2.0]);
        other.step(&[1.0, 2.0]);
        assert_eq!(one.value, other.value);
    }
}
