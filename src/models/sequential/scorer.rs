//! A frozen sequential model: encodes a history and scores every item by the inner product with it.
//!
//! A user who had no history in training is answered by popularity. Anybody else has to bring one:
//! a model of sequences keeps none, a recommender does.

use gcnrec_graphs::ItemId;
use gcnrec_kernels::burn_bridge::{Flex, Sequences};
use gcnrec_kernels::ops::top_k::{self, TopK};
use gcnrec_kernels::{Buffer, Device};
use ndarray::Array2;
use rayon::prelude::*;

use super::{Encoder, ITEMS, Input, Noise, Weights};
use crate::error::{RecError, Result};
use crate::models::linear::check_item;
use crate::models::ranking::{inner_products, most_similar_by_cosine, row_matrix};
use crate::models::state::{State, foreign};
use crate::models::{Query, Scorer};
use crate::objectives::Nodes;

/// The name of the users without a history in a state.
const WITHOUT_HISTORY: &str = "without_history";

/// Queries that are encoded at once: what a layer holds of them stays small.
const BLOCK: usize = 64;

/// A sequential model that answers queries.
pub(crate) struct SequenceScorer<M: Encoder> {
    model: M,
    weights: Weights<Flex>,
    n_users: usize,
    /// Users who had no history in training, rising; none where an older version did not say who.
    without_history: Option<Vec<u32>>,
    n_items: usize,
    /// What [`Scorer::state`] answers.
    state: State,
    /// Width of the item vectors.
    dim: usize,
    /// `[n_items, dim + 2]`: the vector of each item, its bias, its share in the training pairs.
    table: Buffer<f32>,
}

impl<M: Encoder> SequenceScorer<M> {
    /// A scorer from the parameters of a learner.
    pub(super) fn new(model: M, histories: &[Vec<ItemId>], n_items: usize, mut state: State) -> Result<Self> {
        let (mut counts, n_pairs) = (vec![0.0; n_items], histories.iter().map(Vec::len).sum::<usize>().max(1) as f32);
        histories.iter().flatten().for_each(|item| counts[item.index()] += 1.0 / n_pairs);
        state.put_f32("popularity", &[n_items], counts);
        state.put_fact("n_users", histories.len());
        let nobody = (0..).zip(histories).filter(|(_, history)| history.is_empty()).map(|(user, _)| user);
        let nobody: Vec<u32> = nobody.collect();
        state.put_u32(WITHOUT_HISTORY, &[nobody.len()], nobody);
        // As text: what is read back is what was written, to the last digit.
        let settings =
            serde_json::to_string(&model).expect("settings are plain tables: they should be writable as JSON");
        state.put_fact("settings", settings);
        SequenceScorer::from_state(model, state, Nodes { n_users: histories.len(), n_items })
    }

    /// Rebuilds the scorer from its state.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
    /// together.
    pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Self> {
        let settings: String = state.fact("settings")?;
        let unreadable = |error| foreign(format!("its settings are {settings} ({error})"));
        let model: M = serde_json::from_str(&settings).map_err(unreadable)?;
        model.check().map_err(|error| foreign(format!("its settings are out of range ({error})")))?;
        SequenceScorer::from_state(model, state.clone(), nodes)
    }

    fn from_state(model: M, state: State, nodes: Nodes) -> Result<Self> {
        let Nodes { n_users, n_items } = nodes;
        match state.fact::<usize>("n_users")? {
            found if found == n_users => {}
            found => return Err(foreign(format!("it was trained on {found} users, and {n_users} have names"))),
        }
        let layout = model.parameters(n_items);
        let mut parameters = Vec::with_capacity(layout.len());
        for parameter in &layout {
            let values = state.f32(&parameter.name, &parameter.shape)?.to_vec();
            parameters.push((parameter.name.as_str(), parameter.shape, values));
        }
        let popularity = state.f32("popularity", &[n_items])?;
        let (_, dim, items) = state.matrix(ITEMS)?;
        let bias = model.item_bias().map(|name| state.f32(name, &[1, n_items])).transpose()?;
        let mut table = Vec::with_capacity(n_items * (dim + 2));
        for (item, row) in items.chunks_exact(dim).enumerate() {
            table.extend_from_slice(row);
            table.extend([bias.map_or(0.0, |bias| bias[item]), popularity[item]]);
        }
        let table = Device::Cpu.upload(&table);
        let is_told = state.tensors.contains_key(WITHOUT_HISTORY);
        let without_history = is_told.then(|| state.u32(WITHOUT_HISTORY).map(<[u32]>::to_vec)).transpose()?;
        if without_history.iter().flatten().any(|&user| user as usize >= n_users) {
            return Err(foreign(format!("\"{WITHOUT_HISTORY}\" holds a user outside 0..{n_users}")));
        }
        let weights = Weights::frozen(parameters);
        Ok(SequenceScorer { model, weights, n_users, without_history, n_items, dim, table, state })
    }

