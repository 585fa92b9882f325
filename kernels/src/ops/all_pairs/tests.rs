use super::*;

const DIM: usize = 3;
const N_LEFT: usize = 5;
const N_ROWS: usize = 12;
const LEFT: [u32; 4] = [0, 0, 2, 4];
const RIGHT: [u32; 4] = [5, 11, 7, 5];

fn wave(n: usize, frequency: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + 1.0) * frequency).sin()).collect()
}

struct Case {
    factor: Vec<f64>,
    target: Vec<f64>,
    known: KnownPairs,
    x: Vec<f64>,
    x_dot: Vec<f64>,
}

impl Case {
    fn new() -> Case {
        let mut known = KnownPairs::default();
        known.assign(&Device::Cpu, N_ROWS, &LEFT, &RIGHT).unwrap();
        let factor = wave(N_ROWS, 1.3).into_iter().map(|f| 1.0 + 0.5 * f).collect();
        let short = |x: f64| f64::from(x as f32);
        let [x, x_dot] = [0.7, 0.4].map(|f| wave(N_ROWS * DIM, f).into_iter().map(short).collect());
        Case { factor, target: vec![1.0, -1.0, 0.5, -0.25], known, x, x_dot }
    }

    fn pairs(&self) -> AllPairs<'_> {
        let (factor, known_target) = (&self.factor[..], &self.target[..]);
        AllPairs { dim: DIM, n_left: N_LEFT, factor, weight: [0.7, 1.9], target: -0.3, known_target, scale: 0.6 }
    }

    /// All pairs one by one: (left, right, weight, target, score, its motion).
    fn listed(&self, x: &[f64]) -> Vec<(usize, usize, f64, f64, f64, f64)> {
        let pairs = self.pairs();
        let of = |l: usize, r: usize| {
            let at = self.known.pairs().position(|pair| pair == (l, r));
            let (w, t) = at.map_or((0.7, -0.3), |at| (1.9, self.target[at]));
            let (a, b) = (pairs.row(x, l), pairs.row(x, r));
            let moved = dot(pairs.row(&self.x_dot, l), b) + dot(a, pairs.row(&self.x_dot, r));
            (l, r, w * self.factor[l] * self.factor[r], t, dot(a, b), moved)
        };
        (0..N_LEFT).flat_map(|l| (N_LEFT..N_ROWS).map(move |r| (l, r))).map(|(l, r)| of(l, r)).collect()
    }
}

fn assert_near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "{found}, expected {expected}");
}

#[test]
fn the_closed_form_is_the_sum_over_all_pairs() {
    let case = Case::new();
    let expected: f64 = case.listed(&case.x).iter().map(|&(_, _, w, t, s, _)| w * (s - t).powi(2)).sum();
    assert_near(all_pairs_reference(&case.pairs(), &case.known, &case.x), 0.6 * expected, 1e-13);
}

/// Central differences with h = 1e-5: the loss is of the fourth order, so the formula's error
/// is some 1e-10, and rounding 1e-14 / 1e-5.
#[test]
fn the_gradient_is_that_of_the_loss() {
    let mut case = Case::new();
    let found = all_pairs_gradient_reference(&case.pairs(), &case.known, &case.x);
    for (at, &found) in found.iter().enumerate() {
        let mut moved = |h: f64| {
            case.x[at] += h;
            let value = all_pairs_reference(&case.pairs(), &case.known, &case.x);
            case.x[at] -= h;
            value
        };
        assert_near(found, (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-8);
    }
}

#[test]
fn motions_of_rows_are_sums_over_the_other_side() {
    let case = Case::new();
    let found = all_pairs_motion_reference(&case.pairs(), &case.known, &case.x, &case.x_dot);
    let mut expected = [[0.0; 2]; N_ROWS];
    let mut known = Vec::new();
    for (l, r, _, _, s, moved) in case.listed(&case.x) {
        for (row, other) in [(l, r), (r, l)] {
            expected[row][0] += case.factor[other] * s * moved;
            expected[row][1] += case.factor[other] * moved;
        }
        known.push(((l as u32, r as u32), [s, moved]));
    }
    for (found, expected) in found.rows.iter().flatten().zip(expected.iter().flatten()) {
        assert_near(*found, *expected, 1e-13);
    }
    for ((l, r), found) in LEFT.into_iter().zip(RIGHT).zip(&found.known) {
        let (_, expected) = known.iter().find(|(pair, _)| *pair == (l, r)).unwrap();
        assert_near(found[0], expected[0], 1e-13);
        assert_near(found[1], expected[1], 1e-13);
    }
}

#[test]
fn the_ops_are_the_reference_and_refuse_what_does_not_fit() {
    let (cpu, mut case) = (Device::Cpu, Case::new());
    let narrow = |x: &[f64]| cpu.upload(&x.iter().map(|&x| x as f32).collect::<Vec<_>>());
    let (x, x_dot) = (narrow(&case.x), narrow(&case.x_dot));
    let mut gradient = cpu.upload(&[0.5; N_ROWS * DIM]);
    let mut known = std::mem::take(&mut case.known);
    all_pairs_gradient(&cpu, &case.pairs(), &mut known, &x, &mut gradient).unwrap();
    let expected = all_pairs_gradient_reference(&case.pairs(), &known, &case.x);
    cpu.read(&gradient).iter().zip(expected).for_each(|(found, g)| assert_near((*found).into(), 0.5 + g, 1e-6));
    let motion = all_pairs_motion(&cpu, &case.pairs(), &mut known, &x, &x_dot).unwrap();
    assert_eq!(motion, all_pairs_motion_reference(&case.pairs(), &known, &case.x, &case.x_dot));
    assert!(all_pairs_motion(&cpu, &case.pairs(), &mut known, &x, &cpu.zeros(1)).is_err());
    assert!(known.assign(&cpu, N_ROWS, &[0], &[12]).is_err());
    assert!(known.assign(&cpu, N_ROWS, &[0, 1], &[5]).is_err());
    known.assign(&cpu, N_ROWS, &[0], &[5]).unwrap();
    assert!(all_pairs_gradient(&cpu, &case.pairs(), &mut known, &x, &mut gradient).is_err());
}
