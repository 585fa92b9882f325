//! What every sequential model must do: learn a rule that a chain of first order cannot, go on after a stop with the same bits, answer a batch as its
//! queries one by one, for any number of threads.

use std::sync::Arc;

use burn::tensor::activation;
use gcnrec_graphs::{Purpose, UserId};
use gcnrec_kernels::burn_bridge::gather;
use rand::RngExt;

use super::*;
use crate::models::Query;
use crate::models::state::Tensor as Stored;

pub(super) const N_ITEMS: u32 = 30;

/// A user's history: `a b a+1 b+1 a+2 ..`, counted round. What comes next follows the item before the last one.
pub(super) fn history(a: u32, b: u32, len: u32) -> Vec<ItemId> {
    (0..len).map(|at| ItemId(((if at % 2 == 0 { a } else { b }) + at / 2) % N_ITEMS)).collect()
}

/// Users with random starts that are not 0 apart modulo 5, so that such pairs are new in the test.
pub(super) fn users(n: u32) -> Arc<Vec<Vec<ItemId>>> {
    let mut random = Seed(3).stream(Purpose::Analysis, 0, 0);
    let mut start = || loop {
        let (a, b) = (random.random_range(0..N_ITEMS), random.random_range(0..N_ITEMS));
        if !(N_ITEMS + a - b).is_multiple_of(5) {
            return history(a, b, 11);
        }
    };
    Arc::new((0..n).map(|_| start()).collect())
}

pub(super) fn learner_of<M: Encoder>(model: &M, n_users: u32) -> SequenceLearner<M> {
    let setup = Setup {
        histories: users(n_users),
        n_items: N_ITEMS as usize,
        batch_size: Some(32),
        learning_rate: Some(3e-3),
        seed: Seed(2020),
    };
    SequenceLearner::new(model.clone(), setup).unwrap()
}

pub(super) fn train(learner: &mut dyn Learner, epochs: std::ops::Range<u64>) {
    let n = learner.steps_per_epoch();
    epochs.for_each(|epoch| {
        learner.steps(epoch, 0..n).unwrap();
    });
}

pub(super) fn digest(state: &State) -> Vec<u32> {
    let numbers = |tensor: &Stored| match tensor {
        Stored::F32 { values, .. } => values.iter().map(|value| value.to_bits()).collect(),
        Stored::U32 { values, .. } => values.clone(),
    };
    state.tensors.values().flat_map(numbers).collect::<Vec<u32>>()
}

