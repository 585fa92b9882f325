//! A scorer of one's own: a rule in place of a model, judged beside a model by the same evaluator.
//!
//! `cargo run --release --example own_scorer`. A model that should be trained, saved and compared
//! by the program is a file in `src/models/`: CONTRIBUTING.md.

use std::error::Error;

use gcnrec::ndarray::Array2;
use gcnrec::{Destination, Evaluator, HeldOut, Part, Query, Run, Scorer, Silent, Sources, State, Stop};

/// Scores an item by how lately anybody chose it.
struct Latest {
    last_seen: Vec<f32>,
}

impl Scorer for Latest {
    fn model(&self) -> &'static str {
        "latest"
    }

    fn n_items(&self) -> usize {
        self.last_seen.len()
    }

    /// One row of scores for each query. `query.user` and `query.history` say who asks.
    fn scores(&self, queries: &[Query<'_>]) -> gcnrec::Result<Array2<f32>> {
        Ok(Array2::from_shape_fn((queries.len(), self.n_items()), |(_, item)| self.last_seen[item]))
    }

    /// What a checkpoint would store: nothing, since nothing here opens one.
    fn state(&self) -> State {
        State::default()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/ratings.csv");
    let set = vec![format!("data.path={path}"), "model.ease.l2=50".into()];
    let prepared = Run::prepare(&Sources { set, ..Sources::default() }, Destination::default())?;
    let split = prepared.job().split.clone();

    let mut last_seen = vec![0.0f32; split.n_items()];
    let first = split.train.times.iter().min().copied().unwrap_or_default();
    for (&item, &time) in split.train.items.iter().zip(&split.train.times) {
        let days = (time - first) as f32 / 86_400.0;
        last_seen[item as usize] = last_seen[item as usize].max(days);
    }
    let known = [Part::Train, Part::Valid];
    let (test, seen) = (split.test_interactions()?, split.joint_interactions(&known)?);
    let held_out = HeldOut::new(&test, &seen, &split.histories(&known))?;
    let evaluator = Evaluator::new(held_out, &["recall@10".parse()?, "ndcg@10".parse()?])?;

    let ease = prepared.train_in_memory(&mut Silent, &Stop::default())?;
    println!("latest: {:?}", evaluator.evaluate(&Latest { last_seen })?);
    println!("ease:   {:?}", evaluator.evaluate(&*ease.scorer)?);
    Ok(())
}
