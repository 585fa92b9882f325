//! The three parts of every combination against each other, and their identities.

use gcnrec_graphs::{Purpose, Seed};

use gcnrec_kernels::Device;

use super::*;
use crate::models::graph::init::normal;
use crate::models::graph::lightgcn;

const N_USERS: usize = 5;
const N_ROWS: usize = 12;
const DIM: usize = 7;

/// Numbers around 0.5 in size, of their own for every index.
fn values(index: u64, n: usize) -> Vec<f32> {
    normal(Seed(11).stream(Purpose::Analysis, 0, index), n, 0.5)
}

/// A combination, and rows of layers to combine.
struct Scene {
    combination: Combiner,
    hops: Vec<Buffer<f32>>,
    rows: RowGroups,
    scratch: Scratch,
    pooled: Buffer<f32>,
    attention: Buffer<f32>,
}

impl Scene {
    fn new(kind: Combination, layers: usize, bound: f32) -> Scene {
        let attention = lightgcn::Attention { hidden: 5, ..Default::default() };
        let config = lightgcn::Config { layers, combination: kind, attention, ..Default::default() };
        Scene {
            combination: Combiner::new(&Device::Cpu, &config, DIM, None, bound, Seed(3)),
            hops: (0..=layers as u64).map(|k| Device::Cpu.upload(&values(k, N_ROWS * DIM))).collect(),
            rows: RowGroups { n_users: N_USERS, n_rows: N_ROWS },
            scratch: Scratch::default(),
            pooled: Buffer::default(),
            attention: Buffer::default(),
        }
    }

    /// Puts the parameters somewhere else, by `change` of the values of each group.
    fn set(&mut self, change: impl Fn(usize, &mut Vec<f32>)) {
        for (index, group) in self.combination.groups_mut().iter_mut().enumerate() {
            let mut value = Device::Cpu.read(&group.value);
            change(index, &mut value);
            Device::Cpu.write(&mut group.value, &value);
        }
    }

    fn forward(&mut self) -> Vec<f32> {
        let Scene { combination, hops, rows, scratch, pooled, attention } = self;
        let layers = BatchLayers { hops, rows: *rows };
        combination.forward(&Device::Cpu, layers, pooled, attention, scratch).unwrap();
        Device::Cpu.read(pooled)
    }

    fn backward(&mut self, g: &[f32]) -> Vec<Vec<f32>> {
        let Scene { combination, hops, rows, scratch, attention, .. } = self;
        let mut direct: Vec<Buffer<f32>> = hops.iter().map(|_| Buffer::default()).collect();
        let g = Device::Cpu.upload(g);
        let (layers, reached) = (BatchLayers { hops, rows: *rows }, Reached { attention, g: &g });
        combination.backward(&Device::Cpu, layers, reached, &mut direct, scratch).unwrap();
        direct.iter().map(|direct| Device::Cpu.read(direct)).collect()
    }

    fn tangent(&mut self, hops_dot: &[Vec<f32>], parameters_dot: &[Vec<f32>]) -> Vec<f32> {
        let Scene { combination, hops, rows, scratch, .. } = self;
        let upload =
            |arrays: &[Vec<f32>]| -> Vec<Buffer<f32>> { arrays.iter().map(|a| Device::Cpu.upload(a)).collect() };
        let (hops_dot, parameters_dot, mut dot) = (upload(hops_dot), upload(parameters_dot), Buffer::default());
        let layers = BatchLayers { hops, rows: *rows };
        combination.tangent(&Device::Cpu, layers, &hops_dot, &parameters_dot, &mut dot, scratch).unwrap();
        Device::Cpu.read(&dot)
    }
}

