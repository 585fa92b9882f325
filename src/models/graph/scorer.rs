//! A frozen graph model: two tables of final embeddings, and what is needed to place a user it has
//! never seen.
//!
//! Ranking: `score = cos(u, i) * (|u| |i|)^p`; `p = 1` is the inner product, `p = 0` the cosine,
//! and values between tame the popularity that long item vectors carry.
//!
//! A new user with a history is one more node of the graph: layer `l` is
//! `sum_i 1/sqrt(n d_i) e_i^(l-1)` over the `n` items of the history, then the users' combination
//! is applied. Nothing is known about the user's own base embedding, so layer 0 is zero; with no
//! layers at all (MF) the weighted sum of the items' embeddings stands in for it. Items without
//! training interactions carry no signal and are left out.

use gcnrec_graphs::{ItemId, Seed};
use gcnrec_kernels::ops::top_k::{TopK, top_k, top_k_among};
use gcnrec_kernels::{Buffer, Device, KernelError};
use ndarray::{Array2, ArrayView2};

use super::combination::{BatchLayers, Combiner, RowGroups, Scratch};
use super::lightgcn::Config;
use super::mf;
use super::propagation::Propagation;
use super::weights_report::summarise;
use crate::error::{RecError, Result};
use crate::models::ranking::{inner_products, row_matrix};
use crate::models::state::{State, Tensor, damaged, foreign};
use crate::models::{LayerWeights, Query, Scorer};
use crate::objectives::Nodes;

/// What the names of a debiasing method's parameters begin with in a state.
pub(super) const LEARNED: &str = "debias.";

/// How final embeddings become scores, and what a checkpoint must remember of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Scoring {
    /// `lightgcn` or `mf`.
    pub model: &'static str,
    /// The model's settings.
    pub config: Config,
    /// The power `p` of the norms.
    pub norm_power: f32,
    /// The bound of the layer attention that was trained.
    pub bound: f32,
}

/// A frozen LightGCN or MF.
pub(crate) struct GraphScorer {
    device: Device,
    scoring: Scoring,
    nodes: Nodes,
    dim: usize,
    /// Final embeddings of users and items, as trained.
    users: Vec<f32>,
    items: Vec<f32>,
    /// Layers `0..layers` of the items, and the items' degrees: for new users.
    item_hops: Vec<Vec<f32>>,
    item_degrees: Vec<f32>,
    combination: Combiner,
    layer_weights: LayerWeights,
    /// What a debiasing method had learned by then: no score depends on it, but it tells what the
    /// examples counted.
    learned: Vec<(String, Vec<f32>)>,
    /// Item embeddings scaled for ranking, and of length 1 for similarity.
    ranked_items: Buffer<f32>,
    unit_items: Buffer<f32>,
}

impl GraphScorer {
    /// Freezes a model whose layers are all filled.
    pub(super) fn freeze(
        device: &Device,
        scoring: Scoring,
        nodes: Nodes,
        degrees: &[u32],
        propagation: &Propagation,
        combination: &Combiner,
        learned: Vec<(String, Vec<f32>)>,
    ) -> Result<Self> {
        let rows = RowGroups { n_users: nodes.n_users, n_rows: nodes.len() };
        let (mut pooled, mut attention) = (Buffer::default(), Buffer::default());
        let scratch = &mut Scratch::default();
        let layers = BatchLayers { hops: &propagation.hops, rows };
        combination.forward(device, layers, &mut pooled, &mut attention, scratch)?;
        let alpha = combination.alpha(device);
        let attention = if alpha.is_empty() { device.read(&attention) } else { alpha.repeat(nodes.len()) };
        let weights = summarise(&attention, degrees, nodes);
        let mut pooled = device.read(&pooled);
        let items = pooled.split_off(nodes.n_users * propagation.dim);
        let below_last = propagation.hops.len().saturating_sub(1).max(1);
        let mut state = State::default();
        for (layer, hop) in propagation.hops[..below_last].iter().enumerate() {
            let hop = device.read(hop)[nodes.n_users * propagation.dim..].to_vec();
            state.put_f32(&format!("item_hops.{layer}"), &[nodes.n_items, propagation.dim], hop);
        }
        let degrees = degrees[nodes.n_users..].iter().map(|&d| d as f32).collect();
        state.put_f32("item_degrees", &[nodes.n_items], degrees);
        state.put_fact("layer_weights", serde_json::to_value(weights).expect("layer weights should be JSON"));
        state.put_f32("users", &[nodes.n_users, propagation.dim], pooled);
        state.put_f32("items", &[nodes.n_items, propagation.dim], items);
        combination.save(device, &mut state, false);
        learned.into_iter().for_each(|(name, values)| state.put_f32(&name, &[values.len()], values));
        device.check()?;
        // A model in training is judged where it is trained. Loaded from its folder it answers on
        // the CPU, where a score may differ in its last bits.
        Self::assemble(device.clone(), scoring, &state, nodes)
    }

