//! What all benches share: the data of Gowalla's size, a clock that gives medians, and the
//! machine's own limits.

// Every bench uses a part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use gcnrec::Format;
use gcnrec::internals::data;
use gcnrec_graphs::{
    BipartiteGraph, Interactions, ItemId, NodeOrder, Normalization, NormalizedAdjacency, Purpose, Seed, UserId,
};
use gcnrec_kernels::Device;
use gcnrec_kernels::ops::adjacency::Adjacency;
use rand::RngExt;
use rayon::prelude::*;

/// Users, items and training pairs of Gowalla.
const GOWALLA: (usize, usize, usize) = (29_858, 40_981, 810_128);

/// The folder of Gowalla in `$GCNREC_DATA` or `../shared/data`, if it is there.
fn gowalla_folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folders = std::env::var_os("GCNREC_DATA").map(PathBuf::from).into_iter().chain([beside]);
    folders.map(|folder| folder.join("gowalla")).find(|folder| folder.is_dir())
}

/// Gowalla's training and test pairs, or a generated graph of that size without structure, with a
/// line that says which.
pub fn gowalla() -> (Interactions, Interactions) {
    match gowalla_folder() {
        Some(folder) => {
            println!("data: Gowalla, official training and test part");
            let config = data::Config::default().with(|own| {
                own.train = Some(folder.join("train.txt.gz"));
                own.test = Some(folder.join("test.txt.gz"));
                (own.format, own.valid_fraction) = (Format::LIGHTGCN, 0.0);
            });
            let split = data::load(&config, Seed(2020)).expect("Gowalla's files should be readable");
            let part = |part| split.interactions(part).expect("a loaded split should have its own ids");
            (part(gcnrec::Part::Train), part(gcnrec::Part::Test))
        }
        None => {
            println!("data: generated pairs of Gowalla's size (no folder gowalla in $GCNREC_DATA or ../shared/data)");
            let (n_users, n_items, n_edges) = GOWALLA;
            (generated(n_users, n_items, n_edges, 1), generated(n_users, n_items, n_edges / 4, 2))
        }
    }
}

/// Distinct random pairs; both degrees fall off like a power of the rank, as those of real data do.
pub fn generated(n_users: usize, n_items: usize, n_edges: usize, seed: u64) -> Interactions {
    let mut random = Seed(seed).stream(Purpose::World, 0, 0);
    // The cube of a uniform number crowds towards 0: the first eighth of the items gets half of the
    // pairs.
    let mut draw = |n: usize, power: i32| ((random.random::<f64>().powi(power) * n as f64) as usize).min(n - 1) as u32;
    let pairs = (0..n_edges + n_edges / 8).map(|_| (UserId(draw(n_users, 2)), ItemId(draw(n_items, 3))));
    let all = Interactions::from_pairs(n_users, n_items, pairs).expect("generated ids should be in range");
    let surplus = all.n_edges().saturating_sub(n_edges);
    let step = all.n_edges().checked_div(surplus).unwrap_or(usize::MAX);
    all.filtered(|edge| surplus == 0 || edge % step != 0)
}

/// The symmetric normalisation that LightGCN propagates with.
pub fn adjacency(train: &Interactions) -> NormalizedAdjacency {
    NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(train), Normalization::Symmetric)
        .expect("a graph of weights 1 should normalise")
}

/// The graph as training on the processor has it: rows summed community by community.
pub fn upload(device: &Device, graph: &NormalizedAdjacency) -> Adjacency {
    let order = NodeOrder::Communities.of(graph);
    let (n, row_ptr, col_idx) = (graph.n_nodes(), graph.row_ptr(), graph.col_idx());
    Adjacency::upload_in_order(device, n, row_ptr, col_idx, graph.values(), order.old_of()).expect("a sound graph")
}

/// `n` numbers from -0.1 to 0.1.
pub fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let mut random = Seed(seed).stream(Purpose::Analysis, 0, 0);
    (0..n).map(|_| random.random::<f32>() * 0.2 - 0.1).collect()
}