fn scores(scorer: &dyn Scorer, queries: &[Query<'_>]) -> Vec<u32> {
    let mut out = Vec::new();
    scorer.score_block(queries, &mut out).unwrap();
    out.into_iter().map(f32::to_bits).collect()
}

/// Of pairs of starts that no training history has, in histories of every length from `shortest` on: the first item is right.
fn check_rule<M: Encoder>(model: &M, shortest: u32, epochs: u64) {
    let (right, asked) = right_of_rule(&mut learner_of(model, 128), shortest, epochs);
    assert!(right * 100 >= asked * 95, "{}, {:?}: {right} of {asked}", M::NAME, model.objective());
}

/// How often a learner is right about the rule once it is trained, and how often it was asked.
pub(super) fn right_of_rule(learner: &mut dyn Learner, shortest: u32, epochs: u64) -> (usize, usize) {
    train(learner, 0..epochs);
    let scorer = learner.freeze().unwrap();
    let (mut right, mut asked) = (0, 0);
    for a in 0..N_ITEMS {
        for apart in [5, 10, 25] {
            let known = history(a, (a + apart) % N_ITEMS, shortest + (a + apart) % 6);
            let next = history(a, (a + apart) % N_ITEMS, known.len() as u32 + 1)[known.len()];
            let top = scorer.top_k(&[Query { user: None, history: &known }], &[&[]], 1).unwrap();
            right += usize::from(top.items[0] == next.0);
            asked += 1;
        }
    }
    (right, asked)
}

fn check_conduct<M: Encoder>(model: &M) {
    conduct_is_right(&|| Box::new(learner_of(model, 70)), M::NAME, model.max_len());
}

pub(super) fn conduct_is_right(learner: &(dyn Fn() -> Box<dyn Learner> + Sync), name: &str, max_len: usize) {
    let whole = |learner: &mut dyn Learner| {
        train(learner, 0..2);
        (digest(&learner.state()), digest(&learner.freeze().unwrap().state()))
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| whole(&mut *learner()))
    };
    let expected = on(1);
    assert!(on(2) == expected && on(4) == expected, "{name}: threads");

    let (mut first, mut second) = (learner(), learner());
    train(&mut *first, 0..1);
    first.steps(1, 0..1).unwrap();
    second.restore(&first.state()).unwrap();
    let n = second.steps_per_epoch();
    second.steps(1, 1..n).unwrap();
    assert!(digest(&second.state()) == expected.0, "{name}: a stop changed the weights");

    let scorer = second.freeze().unwrap();
    let loaded = load(name, &scorer.state()).unwrap().unwrap();
    let histories: Vec<Vec<ItemId>> = (1..90).map(|n| history(n, 3 * n + 1, n)).collect();
    let queries: Vec<Query<'_>> =
        histories.iter().map(|history| Query { user: Some(UserId(u32::MAX)), history }).collect();
    let together = scores(&*scorer, &queries);
    assert_eq!(together, scores(&*loaded, &queries));
    for (row, query) in together.chunks(N_ITEMS as usize).zip(&queries) {
        assert!(row == scores(&*scorer, &[*query]), "{name}: {} items", query.history.len());
    }
    // Only the last items are read.
    let (long, short) = (history(1, 7, 80), history(1, 7, 80)[80 - max_len - 2..].to_vec());
    assert_eq!(
        scores(&*scorer, &[Query { user: None, history: &long }]),
        scores(&*scorer, &[Query { user: None, history: &short }])
    );
    let popular = scores(&*scorer, &[Query { user: Some(UserId(0)), history: &[] }]);
    let mut counts = [0; N_ITEMS as usize];
    users(70).iter().flatten().for_each(|item| counts[item.index()] += 1);
    let best = |values: &[u32]| values.iter().enumerate().max_by_key(|(at, v)| (**v, usize::MAX - at)).unwrap().0;
    assert_eq!(counts[best(&popular)], counts[best(&counts)], "nothing to go by: what is popular");
    assert!(scorer.score_block(&[Query { user: None, history: &[] }], &mut Vec::new()).is_err());
    assert!(scorer.score_block(&[Query { user: None, history: &[ItemId(N_ITEMS)] }], &mut Vec::new()).is_err());
}

fn small_sasrec() -> sasrec::Config {
    sasrec::Config {
        dim: 32,
        inner: 64,
        heads: 1,
        dropout: 0.1,
        attention_dropout: 0.1,
        max_len: 10,
        ..sasrec::Config::default()
    }
}

#[test]
fn sasrec_learns_a_rule_of_second_order() {
    check_rule(&small_sasrec(), 2, 60);
}

#[test]
fn sasrec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_sasrec());
}

#[test]
fn sasrec_learns_the_rule_from_negatives_that_a_batch_shares() {
    check_rule(&sasrec::Config { loss: Loss::SampledSoftmax, n_negatives: 20, ..small_sasrec() }, 2, 80);
}

/// Against items outside of the history alone, what comes next is not told from what comes later: only the loss can be asked.
#[test]
fn logistic_and_pairwise_losses_fall() {
    for loss in [Loss::Gbce, Loss::Bce, Loss::Bpr] {
        let mut learner = learner_of(&sasrec::Config { loss, ..small_sasrec() }, 128);
        let n = learner.steps_per_epoch();
        let mean = |report: crate::models::StepReport| report.loss / report.n_examples as f64;
        let first = mean(learner.steps(0, 0..n).unwrap());
        train(&mut learner, 1..30);
        let last = mean(learner.steps(30, 0..n).unwrap());
        assert!(last < 0.5 * first, "{loss:?}: {first} {last}");
    }
}

fn small_fmlp() -> fmlp::Config {
    fmlp::Config { dim: 32, inner: 64, dropout: 0.1, max_len: 10, ..fmlp::Config::default() }
}

#[test]
fn fmlp_learns_a_rule_of_second_order() {
    check_rule(&small_fmlp(), 2, 30);
}

#[test]
fn fmlp_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_fmlp());
}

#[test]
fn a_training_part_without_any_order_is_refused() {
    let setup = Setup {
        histories: Arc::new(vec![vec![ItemId(0)], vec![], vec![ItemId(1)]]),
        n_items: 2,
        batch_size: None,
        learning_rate: None,
        seed: Seed(1),
    };
    let refused = learner(&Config::Sasrec(sasrec::Config::default()), setup).err().unwrap();
    assert_eq!(refused.exit_code(), 3);
    assert!(refused.to_string().contains("no history of two items"), "{refused}");
}