fn inner(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// `<g, J x> = <J' g, x>`: the tangent and the gradient are one linear map and its transpose. About
/// a thousand products of f32 numbers around 0.2 with signs: 1e-5 is a hundred times their
/// rounding.
#[test]
fn the_tangent_is_the_transpose_of_the_gradient() {
    for kind in Combination::all() {
        for (layers, bound) in [(0, 0.0), (2, 0.0), (3, 0.5)] {
            let mut scene = Scene::new(kind, layers, bound);
            scene.set(|group, value| *value = values(100 + group as u64, value.len()));
            scene.forward();
            let g = values(50, N_ROWS * DIM);
            let direct = scene.backward(&g);
            let gradients = scene.combination.gradients(&Device::Cpu);
            let hops_dot: Vec<Vec<f32>> = (0..=layers as u64).map(|k| values(60 + k, N_ROWS * DIM)).collect();
            let parameters_dot: Vec<Vec<f32>> =
                gradients.iter().enumerate().map(|(group, g)| values(80 + group as u64, g.len())).collect();
            let forward = inner(&g, &scene.tangent(&hops_dot, &parameters_dot));
            let back = |a: &[Vec<f32>], b: &[Vec<f32>]| a.iter().zip(b).map(|(a, b)| inner(a, b)).sum::<f64>();
            let backward = back(&direct, &hops_dot) + back(&gradients, &parameters_dot);
            assert!((forward - backward).abs() < 1e-5 * (1.0 + forward.abs()), "{kind:?}: {forward} {backward}");
        }
    }
}

/// Adding a number to all logits changes nothing, so their gradients sum to zero.
#[test]
fn the_gradients_of_the_global_logits_sum_to_zero() {
    for kind in Combination::all() {
        let mut scene = Scene::new(kind, 3, 0.0);
        scene.set(|group, value| *value = values(100 + group as u64, value.len()));
        scene.forward();
        scene.backward(&values(50, N_ROWS * DIM));
        for gradient in scene.combination.gradients(&Device::Cpu) {
            let (sum, size) = (gradient[..4].iter().sum::<f32>(), gradient[..4].iter().map(|g| g.abs()).sum::<f32>());
            assert!(size > 1e-3 && sum.abs() < 1e-5 * (1.0 + size), "{kind:?}: {sum} of {size}");
        }
    }
}

/// With `q = 0` (or `W_q = 0`, `W_v = I`) what is left is a softmax over the global logits,
/// whatever the rest of the network says.
#[test]
fn a_silent_network_leaves_the_global_weights() {
    let theta = [0.5, -0.25, 1.0, 0.0];
    let of = |kind| {
        let mut scene = Scene::new(kind, 3, 0.0);
        scene.set(|_, value| value[..4].copy_from_slice(&theta));
        (scene.forward(), Device::Cpu.read(&scene.attention))
    };
    let (global, _) = of(Combination::GLOBAL);
    // exp(.5, -.25, 1, 0) = 1.648721, .778801, 2.718282, 1; their sum is 6.145804.
    let expected = [0.268268, 0.126721, 0.442299, 0.162713f32];
    for kind in [Combination::ADDITIVE, Combination::DOT] {
        let (pooled, attention) = of(kind);
        for row in attention.chunks(4) {
            assert!(row.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 2e-6), "{row:?}");
        }
        assert!(pooled.iter().zip(&global).all(|(a, b)| (a - b).abs() < 1e-6), "{kind:?}");
    }
}

#[test]
fn at_the_start_all_layers_weigh_the_same_and_the_open_parameters_have_gradients() {
    for kind in Combination::all() {
        for bound in [0.0, 0.5] {
            let mut scene = Scene::new(kind, 2, bound);
            let pooled = scene.forward();
            let hops: Vec<Vec<f32>> = scene.hops.iter().map(|hop| Device::Cpu.read(hop)).collect();
            for (at, &found) in pooled.iter().enumerate() {
                let mean = hops.iter().map(|hop| f64::from(hop[at])).sum::<f64>() / 3.0;
                assert!((f64::from(found) - mean).abs() < 1e-6, "{kind:?} at {at}");
            }
            scene.backward(&values(50, N_ROWS * DIM));
            for gradient in scene.combination.gradients(&Device::Cpu) {
                // The logits, and behind them q (the last 5) or W_q (the first 7 * 5).
                let open = match kind.0.name() {
                    "additive" => gradient.len() - 5..gradient.len(),
                    "dot" => 3..3 + 7 * 5,
                    _ => 0..0,
                };
                assert!(gradient[..3].iter().chain(&gradient[open]).all(|&g| g != 0.0), "{kind:?}");
            }
        }
    }
}

/// The network's logits are at most 0.5 away from the global ones, so no weight can leave its
/// global value by more than a factor `e^(2 * 0.5)`.
#[test]
fn a_bound_keeps_every_node_near_the_global_weights() {
    for kind in [Combination::ADDITIVE, Combination::DOT] {
        let mut scene = Scene::new(kind, 3, 0.5);
        scene.set(|group, value| {
            let loud: Vec<f32> = values(100 + group as u64, value.len()).iter().map(|x| x * 40.0).collect();
            value[4..].copy_from_slice(&loud[4..]);
        });
        scene.forward();
        let (low, high) = (0.25 / 1f32.exp(), 0.25 * 1f32.exp());
        let attention = Device::Cpu.read(&scene.attention);
        assert!(attention.iter().all(|&a| a > low * 0.999 && a < high * 1.001), "{kind:?}");
        assert!(attention.iter().any(|&a| (a - 0.25).abs() > 0.05), "the network does speak");
    }
}
