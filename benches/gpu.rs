//! How fast is a GPU on a graph of Gowalla's size: each op against the bytes it must move and the device's own copy, whole steps, and an epoch.
//!
//! `cargo bench --features cuda --bench gpu` on a machine with an NVIDIA GPU; `--features vulkan` and the argument `vulkan` for another. The peer,
//! where Python has torch with CUDA: `python3 benches/peers/lightgcn_torch_gpu.py`, which prints the same step.

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::{adjacency, gowalla, numbers};
use gcnrec::models::Learner;
use gcnrec::models::graph::config::{Combination, Storage};
use gcnrec::models::graph::{Config, GraphLearner, Setup, Teacher};
use gcnrec::objectives::{self, Batching};
use gcnrec::samplers::PairOrder;
use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::gather::gather_rows;
use gcnrec_kernels::ops::propagate::{
    Adjacency, RowSet, propagate, propagate_add, propagate_from_rows_add, propagate_rows,
};
use gcnrec_kernels::ops::rows::scale_all;
use gcnrec_kernels::ops::table::{Precision, Table, propagate_stored, store};
use gcnrec_kernels::{Buffer, Device};

const DIM: usize = 64;
/// Rows that a batch of 2,048 pairs touches, about.
const BATCH_ROWS: usize = 5800;

fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let device = match Device::open(named.as_deref().unwrap_or("auto")) {
        Ok(device) if device.name() != "cpu" => device,
        Ok(_) => return println!("skipped: no GPU, or a build without --features cuda or vulkan"),
        Err(error) => return println!("skipped: {error}"),
    };
    let (train, _) = gowalla();
    println!(
        "## {} ({}): {} users, {} items, {} pairs",
        device.name(),
        device.arithmetic(),
        train.n_users(),
        train.n_items(),
        train.n_edges()
    );
    let train = Arc::new(train);
    ops(&device, &train);
    steps(&device, &train);
}