#[test]
fn settings_out_of_range_are_refused_by_their_key() {
    let message = |config: sasrec::Config| config.validate().unwrap_err().to_string();
    let default = sasrec::Config::default;
    assert!(default().validate().is_ok());
    assert_eq!(
        message(sasrec::Config { heads: 3, ..default() }),
        "model.sasrec.heads: found 3, expected a divisor of dim, 64"
    );
    assert!(message(sasrec::Config { dropout: 1.0, ..default() }).starts_with("model.sasrec.dropout: found 1"));
    assert!(message(sasrec::Config { max_len: 0, ..default() }).starts_with("model.sasrec.max_len: found 0"));
    assert!(message(sasrec::Config { init_std: 0.0, ..default() }).starts_with("model.sasrec.init_std: found 0"));
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let mut learner = learner_of(&small_sasrec(), 8);
    let state = learner.freeze().unwrap().state();
    for damage in ["popularity", ITEMS, "layers.1.output.bias"] {
        let mut damaged = state.clone();
        damaged.tensors.remove(damage);
        assert_eq!(load("sasrec", &damaged).err().map(|error| error.exit_code()), Some(6), "{damage}");
    }
    let mut damaged = state.clone();
    damaged.facts.insert("settings".into(), "{\"dim\": 0}".into());
    assert_eq!(load("sasrec", &damaged).err().map(|error| error.exit_code()), Some(6));
}

/// A fixture of `tests/data/sequential/make.py`: one step computed in f64 from the formulas.
struct Fixture(serde_json::Value);

