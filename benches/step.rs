//! How long is a training step of Gowalla (2,048 pairs, or 512 users for the all-item softmax), and where does it go?

mod common;

use std::sync::Arc;

use common::{adjacency, compare, gowalla, line, median, numbers, seconds, square_product, title};
use gcnrec::models::Learner;
use gcnrec::models::graph::{Config, GraphLearner, Setup, Teacher};
use gcnrec::objectives::{self, Batching};
use gcnrec::samplers::{Batch, NegativeSampler, PairOrder, PairSampler, Sampler};
use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::propagate::{
    Adjacency, RowSet, propagate, propagate_add, propagate_from_rows_add, propagate_rows,
};
use gcnrec_kernels::{Buffer, Device};

const DIM: usize = 64;
const BATCH: usize = 2048;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| name.contains(only.as_str()));
    let (train, _) = gowalla();
    let train = Arc::new(train);
    let bpr = objectives::Config::Bpr(Default::default());
    let ssm = objectives::Config::Ssm(Default::default());
    let softmax = objectives::Config::Softmax(Default::default());
    if wanted("bpr") {
        let step = whole_step(&train, &bpr, 3, 15);
        bpr_phases(&train, step);
    }
    let rate = matrix_rate();
    println!("\nmatrix rate (gemm, 1024 cubed, f32, all threads): {:.0} GFLOP/s", rate / 1e9);
    if wanted("ssm") {
        let step = whole_step(&train, &ssm, 1, 9);
        // Three products of 2048 x 2048 x 64: scores, and two gradients.
        report_loss("ssm, K = 1", step, 3.0 * 2.0 * (BATCH * BATCH * DIM) as f64, rate, train.n_edges().div_ceil(BATCH));
    }
    for layers in [1, 3] {
        let name = format!("softmax over all items, K = {layers}");
        if wanted(&name) {
            let step = whole_step(&train, &softmax, layers, 5);
            let flops = 3.0 * 2.0 * (512 * train.n_items() * DIM) as f64;
            report_loss(&name, step, flops, rate, train.n_users().div_ceil(512));
        }
    }
}

/// Operations per second of a product that fits the caches.
fn matrix_rate() -> f64 {
    let n = 1024;
    let (a, b, mut out) = (numbers(1, n * n), numbers(2, n * n), vec![0.0; n * n]);
    let mut flops = 0.0;
    let times = compare(9, &mut [("gemm", Box::new(|| flops = square_product(n, &a, &b, &mut out)))]);
    flops / times[0]
}

fn report_loss(name: &str, step: f64, flops: f64, rate: f64, n_steps: usize) {
    title(name);
    line("step", step, &format!("{:.1} s an epoch of {n_steps} steps", step * n_steps as f64));
    line("its three products at the matrix rate", flops / rate, &format!("{:.2} of the step", flops / rate / step));
}

fn learner(train: &Arc<Interactions>, objective: &objectives::Config, layers: usize) -> GraphLearner {
    GraphLearner::new(Setup {
        device: Device::Cpu,
        config: Config { layers, dim: DIM, ..Config::default() },
        model: "lightgcn",
        objective: objective.clone(),
        batching: Batching { size: None, order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: train.clone(),
        teacher: Teacher::Nobody,
        prior: None,
        bound: 0.0,
        seed: Seed(2020),
    })
    .expect("a learner over a sound graph")
}

/// Median seconds of a step, after two steps that fill buffers and caches.
fn whole_step(train: &Arc<Interactions>, objective: &objectives::Config, layers: usize, n_steps: usize) -> f64 {
    let mut learner = learner(train, objective, layers);
    learner.steps(0, 0..2).expect("two steps");
    let mut one = |step: usize| {
        seconds(|| {
            learner.steps(0, step..step + 1).expect("a step");
        })
    };
    median((2..2 + n_steps).map(&mut one).collect())
}

/// The ops of a BPR step with K = 3, each on its own, with a real batch.
fn bpr_phases(train: &Interactions, step: f64) {
    let (graph, device) = (adjacency(train), Device::Cpu);
    let n = graph.n_nodes();
    let a = Adjacency::upload(&device, n, graph.row_ptr(), graph.col_idx(), graph.values()).expect("a sound graph");
    let negatives = Some((NegativeSampler::uniform(train.n_items()), 1));
    let mut sampler = PairSampler::new(train, Seed(1), PairOrder::PairUniform, BATCH, negatives);
    let mut batch = Batch::default();
    sampler.batch(train, 0, 0, &mut batch);
    let item = |&item: &u32| train.n_users() as u32 + item;
    let mut touched: Vec<u32> = batch.users.clone();
    touched.extend(batch.positives.iter().chain(&batch.negatives).map(item));
    touched.sort_unstable();
    touched.dedup();
    let mut rows = RowSet::new(&device, n);
    rows.assign(&device, &touched).expect("rows of the graph");
    let x = device.upload(&numbers(1, n * DIM));
    let some = device.upload(&numbers(2, touched.len() * DIM));
    let [mut hop, mut last, mut first_back, mut back, mut m, mut v, mut base] = [(); 7].map(|()| Buffer::<f32>::default());
    for buffer in [&mut m, &mut v, &mut base] {
        device.write(buffer, &numbers(3, n * DIM));
    }
    let (adam, mut at, mut next) = (AdamConfig::default(), 1, 1);
    let times = compare(
        11,
        &mut [
            ("hop", Box::new(|| propagate(&device, &a, DIM, &x, &mut hop).expect("sizes fit"))),
            ("last", Box::new(|| propagate_rows(&device, &a, DIM, &x, &rows, &mut last).expect("sizes fit"))),
            (
                "first back",
                Box::new(|| {
                    propagate_from_rows_add(&device, &a, DIM, &rows, &some, &some, &mut first_back).expect("sizes fit")
                }),
            ),
            ("back", Box::new(|| propagate_add(&device, &a, DIM, &x, &rows, &some, &mut back).expect("sizes fit"))),
            (
                "adam",
                Box::new(|| {
                    at += 1;
                    adam_step(&device, &adam, at, &x, &mut m, &mut v, &mut base).expect("sizes fit");
                }),
            ),
            (
                "batch",
                Box::new(|| {
                    sampler.batch(train, 0, next, &mut batch);
                    next = next % 300 + 1;
                }),
            ),
        ],
    );
    let [hop_s, last_s, first_back_s, back_s, adam_s, batch_s] = times[..] else { unreachable!("six contenders") };
    let parts = 2.0 * hop_s + last_s + first_back_s + 2.0 * back_s + adam_s + batch_s;
    let n_steps = train.n_edges().div_ceil(BATCH);
    let share = |seconds: f64| format!("{:.2} of the step", seconds / step);
    title("a BPR step, 2,048 pairs, K = 3, dim 64, f32");
    line("step", step, &format!("{:.1} s an epoch of {n_steps} steps", step * n_steps as f64));
    line("2 x forward hop", 2.0 * hop_s, &share(2.0 * hop_s));
    line("last forward hop, batch rows only", last_s, &share(last_s));
    line("first backward hop, from batch rows only", first_back_s, &share(first_back_s));
    line("2 x backward hop with its addend", 2.0 * back_s, &share(2.0 * back_s));
    line("Adam on all rows", adam_s, &share(adam_s));
    line("drawing the batch", batch_s, &share(batch_s));
    line("loss, combination, indices: the rest", step - parts, &share(step - parts));
}
