//! How fast is a large file read, how much memory does that take, and how much does training on 42
//! million interactions?
//!
//! Each case runs in a process of its own, because peak memory is that of a process.
//! `cargo bench --bench load -- large` runs the case of 42 million interactions (1 M users, 300 k
//! items) for 100 steps; `large=5` runs five.

mod common;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{generated, memory_mib, timed};
use gcnrec::Format;
use gcnrec::internals::data;
use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::{Config, GraphLearner, Setup, WeightFit};
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::samplers::PairOrder;
use gcnrec_graphs::{Purpose, Seed};
use gcnrec_kernels::Device;
use rand::RngExt;

const ROWS: usize = 20_000_000;
const USERS: u32 = 500_000;
const ITEMS: u32 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["read-whole", path] => read_whole(Path::new(path)),
        ["read-rows", path] => read_rows(Path::new(path)),
        ["train", steps] => train(steps.parse().expect("a number of steps")),
        ["large"] => alone(&["train", "100"]),
        [large] if large.starts_with("large=") => alone(&["train", &large["large=".len()..]]),
        _ => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = write_file(&folder.path().join("rows.tsv"));
            let bytes = std::fs::metadata(&path).expect("the file just written").len();
            println!("\n## loading {ROWS} rows of user, item, rating, time ({:.0} MB)", bytes as f64 / 1e6);
            let name = path.to_str().expect("a temporary folder with a plain name");
            alone(&["read-whole", name]);
            alone(&["read-rows", name]);
        }
    }
}

/// Runs one case of this program in a process of its own.
fn alone(arguments: &[&str]) {
    let program = std::env::current_exe().expect("this program should know where it lies");
    let status = Command::new(program).args(arguments).status().expect("this program should start again");
    assert!(status.success(), "{arguments:?} failed");
}

fn write_file(path: &Path) -> PathBuf {
    let mut random = Seed(7).stream(Purpose::World, 0, 0);
    let mut file = BufWriter::new(std::fs::File::create(path).expect("a new file in a temporary folder"));
    for row in 0..ROWS {
        let user = random.random_range(0..USERS);
        let item = (f64::from(ITEMS) * random.random::<f64>().powi(3)) as u32;
        writeln!(file, "{user}\t{item}\t{}\t{}", 1 + row % 5, 1_000_000_000 + row).expect("room for the file");
    }
    file.flush().expect("room for the file");
    path.to_path_buf()
}

/// The reference: the bytes of the file, counted by lines, without any meaning.
fn read_whole(path: &Path) {
    let mut n_lines = 0;
    let time = timed(1, || {
        let bytes = std::fs::read(path).expect("the file just written");
        n_lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
    });
    report("reference: read and count lines", time.wall, time.busy, n_lines, path);
}

/// From the file to dense ids and interactions, ready for training.
fn read_rows(path: &Path) {
    let config = data::Config::default().with(|own| {
        (own.train, own.format) = (Some(path.to_path_buf()), Format::PAIRS);
        (own.duplicates, own.valid_fraction) = (Some(gcnrec::configs::Duplicates::KeepFirst), 0.0);
    });
    let mut n = 0;
    let time = timed(1, || {
        let split = data::load(&config, Seed(1)).expect("a sound file");
        n = split.train_interactions().expect("ids of the split").n_edges();
    });
    report("ours: to dense ids, deduplicated", time.wall, time.busy, n, path);
}

fn report(name: &str, wall: f64, busy: f64, n: usize, path: &Path) {
    let megabytes = std::fs::metadata(path).expect("the file just read").len() as f64 / 1e6;
    let (rate, peak) = (megabytes / wall, memory_mib("VmHWM"));
    println!("{name:<36} {wall:>7.2} s wall {busy:>7.2} s busy {rate:>7.0} MB/s, {n} rows, peak {peak:.0} MiB");
}

/// 42 million interactions, K = 3, dim 64, BPR.
fn train(n_steps: usize) {
    let train = Arc::new(generated(1_000_000, 300_000, 42_000_000, 3));
    println!("\n## {} interactions, peak {:.0} MiB while they were generated", train.n_edges(), memory_mib("VmHWM"));
    let mut learner = GraphLearner::new(Setup {
        device: Device::Cpu,
        config: Config::default(),
        model: "lightgcn",
        objective: objectives::Config::named("bpr").expect("a loss of the list"),
        batching: Batching { size: None, order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train,
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed: Seed(2020),
    })
    .expect("a learner over a sound graph");
    println!("learner ready, peak {:.0} MiB", memory_mib("VmHWM"));
    let time = timed(common::threads(), || {
        learner.steps(0, 0..n_steps).expect("finite losses");
    });
    let (wall, busy) = (time.wall / n_steps as f64, time.busy / n_steps as f64);
    println!("{n_steps} steps, {wall:.2} s wall, {busy:.2} s busy a step, peak {:.0} MiB", memory_mib("VmHWM"));
}
