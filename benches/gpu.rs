//! How fast is a GPU on a graph of Gowalla's size: each op against the bytes it must move and the
//! device's own copy, whole steps, an epoch, and the same step in PyTorch where Python has torch
//! with CUDA.
//!
//! `cargo bench --features cuda --bench gpu` on a machine with an NVIDIA GPU; `--features vulkan`
//! and the argument `vulkan` for another. With the argument `tiny` everything runs on a small
//! graph, in seconds: it shows that the bench works, and nothing about speed.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use common::{adjacency, generated, gowalla, numbers};
use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::lightgcn::Combination;
use gcnrec::internals::models::graph::{Config, GraphLearner, Setup, WeightFit};
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::samplers::PairOrder;
use gcnrec_graphs::{Interactions, Seed};
use gcnrec_kernels::ops::adam::{AdamConfig, adam_step};
use gcnrec_kernels::ops::adjacency::Adjacency;
use gcnrec_kernels::ops::combine::{
    AdditiveShape, Attention, DotShape, Gradients, Layers, Pooled, Reached, Workspace, attention,
};
use gcnrec_kernels::ops::gather::gather_rows;
use gcnrec_kernels::ops::half_table::{Precision, Table, propagate_table, round_into_table};
use gcnrec_kernels::ops::pair_dots::pair_dots;
use gcnrec_kernels::ops::propagate::{propagate, propagate_add, propagate_from_rows_add, propagate_rows};
use gcnrec_kernels::ops::row_set::RowSet;
use gcnrec_kernels::ops::scale_rows::scale_all;
use gcnrec_kernels::ops::segments::{Segments, segment_weighted_rows};
use gcnrec_kernels::ops::softmax::{
    SoftmaxConfig, SoftmaxGradients, SoftmaxInput, SoftmaxWorkspace, softmax_backward, softmax_forward,
};
use gcnrec_kernels::ops::top_k::top_k;
use gcnrec_kernels::{Buffer, Device};

const DIM: usize = 64;
/// Layers, the base among them.
const HOPS: usize = 4;

/// How much is asked.
#[derive(Clone, Copy)]
struct Scale {
    tiny: bool,
    /// Rows that a batch of 2,048 pairs touches, about.
    batch_rows: usize,
    /// Users in a batch of the softmax over all items.
    batch_users: usize,
    /// Elements of the array that is copied.
    copied: usize,
    /// Timed runs, and how often each does the work before it waits.
    runs: usize,
    at_once: usize,
    steps: usize,
}

const FULL: Scale =
    Scale { tiny: false, batch_rows: 5800, batch_users: 512, copied: 64 << 20, runs: 9, at_once: 10, steps: 40 };
const TINY: Scale =
    Scale { tiny: true, batch_rows: 120, batch_users: 16, copied: 1 << 18, runs: 3, at_once: 2, steps: 2 };

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let scale = if named.iter().any(|name| name == "tiny") { TINY } else { FULL };
    let name = named.iter().find(|name| *name != "tiny").map_or("auto", String::as_str);
    let device = match Device::open(name) {
        Ok(device) if device.name() != "cpu" => device,
        Ok(_) => return println!("skipped: no GPU, or a build without --features cuda or vulkan"),
        Err(error) => return println!("skipped: {error}"),
    };
    let train = if scale.tiny { generated(300, 400, 6000, 1) } else { gowalla().0 };
    println!(
        "## {} ({}): {} users, {} items, {} pairs",
        device.name(),
        device.arithmetic(),
        train.n_users(),
        train.n_items(),
        train.n_edges()
    );
    let train = Arc::new(train);
    let mut table = OpTable::new(&device, scale);
    hops(&device, &train, &mut table);
    losses(&device, &train, &mut table);
    let step = steps(&device, &train, scale);
    peer(step);
}

/// Prints one line per op, against the speed of the device's own copy.
struct OpTable {
    device: Device,
    scale: Scale,
    /// GB/s, read and written.
    copy: f64,
}

