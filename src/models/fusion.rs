//! Late fusion: several models answer, and their scores are added with weights that were fitted on
//! the validation part.
//!
//! Scores of different models have different units, so each model's scores are standardised for
//! each user first: `z = (s - mean) / deviation` over all items. The fused score is `sum_m w_m z_m`
//! with weights of 0 or more that add up to 1. A score that is not finite counts in neither mean
//! nor deviation, and minus infinity stays what it is. A model that scores all items alike for a
//! user adds nothing.
//!
//! # Source
//! Fox and Shaw, *Combination of multiple searches*, TREC-2 1994 (CombSUM), with z-scores in the
//! place of the raw ones.

use ndarray::Array2;
use std::collections::BTreeMap;
use std::sync::Arc;

use gcnrec_graphs::ItemId;
use gcnrec_kernels::Device;

use super::graph::lightgcn;
use super::linear::ease;
use super::ranking::most_similar;
use super::state::{State, damaged};
use super::{Memory, Model, Procedure, Query, Scorer, Settled, TrainingSize, load_scorer};
use crate::error::{RecError, Result};
use crate::objectives::{self, Nodes};
use crate::settings::{Row, Unread, above, row, settings};

/// The one model of this kind.
pub(super) const ROWS: &[&Row<dyn Model>] = &[&ROW];

/// A fusion in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "fusion", "Several models together, with fitted weights");

settings! {
    /// `[model.fusion]`.
    pub struct Config {
        /// The models: each has `model` and, as it needs, `objective`, `learning_rate`,
        /// `batch_size`.
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<Vec<Member>> = None, or "LightGCN with one layer, and EASE",
            takes "list of two or more tables";
    }
}

settings! {
    /// `[[model.fusion.members]]`: a model with what it is trained on. Everything else of the
    /// training is that of the run.
    pub struct Member {
        /// The model; no fusion.
        model: super::Config = super::Config::default();
        /// The loss, for a model that is trained by steps on pairs.
        #[serde(skip_serializing_if = "Option::is_none")]
        objective: Option<objectives::Config> = None, or "the default loss";
        /// Step size.
        #[serde(skip_serializing_if = "Option::is_none")]
        learning_rate: Option<f32> = None, or "that of the run, or else that of the loss", in above(0.0);
        /// Examples in a batch.
        #[serde(skip_serializing_if = "Option::is_none")]
        batch_size: Option<usize> = None, or "that of the run, or else that of the loss", in above(0.0);
    }
}

impl Config {
    /// The members, the default ones where none are named.
    pub fn members(&self) -> Vec<Member> {
        self.members.clone().unwrap_or_else(|| {
            let lightgcn = lightgcn::Config { layers: 1, ..lightgcn::Config::default() };
            vec![Member::from(lightgcn), Member::from(ease::Config::default())]
        })
    }
}

impl<T: Model> From<T> for Member {
    fn from(model: T) -> Self {
        Member { model: model.into(), ..Member::default() }
    }
}

impl Member {
    /// The loss of a member that is trained by steps.
    pub fn loss(&self) -> objectives::Config {
        self.objective.clone().unwrap_or_default()
    }

    fn validate(&self, at: &str) -> Result<()> {
        let refuse =
            |key: &str, found: String, expected: &str| Err(RecError::range(format!("{at}.{key}"), found, expected));
        if let Procedure::Fusion(_) = self.model.procedure() {
            return refuse("model", ROW.name.into(), "a model that is no fusion itself");
        }
        match &self.objective {
            Some(objective) if self.model.graph().is_none() => {
                let found = format!("the loss {} of {}", objective.name(), self.model.name());
                refuse("objective", found, "no loss: it is for models that are trained on pairs")
            }
            _ => self.check_ranges(at),
        }
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        if let Some(members) = self.members.as_ref().filter(|members| members.len() < 2) {
            return Err(RecError::range("model.fusion.members", members.len(), "a list of two members or more"));
        }
        self.members.iter().flatten().try_for_each(|member| member.validate("model.fusion.members"))
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        let of_member = |member: &Member| member.model.unread(&format!("{at}.members.model.{}", member.model.name()));
        self.members().iter().flat_map(of_member).collect()
    }

    fn settled(&self, _loss: Option<&objectives::Config>, _n_users: usize) -> Settled {
        let complete = Config { members: Some(self.members()) };
        Settled { model: Some(complete.into()), ..Settled::default() }
    }

    /// That of the largest member: they are trained one after the other.
    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        let mut largest = Memory::nothing(ROW.name);
        for member in self.members() {
            let size = TrainingSize { batch_size: member.batch_size.or(size.batch_size), ..*size };
            let memory = member.model.memory(&size)?;
            if memory.host > largest.host {
                largest = Memory { room: None, ..memory };
            }
        }
        Ok(largest)
    }

    fn load(&self, device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        load(device, state, nodes)
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::Fusion(self)
    }
}

/// Several scorers as one.
#[derive(Clone)]
pub(crate) struct Fusion {
    members: Arc<Vec<Box<dyn Scorer>>>,
    weights: Vec<f32>,
}

