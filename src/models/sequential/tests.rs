//! What every sequential model must do: learn a rule that a chain of first order cannot, go on after a stop with the same bits, answer a batch as its
//! queries one by one, for any number of threads.

use std::sync::Arc;

use gcnrec_graphs::{Purpose, UserId};
use rand::RngExt;

use super::*;
use crate::models::Query;
use crate::models::state::Tensor as Stored;

const N_ITEMS: u32 = 30;

/// A user's history: `a b a+1 b+1 a+2 ..`, counted round. What comes next follows the item before the last one.
fn history(a: u32, b: u32, len: u32) -> Vec<ItemId> {
    (0..len).map(|at| ItemId(((if at % 2 == 0 { a } else { b }) + at / 2) % N_ITEMS)).collect()
}

/// Users with random starts that are not 0 apart modulo 5, so that such pairs are new in the test.
fn users(n: u32) -> Arc<Vec<Vec<ItemId>>> {
    let mut random = Seed(3).stream(Purpose::Analysis, 0, 0);
    let mut start = || loop {
        let (a, b) = (random.random_range(0..N_ITEMS), random.random_range(0..N_ITEMS));
        if (N_ITEMS + a - b) % 5 != 0 {
            return history(a, b, 11);
        }
    };
    Arc::new((0..n).map(|_| start()).collect())
}

fn learner_of<M: Encoder>(model: &M, n_users: u32) -> SequenceLearner<M> {
    let setup = Setup {
        histories: users(n_users),
        n_items: N_ITEMS as usize,
        batch_size: Some(32),
        learning_rate: Some(3e-3),
        seed: Seed(2020),
    };
    SequenceLearner::new(model.clone(), setup).unwrap()
}

fn train<M: Encoder>(learner: &mut SequenceLearner<M>, epochs: std::ops::Range<u64>) {
    let n = learner.steps_per_epoch();
    epochs.for_each(|epoch| {
        learner.steps(epoch, 0..n).unwrap();
    });
}

fn digest(state: &State) -> Vec<u32> {
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

/// Of pairs of starts that no training history has, in histories of every length from 2: the first item is right.
fn check_rule<M: Encoder>(model: &M, epochs: u64) {
    let mut learner = learner_of(model, 128);
    train(&mut learner, 0..epochs);
    let scorer = learner.freeze().unwrap();
    let (mut right, mut asked) = (0, 0);
    for a in 0..N_ITEMS {
        for apart in [5, 10, 25] {
            let known = history(a, (a + apart) % N_ITEMS, 2 + (a + apart) % 8);
            let next = history(a, (a + apart) % N_ITEMS, known.len() as u32 + 1)[known.len()];
            let top = scorer.top_k(&[Query { user: None, history: &known }], &[&[]], 1).unwrap();
            right += usize::from(top.items[0] == next.0);
            asked += 1;
        }
    }
    assert!(right * 100 >= asked * 95, "{}: {right} of {asked}", M::NAME);
}

fn check_conduct<M: Encoder>(model: &M) {
    let whole = |learner: &mut SequenceLearner<M>| {
        train(learner, 0..2);
        (digest(&learner.state()), digest(&learner.freeze().unwrap().state()))
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| whole(&mut learner_of(model, 70)))
    };
    let expected = on(1);
    assert!(on(2) == expected && on(4) == expected, "{}: threads", M::NAME);

    let (mut first, mut second) = (learner_of(model, 70), learner_of(model, 70));
    train(&mut first, 0..1);
    first.steps(1, 0..1).unwrap();
    second.restore(&first.state()).unwrap();
    second.steps(1, 1..second.steps_per_epoch()).unwrap();
    assert!(digest(&second.state()) == expected.0, "{}: a stop changed the weights", M::NAME);

    let scorer = second.freeze().unwrap();
    let loaded = load(M::NAME, &scorer.state()).unwrap().unwrap();
    let histories: Vec<Vec<ItemId>> = (1..90).map(|n| history(n, 3 * n + 1, n)).collect();
    let queries: Vec<Query<'_>> =
        histories.iter().map(|history| Query { user: Some(UserId(u32::MAX)), history }).collect();
    let together = scores(&*scorer, &queries);
    assert_eq!(together, scores(&*loaded, &queries));
    for (row, query) in together.chunks(N_ITEMS as usize).zip(&queries) {
        assert!(row == scores(&*scorer, &[*query]), "{}: {} items", M::NAME, query.history.len());
    }
    // Only the last items are read.
    let (long, short) = (history(1, 7, 80), history(1, 7, 80)[80 - model.max_len() - 2..].to_vec());
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
    check_rule(&small_sasrec(), 60);
}