impl Fixture {
    fn read(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sequential").join(name);
        Fixture(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn sequences(&self) -> Vec<Vec<u32>> {
        serde_json::from_value(self.0["sequences"].clone()).unwrap()
    }

    /// A matrix of `part` (`weights`, `gradients`, `after`); a vector has one row.
    fn matrix(&self, part: &str, name: &str) -> (usize, Vec<f64>) {
        let found = &self.0[part][name];
        let shape = found["shape"].as_array().unwrap_or_else(|| panic!("no {name}"));
        let rows = if shape.len() == 1 { 1 } else { shape[0].as_u64().unwrap() as usize };
        (rows, found["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect())
    }

    /// A parameter of ours in the fixture's words: matrices are stored the other way round there, and queries, keys and values apart.
    fn ours(&self, part: &str, name: &str) -> Vec<f64> {
        let transposed = |name: &str| {
            let (rows, values) = self.matrix(part, name);
            let columns = values.len() / rows;
            (columns, (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect::<Vec<f64>>())
        };
        let layer = |rest: &str| rest.replacen("layers", "blocks", 1);
        if let Some((layer_name, "weight")) = name.split_once(".attention.") {
            let parts = ["query", "key", "value"].map(|p| transposed(&format!("{}.{p}.weight", layer(layer_name))));
            let (rows, width) = (parts[0].0, parts[0].1.len() / parts[0].0);
            return (0..rows)
                .flat_map(|row| parts.each_ref().map(|p| p.1[row * width..(row + 1) * width].to_vec()).concat())
                .collect();
        }
        if let Some((layer_name, "bias")) = name.split_once(".attention.") {
            let parts =
                ["query", "key", "value"].map(|p| self.matrix(part, &format!("{}.{p}.bias", layer(layer_name))).1);
            return parts.concat();
        }
        let theirs = layer(name)
            .replace(".output.", ".out.")
            .replace("feed_forward.inner", "up")
            .replace("feed_forward.outer", "down")
            .replace("feed_forward.norm", "inner_norm")
            .replace("input_norm", "norm");
        if theirs.ends_with(".weight") { transposed(&theirs).1 } else { self.matrix(part, &theirs).1 }
    }
}

/// One step of Adam from the fixture's weights, as `step` takes it from the state before it: the loss, every gradient, and every weight after it.
fn check_step<M: Encoder>(
    model: &M,
    fixture: &Fixture,
    ours: impl Fn(&str, &str) -> Vec<f64>,
    step: impl Fn(Setup, &State) -> (f64, State),
) {
    let histories =
        fixture.sequences().into_iter().map(|sequence| sequence.into_iter().map(ItemId).collect()).collect();
    let n_items = fixture.0["n_items"].as_u64().unwrap() as usize;
    let (batch_size, learning_rate) = (Some(4), Some(0.01));
    let setup = Setup { histories: Arc::new(histories), n_items, batch_size, learning_rate, seed: Seed(1) };
    let (layout, mut state) = (model.parameters(n_items), State::default());
    for Parameter { name, shape, .. } in &layout {
        let values: Vec<f32> = ours("weights", name).into_iter().map(|value| value as f32).collect();
        let zeros = vec![0.0; values.len()];
        state.put_f32(name, shape, values);
        state.put_f32(&format!("adam.m.{name}"), shape, zeros.clone());
        state.put_f32(&format!("adam.v.{name}"), shape, zeros);
    }
    state.put_fact("step", 0);
    let (loss, after) = step(setup, &state);
    let expected = fixture.0["loss"].as_f64().unwrap();
    assert!((loss - expected).abs() < 1e-5 * expected, "{loss} {expected}");
    for Parameter { name, shape, .. } in &layout {
        // After one step the first moment is a tenth of the gradient.
        let moment = after.f32(&format!("adam.m.{name}"), shape).unwrap();
        let moved = after.f32(name, shape).unwrap();
        let (gradients, weights) = (ours("gradients", name), ours("after", name));
        for (at, (&gradient, &weight)) in gradients.iter().zip(&weights).enumerate() {
            let found = f64::from(moment[at]) * 10.0;
            assert!((found - gradient).abs() < 1e-5 + 1e-4 * gradient.abs(), "{name}[{at}]: {found} {gradient}");
            // The first step is the sign of the gradient, which rounding decides where there is almost none.
            if gradient.abs() > 1e-4 {
                assert!((f64::from(moved[at]) - weight).abs() < 1e-4, "{name}[{at}]: {} {weight}", moved[at]);
            }
        }
    }
}

/// One step of a learner from a state: its mean loss and the state after it.
fn one_step<M: Encoder>(model: &M, setup: Setup, state: &State) -> (f64, State) {
    let mut learner = SequenceLearner::new(model.clone(), setup).unwrap();
    learner.restore(state).unwrap();
    assert_eq!(learner.steps_per_epoch(), 1);
    let report = learner.steps(0, 0..1).unwrap();
    (report.loss / report.n_examples as f64, learner.state())
}

#[test]
fn a_step_of_sasrec_is_that_of_its_formulas() {
    let rates = sasrec::Config { dropout: 0.0, attention_dropout: 0.0, ..sasrec::Config::default() };
    let model = sasrec::Config { dim: 6, inner: 7, max_len: 5, ..rates };
    let fixture = Fixture::read("sasrec.json");
    let ours = |part: &str, name: &str| fixture.ours(part, name);
    check_step(&model, &fixture, ours, |setup, state| one_step(&model, setup, state));
}

/// The fixture's loss is the paper's, with one negative: written in Burn's own words here.
#[test]
fn a_step_of_fmlp_is_that_of_its_formulas() {
    let model = fmlp::Config { dim: 5, inner: 7, dropout: 0.0, max_len: 6, ..fmlp::Config::default() };
    let fixture = Fixture::read("fmlp.json");
    let ours = |part: &str, name: &str| {
        let Some(layer) = name.strip_suffix(".filter") else { return fixture.ours(part, name) };
        // Real and imaginary parts lie side by side there.
        let values = fixture.matrix(part, &format!("{}.filter", layer.replacen("layers", "blocks", 1))).1;
        let every_second = |first: usize| values.iter().skip(first).step_by(2).copied();
        every_second(0).chain(every_second(1)).collect()
    };
    let negatives: Vec<u32> = serde_json::from_value(fixture.0["config"]["negatives"].clone()).unwrap();
    let sequences = fixture.sequences();
    check_step(&model, &fixture, ours, |setup, state| {
        let mut parameters = parameters::Parameters::new(model.parameters(setup.n_items), setup.seed);
        parameters.restore(state).unwrap();
        let weights = parameters.on_tape();
        let (mut items, mut starts) = (Vec::new(), vec![0]);
        for sequence in &sequences {
            items.extend_from_slice(&sequence[..sequence.len() - 1]);
            starts.push(items.len() as u32);
        }
        let rows = Sequences::new(starts);
        let hidden = model.encode(&weights, &Input { items: &items, sequences: &rows }, &mut Noise::none());
        let last = gather(hidden, rows.ranges().map(|rows| Some(rows.end as u32 - 1)));
        let score = |of: &dyn Fn(usize) -> u32| {
            let vectors = gather(weights.get(ITEMS), (0..sequences.len()).map(|at| Some(of(at))));
            (vectors * last.clone()).sum_dim(1)
        };
        let positive = score(&|at| sequences[at][sequences[at].len() - 1]);
        let negative = score(&|at| negatives[at]);
        // -log s(x) = softplus(-x), -log(1 - s(x)) = softplus(x)
        let loss = (activation::softplus(positive.neg(), 1.0) + activation::softplus(negative, 1.0)).mean();
        let value = f64::from(loss.clone().into_scalar());
        parameters.descend(&weights, loss, &Rule::adam(0.01)).unwrap();
        let mut after = State::default();
        parameters.save(&mut after, true);
        (value, after)
    });
}

pub(super) fn small_gru4rec() -> gru4rec::Config {
    gru4rec::Config { dim: 32, hidden: 48, dropout: 0.1, max_len: 10, ..gru4rec::Config::default() }
}

fn small_narm(normalised: bool) -> narm::Config {
    let rates = narm::Config { dropout: 0.1, context_dropout: 0.1, ..narm::Config::default() };
    narm::Config { dim: 32, hidden: 48, max_len: 10, normalised, ..rates }
}

#[test]
fn gru4rec_learns_a_rule_of_second_order() {
    check_rule(&small_gru4rec(), 2, 60);
}

#[test]
fn gru4rec_learns_the_rule_from_negatives_that_a_batch_shares() {
    let drawn = gru4rec::Config { n_negatives: 20, sample_alpha: 0.5, ..small_gru4rec() };
    check_rule(&gru4rec::Config { loss: Loss::SampledSoftmax, ..drawn.clone() }, 2, 80);
    check_rule(&gru4rec::Config { loss: Loss::BprMax, bpreg: 0.1, ..drawn }, 2, 120);
}

#[test]
fn gru4rec_learns_the_rule_beside_a_teacher_that_reads_the_future() {
    check_rule(&gru4rec::Config { teacher_weight: 0.3, teacher_temperature: 2.0, ..small_gru4rec() }, 2, 80);
}

#[test]
fn gru4rec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&gru4rec::Config { layers: 2, item_dropout: 0.1, ..small_gru4rec() });
    check_conduct(&gru4rec::Config { teacher_weight: 0.3, batches: gru4rec::Batches::RandomCuts, ..small_gru4rec() });
    check_conduct(&gru4rec::Config { loss: Loss::BprMax, sample_alpha: 0.7, ..small_gru4rec() });
}

#[test]
fn narm_learns_a_rule_of_second_order() {
    check_rule(&small_narm(false), 2, 250);
}

#[test]
fn narm_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_narm(true));
}

/// A parameter of a recurrent model in the fixture's words; all matrices are stored the other way round there.
fn of_recurrent(fixture: &Fixture, part: &str, name: &str) -> Vec<f64> {
    let theirs = match name {
        "gru.0.input" => "gru.input",
        "gru.0.state" => "gru.hidden",
        name => name,
    };
    let (rows, values) = fixture.matrix(part, theirs);
    let columns = values.len() / rows;
    match theirs {
        ITEMS => values,
        _ => (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect(),
    }
}

#[test]
fn a_step_of_gru4rec_is_that_of_its_formulas() {
    let model = gru4rec::Config { dim: 5, hidden: 7, dropout: 0.0, max_len: 5, ..gru4rec::Config::default() };
    let fixture = Fixture::read("gru4rec.json");
    check_step(
        &model,
        &fixture,
        |part, name| of_recurrent(&fixture, part, name),
        |setup, state| one_step(&model, setup, state),
    );
}

#[test]
fn a_step_of_narm_is_that_of_its_formulas() {
    for (name, normalised) in [("narm.json", false), ("narm-normalised.json", true)] {
        let rates = narm::Config { dropout: 0.0, context_dropout: 0.0, ..narm::Config::default() };
        let model = narm::Config { dim: 5, hidden: 7, max_len: 5, normalised, ..rates };
        let fixture = Fixture::read(name);
        check_step(
            &model,
            &fixture,
            |part, name| of_recurrent(&fixture, part, name),
            |setup, state| one_step(&model, setup, state),
        );
    }
}

#[test]
fn recurrent_settings_out_of_range_are_refused_by_their_key() {
    let message = |config: gru4rec::Config| config.validate().unwrap_err().to_string();
    let default = gru4rec::Config::default;
    assert!(default().validate().is_ok() && narm::Config::default().validate().is_ok());
    assert!(message(gru4rec::Config { hidden: 0, ..default() }).starts_with("model.gru4rec.hidden: found 0"));
    assert!(message(gru4rec::Config { item_dropout: 1.0, ..default() }).starts_with("model.gru4rec.item_dropout"));
    let narm = narm::Config { layers: 9, ..narm::Config::default() };
    assert!(narm.validate().unwrap_err().to_string().starts_with("model.narm.layers: found 9"));
}