    /// A scorer from what [`Scorer::state`] gave.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model.
    pub(crate) fn load(device: Device, model: &'static str, state: &State, nodes: Nodes) -> Result<Self> {
        let config: Config = state.fact("config")?;
        let (norm_power, bound): (f32, f32) = (state.fact("norm_power")?, state.fact("bound")?);
        // The ranges of the settings hold for what they became, too.
        let settled = Config { norm_power: Some(norm_power), ..config.clone() };
        settled.check("config").map_err(|error| foreign(error.to_string()))?;
        if !bound.is_finite() || bound < 0.0 {
            return Err(foreign(format!("the fact \"bound\" is {bound}, expected 0 or more")));
        }
        if model == mf::ROW.name && config.layers > 0 {
            return Err(foreign(format!("config.layers is {}, and {model} has none", config.layers)));
        }
        let scorer = Self::assemble(device, Scoring { model, config, norm_power, bound }, state, nodes)?;
        scorer.check_numbers()?;
        Ok(scorer)
    }

    /// Refuses what no training gives although every number is finite: fractions of edges, layer
    /// weights of other layers, and lengths whose product is too large for a score.
    fn check_numbers(&self) -> Result<()> {
        if let Some(degree) = self.item_degrees.iter().find(|&&degree| degree < 0.0 || degree.fract() != 0.0) {
            return Err(damaged(format!("\"item_degrees\" holds {degree}, expected a number of users")));
        }
        let LayerWeights { mean, users, items } = &self.layer_weights;
        let n_weights = if self.nodes.is_empty() { mean.len() } else { self.scoring.config.layers + 1 };
        let rows = users.iter().chain(items).map(|bucket| &bucket.weights);
        if let Some(row) = rows.chain([mean]).find(|row| row.len() != n_weights) {
            return Err(damaged(format!("\"layer_weights\" has a row of {}, expected {n_weights}", row.len())));
        }
        let [of_users, of_items] =
            [&self.users, &self.items].map(|rows| longest(rows, self.dim, self.scoring.norm_power));
        let largest = (of_users * of_items).max(of_users).max(of_items);
        if largest > f64::from(f32::MAX) {
            return Err(damaged(format!("scores of up to {largest:e} are more than 32 bits hold")));
        }
        Ok(())
    }

