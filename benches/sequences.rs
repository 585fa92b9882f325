//! How long is a training step of the sequential models: 128 sequences of 50 items, 3,416 items as
//! in MovieLens 1M? What would its products take at the rate of the `gemm` crate?
//!
//! `cargo bench --bench sequences -- sasrec` runs the cases whose names hold that word.

mod common;

use std::sync::Arc;

use common::{Limits, line, median, threads, timed, title};
use gcnrec::internals::models::sequential::Setup;
use gcnrec::internals::models::{Config, Learner};
use gcnrec_graphs::{ItemId, Purpose, Seed};
use gcnrec_kernels::Device;
use rand::RngExt;

const N_ITEMS: usize = 3_416;
const SEQUENCES: usize = 128;
const LEN: usize = 50;
const STEPS: usize = 12;
/// Widths of RecBole's defaults.
const DIM: usize = 64;
const INNER: usize = 256;
const HIDDEN: usize = 128;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| name.contains(only.as_str()));
    title("a step of 128 sequences of 50 items, 3,416 items, width 64, softmax over all items");
    for name in ["sasrec", "bert4rec", "fmlp", "gru4rec", "narm"].into_iter().filter(|name| wanted(name)) {
        step(name);
    }
}

/// Multiply-adds that a model takes for each item that it reads, without the scores of the items.
/// Two blocks, one recurrent layer.
fn multiply_adds(name: &str) -> usize {
    // A position that reads those before it reads half of them on average.
    let earlier = LEN.div_ceil(2);
    let block = |keys| 4 * DIM * DIM + 2 * DIM * INNER + 2 * DIM * keys;
    let gru = 3 * HIDDEN * (DIM + HIDDEN);
    match name {
        "sasrec" => 2 * block(earlier),
        "bert4rec" => 2 * block(LEN) + DIM * DIM,
        // To the frequencies and back, each with a cosine and a sine.
        "fmlp" => 2 * (2 * DIM * INNER + 4 * (LEN / 2 + 1) * DIM),
        "gru4rec" => gru + HIDDEN * DIM,
        "narm" => gru + 2 * HIDDEN * HIDDEN + 2 * HIDDEN * earlier + 2 * HIDDEN * DIM,
        _ => unreachable!("{name} should be one of the models above"),
    }
}

fn step(name: &str) {
    let mut random = Seed(1).stream(Purpose::Analysis, 0, 0);
    // One item more than a sequence holds: the last one is only predicted.
    let mut history = || (0..=LEN).map(|_| ItemId(random.random_range(0..N_ITEMS as u32))).collect();
    let setup = Setup {
        histories: Arc::new((0..SEQUENCES).map(|_| history()).collect()),
        n_items: N_ITEMS,
        batch_size: Some(SEQUENCES),
        learning_rate: None,
        seed: Seed(1),
        device: Device::Cpu,
    };
    let model = Config::named(name).expect("a registered model");
    let model = model.sequential().expect("a sequential model");
    let mut learner = model.learner(setup).expect("the settings should be valid");
    let mut positions = 0;
    let mut one = |learner: &mut dyn Learner, epoch| {
        positions = learner.steps(epoch, 0..1).expect("a step should succeed").n_examples;
    };
    one(&mut *learner, 0);
    let times: Vec<_> = (1..=STEPS as u64).map(|epoch| timed(threads(), || one(&mut *learner, epoch))).collect();
    let time = median(&times);
    line(name, time, &format!("{positions} positions, {:.0} a second", positions as f64 / time.wall));
    // Forward once, backward twice as much.
    let done = 3.0 * (SEQUENCES * LEN * multiply_adds(name)) as f64 + 3.0 * (positions as usize * N_ITEMS * DIM) as f64;
    // Each parameter and its two moments are read and written.
    Limits::measure().floors((6 * 4 * learner.n_parameters()) as f64, 2.0 * done, time);
    let query = (LEN * multiply_adds(name) + N_ITEMS * DIM) as f64;
    println!("{:.2} million multiply-adds to score all items for a history of {LEN}", query / 1e6);
}
