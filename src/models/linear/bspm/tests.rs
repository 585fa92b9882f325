//! BSPM against its differential equation, stepped with dense matrices.

use approx::assert_abs_diff_eq;

use super::super::polynomial::tests::{World, check};
use super::*;

/// `y + factor x`.
fn plus(y: &[f64], factor: f64, x: &[f64]) -> Vec<f64> {
    y.iter().zip(x).map(|(y, x)| y + factor * x).collect()
}

/// One step of `dy/dt = -y G`.
fn stepped(world: &World, y: &[f64], h: f64, solver: Solver) -> Vec<f64> {
    let g = world.gram(0.5, 0.5);
    let slope = |y: &[f64]| -> Vec<f64> { world.times(y, &g).iter().map(|value| -value).collect() };
    let first = slope(y);
    if solver == Solver::Euler {
        return plus(y, h, &first);
    }
    let second = slope(&plus(y, h / 2.0, &first));
    let third = slope(&plus(y, h / 2.0, &second));
    let fourth = slope(&plus(y, h, &third));
    let inner = plus(&plus(&first, 2.0, &second), 2.0, &third);
    plus(y, h / 6.0, &plus(&inner, 1.0, &fourth))
}

#[test]
fn scores_are_the_stepped_equation() {
    let all = [
        Config { factors: 1, weight: 0.4, ..Config::default() },
        Config { factors: 1, merge: Merge::Late, ..Config::default() },
        Config { factors: 1, solver: Solver::Euler, sharpening: 1.2, mean: true, ..Config::default() },
        Config { factors: 0, sharpening: 2.2, steps: 2, ..Config::default() },
        Config { factors: 1, steps: 3, mean: true, ..Config::default() },
    ];
    for config in all {
        check(&config, |world: &World, r| {
            let blurred = world.times(r, &world.gram(0.5, 0.5));
            let onto = world.scaled(&world.onto_first_vector(&world.scaled(r, -0.5)), 0.5);
            let weight = if config.factors == 0 { 0.0 } else { config.weight };
            let (early, late) = if config.merge == Merge::Early { (weight, 0.0) } else { (0.0, weight) };
            let mut y = plus(&blurred, early, &onto);
            let mut total = blurred;
            for _ in 0..config.steps {
                y = stepped(world, &y, config.sharpening / config.steps as f64, config.solver);
                total = plus(&total, 1.0, &y);
            }
            let mean: Vec<f64> = total.iter().map(|value| value / (config.steps + 1) as f64).collect();
            plus(if config.mean { &mean } else { &y }, late, &onto)
        });
    }
}

#[test]
fn the_response_of_gowalla_is_the_published_process() {
    // g sum_j (-2.5 g)^j / j!: at g = .4 it is .4 (1 - 1 + .5 - 1/6 + 1/24) = .15; at g = .8, where
    // 2.5 g = 2, .8 (1 - 2 + 2 - 4/3 + 2/3) = .8 / 3.
    let response = |g: f64| Config::default().filter().history.iter().rev().fold(0.0, |sum, c| sum * g + c);
    assert_abs_diff_eq!(response(0.4), 0.15, epsilon = 1e-12);
    assert_abs_diff_eq!(response(0.8), 0.8 / 3.0, epsilon = 1e-12);
}

#[test]
fn values_outside_their_range_are_refused() {
    assert!(Config { sharpening: 5.1, ..Config::default() }.validate().is_err());
    assert!(Config { steps: 0, ..Config::default() }.validate().is_err());
    assert_eq!(
        Config { factors: 0, weight: 0.5, ..Config::default() }.unread("model.bspm")[0].key,
        "model.bspm.weight"
    );
}
