//! How long does ranking all items for all users of Gowalla take, against the bare matrix product
//! behind it?

mod common;

use std::sync::Arc;

use common::{Contender, Limits, compare, gowalla, line, numbers, product, ratio, threads, title};
use gcnrec::internals::models::Learner;
use gcnrec::internals::models::graph::{Config, GraphLearner, Setup, WeightFit};
use gcnrec::internals::objectives;
use gcnrec::internals::objectives::Batching;
use gcnrec::internals::samplers::PairOrder;
use gcnrec::{Evaluator, HeldOut};
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

const DIM: usize = 64;
/// Users per product: their scores, 42 MB, are overwritten by those of the next users.
const USERS: usize = 256;

fn main() {
    let (train, test) = gowalla();
    let histories = vec![Vec::new(); train.n_users()];
    let held_out = HeldOut::new(&test, &train, &histories).expect("parts of one data set");
    let metrics = ["recall@20", "ndcg@20"].map(|name| name.parse().expect("known metrics"));
    let evaluator = Evaluator::new(held_out, &metrics).expect("users with held-out items");
    let (n_users, n_items) = (evaluator.n_eval_users(), train.n_items());
    let mut learner = GraphLearner::new(Setup {
        device: Device::Cpu,
        config: Config::default().with(|own| (own.layers, own.dim) = (1, DIM)),
        model: "lightgcn",
        objective: objectives::Config::named("bpr").expect("a loss of the list"),
        batching: Batching { size: None, order: PairOrder::PairUniform },
        learning_rate: 1e-3,
        train: Arc::new(train),
        weight_fit: WeightFit::Fixed,
        prior: None,
        bound: 0.0,
        seed: Seed(2020),
    })
    .expect("a learner over a sound graph");
    let scorer = learner.freeze().expect("a frozen model");
    let (users, items) = (numbers(1, n_users * DIM), numbers(2, n_items * DIM));
    let mut scores = vec![0.0; USERS * n_items];
    let all = threads();
    let mut contenders: [Contender<'_>; 2] = [
        (
            "ranking: scores, mask, top 20, metrics",
            all,
            Box::new(|| {
                evaluator.evaluate(&*scorer).expect("finite scores");
            }),
        ),
        (
            "gemm: the same scores alone",
            all,
            Box::new(|| {
                for users in users.chunks(USERS * DIM) {
                    let n = users.len() / DIM;
                    product(n, n_items, DIM, users, &items, &mut scores[..n * n_items]);
                }
            }),
        ),
    ];
    let times = compare(3, &mut contenders);
    let flops = 2.0 * (n_users * n_items * DIM) as f64;
    let limits = Limits::measure();
    title(&format!("full ranking, {n_users} users by {n_items} items, dim {DIM}, top 20"));
    for ((name, _, _), time) in contenders.iter().zip(&times) {
        let rate = flops / time.busy / 1e9;
        line(name, *time, &format!("{} the product, {rate:.0} GFLOP/s busy", ratio(*time, times[1])));
    }
    // Each table is read at least once.
    limits.floors((4 * DIM * (n_users + n_items)) as f64, flops, times[0]);
}
