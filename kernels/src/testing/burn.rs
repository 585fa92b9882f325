//! Values and gradients of an op for Burn, against definitions in f64.

use super::{assert_close, inner, numbers, same_bits, wide};
use crate::burn_bridge::{Matrix, Op};

type Shape = (usize, usize);

fn inputs<const N: usize>(shapes: [Shape; N]) -> [Vec<f32>; N] {
    let mut seed = 0;
    shapes.map(|(rows, columns)| {
        seed += 1;
        numbers(seed, rows * columns)
    })
}

fn matrices<'a, const N: usize>(values: &'a [Vec<f32>; N], shapes: [Shape; N]) -> [Matrix<'a>; N] {
    std::array::from_fn(|i| Matrix { values: &values[i], rows: shapes[i].0, columns: shapes[i].1 })
}

/// The value of an op, and the gradient of each input for a fixed gradient of the output.
pub(crate) fn run<O: Op<N>, const N: usize>(op: &O, values_in: &[Vec<f32>; N], shapes: [Shape; N]) -> Vec<Vec<f32>> {
    let output = op.forward(matrices(values_in, shapes));
    let upstream = numbers(99, output.values.len());
    let gradient = Matrix { values: &upstream, rows: upstream.len() / output.columns.max(1), columns: output.columns };
    let gradients = op.backward(matrices(values_in, shapes), &output.saved, gradient);
    std::iter::once(output.values).chain(gradients).collect()
}

/// Compares the value with a definition in f64.
#[track_caller]
pub(crate) fn check_value<O: Op<N>, const N: usize>(
    op: &O,
    shapes: [Shape; N],
    tolerance: f64,
    definition: impl Fn(&[Vec<f64>; N]) -> Vec<f64>,
) {
    let values_in = inputs(shapes);
    let expected = definition(&values_in.each_ref().map(|values| wide(values)));
    assert_close("value", &run(op, &values_in, shapes)[0], &expected, tolerance, tolerance);
}

/// Compares the gradients with central differences of a definition in f64: steps of 1e-5 on smooth
/// functions of numbers near 1 err by about 1e-9.
#[track_caller]
pub(crate) fn check_against<O: Op<N>, const N: usize>(
    op: &O,
    shapes: [Shape; N],
    tolerance: f64,
    definition: impl Fn(&[Vec<f64>; N]) -> Vec<f64>,
) {
    let values_in = inputs(shapes);
    let found = run(op, &values_in, shapes);
    let exact = values_in.each_ref().map(|values| wide(values));
    let upstream = wide(&numbers(99, found[0].len()));
    assert_close("value", &found[0], &definition(&exact), tolerance, tolerance);
    for input in 0..N {
        let expected: Vec<f64> = (0..exact[input].len())
            .map(|at| {
                let moved = |step: f64| {
                    let mut moved = exact.clone();
                    moved[input][at] += step;
                    inner(&definition(&moved), &upstream)
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            })
            .collect();
        assert_close(&format!("gradient of input {input}"), &found[input + 1], &expected, tolerance, tolerance);
    }
}

/// Compares the gradients with central differences of the op itself, for ops that are linear in
/// each input: no step is too long for them.
#[track_caller]
pub(crate) fn check_gradients<O: Op<N>, const N: usize>(op: &O, shapes: [Shape; N], tolerance: f64) {
    let values_in = inputs(shapes);
    let found = run(op, &values_in, shapes);
    let upstream = wide(&numbers(99, found[0].len()));
    for input in 0..N {
        let places = found[input + 1].len();
        // A spread of places: each costs two runs.
        for at in (0..places).step_by(places.div_ceil(40)) {
            let moved = |step: f32| {
                let mut moved = values_in.clone();
                moved[input][at] += step;
                inner(&wide(&op.forward(matrices(&moved, shapes)).values), &upstream)
            };
            let difference = (moved(1.0) - moved(-1.0)) / 2.0;
            let gradient = f64::from(found[input + 1][at]);
            let allowed = tolerance * (1.0 + gradient.abs());
            assert!((difference - gradient).abs() <= allowed, "input {input} at {at}: {difference} {gradient}");
        }
    }
}

/// Runs the op with 1, 2 and 4 threads.
#[track_caller]
pub(crate) fn check_threads<O: Op<N>, const N: usize>(op: &O, shapes: [Shape; N]) {
    let values_in = inputs(shapes);
    same_bits(|| run(op, &values_in, shapes));
}
