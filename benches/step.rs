//! How long is a training step of Gowalla (2,048 pairs, or 512 users for the all-item softmax), and
//! where does it go?
//!
//! `cargo bench --bench step -- bpr` runs the cases whose names hold that word.

mod common;

use std::sync::Arc;

use common::{
    Contender, Limits, Time, adjacency, compare, gowalla, line, median, numbers, ratio, threads, timed, title, upload,
};
use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::lightgcn::Storage;
use gcnrec::internals::models::graph::{Config, GraphLearner, Setup, WeightFit};
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::samplers::{Batch, NegativeSampler, PairOrder, PairSampler, Sampler};
use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::ops::adam::AdamConfig;
use gcnrec_kernels::ops::propagate::{RowSet, propagate, propagate_add, propagate_from_rows_add, propagate_rows};
use gcnrec_kernels::ops::propagate_adam::{Moving, propagate_adam};
use gcnrec_kernels::{Buffer, Device};

const DIM: usize = 64;
const BATCH: usize = 2048;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| name.contains(only.as_str()));
    let (train, _) = gowalla();
    let train = Arc::new(train);
    let bpr = objectives::Config::named("bpr").expect("a loss of the list");
    let ssm = objectives::Config::named("ssm").expect("a loss of the list");
    let softmax = objectives::Config::named("softmax").expect("a loss of the list");
    if wanted("bpr") {
        let steps = whole_steps(&train, &bpr, 3, &[Storage::F32, Storage::F16, Storage::Bf16], 15);
        bpr_phases(&train, steps[0]);
        for (name, step) in ["f16", "bf16"].iter().zip(&steps[1..]) {
            line(&format!("step, {name}"), *step, &format!("f32 {}; {}", ratio(steps[0], *step), epoch(*step, 396)));
        }
    }
    for (loss, objective, layers) in
        [("ssm", &ssm, 1), ("ssm", &ssm, 3), ("softmax", &softmax, 1), ("softmax", &softmax, 3)]
    {
        let name = format!("{loss}, K = {layers}");
        if wanted(&name) {
            let step = whole_steps(&train, objective, layers, &[Storage::F32], 7)[0];
            // Three products: scores, and the gradients of both sides. In-batch: 2,048 by 2,048
            // pairs; all items: 512 users by all of them.
            let (n_q, n_c) = if loss == "ssm" { (BATCH, BATCH) } else { (512, train.n_items()) };
            let n_steps = if loss == "ssm" { train.n_edges().div_ceil(BATCH) } else { train.n_users().div_ceil(512) };
            let products = 3.0 * 2.0 * (n_q * n_c * DIM) as f64;
            report_loss(&name, step, Work::of_hops(&train, layers), products, n_steps);
        }
    }
}

fn epoch(step: Time, n_steps: usize) -> String {
    format!(
        "{:.1} s an epoch (busy {:.1} s) of {n_steps} steps",
        step.wall * n_steps as f64,
        step.busy * n_steps as f64
    )
}

/// What the whole hops of a step and its optimiser take. Hops over the batch's rows alone are left
/// out.
struct Work {
    /// The rows that are gathered, from memory or a cache, and each parameter and its two moments,
    /// read and written.
    bytes: f64,
    /// Multiply-adds are two.
    operations: f64,
}

impl Work {
    fn of_hops(train: &Interactions, layers: usize) -> Work {
        let (nnz, n) = (2 * train.n_edges(), train.n_users() + train.n_items());
        let gathered = 2 * (layers - 1) * nnz * DIM;
        Work { bytes: (4 * (gathered + 6 * n * DIM)) as f64, operations: (2 * gathered) as f64 }
    }
}

fn report_loss(name: &str, step: Time, hops: Work, products: f64, n_steps: usize) {
    let limits = Limits::measure();
    title(name);
    line("step", step, &epoch(step, n_steps));
    limits.floors(hops.bytes, hops.operations + products, step);
    let at_gemm = limits.operation.times(products);
    let shares = format!("{:.2} of the step (busy {:.2})", at_gemm.wall / step.wall, at_gemm.busy / step.busy);
    line("its three products alone, at the rate of gemm", at_gemm, &shares);
}

