//! Scores of given pairs of a user and an item.

use std::collections::BTreeMap;

use gcnrec_graphs::UserId;
use rayon::prelude::*;

use super::answer::block_of;
use super::{Recommender, finite};
use crate::error::Result;
use crate::models::Query;

/// A pair by numbers: user, item, and its place among those that were asked.
type Pair = (u32, u32, usize);

impl Recommender {
    /// The score of each pair (user, item), seen or not, in the order of the pairs: to the bit the
    /// score that the item has in a ranking. In parallel; each pair has an answer or an error of
    /// its own.
    ///
    /// ```
    /// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
    /// # fn main() -> gcnrec::Result<()> {
    /// # let place = tempfile::tempdir().expect("a folder for temporary files");
    /// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
    /// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
    /// # set.push("model.ease.l2=20".into());
    /// # let sources = Sources { set, ..Sources::default() };
    /// # let prepared = Run::prepare(&sources, Destination::new(&place.path().join("run")))?;
    /// # let recommender = prepared.train(&mut Silent, &Stop::default())?.recommender()?;
    /// let (item, score) = recommender.for_user("user-0001", 1)?.remove(0);
    /// let scores = recommender.scores(&[("user-0001", &item), ("user-0001", "no such item")]);
    /// assert_eq!(scores[0].as_ref().unwrap(), &score);
    /// assert!(scores[1].is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For each pair: [`crate::RecError::UnknownId`] naming a user or an item that the model does
    /// not know; [`crate::RecError::Unsupported`] for a user whom the model cannot answer.
    pub fn scores(&self, pairs: &[(&str, &str)]) -> Vec<Result<f32>> {
        let find = |(user, item): &(&str, &str)| {
            let user = self.users.find(user, "ask with a history in its place: request().history()")?;
            Ok((user, self.items.find(item, "check its name in the training data")?))
        };
        let found: Vec<Result<(u32, u32)>> = pairs.iter().map(find).collect();
        let known = found.iter().enumerate().filter_map(|(place, pair)| Some((pair.as_ref().ok()?, place)));
        let mut known: Vec<Pair> = known.map(|(&(user, item), place)| (user, item, place)).collect();
        known.sort_unstable();
        let users: Vec<&[Pair]> = known.chunk_by(|a, b| a.0 == b.0).collect();
        let blocks: Vec<_> = users.par_chunks(block_of(self.n_items())).map(|block| self.scores_each(block)).collect();
        let mut scores: BTreeMap<usize, Result<f32>> = blocks.into_iter().flatten().collect();
        let answer = |(place, pair): (usize, Result<(u32, u32)>)| {
            pair.and_then(|_| scores.remove(&place).expect("every known pair should have a score or an error"))
        };
        found.into_iter().enumerate().map(answer).collect()
    }

    /// The scores of a block of users, by place; where one of the users fails, each is asked alone.
    fn scores_each(&self, users: &[&[Pair]]) -> Vec<(usize, Result<f32>)> {
        match self.scores_of(users) {
            Ok(scores) => scores.into_iter().map(|(place, score)| (place, Ok(score))).collect(),
            Err(_) if users.len() > 1 => users.chunks(1).flat_map(|user| self.scores_each(user)).collect(),
            // An error belongs to one pair: the others of the user are asked again, and get their
            // own.
            Err(error) if users[0].len() == 1 => vec![(users[0][0].2, Err(error))],
            Err(_) => users[0].chunks(1).flat_map(|pair| self.scores_each(&[pair])).collect(),
        }
    }

    fn scores_of(&self, users: &[&[Pair]]) -> Result<Vec<(usize, f32)>> {
        let query = |pairs: &&[Pair]| Query { user: Some(UserId(pairs[0].0)), history: self.history_of(pairs[0].0) };
        let queries: Vec<Query<'_>> = users.iter().map(query).collect();
        let items = |pairs: &&[Pair]| {
            let mut items: Vec<u32> = pairs.iter().map(|&(_, item, _)| item).collect();
            items.dedup();
            items
        };
        let items: Vec<Vec<u32>> = users.iter().map(items).collect();
        let items: Vec<&[u32]> = items.iter().map(Vec::as_slice).collect();
        let k = items.iter().map(|items| items.len()).max().unwrap_or(0);
        let top = self.scorer.top_k_among(&queries, &items, k)?;
        finite(&top.scores)?;
        let mut scores = Vec::new();
        for (row, pairs) in users.iter().enumerate() {
            let places = row * k..row * k + top.len[row] as usize;
            let mut of_items: Vec<_> = top.items[places.clone()].iter().zip(&top.scores[places]).collect();
            of_items.sort_unstable_by_key(|(item, _)| **item);
            for (_, item, place) in pairs.iter() {
                let at = of_items.binary_search_by_key(item, |(item, _)| **item);
                scores.push((*place, *of_items[at.expect("every candidate should have a score")].1));
            }
        }
        Ok(scores)
    }
}
