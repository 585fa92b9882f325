use super::*;
use crate::testing::{assert_close, numbers, same_bits_of, wide};

const CPU: Device = Device::Cpu;

#[test]
fn the_first_step_moves_by_the_learning_rate_against_the_sign() {
    // t = 1: m / (1 - b1) = g and v / (1 - b2) = g^2, so p moves by lr g / (|g| + eps). The
    // next step with g = 0 still moves: m = .9 * .1 g = .09 g over .19, v = .999 * .001 g^2
    // over .001999: .1 * .473684 / sqrt(.499750) = .0670058.
    let config = AdamConfig { learning_rate: 0.1, ..AdamConfig::default() };
    let (mut m, mut v, mut p) = (CPU.zeros(2), CPU.zeros(2), CPU.upload(&[1.0, 1.0]));
    adam_step(&CPU, &config, 1, &CPU.upload(&[4.0, -0.5]), &mut m, &mut v, &mut p).unwrap();
    assert_close("step 1", p.host(), &[0.9, 1.1], 1e-6, 1e-6);
    adam_step(&CPU, &config, 2, &CPU.zeros(2), &mut m, &mut v, &mut p).unwrap();
    assert_close("step 2", p.host(), &[0.9 - 0.0670058, 1.1 + 0.0670058], 1e-6, 1e-6);
}

#[test]
fn an_element_that_never_had_a_gradient_stays() {
    let (mut m, mut v, mut p) = (CPU.zeros(1), CPU.zeros(1), CPU.upload(&[0.25]));
    adam_step(&CPU, &AdamConfig::default(), 7, &CPU.zeros(1), &mut m, &mut v, &mut p).unwrap();
    assert_eq!(CPU.read(&p), [0.25]);
}

#[test]
fn many_steps_agree_with_the_reference_on_any_number_of_threads() {
    let n = 3 * ELEMENTS_PER_TASK + 17;
    let config = AdamConfig::default();
    let start = numbers(1, n);
    let gradients: Vec<Vec<f32>> = (0..5).map(|step| numbers(20 + step, n)).collect();
    let (mut m, mut v, mut p) = (vec![0.0; n], vec![0.0; n], wide(&start));
    for (step, gradient) in (1..).zip(&gradients) {
        adam_step_reference(&config, step, &wide(gradient), &mut m, &mut v, &mut p);
    }
    let found = same_bits_of(|| {
        let (mut m, mut v, mut p) = (CPU.zeros(n), CPU.zeros(n), CPU.upload(&start));
        for (step, gradient) in (1..).zip(&gradients) {
            adam_step(&CPU, &config, step, &CPU.upload(gradient), &mut m, &mut v, &mut p).unwrap();
        }
        [CPU.read(&m), CPU.read(&v), CPU.read(&p)].concat()
    });
    // Five updates, each a few roundings of numbers below 1.
    assert_close("m, v, parameters", &found, &[m, v, p].concat(), 1e-6, 1e-6);
}

#[test]
fn adagrad_divides_by_the_root_of_all_squares_so_far() {
    let (mut squares, mut values) = (CPU.upload(&[0.0, 7.0]), CPU.upload(&[1.0, 1.0]));
    adagrad_step(&CPU, 0.5, &CPU.upload(&[3.0, 3.0]), &mut squares, &mut values).unwrap();
    // 1 - .5 * 3 / 3 and 1 - .5 * 3 / 4; then 3^2 + 4^2 = 5^2: .5 - .5 * 4 / 5.
    assert_close("step 1", values.host(), &[0.5, 0.625], 1e-6, 1e-6);
    adagrad_step(&CPU, 0.5, &CPU.upload(&[4.0, 0.0]), &mut squares, &mut values).unwrap();
    assert_close("step 2", values.host(), &[0.1, 0.625], 1e-6, 1e-6);
    assert_eq!(CPU.read(&squares), [25.0, 16.0]);
    let refused = adagrad_step(&CPU, 0.5, &CPU.zeros(3), &mut squares, &mut values).unwrap_err();
    assert_eq!(refused.to_string(), "adagrad_step: gradient has 3 elements, expected 2");
}

#[test]
fn gradient_descent_steps_against_the_gradient() {
    let mut p = CPU.upload(&[1.0, 2.0]);
    sgd_step(&CPU, 0.5, &CPU.upload(&[3.0, -1.0]), &mut p).unwrap();
    assert_eq!(CPU.read(&p), [-0.5, 2.5]);
    let refused = sgd_step(&CPU, 0.5, &CPU.zeros(3), &mut p).unwrap_err();
    assert_eq!(refused.to_string(), "sgd_step: gradient has 3 elements, expected 2");
}

#[test]
fn constants_out_of_range_are_refused() {
    let refused = |config: AdamConfig, step| {
        let (mut m, mut v, mut p) = (CPU.zeros(1), CPU.zeros(1), CPU.zeros(1));
        adam_step(&CPU, &config, step, &CPU.zeros(1), &mut m, &mut v, &mut p).unwrap_err().to_string()
    };
    let config = AdamConfig::default();
    assert_eq!(refused(config, 0), "adam_step: step is 0, expected 1 for the first step");
    assert_eq!(
        refused(AdamConfig { beta1: 1.0, ..config }, 1),
        "adam_step: beta1 is 1, expected at least 0 and below 1"
    );
    assert_eq!(
        refused(AdamConfig { learning_rate: f32::NAN, ..config }, 1),
        "adam_step: learning_rate is NaN, expected a finite number, 0 or more"
    );
}