impl Fusion {
    /// Members that rank the same items, and a weight for each.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when there is no member, when they rank different numbers of items,
    /// or when the weights are not one for each.
    pub(crate) fn new(members: Vec<Box<dyn Scorer>>, weights: Vec<f32>) -> Result<Fusion> {
        let n_items: Vec<usize> = members.iter().map(|member| member.n_items()).collect();
        if members.is_empty() || members.len() != weights.len() || n_items.iter().any(|&n| n != n_items[0]) {
            return Err(damaged(format!("its members rank {n_items:?} items and have {} weights", weights.len())));
        }
        Ok(Fusion { members: Arc::new(members), weights })
    }

    /// The same members with other weights, one for each.
    pub(crate) fn reweighted(&self, weights: &[f32]) -> Fusion {
        debug_assert_eq!(weights.len(), self.members.len());
        Fusion { members: self.members.clone(), weights: weights.to_vec() }
    }

    /// The weight of each member; they add up to 1.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }
}

/// Turns one user's scores into standard scores, in place. Sums run in f64 in the order of the
/// items.
fn standardise(scores: &mut [f32]) {
    let finite = || scores.iter().filter(|score| score.is_finite()).map(|&score| f64::from(score));
    let n = finite().count() as f64;
    let mean = finite().sum::<f64>() / n;
    let deviation = (finite().map(|score| (score - mean).powi(2)).sum::<f64>() / n).sqrt();
    let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
    for score in scores.iter_mut().filter(|score| score.is_finite()) {
        *score = ((f64::from(*score) - mean) * scale) as f32;
    }
}

impl Scorer for Fusion {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.members[0].n_items()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let mut sums = Array2::zeros((queries.len(), self.n_items()));
        for (member, &weight) in self.members.iter().zip(&self.weights) {
            // A member without weight is not asked: zero times "never" would be no number.
            if weight == 0.0 || self.n_items() == 0 {
                continue;
            }
            let mut scores = member.scores(queries).map_err(|error| in_our_name(error, &**member))?;
            for mut row in scores.rows_mut() {
                standardise(row.as_slice_mut().expect("scores should be in the standard layout"));
            }
            sums.zip_mut_with(&scores, |sum, score| *sum += weight * score);
        }
        Ok(sums)
    }

    /// Standard scores of the members' similarities over all other items, added with the same
    /// weights. Members that know no similar items are left out.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        let mut sums = vec![0.0; self.n_items()];
        let mut is_answered = false;
        for (member, &weight) in self.members.iter().zip(&self.weights).filter(|&(_, &weight)| weight != 0.0) {
            let list = match member.similar_items(item, self.n_items()) {
                Err(RecError::Unsupported { .. }) => continue,
                list => list?,
            };
            let mut scores = vec![f32::NEG_INFINITY; self.n_items()];
            list.into_iter().for_each(|(other, score)| scores[other.index()] = score);
            standardise(&mut scores);
            sums.iter_mut().zip(&scores).for_each(|(sum, score)| *sum += weight * score);
            is_answered = true;
        }
        if !is_answered {
            return Err(RecError::unsupported(ROW.name, "none of its members has a notion of similar items")
                .with_todo("add a member with item vectors, such as lightgcn or ease"));
        }
        most_similar(&sums, item, k)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        for (n, member) in self.members.iter().enumerate() {
            let State { tensors, facts } = member.state();
            state.tensors.extend(tensors.into_iter().map(|(name, tensor)| (format!("{}{name}", prefix(n)), tensor)));
            state.facts.extend(facts.into_iter().map(|(name, value)| (format!("{}{name}", prefix(n)), value)));
        }
        state.put_f32("weights", &[self.weights.len()], self.weights.clone());
        let names: Vec<&str> = self.members.iter().map(|member| member.model()).collect();
        state.put_fact("members", names);
        state
    }
}

/// A question that a member cannot answer is one that the fusion cannot answer.
fn in_our_name(error: RecError, member: &dyn Scorer) -> RecError {
    match error {
        RecError::Unsupported { problem, todo, .. } => {
            let problem = format!("its member {} cannot answer: {problem}", member.model());
            RecError::unsupported(ROW.name, problem).with_todo(todo)
        }
        other => other,
    }
}

fn prefix(member: usize) -> String {
    format!("members.{member}.")
}

/// What belongs to a member, by the names that the member gave. Nothing else is looked at: a state
/// of many members stays linear to read.
fn part_of<T: Clone>(all: &BTreeMap<String, T>, member: usize) -> BTreeMap<String, T> {
    let prefix = prefix(member);
    let own = all.range(prefix.clone()..).map_while(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
    own.map(|(key, value)| (key.to_string(), value.clone())).collect()
}

/// Rebuilds the scorer from its state, each member from its own part of it.
///
/// # Errors
/// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(crate) fn load(device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let names: Vec<String> = state.fact("members")?;
    let weights = state.f32("weights", &[names.len()])?.to_vec();
    let sum: f32 = weights.iter().sum();
    if weights.iter().any(|&weight| weight < 0.0) || (sum - 1.0).abs() > 1e-3 {
        return Err(damaged(format!("its weights {weights:?} are not of 0 or more, with sum 1")));
    }
    let mut members = Vec::with_capacity(names.len());
    for (n, name) in names.iter().enumerate() {
        if name == ROW.name {
            return Err(damaged("a fusion stands within a fusion"));
        }
        let own = State { tensors: part_of(&state.tensors, n), facts: part_of(&state.facts, n) };
        members.push(load_scorer(device, name, &own, nodes)?);
    }
    Ok(Box::new(Fusion::new(members, weights)?))
}

#[cfg(test)]
mod tests;
