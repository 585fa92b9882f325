//! Hypergradients against finite differences of the whole inner step, and the engine against them.

mod engine;
mod reference;
mod rows;
mod sanity;

use std::sync::Arc;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use gcnrec_kernels::ops::adam::AdamConfig;
use gcnrec_kernels::ops::combine::{AdditiveShape, Attention};

use super::autodebias::Autodebias;
use super::imputation::Imputation;
use crate::objectives::{AuxiliaryTerm, Nodes, Reduction};
use crate::samplers::Batch;
use reference::{Meta, Optimizer, World};

const N_USERS: usize = 5;
const N_ITEMS: usize = 7;

/// (user, item, label), in the order of edges.
const EXAMPLES: [(u32, u32, f32); 11] = [
    (0, 0, 1.0),
    (0, 3, -1.0),
    (1, 1, 1.0),
    (1, 2, 1.0),
    (1, 6, -1.0),
    (2, 0, -1.0),
    (2, 4, 1.0),
    (3, 5, 1.0),
    (3, 6, 1.0),
    (4, 2, -1.0),
    (4, 3, 1.0),
];
const UNIFORM: [(u32, u32, f32); 6] = [(0, 1, 1.0), (1, 5, -1.0), (2, 2, -1.0), (3, 0, 1.0), (4, 4, 1.0), (2, 6, -1.0)];

/// Smooth made-up numbers: every one different, none special.
fn wave(n: usize, frequency: f64, scale: f64) -> Vec<f64> {
    (0..n).map(|i| scale * ((i as f64 + 1.0) * frequency).sin()).collect()
}

/// `D^-1/2 A D^-1/2` over the liked examples, dense.
fn adjacency() -> Vec<f64> {
    let n = N_USERS + N_ITEMS;
    let liked: Vec<(usize, usize)> =
        EXAMPLES.iter().filter(|e| e.2 > 0.0).map(|e| (e.0 as usize, N_USERS + e.1 as usize)).collect();
    let degree = |node: usize| liked.iter().filter(|&&(u, i)| u == node || i == node).count() as f64;
    let mut a = vec![0.0; n * n];
    for &(u, i) in &liked {
        let value = 1.0 / (degree(u) * degree(i)).sqrt();
        (a[u * n + i], a[i * n + u]) = (value, value);
    }
    a
}

fn optimizer(adam: bool, n: usize, learning_rate: f32) -> Optimizer {
    let config = AdamConfig { learning_rate, ..AdamConfig::default() };
    let squares = |values: Vec<f64>| values.into_iter().map(|x| x * x + 1e-4).collect();
    Optimizer { config, moments: adam.then(|| (4, wave(n, 0.3, 0.05), squares(wave(n, 0.9, 0.1)))) }
}

fn rows(examples: &[(u32, u32, f32)]) -> Vec<(usize, usize, f64)> {
    examples.iter().map(|&(u, i, y)| (u as usize, i as usize, f64::from(y))).collect()
}

fn world(layers: usize, additive: bool, adam: bool) -> World {
    let (dim, n) = (5, N_USERS + N_ITEMS);
    let biases = layers == 0;
    let mut base = wave(n * dim, 0.7, 0.6);
    if biases {
        for (node, row) in base.chunks_exact_mut(dim).enumerate() {
            row[if node < N_USERS { dim - 1 } else { dim - 2 }] = 1.0;
        }
    }
    let shape = AdditiveShape { dim, hidden: 3, layers, temperature: 1.0, bound: 0.0 };
    let attention = additive.then(|| {
        let size = shape.n_parameters();
        let parameters = [wave(size, 1.1, 0.8), wave(size, 1.7, 0.8)];
        (shape, parameters, [0, 1].map(|_| optimizer(true, size, 0.02)))
    });
    World {
        n_users: N_USERS,
        n_items: N_ITEMS,
        dim,
        layers,
        adjacency: adjacency(),
        attention,
        base,
        optimizer: optimizer(adam, n * dim, 0.03),
        examples: rows(&EXAMPLES),
        uniform: rows(&UNIFORM),
        l2: 0.1,
        strength: 0.3,
        biases,
    }
}

fn meta() -> Meta {
    Meta {
        weights: wave(EXAMPLES.len(), 0.9, 0.4).into_iter().map(|w| 1.0 + w).collect(),
        imputation: wave(N_USERS + N_ITEMS + 2, 1.3, 0.7),
        values: [-0.6, -0.2, 0.5],
    }
}

fn worlds() -> Vec<(&'static str, World)> {
    let mut worlds = Vec::new();
    for adam in [false, true] {
        worlds.push((["MF, gradient descent", "MF, Adam"][usize::from(adam)], world(0, false, adam)));
        worlds.push((["LightGCN, gradient descent", "LightGCN, Adam"][usize::from(adam)], world(2, false, adam)));
        worlds.push((["attention, gradient descent", "attention, Adam"][usize::from(adam)], world(2, true, adam)));
    }
    worlds
}