/// What something took. On a busy machine the processor time says more than the wall clock: it does
/// not count while others compute.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Seconds of the wall clock.
    pub wall: f64,
    /// Processor seconds of all threads together, divided by their number; equal to `wall` where
    /// this cannot be told.
    pub busy: f64,
}

impl Time {
    /// So many times this.
    pub fn times(self, factor: f64) -> Time {
        Time { wall: factor * self.wall, busy: factor * self.busy }
    }
}

/// Processor seconds of all threads of this process so far, where Linux tells.
fn processor_seconds() -> Option<f64> {
    let mut total = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        total += stat.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9;
    }
    Some(total)
}

/// Times `work`, which runs on `threads` threads.
pub fn timed(threads: usize, work: impl FnOnce()) -> Time {
    let (before, start) = (processor_seconds(), Instant::now());
    work();
    let wall = start.elapsed().as_secs_f64();
    let busy = match (before, processor_seconds()) {
        (Some(before), Some(after)) => (after - before) / threads as f64,
        _ => wall,
    };
    Time { wall, busy }
}

/// The medians: of an even number of values, the upper one of the two in the middle.
pub fn median(times: &[Time]) -> Time {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Time {
        wall: middle(times.iter().map(|time| time.wall).collect()),
        busy: middle(times.iter().map(|time| time.busy).collect()),
    }
}

/// One thing to be timed: its name, its number of threads, its work.
pub type Contender<'a> = (&'a str, usize, Box<dyn FnMut() + 'a>);

/// Times all contenders in turn, `rounds` times over, so that a busy spell of the machine meets all
/// of them; answers the medians of each.
pub fn compare(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Time> {
    for (_, _, work) in contenders.iter_mut() {
        work(); // fills caches and buffers
    }
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (times, (_, threads, work)) in times.iter_mut().zip(contenders.iter_mut()) {
            times.push(timed(*threads, work));
        }
    }
    times.iter().map(|times| median(times)).collect()
}

/// Number of threads that compute.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Prints a line of a table: name, milliseconds by the wall clock and by processor time over
/// threads, and what it means.
pub fn line(name: &str, time: Time, meaning: &str) {
    println!("{name:<44} {:>9.2} ms wall {:>9.2} ms busy   {meaning}", time.wall * 1e3, time.busy * 1e3);
}

/// The ratio of two things, by the wall clock and by processor time.
pub fn ratio(slow: Time, fast: Time) -> String {
    format!("{:.2} x (busy {:.2} x)", slow.wall / fast.wall, slow.busy / fast.busy)
}

/// Prints the title of a table and how it was measured.
pub fn title(text: &str) {
    println!("\n## {text} ({} threads, {})", rayon::current_num_threads(), Device::Cpu.arithmetic());
}

/// What the machine can do at most: seconds for a byte of a streaming read and for an operation of
/// a large matrix product.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Seconds for a byte.
    pub byte: Time,
    /// Seconds for an operation: a multiply-add is two.
    pub operation: Time,
}

impl Limits {
    /// Times that the buffer is read.
    const READS: usize = 64;
    /// Rows and columns of the product.
    const N: usize = 1024;

    /// Reads and multiplies a few times, in turn.
    pub fn measure() -> Limits {
        let times = compare(9, &mut Limits::contenders());
        Limits::of(times[0], times[1])
    }

    /// The two works that tell them, for benches that take them in turn with their own.
    pub fn contenders() -> [Contender<'static>; 2] {
        let (buffer, n) = (stream_buffer(), Limits::N);
        let (a, b, mut out) = (numbers(1, n * n), numbers(2, n * n), vec![0.0; n * n]);
        let read = move || {
            // A buffer that was read before lies in the caches where it fits, as embeddings do from
            // hop to hop. Threads that slept while one worked take some ten milliseconds to spread
            // out again, hence so many.
            for _ in 0..Limits::READS {
                std::hint::black_box(stream(std::hint::black_box(&buffer)));
            }
        };
        let multiply = move || product(n, n, n, &a, &b, &mut out);
        [
            ("streaming read of 18 MiB, 64 times", threads(), Box::new(read)),
            ("gemm, 1,024 cubed", threads(), Box::new(multiply)),
        ]
    }