    /// True for a user who had nothing to learn from.
    fn had_no_history(&self, query: &Query<'_>) -> bool {
        let is_listed = |ids: &Vec<u32>| query.user.is_some_and(|user| ids.binary_search(&user.0).is_ok());
        self.without_history.as_ref().is_none_or(is_listed)
    }

    /// What meets the table: `[queries.len(), dim + 2]`.
    fn encode(&self, queries: &[Query<'_>]) -> Result<Vec<f32>> {
        let width = self.dim + 2;
        let mut vectors = vec![0.0; queries.len() * width];
        let blocks = vectors.par_chunks_mut(BLOCK * width).zip(queries.par_chunks(BLOCK));
        blocks.map(|(vectors, queries)| self.encode_block(queries, vectors)).collect::<Result<Vec<()>>>()?;
        Ok(vectors)
    }

    fn encode_block(&self, queries: &[Query<'_>], vectors: &mut [f32]) -> Result<()> {
        let width = self.dim + 2;
        let (mut items, mut starts, mut asked) = (Vec::new(), vec![0], Vec::new());
        for (place, query) in queries.iter().enumerate() {
            query.history.iter().try_for_each(|&item| check_item(M::ROW.name, "history", item, self.n_items))?;
            if !query.history.is_empty() {
                items.extend(self.model.asked(query.history, self.n_items));
                starts.push(items.len() as u32);
                asked.push(place);
                vectors[place * width + self.dim] = 1.0;
            } else if query.user.is_none_or(|user| user.index() >= self.n_users) {
                return Err(RecError::stranger(M::ROW.name));
            } else if self.had_no_history(query) {
                vectors[place * width + self.dim + 1] = 1.0;
            } else {
                return Err(RecError::unsupported(
                    M::ROW.name,
                    "a user of the training data was asked for without their history",
                )
                .with_todo("pass it in the query, as Recommender does"));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let sequences = Sequences::new(starts);
        let hidden =
            self.model.encode(&self.weights, &Input { items: &items, sequences: &sequences }, &mut Noise::none());
        let hidden: Vec<f32> =
            hidden.into_data().into_vec().expect("vectors should be 32-bit floats as the weights are");
        for (place, rows) in asked.into_iter().zip(sequences.ranges()) {
            let last = (rows.end - 1) * self.dim;
            vectors[place * width..place * width + self.dim].copy_from_slice(&hidden[last..last + self.dim]);
        }
        Ok(())
    }
}

impl<M: Encoder> Scorer for SequenceScorer<M> {
    fn model(&self) -> &'static str {
        M::ROW.name
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        inner_products(&Device::Cpu, self.dim + 2, &Device::Cpu.upload(&self.encode(queries)?), &self.table)
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        Ok(top_k::top_k(
            &Device::Cpu,
            self.dim + 2,
            &Device::Cpu.upload(&self.encode(queries)?),
            &self.table,
            excluded,
            k,
        )?)
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        Ok(top_k::top_k_among(
            &Device::Cpu,
            self.dim + 2,
            &Device::Cpu.upload(&self.encode(queries)?),
            &self.table,
            candidates,
            k,
        )?)
    }

    /// The state after the history with 1 for the bias and 0 for the popularity, or only 1 for the
    /// popularity.
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        Ok(row_matrix(queries.len(), self.dim + 2, self.encode(queries)?))
    }

    fn item_vectors(&self) -> Result<Array2<f32>> {
        Ok(row_matrix(self.n_items, self.dim + 2, Device::Cpu.read(&self.table)))
    }

    /// Ranks by the cosine of the item vectors.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        let (_, dim, items) = self.state.matrix(ITEMS)?;
        most_similar_by_cosine(M::ROW.name, items, dim, item, k)
    }

    fn state(&self) -> State {
        self.state.clone()
    }
}