#[test]
fn sasrec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&small_sasrec());
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
    damaged.facts.insert("settings".into(), serde_json::json!({"dim": 0}));
    assert_eq!(load("sasrec", &damaged).err().map(|error| error.exit_code()), Some(6));
}

/// A fixture of `tests/data/sequential/make.py`: one step computed in f64 from the formulas.
struct Fixture(serde_json::Value);

impl Fixture {
    fn read(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sequential").join(name);
        Fixture(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
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

/// One step of Adam from the fixture's weights: the loss, every gradient, and every weight after it.
fn check_step<M: Encoder>(model: &M, fixture: &Fixture, ours: impl Fn(&str, &str) -> Vec<f64>) {
    let sequences: Vec<Vec<u32>> = serde_json::from_value(fixture.0["sequences"].clone()).unwrap();
    let histories = sequences.into_iter().map(|sequence| sequence.into_iter().map(ItemId).collect()).collect();
    let n_items = fixture.0["n_items"].as_u64().unwrap() as usize;
    let setup = Setup {
        histories: Arc::new(histories),
        n_items,
        batch_size: Some(4),
        learning_rate: Some(0.01),
        seed: Seed(1),
    };
    let mut learner = SequenceLearner::new(model.clone(), setup).unwrap();
    let mut state = learner.state();
    let layout = model.parameters(n_items);
    for parameter in &layout {
        let values: Vec<f32> = ours("weights", &parameter.name).into_iter().map(|value| value as f32).collect();
        state.put_f32(&parameter.name, &parameter.shape, values);
    }
    learner.restore(&state).unwrap();
    assert_eq!(learner.steps_per_epoch(), 1);
    let report = learner.steps(0, 0..1).unwrap();
    let loss = report.loss / report.n_examples as f64;
    let expected = fixture.0["loss"].as_f64().unwrap();
    assert!((loss - expected).abs() < 1e-5 * expected, "{loss} {expected}");
    let after = learner.state();
    for parameter in &layout {
        let (name, shape) = (&parameter.name, &parameter.shape);
        // After one step the first moment is a tenth of the gradient.
        let moment = after.f32(&format!("adam.m.{name}"), shape).unwrap();
        let moved = after.f32(name, shape).unwrap();
        let (gradient, weights) = (ours("gradients", name), ours("after", name));
        for at in 0..moment.len() {
            let found = f64::from(moment[at]) * 10.0;
            assert!(
                (found - gradient[at]).abs() < 1e-5 + 1e-4 * gradient[at].abs(),
                "{name}[{at}]: {found} {}",
                gradient[at]
            );
            // The first step is the sign of the gradient, which rounding decides where there is almost none.
            if gradient[at].abs() > 1e-4 {
                assert!(
                    (f64::from(moved[at]) - weights[at]).abs() < 1e-4,
                    "{name}[{at}]: {} {}",
                    moved[at],
                    weights[at]
                );
            }
        }
    }
}

#[test]
fn a_step_of_sasrec_is_that_of_its_formulas() {
    let model = sasrec::Config {
        dim: 6,
        inner: 7,
        dropout: 0.0,
        attention_dropout: 0.0,
        max_len: 5,
        ..sasrec::Config::default()
    };
    let fixture = Fixture::read("sasrec.json");
    check_step(&model, &fixture, |part, name| fixture.ours(part, name));
}

fn small_gru4rec() -> gru4rec::Config {
    gru4rec::Config { dim: 32, hidden: 48, dropout: 0.1, max_len: 10, ..gru4rec::Config::default() }
}

fn small_narm(normalised: bool) -> narm::Config {
    let rates = narm::Config { dropout: 0.1, context_dropout: 0.1, ..narm::Config::default() };
    narm::Config { dim: 32, hidden: 48, max_len: 10, normalised, ..rates }
}

#[test]
fn gru4rec_learns_a_rule_of_second_order() {
    check_rule(&small_gru4rec(), 60);
}

#[test]
fn gru4rec_depends_on_nothing_but_seed_and_data() {
    check_conduct(&gru4rec::Config { layers: 2, item_dropout: 0.1, ..small_gru4rec() });
}

#[test]
fn narm_learns_a_rule_of_second_order() {
    check_rule(&small_narm(false), 150);
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
    check_step(&model, &fixture, |part, name| of_recurrent(&fixture, part, name));
}

#[test]
fn a_step_of_narm_is_that_of_its_formulas() {
    for (name, normalised) in [("narm.json", false), ("narm-normalised.json", true)] {
        let rates = narm::Config { dropout: 0.0, context_dropout: 0.0, ..narm::Config::default() };
        let model = narm::Config { dim: 5, hidden: 7, max_len: 5, normalised, ..rates };
        let fixture = Fixture::read(name);
        check_step(&model, &fixture, |part, name| of_recurrent(&fixture, part, name));
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