    fn assemble(device: Device, scoring: Scoring, state: &State, nodes: Nodes) -> Result<Self> {
        let Nodes { n_users, n_items } = nodes;
        let dim = scoring.config.dim + if scoring.config.biases { 2 } else { 0 };
        let (users, items) = (state.f32("users", &[n_users, dim])?, state.f32("items", &[n_items, dim])?);
        let n_hops = scoring.config.layers.max(1);
        let item_hops = (0..n_hops)
            .map(|layer| Ok(state.f32(&format!("item_hops.{layer}"), &[n_items, dim])?.to_vec()))
            .collect::<Result<Vec<_>>>()?;
        Combiner::check(&scoring.config, dim, state)?;
        // The seed matters not: every parameter is overwritten by the state's.
        let mut combination = Combiner::new(&device, &scoring.config, dim, None, scoring.bound, Seed(0));
        combination.load(&device, state, false)?;
        let power = scoring.norm_power;
        let of_debiasing = state.tensors.iter().filter(|(name, _)| name.starts_with(LEARNED));
        let learned = of_debiasing
            .map(|(name, tensor)| match tensor {
                Tensor::F32 { values, .. } => Ok((name.clone(), values.clone())),
                Tensor::U32 { .. } => Err(foreign(format!("{name} does not hold 32-bit floats"))),
            })
            .collect::<Result<_>>()?;
        Ok(GraphScorer {
            learned,
            ranked_items: device.upload(&scaled(items, dim, power)),
            unit_items: device.upload(&scaled(items, dim, 0.0)),
            item_degrees: state.f32("item_degrees", &[n_items])?.to_vec(),
            layer_weights: state.fact("layer_weights")?,
            users: users.to_vec(),
            items: items.to_vec(),
            nodes,
            item_hops,
            combination,
            scoring,
            device,
            dim,
        })
    }

    /// The final embeddings of all users, as trained: `[n_users, dim]`.
    pub(crate) fn user_vectors(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.nodes.n_users, self.dim), &self.users).expect("users should be n_users x dim")
    }

    fn place_new_user(&self, history: &[ItemId]) -> Result<Vec<f32>> {
        let dim = self.dim;
        if let Some(item) = history.iter().find(|item| item.index() >= self.nodes.n_items) {
            let (index, bound) = (item.index(), self.nodes.n_items);
            return Err(KernelError::Index { op: self.scoring.model, argument: "history", index, bound }.into());
        }
        // An edge is there or not: neither a repeat nor the order of the history may move the last
        // bit.
        let mut known: Vec<ItemId> =
            history.iter().copied().filter(|item| self.item_degrees[item.index()] > 0.0).collect();
        known.sort_unstable();
        known.dedup();
        if known.is_empty() {
            return Err(RecError::unsupported(
                self.scoring.model,
                "a user it was not trained on needs a history of items that it was trained on",
            )
            .with_todo("give a history with at least one such item"));
        }
        let pull = |hop: &[f32]| {
            let mut sum = vec![0.0f32; dim];
            for item in &known {
                let weight = 1.0 / (known.len() as f32 * self.item_degrees[item.index()]).sqrt();
                let row = &hop[item.index() * dim..][..dim];
                sum.iter_mut().zip(row).for_each(|(s, x)| *s += weight * x);
            }
            self.device.upload(&sum)
        };
        let hops: Vec<Buffer<f32>> = if self.scoring.config.layers == 0 {
            vec![pull(&self.item_hops[0])]
        } else {
            std::iter::once(self.device.zeros(dim)).chain(self.item_hops.iter().map(|hop| pull(hop))).collect()
        };
        let (mut pooled, mut attention) = (Buffer::default(), Buffer::default());
        let rows = RowGroups { n_users: 1, n_rows: 1 };
        let scratch = &mut Scratch::default();
        let layers = BatchLayers { hops: &hops, rows };
        self.combination.forward(&self.device, layers, &mut pooled, &mut attention, scratch)?;
        let mut vector = self.device.read(&pooled);
        if self.scoring.config.biases {
            // The columns [bias, 1]: a user who was never seen has no bias of their own.
            vector[dim - 2..].copy_from_slice(&[0.0, 1.0]);
        }
        Ok(vector)
    }

    /// What meets the items: `[queries.len(), dim]`.
    fn asked(&self, queries: &[Query<'_>]) -> Result<Vec<f32>> {
        let mut vectors = Vec::with_capacity(queries.len() * self.dim);
        for query in queries {
            match query.user.filter(|user| user.index() < self.nodes.n_users) {
                Some(user) => vectors.extend(self.user_vectors().row(user.index())),
                None => vectors.extend(self.place_new_user(query.history)?),
            }
        }
        Ok(scaled(&vectors, self.dim, self.scoring.norm_power))
    }
}