impl OpTable {
    fn new(device: &Device, scale: Scale) -> OpTable {
        let mut table = OpTable { device: device.clone(), scale, copy: 0.0 };
        let (from, mut to) = (device.zeros::<f32>(scale.copied), Buffer::default());
        let ms = table.milliseconds(&mut || scale_all(device, 1.0, &from, &mut to));
        table.copy = 8.0 * scale.copied as f64 / ms / 1e6;
        println!("copy of {:.0} MB: {:.0} GB/s read and written", scale.copied as f64 * 4e-6, table.copy);
        println!("{:<44} {:>9} {:>9} {:>9} {:>8}", "op", "ms", "MB", "GB/s", "of copy");
        table
    }

    /// Median of some runs, each of which queues the work several times and waits once.
    fn milliseconds(&self, work: &mut dyn FnMut()) -> f64 {
        let wait = || self.device.wait().expect("the device should work");
        work();
        wait();
        let mut times: Vec<f64> = (0..self.scale.runs)
            .map(|_| {
                let started = Instant::now();
                (0..self.scale.at_once).for_each(|_| work());
                wait();
                started.elapsed().as_secs_f64() * 1e3 / self.scale.at_once as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    /// Times an op that must move `bytes` at least once; rows that are read more than once come
    /// from caches.
    fn line(&mut self, name: &str, bytes: usize, mut work: impl FnMut()) {
        let ms = self.milliseconds(&mut work);
        let speed = bytes as f64 / ms / 1e6;
        let megabytes = bytes as f64 / 1e6;
        println!("{name:<44} {ms:>9.4} {megabytes:>9.1} {speed:>9.1} {:>8.2}", speed / self.copy);
    }
}

/// Ops over the graph and its tables.
fn hops(device: &Device, train: &Interactions, table: &mut OpTable) {
    let graph = adjacency(train);
    let (n, nnz, chosen) = (graph.n_nodes(), graph.col_idx().len(), table.scale.batch_rows);
    let a = Adjacency::upload(device, n, graph.row_ptr(), graph.col_idx(), graph.values())
        .expect("the graph should be sound");
    let (x, mut y) = (device.upload(&numbers(1, n * DIM)), Buffer::default());
    let mut rows = RowSet::new(device, n);
    let touched: Vec<u32> = (0..chosen as u32).map(|slot| slot * (n / chosen) as u32).collect();
    rows.assign(device, &touched).expect("rows should be inside the graph");
    let some = device.upload(&numbers(2, chosen * DIM));
    let [mut m, mut v, mut base] = [(); 3].map(|()| device.upload(&numbers(3, n * DIM)));
    // Edges with their values, a table, the batch's rows.
    let (edges, all, batch) = (nnz * 8 + n * 4, n * DIM * 4, chosen * DIM * 4);
    table.line("propagate", edges + 2 * all, || propagate(device, &a, DIM, &x, &mut y).expect("sizes should fit"));
    table.line("propagate_add", edges + 2 * all + batch, || {
        propagate_add(device, &a, DIM, &x, &rows, &some, &mut y).expect("sizes should fit");
    });
    table.line("propagate_from_rows_add", edges + nnz * 4 + all + 2 * batch, || {
        propagate_from_rows_add(device, &a, DIM, &rows, &some, &some, &mut y).expect("sizes should fit");
    });
    table.line("propagate_rows", nnz * chosen / n * (8 + DIM * 4) + batch, || {
        propagate_rows(device, &a, DIM, &x, &rows, &mut y).expect("sizes should fit");
    });
    table.line("gather_rows", 2 * batch, || gather_rows(device, DIM, &x, &rows, &mut y).expect("sizes should fit"));
    let (config, mut step) = (AdamConfig::default(), 0);
    table.line("adam_step", 7 * all, || {
        step += 1;
        adam_step(device, &config, step, &x, &mut m, &mut v, &mut base).expect("sizes should fit");
    });
    for precision in [Precision::F16, Precision::Bf16] {
        if device.expect_precision(precision).is_err() {
            println!("propagate_table {precision:?}: not on this device");
            continue;
        }
        let (mut low, mut high) = (Table::new(precision), Table::new(precision));
        round_into_table(device, &x, &mut low);
        table.line(&format!("propagate_table {precision:?}"), edges + all, || {
            propagate_table(device, &a, DIM, &low, None, &mut high).expect("sizes should fit");
        });
    }
}

/// Ops over a batch: what it pools, its losses, and the lists that judge a model.
fn losses(device: &Device, train: &Interactions, table: &mut OpTable) {
    let (n, n_items, n_users) = (table.scale.batch_rows, train.n_items(), table.scale.batch_users);
    let fit = "sizes should fit";
    let hops: Vec<Buffer<f32>> = (0..HOPS as u64).map(|k| device.upload(&numbers(k, n * DIM))).collect();
    let mut direct = hops.clone();
    let (g, mut pooled, mut weights) = (device.upload(&numbers(9, n * DIM)), hops[0].clone(), device.zeros(n * HOPS));
    let (batch, layers) = (n * DIM * 4, Layers { dim: DIM, hops: &hops, range: 0..n });
    let shape = AdditiveShape { dim: DIM, hidden: DIM, layers: HOPS - 1, temperature: 1.0, bound: 0.0 };
    let now = device.upload(&numbers(5, shape.n_parameters()));
    let (mut d_now, mut work) = (now.clone(), Workspace::default());
    table.line("additive attention, forward", (HOPS + 1) * batch, || {
        let out = Pooled { pooled: &mut pooled, attention: &mut weights };
        attention::forward(device, &shape, &now, &layers, out, &mut work).expect(fit);
    });
    table.line("... backward", (2 * HOPS + 1) * batch, || {
        let reached = Reached { attention: &weights, g: &g };
        let gradients = Gradients { direct: &mut direct, parameters: &mut d_now };
        attention::backward(device, &shape, &now, &layers, reached, gradients, &mut work).expect(fit);
    });
    let shape = DotShape { dim: DIM, key_dim: DIM, layers: HOPS - 1, bound: 0.0 };
    let now = device.upload(&numbers(5, shape.n_parameters()));
    let (mut d_now, mut work) = (now.clone(), Workspace::default());
    table.line("dot attention, forward", (HOPS + 1) * batch, || {
        let out = Pooled { pooled: &mut pooled, attention: &mut weights };
        attention::forward(device, &shape, &now, &layers, out, &mut work).expect(fit);
    });
    table.line("... backward", (2 * HOPS + 1) * batch, || {
        let reached = Reached { attention: &weights, g: &g };
        let gradients = Gradients { direct: &mut direct, parameters: &mut d_now };
        attention::backward(device, &shape, &now, &layers, reached, gradients, &mut work).expect(fit);
    });

    let pairs = 2 * n / 3;
    let places = |step: usize| -> Vec<u32> { (0..pairs).map(|pair| (pair * step % n) as u32).collect() };
    let (left, right, mut out) = (device.upload(&places(1)), device.upload(&places(7)), Buffer::default());
    table.line("pair_dots", pairs * (2 * DIM * 4 + 12), || {
        pair_dots(device, DIM, &g, &left, &right, &mut out).expect(fit);
    });
    let mut segments = Segments::new();
    segments.assign(device, n, &places(7)).expect(fit);
    let coefficients = device.upload(&numbers(4, pairs));
    table.line("segment_weighted_rows", pairs * (DIM * 4 + 12) + batch, || {
        segment_weighted_rows(device, DIM, &segments, &left, &coefficients, &g, &mut pooled).expect(fit);
    });

    let (q, c) = (device.upload(&numbers(6, n_users * DIM)), device.upload(&numbers(7, n_items * DIM)));
    let (mut d_q, mut d_c, mut loss, mut work) =
        (Buffer::default(), Buffer::default(), Buffer::default(), SoftmaxWorkspace::default());
    let per_user = train.n_edges() / train.n_users().max(1);
    let list_ptr: Vec<u32> = (0..=n_users).map(|q| (q * per_user) as u32).collect();
    let positive: Vec<u32> = (0..n_users * per_user).map(|example| (example * 31 % n_items) as u32).collect();
    let (ones, config) = (device.upload(&vec![1.0; positive.len()]), SoftmaxConfig { tau: 0.25, t2: 1.0 });
    let (list_ptr, positive) = (device.upload(&list_ptr), device.upload(&positive));
    let sides = (n_users + n_items) * DIM * 4;
    let (list_ptr, positive) = (&list_ptr, &positive);
    let input = SoftmaxInput { dim: DIM, config, q: &q, c: &c, candidate_bias: None, list_ptr, positive };
    table.line(&format!("softmax over all items, {n_users} users, forward"), sides, || {
        softmax_forward(device, &input, &mut work, &mut loss).expect(fit);
    });
    table.line("... backward", 2 * sides, || {
        let gradients = SoftmaxGradients { q: &mut d_q, c: &mut d_c };
        softmax_backward(device, &input, &ones, &mut work, gradients).expect(fit);
    });
    let nothing = vec![&[][..]; n_users];
    table.line(&format!("top_k, {n_users} users, the best 20"), sides, || {
        top_k(device, DIM, &q, &c, &nothing, 20).expect(fit);
    });
}

/// Whole steps of several losses and combinations; answers the milliseconds of LightGCN with BPR.
fn steps(device: &Device, train: &Arc<Interactions>, scale: Scale) -> f64 {
    println!("\n{:<44} {:>9} {:>9} {:>9}", "step, K = 3, dim 64", "ms", "launches", "epoch s");
    let mut plain = f64::NAN;
    for (combination, name) in Combination::all().flat_map(|c| ["bpr", "ssm", "softmax"].map(|name| (c, name))) {
        let objective = objectives::Config::named(name).expect("the loss should be on the list");
        let mut learner = GraphLearner::new(Setup {
            device: device.clone(),
            config: Config::default().with(|own| (own.dim, own.combination) = (DIM, combination)),
            model: "lightgcn",
            objective,
            batching: Batching { size: None, order: PairOrder::PairUniform },
            learning_rate: 1e-3,
            train: train.clone(),
            weight_fit: if combination == Combination::UNIFORM { WeightFit::Fixed } else { WeightFit::OnTraining },
            prior: None,
            bound: 0.0,
            seed: Seed(2020),
        })
        .expect("a learner over a sound graph");
        let n_steps = learner.steps_per_epoch();
        let mut run = |range: std::ops::Range<usize>| {
            learner.steps(0, range).expect("losses should be finite");
            learner.late_loss().expect("losses should be finite");
        };
        let first = scale.steps.min(3).min(n_steps - 1);
        run(0..first.max(1));
        let timed = scale.steps.min(n_steps - first);
        let launches = launches(device);
        let started = Instant::now();
        run(first..first + timed);
        let ms = started.elapsed().as_secs_f64() * 1e3 / timed as f64;
        let launched = (self::launches(device) - launches) / timed as u64;
        let what = format!("{name}, {combination:?}");
        println!("{what:<44} {ms:>9.3} {launched:>9} {:>9.2}", ms * n_steps as f64 / 1e3);
        if (combination, name) == (Combination::UNIFORM, "bpr") {
            plain = ms;
        }
    }
    plain
}

/// The same BPR step in PyTorch, where Python has torch with CUDA; what it prints, and how many
/// times longer it takes.
fn peer(ours: f64) {
    println!();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/lightgcn_torch_gpu.py");
    let output = match Command::new("python3").arg(script).current_dir(env!("CARGO_MANIFEST_DIR")).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let reason = String::from_utf8_lossy(&output.stderr);
            return println!("skipped: the peer in PyTorch failed ({})", reason.lines().last().unwrap_or("no reason"));
        }
        Err(error) => return println!("skipped: no python3 for the peer in PyTorch ({error})"),
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        println!("{line}");
        let theirs = line.split("step ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        if let Some(theirs) = theirs {
            println!("  {:.1} times our step of {ours:.3} ms", theirs / ours);
        }
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