fn learner(train: &Arc<Interactions>, objective: &objectives::Config, layers: usize, storage: Storage) -> GraphLearner {
    GraphLearner::new(Setup {
        device: Device::Cpu,
        config: Config::default().with(|own| (own.layers, own.dim, own.storage) = (layers, DIM, storage)),
        model: "lightgcn",
        objective: objective.clone(),
        batching: Batching { size: None, order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: train.clone(),
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed: Seed(2020),
    })
    .expect("a learner over a sound graph")
}

/// Medians of a step for each storage, in turn, after two steps that fill buffers and caches.
fn whole_steps(
    train: &Arc<Interactions>,
    objective: &objectives::Config,
    layers: usize,
    storages: &[Storage],
    n_steps: usize,
) -> Vec<Time> {
    let mut learners: Vec<_> = storages.iter().map(|&storage| learner(train, objective, layers, storage)).collect();
    let mut times = vec![Vec::new(); storages.len()];
    for step in 0..n_steps + 2 {
        for (learner, times) in learners.iter_mut().zip(&mut times) {
            times.push(timed(threads(), || {
                learner.steps(0, step..step + 1).expect("a step with a finite loss");
            }));
        }
    }
    times.iter().map(|times| median(&times[2..])).collect()
}

/// The ops of a BPR step with K = 3, each on its own, with a real batch.
fn bpr_phases(train: &Interactions, step: Time) {
    let (graph, device) = (adjacency(train), Device::Cpu);
    let n = graph.n_nodes();
    let a = upload(&device, &graph);
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
    let [mut hop, mut last, mut first_back, mut back, mut m, mut v, mut base] =
        [(); 7].map(|()| Buffer::<f32>::default());
    for buffer in [&mut m, &mut v, &mut base] {
        device.write(buffer, &numbers(3, n * DIM));
    }
    let (adam, mut at, mut next) = (AdamConfig::default(), 1, 1);
    let all = threads();
    let mut contenders: [Contender<'_>; 6] = [
        ("hop", all, Box::new(|| propagate(&device, &a, DIM, &x, &mut hop).expect("sizes fit"))),
        ("last", all, Box::new(|| propagate_rows(&device, &a, DIM, &x, &rows, &mut last).expect("sizes fit"))),
        (
            "first back",
            all,
            Box::new(|| {
                propagate_from_rows_add(&device, &a, DIM, &rows, &some, &some, &mut first_back).expect("sizes fit");
            }),
        ),
        ("back", all, Box::new(|| propagate_add(&device, &a, DIM, &x, &rows, &some, &mut back).expect("sizes fit"))),
        (
            "back and adam",
            all,
            Box::new(|| {
                at += 1;
                let (parameters, gradient) = (&mut base, &mut Buffer::default());
                let moving = Moving { m: &mut m, v: &mut v, parameters, gradient };
                propagate_adam(&device, &a, DIM, &x, (&rows, &some), (&adam, at), moving).expect("sizes fit");
            }),
        ),
        (
            "batch",
            1,
            Box::new(|| {
                sampler.batch(train, 0, next, &mut batch);
                next = next % 300 + 1;
            }),
        ),
    ];
    let times = compare(11, &mut contenders);
    let parts = [
        ("2 x forward hop", times[0].times(2.0)),
        ("last forward hop, batch rows only", times[1]),
        ("first backward hop, from batch rows only", times[2]),
        ("backward hop with its addend", times[3]),
        ("last backward hop and Adam, in one pass", times[4]),
        // One thread draws while the others wait.
        ("drawing the batch", Time { busy: times[5].busy / all as f64, ..times[5] }),
    ];
    let rest =
        parts.iter().fold(step, |rest, (_, part)| Time { wall: rest.wall - part.wall, busy: rest.busy - part.busy });
    let limits = Limits::measure();
    title("a BPR step, 2,048 pairs, K = 3, dim 64, f32");
    line("step", step, &epoch(step, train.n_edges().div_ceil(BATCH)));
    let hops = Work::of_hops(train, 3);
    limits.floors(hops.bytes, hops.operations, step);
    for (name, part) in parts.into_iter().chain([("loss, combination, indices: the rest", rest)]) {
        line(name, part, &format!("{:.2} of the step (busy {:.2})", part.wall / step.wall, part.busy / step.busy));
    }
}