/// Median milliseconds of some runs, each of which queues the work ten times and waits once.
fn milliseconds(device: &Device, mut work: impl FnMut()) -> f64 {
    const AT_ONCE: usize = 10;
    work();
    device.wait().expect("a device that works");
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let started = Instant::now();
            (0..AT_ONCE).for_each(|_| work());
            device.wait().expect("a device that works");
            started.elapsed().as_secs_f64() * 1e3 / AT_ONCE as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn ops(device: &Device, train: &Interactions) {
    let graph = adjacency(train);
    let (n, nnz) = (graph.n_nodes(), graph.col_idx().len());
    let a = Adjacency::upload(device, n, graph.row_ptr(), graph.col_idx(), graph.values()).expect("a sound graph");
    let (x, mut y) = (device.upload(&numbers(1, n * DIM)), Buffer::default());
    let mut rows = RowSet::new(device, n);
    let touched: Vec<u32> = (0..BATCH_ROWS as u32).map(|slot| slot * (n / BATCH_ROWS) as u32).collect();
    rows.assign(device, &touched).expect("rows of the graph");
    let some = device.upload(&numbers(2, BATCH_ROWS * DIM));
    let [mut m, mut v, mut base] = [(); 3].map(|()| device.upload(&numbers(3, n * DIM)));

    let copied = 64 << 20;
    let (from, mut to) = (device.zeros::<f32>(copied), Buffer::default());
    let copy = milliseconds(device, || scale_all(device, 1.0, &from, &mut to));
    let bandwidth = 8.0 * copied as f64 / copy / 1e6;
    println!("copy of {} MB: {bandwidth:.0} GB/s read and written", (copied * 4) >> 20);
    println!("{:<44} {:>9} {:>9} {:>9} {:>8}", "op", "ms", "MB", "GB/s", "of copy");
    let line = |name: &str, bytes: usize, ms: f64| {
        let speed = bytes as f64 / ms / 1e6;
        println!("{name:<44} {ms:>9.4} {:>9.1} {speed:>9.0} {:>8.2}", bytes as f64 / 1e6, speed / bandwidth);
    };
    // What must be moved at least once: edges and their values, the table in, the table out. Rows that are read more than once come from caches.
    let table = n * DIM * 4;
    let edges = nnz * 8 + n * 4;
    line(
        "propagate",
        edges + 2 * table,
        milliseconds(device, || propagate(device, &a, DIM, &x, &mut y).expect("sizes fit")),
    );
    let batch = BATCH_ROWS * DIM * 4;
    let ms = milliseconds(device, || propagate_add(device, &a, DIM, &x, &rows, &some, &mut y).expect("sizes fit"));
    line("propagate_add", edges + 2 * table + batch, ms);
    let ms = milliseconds(device, || {
        propagate_from_rows_add(device, &a, DIM, &rows, &some, &some, &mut y).expect("sizes fit");
    });
    line("propagate_from_rows_add", edges + nnz * 4 + table + 2 * batch, ms);
    let ms = milliseconds(device, || propagate_rows(device, &a, DIM, &x, &rows, &mut y).expect("sizes fit"));
    line("propagate_rows", nnz * BATCH_ROWS / n * (8 + DIM * 4) + batch, ms);
    let ms = milliseconds(device, || gather_rows(device, DIM, &x, &rows, &mut y).expect("sizes fit"));
    line("gather_rows", 2 * batch, ms);
    let (config, mut step) = (AdamConfig::default(), 0);
    let ms = milliseconds(device, || {
        step += 1;
        adam_step(device, &config, step, &x, &mut m, &mut v, &mut base).expect("sizes fit");
    });
    line("adam_step", 7 * table, ms);
    for precision in [Precision::F16, Precision::Bf16] {
        if device.expect_precision(precision).is_err() {
            println!("propagate_stored {precision:?}: not on this device");
            continue;
        }
        let (mut low, mut high) = (Table::new(precision), Table::new(precision));
        store(device, &x, &mut low);
        let ms = milliseconds(device, || propagate_stored(device, &a, DIM, &low, None, &mut high).expect("sizes fit"));
        line(&format!("propagate_stored {precision:?}"), edges + table, ms);
    }
}

fn steps(device: &Device, train: &Arc<Interactions>) {
    println!("\n{:<44} {:>9} {:>9} {:>9}", "step, K = 3, dim 64", "ms", "launches", "epoch s");
    let losses = ["bpr", "ssm", "softmax"];
    for (combination, name) in
        [Combination::Uniform, Combination::Additive].into_iter().flat_map(|c| losses.map(|name| (c, name)))
    {
        let objective = objectives::Config::named(name).expect("a loss of the list");
        let mut learner = GraphLearner::new(Setup {
            device: device.clone(),
            config: Config { dim: DIM, combination, storage: Storage::F32, ..Config::default() },
            model: "lightgcn",
            objective,
            batching: Batching { size: None, order: PairOrder::PairUniform },
            learning_rate: 1e-3,
            train: train.clone(),
            teacher: if combination == Combination::Uniform { Teacher::Nobody } else { Teacher::Training },
            prior: None,
            bound: 0.0,
            seed: Seed(2020),
        })
        .expect("a learner over a sound graph");
        let n_steps = learner.steps_per_epoch();
        let mut run = |range: std::ops::Range<usize>| {
            learner.steps(0, range).expect("finite losses");
            learner.late_loss().expect("finite losses");
        };
        run(0..3.min(n_steps));
        let (first, timed) = (3.min(n_steps - 1), 40.min(n_steps - 3.min(n_steps - 1)));
        let launches = launches(device);
        let started = Instant::now();
        run(first..first + timed);
        let ms = started.elapsed().as_secs_f64() * 1e3 / timed as f64;
        let launched = (self::launches(device) - launches) / timed as u64;
        let what = format!("{name}, {combination:?}");
        println!("{what:<44} {ms:>9.3} {launched:>9} {:>9.2}", ms * n_steps as f64 / 1e3);
    }
}

#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn launches(device: &Device) -> u64 {
    device.counts().map_or(0, |counts| counts.launches)
}

#[cfg(not(any(feature = "cuda", feature = "vulkan")))]
fn launches(_: &Device) -> u64 {
    0
}
