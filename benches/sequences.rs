//! How long is a training step of the sequential models: 128 sequences of 50 items, 3,416 items as in MovieLens 1M?
//!
//! `cargo bench --bench sequences -- sasrec` runs the cases whose names hold that word.

mod common;

use std::sync::Arc;

use common::{line, median, threads, timed, title};
use gcnrec::models::sequential::{self, Setup};
use gcnrec::models::{Config, Learner};
use gcnrec_graphs::{ItemId, Purpose, Seed};
use gcnrec_kernels::Device;
use rand::RngExt;

const N_ITEMS: usize = 3_416;
const SEQUENCES: usize = 128;
const LEN: usize = 50;
const STEPS: usize = 12;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| name.contains(only.as_str()));
    title("a step of 128 sequences of 50 items, 3,416 items, width 64, softmax over all items");
    for name in ["sasrec", "bert4rec", "fmlp"] {
        if wanted(name) {
            step(name);
        }
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
    let learner = sequential::learner(&model, setup).expect("the settings should be valid");
    let mut learner: Box<dyn Learner> = learner.expect("a sequential model");
    let mut positions = 0;
    let mut one = |learner: &mut dyn Learner, epoch| {
        positions = learner.steps(epoch, 0..1).expect("a step should succeed").n_examples;
    };
    one(&mut *learner, 0);
    let times: Vec<_> = (1..=STEPS as u64).map(|epoch| timed(threads(), || one(&mut *learner, epoch))).collect();
    let time = median(&times);
    line(name, time, &format!("{positions} positions, {:.0} a second", positions as f64 / time.wall));
}
