//! A step of every model is one that was computed in f64 from its formulas.

use std::sync::Arc;

use burn_tensor::activation;
use gcnrec_kernels::burn_bridge::{Sequences, gather};

use super::*;

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

    /// A parameter of ours in the fixture's words: matrices are stored the other way round there,
    /// and queries, keys and values apart.
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

/// One step of Adam from the fixture's weights, as `step` takes it from the state before it: the
/// loss, every gradient, and every weight after it.
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
    let setup = Setup {
        histories: Arc::new(histories),
        n_items,
        batch_size,
        learning_rate,
        seed: Seed(1),
        device: Device::Cpu,
    };
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
            // The first step is the sign of the gradient, which rounding decides where there is
            // almost none.
            if gradient.abs() > 1e-4 {
                assert!((f64::from(moved[at]) - weight).abs() < 1e-4, "{name}[{at}]: {} {weight}", moved[at]);
            }
        }
    }
}

/// One step of a learner from a state: its mean loss and the state after it.
fn one_step<M: Encoder>(model: &M, setup: Setup, state: &State) -> (f64, State) {
    let mut learner = SequenceLearner::<_, OnCpu>::new(model.clone(), setup).unwrap();
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

#[test]
fn a_step_of_sasrec_as_its_authors_wrote_it_is_that_of_its_formulas() {
    let rates =
        sasrec::Config { dropout: 0.0, attention_dropout: 0.0, norm_epsilon: 1e-8, ..sasrec::Config::default() };
    let model = sasrec::Config { dim: 6, inner: 7, max_len: 5, pre_norm: true, activation: Activation::Relu, ..rates };
    let fixture = Fixture::read("sasrec-original.json");
    let ours = |part: &str, name: &str| {
        // Keys and values lie side by side here.
        let Some((layer, kind)) = name.split_once(".key_value.") else { return fixture.ours(part, name) };
        let [keys, values] = ["key", "value"].map(|which| fixture.ours(part, &format!("{layer}.{which}.{kind}")));
        if kind == "bias" {
            return [keys, values].concat();
        }
        keys.chunks(6).zip(values.chunks(6)).flat_map(|(key, value)| [key, value].concat()).collect()
    };
    check_step(&model, &fixture, ours, |setup, state| one_step(&model, setup, state));
}

#[test]
fn a_step_of_bert4rec_is_that_of_its_formulas() {
    let rates = bert4rec::Config { dropout: 0.0, attention_dropout: 0.0, ..bert4rec::Config::default() };
    let model = bert4rec::Config { dim: 6, inner: 7, max_len: 6, ..rates };
    let fixture = Fixture::read("bert4rec.json");
    let holes: Vec<Vec<usize>> = serde_json::from_value(fixture.0["config"]["masked"].clone()).unwrap();
    let mut batch = SequenceBatch { starts: vec![0], ..SequenceBatch::default() };
    for (sequence, holes) in fixture.sequences().into_iter().zip(holes) {
        let first = batch.items.len();
        batch.items.extend(&sequence);
        for hole in holes {
            batch.rows.push((first + hole) as u32);
            batch.targets.push(sequence[hole]);
            // The fixture has 11 items.
            batch.items[first + hole] = 11;
        }
        batch.starts.push(batch.items.len() as u32);
    }
    let ours = |part: &str, name: &str| fixture.ours(part, name);
    check_step(&model, &fixture, ours, |setup, state| {
        let mut learner = SequenceLearner::<_, OnCpu>::new(model.clone(), setup).unwrap();
        learner.restore(state).unwrap();
        let (loss, n) = learner.learn(&batch, 0, 0).unwrap();
        (loss / n as f64, learner.state())
    });
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
        let mut parameters = parameters::Parameters::new(&setup.device, model.parameters(setup.n_items), setup.seed);
        parameters.restore(state).unwrap();
        let weights = parameters.on_tape::<OnCpu>();
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
        let losses = activation::softplus(positive.neg(), 1.0) + activation::softplus(negative, 1.0);
        let value = f64::from(losses.clone().mean().into_scalar());
        parameters.descend(&weights, losses / sequences.len() as f32, &Rule::adam(0.01)).unwrap();
        let mut after = State::default();
        parameters.save(&mut after, true);
        (value, after)
    });
}

/// A parameter of a recurrent model in the fixture's words; all matrices are stored the other way
/// round there.
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
