//! A step that has been taken before allocates nothing worth speaking of: all buffers are kept.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::lightgcn::Storage;
use gcnrec::internals::models::graph::{Config, GraphLearner, Setup, WeightFit};
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::samplers::PairOrder;
use gcnrec_graphs::{Interactions, ItemId, Seed, UserId};
use gcnrec_kernels::Device;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting bytes.
struct Counting;

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(new_size, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(place, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn learner(objective: objectives::Config, storage: Storage) -> GraphLearner {
    let pairs = (0..600u32).flat_map(|u| (0..20).map(move |k| (UserId(u), ItemId((u * 31 + k * k * 7) % 400))));
    GraphLearner::new(Setup {
        device: Device::Cpu,
        config: Config::default().with(|own| own.storage = storage),
        model: "lightgcn",
        objective,
        batching: Batching { size: Some(256), order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: Arc::new(Interactions::from_pairs(600, 400, pairs).expect("ids in range")),
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed: Seed(1),
    })
    .expect("a learner over a sound graph")
}

/// One test, because the counter is one for the whole program.
#[test]
fn a_step_that_was_taken_before_allocates_less_than_a_kilobyte() {
    let losses = [
        objectives::Config::named("bpr").expect("a loss of the list"),
        objectives::Config::named("ssm").expect("a loss of the list"),
        objectives::Config::named("softmax").expect("a loss of the list"),
    ];
    for objective in losses {
        for storage in [Storage::F32, Storage::F16] {
            let name = format!("{objective:?}, {storage:?}");
            let mut learner = learner(objective.clone(), storage);
            learner.steps(0, 0..2).expect("finite losses");
            // Which thread takes which block differs from round to round, and a thread keeps memory
            // of its own from its first block on: such a round allocates once. What every step
            // allocates is in all rounds, so the leanest one counts.
            let round = || {
                let before = ALLOCATED.load(Ordering::Relaxed);
                learner.steps(0, 0..2).expect("finite losses");
                ALLOCATED.load(Ordering::Relaxed) - before
            };
            let bytes = std::iter::repeat_with(round).take(16).min().expect("sixteen rounds");
            // The weights of the layers, a handful of numbers, and now and then a block of the
            // thread pool's queue.
            assert!(bytes < 2048, "{name}: at least {bytes} bytes in two steps");
        }
    }
}