/// Central differences with h = 1e-5: the formula's own error is h^2 / 6 times a third derivative,
/// 1e-11 here; the rounding of a loss near 10 is 1e-15 * 10 / 1e-5 = 1e-9.
fn difference(mut at: impl FnMut(f64) -> f64) -> f64 {
    (at(1e-5) - at(-1e-5)) / 2e-5
}

fn assert_near(found: f64, expected: f64, scale: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error < tolerance * (expected.abs() + 0.01 * scale), "{what}: {found}, expected {expected}");
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, x| x.abs().max(largest))
}

/// The imputation term over the whole of the small world, with the given parameters.
fn term(world: &World, meta: &Meta) -> Imputation {
    let nodes = Nodes { n_users: N_USERS, n_items: N_ITEMS };
    let labels = Arc::new(EXAMPLES.iter().map(|e| e.2).collect::<Vec<_>>());
    let config = Autodebias::default();
    let mut term = Imputation::new(&config, nodes, world.dim, Some(labels), Reduction::Sum, world.strength, Seed(1));
    let (weights, values) = term.meta();
    weights.clone_from(&meta.imputation);
    values.copy_from_slice(&meta.values);
    let batch = Batch {
        users: EXAMPLES.iter().map(|e| e.0).collect(),
        positives: EXAMPLES.iter().map(|e| e.1).collect(),
        edges: (0..EXAMPLES.len() as u32).collect(),
        ..Batch::default()
    };
    let all: Vec<u32> = (0..(N_USERS + N_ITEMS) as u32).collect();
    term.prepare(&Device::Cpu, &batch, &all).unwrap();
    term
}

#[test]
fn the_reference_gradient_is_that_of_the_reference_loss() {
    for (name, world) in worlds() {
        let (meta, start) = (meta(), world.start());
        let gradient = world.gradient(&start, &meta);
        for at in 0..world.base.len() {
            let node = at / world.dim;
            let constant = if node < N_USERS { world.dim - 1 } else { world.dim - 2 };
            if world.biases && at % world.dim == constant {
                continue;
            }
            let expected = difference(|h| {
                let mut moved = start.clone();
                moved.0[at] += h;
                world.loss(&moved, &meta)
            });
            assert_near(gradient.0[at], expected, largest(&gradient.0), 1e-6, name);
        }
        for (group, found) in gradient.1.iter().enumerate() {
            for (at, &found_at) in found.iter().enumerate() {
                let expected = difference(|h| {
                    let mut moved = start.clone();
                    moved.1[group][at] += h;
                    world.loss(&moved, &meta)
                });
                assert_near(found_at, expected, largest(found), 1e-6, name);
            }
        }
    }
}

#[test]
fn the_hypergradient_of_every_example_s_weight_is_that_of_the_whole_inner_step() {
    for (name, world) in worlds() {
        let meta = meta();
        let (x, x_dot) = world.motion(&meta);
        let found = world.weight_gradient(&x, &x_dot);
        for (example, &found_here) in found.iter().enumerate() {
            let expected = difference(|h| {
                let mut moved = meta.clone();
                moved.weights[example] += h;
                world.look_ahead(&moved)
            });
            assert_near(found_here, expected, largest(&found), 1e-6, name);
        }
    }
}

#[test]
fn the_closed_form_of_the_imputation_term_has_the_hypergradients_of_all_its_pairs() {
    for (name, world) in worlds() {
        let meta = meta();
        let (x, x_dot) = world.motion(&meta);
        let mut term = term(&world, &meta);
        term.motion(&x, &x_dot);
        let (by_weight, by_value) = term.kept();
        for (at, &found) in by_weight.iter().enumerate() {
            let expected = difference(|h| {
                let mut moved = meta.clone();
                moved.imputation[at] += h;
                world.look_ahead(&moved)
            });
            assert_near(found, expected, largest(by_weight), 1e-6, &format!("{name}, imputation weight {at}"));
        }
        for (class, &found) in by_value.iter().enumerate() {
            let expected = difference(|h| {
                let mut moved = meta.clone();
                moved.values[class] += h;
                world.look_ahead(&moved)
            });
            assert_near(found, expected, largest(by_value), 1e-6, &format!("{name}, imputed value {class}"));
        }
    }
}

#[test]
fn the_closed_form_is_the_sum_over_all_pairs_and_its_gradient_and_tangent_belong_to_it() {
    let (world, meta) = (world(0, false, false), meta());
    let mut term = term(&world, &meta);
    let point = world.start();
    let without = World { strength: 0.0, ..world.clone() };
    let expected = world.loss(&point, &meta) - without.loss(&point, &meta);
    assert_near(term.value(&point.0), expected, expected, 1e-12, "value");
    let gradient = term.gradient(&point.0);
    let dot = wave(point.0.len(), 0.4, 1.0);
    for at in 0..point.0.len() {
        let expected = difference(|h| {
            let mut moved = point.0.clone();
            moved[at] += h;
            term.value(&moved)
        });
        assert_near(gradient[at], expected, largest(&gradient), 1e-8, "gradient");
    }
    let along: f64 = gradient.iter().zip(&dot).map(|(g, d)| g * d).sum();
    assert_near(term.motion(&point.0, &dot), along, along, 1e-12, "tangent");
}