impl Scorer for GraphScorer {
    fn model(&self) -> &'static str {
        self.scoring.model
    }

    fn n_items(&self) -> usize {
        self.nodes.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let vectors = self.device.upload(&self.asked(queries)?);
        inner_products(&self.device, self.dim, &vectors, &self.ranked_items)
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        let vectors = self.device.upload(&self.asked(queries)?);
        Ok(top_k(&self.device, self.dim, &vectors, &self.ranked_items, excluded, k)?)
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        let vectors = self.device.upload(&self.asked(queries)?);
        Ok(top_k_among(&self.device, self.dim, &vectors, &self.ranked_items, candidates, k)?)
    }

    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        if item.index() >= self.nodes.n_items {
            return Err(RecError::missing(
                "item",
                format!("number {}", item.0),
                format!("this model has {} items", self.nodes.n_items),
            ));
        }
        let query = self.device.upload(&scaled(&self.items[item.index() * self.dim..][..self.dim], self.dim, 0.0));
        let top = top_k(&self.device, self.dim, &query, &self.unit_items, &[&[item.0]], k)?;
        let n = top.len[0] as usize;
        Ok(top.items[..n].iter().zip(&top.scores).map(|(&i, &score)| (ItemId(i), score)).collect())
    }

    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        Ok(row_matrix(queries.len(), self.dim, self.asked(queries)?))
    }

    fn item_vectors(&self) -> Result<Array2<f32>> {
        let items = scaled(&self.items, self.dim, self.scoring.norm_power);
        Ok(row_matrix(self.nodes.n_items, self.dim, items))
    }

    fn state(&self) -> State {
        let mut state = State::default();
        let (n_items, dim) = (self.nodes.n_items, self.dim);
        state.put_f32("users", &[self.nodes.n_users, dim], self.users.clone());
        state.put_f32("items", &[n_items, dim], self.items.clone());
        for (layer, hop) in self.item_hops.iter().enumerate() {
            state.put_f32(&format!("item_hops.{layer}"), &[n_items, dim], hop.clone());
        }
        state.put_f32("item_degrees", &[n_items], self.item_degrees.clone());
        self.combination.save(&self.device, &mut state, false);
        for (name, values) in &self.learned {
            state.put_f32(name, &[values.len()], values.clone());
        }
        state.put_fact("norm_power", self.scoring.norm_power);
        state.put_fact("bound", self.scoring.bound);
        let config = serde_json::to_value(&self.scoring.config).expect("a config of numbers and names should be JSON");
        state.put_fact("config", config);
        let weights = serde_json::to_value(&self.layer_weights).expect("layer weights should be JSON");
        state.put_fact("layer_weights", weights);
        state
    }

    fn layer_weights(&self) -> Option<&LayerWeights> {
        Some(&self.layer_weights)
    }
}

fn norm(row: &[f32]) -> f64 {
    row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// The length of the longest row once it is [`scaled`].
fn longest(rows: &[f32], dim: usize, power: f32) -> f64 {
    let lengths = rows.chunks_exact(dim).map(norm).filter(|&norm| norm > 0.0);
    lengths.map(|norm| norm.powf(f64::from(power))).fold(0.0, f64::max)
}

/// Every row times `|row|^(power - 1)`; rows of zeros stay.
fn scaled(rows: &[f32], dim: usize, power: f32) -> Vec<f32> {
    let mut scaled = rows.to_vec();
    if power != 1.0 {
        for row in scaled.chunks_exact_mut(dim) {
            let norm = norm(row);
            if norm > 0.0 {
                let factor = norm.powf(f64::from(power) - 1.0);
                // The factor of a row that is all but zero may have no place in 32 bits.
                if factor > f64::from(f32::MAX) {
                    row.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
                } else {
                    row.iter_mut().for_each(|x| *x *= factor as f32);
                }
            }
        }
    }
    scaled
}

#[cfg(test)]
mod tests;