    /// From the times of the two contenders.
    pub fn of(read: Time, multiply: Time) -> Limits {
        let bytes = (Limits::READS * STREAMED * size_of::<f32>()) as f64;
        Limits { byte: read.times(1.0 / bytes), operation: multiply.times(0.5 / (Limits::N as f64).powi(3)) }
    }

    /// Prints the two floors under a time: its bytes over the bandwidth, its operations over the
    /// rate. What lies in a cache comes faster than a streaming read, so a time may be below the
    /// first.
    pub fn floors(&self, bytes: f64, operations: f64, time: Time) {
        let floor = |name, floor: Time, what: String| {
            let share = format!("{:.2} (busy {:.2}) of the time", floor.wall / time.wall, floor.busy / time.busy);
            line(name, floor, &format!("{share}; {what}"));
        };
        let (bandwidth, rate) = (1e-9 / self.byte.wall, 1e-9 / self.operation.wall);
        let read = format!("{:.0} MB at {bandwidth:.1} GB/s, a streaming read", bytes / 1e6);
        floor("floor by bytes", self.byte.times(bytes), read);
        let computed = format!("{:.2} GFLOP at {rate:.0} GFLOP/s, gemm", operations / 1e9);
        floor("floor by operations", self.operation.times(operations), computed);
    }
}

/// Numbers that a streaming read takes: 18 MiB, the size of Gowalla's embeddings.
const STREAMED: usize = 18 << 18;

/// A buffer whose streaming read, by all threads, is the yardstick of bandwidth.
fn stream_buffer() -> Vec<f32> {
    numbers(9, STREAMED)
}

/// Reads a whole buffer once, with all threads.
fn stream(buffer: &[f32]) -> f32 {
    buffer.par_chunks(1 << 16).map(sum).sum()
}

#[cfg(target_arch = "x86_64")]
fn sum(chunk: &[f32]) -> f32 {
    #[target_feature(enable = "avx2")]
    fn wide(chunk: &[f32]) -> f32 {
        lanes(chunk)
    }
    // SAFETY: the feature was just detected.
    if std::is_x86_feature_detected!("avx2") { unsafe { wide(chunk) } } else { lanes(chunk) }
}

#[cfg(not(target_arch = "x86_64"))]
fn sum(chunk: &[f32]) -> f32 {
    lanes(chunk)
}

#[inline(always)]
fn lanes(chunk: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 64];
    for line in chunk.as_chunks::<64>().0 {
        for (sum, x) in lanes.iter_mut().zip(line) {
            *sum += x;
        }
    }
    lanes.iter().sum()
}

/// `out [m, n] = a [m, k] . b [n, k]^T`, all row-major, by the `gemm` crate: each thread takes an
/// equal share of the rows.
pub fn product(m: usize, n: usize, k: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    assert!(a.len() == m * k && b.len() == n * k && out.len() == m * n);
    let share = m.div_ceil(rayon::current_num_threads());
    out.par_chunks_mut(share * n).zip(a.par_chunks(share * k)).for_each(|(out, a)| product_on_one(n, k, a, b, out));
}

fn product_on_one(n: usize, k: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    let (m, width, depth) = (a.len() / k, n as isize, k as isize);
    // SAFETY: `product` cuts rows of a and out that belong together; with its lengths, elements by
    // these strides stay inside the slices, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            width,
            false, // overwrite
            a.as_ptr(),
            1,
            depth,
            b.as_ptr(),
            depth,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// A field of `/proc/self/status` in MiB, as in `VmHWM` (peak memory); 0 where there is no such
/// file.
pub fn memory_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
