//! Answers to requests: blocks of them are scored together, and each gets the bits that it would
//! get alone.

use std::borrow::Cow;

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::ops::top_k::{TopK, select_among, select_top_k};
use rayon::prelude::*;

use super::popularity::Popularity;
use super::{Ranking, Recommender, Request, finite};
use crate::error::Result;
use crate::models::Query;

/// Scores that a block of queries may take at once (16 MB of f32): what one thread holds.
const BLOCK_SCORES: usize = 4 << 20;

/// How many queries are scored at once.
pub(super) fn block_of(n_items: usize) -> usize {
    (BLOCK_SCORES / n_items.max(1)).clamp(1, 256)
}

/// A request by numbers.
pub(super) struct Asked<'a> {
    pub(super) recommender: &'a Recommender,
    pub(super) user: Option<UserId>,
    pub(super) history: Cow<'a, [ItemId]>,
    /// Rising.
    pub(super) excluded: Vec<u32>,
    /// Rising, without those that are excluded; none stands for all items.
    pub(super) among: Option<Vec<u32>>,
    pub(super) k: usize,
    pub(super) min_score: Option<f32>,
    /// `lambda`, and how popular the items are.
    pub(super) penalty: Option<(f32, &'a Popularity)>,
}

/// One answer, or one error, for each request, in parallel.
pub(super) fn answer_all(requests: &[Request<'_>]) -> Vec<Result<Ranking>> {
    let n_items = requests.iter().map(|request| request.recommender.n_items()).max().unwrap_or(0);
    let block = block_of(n_items);
    let blocks: Vec<_> = requests.par_chunks(block).map(answer_block).collect();
    blocks.into_iter().flatten().collect()
}

/// The answers of a block; neighbours that ask the same way are scored together.
fn answer_block(requests: &[Request<'_>]) -> Vec<Result<Ranking>> {
    let asked: Vec<Result<Asked<'_>>> = requests.iter().map(Request::asked).collect();
    let (mut legal, mut places) = (Vec::new(), Vec::with_capacity(asked.len()));
    for asked in asked {
        places.push(asked.map(|asked| legal.push(asked)));
    }
    let mut answers = legal.chunk_by(Asked::goes_with).flat_map(answer_each);
    let answer = |place: Result<()>| {
        place.and_then(|()| answers.next().expect("every legal request should have an answer or an error"))
    };
    places.into_iter().map(answer).collect()
}

/// The answers of requests that go together; where one of them fails, each is asked alone.
fn answer_each(asked: &[Asked<'_>]) -> Vec<Result<Ranking>> {
    match answer(asked) {
        Ok(rankings) => rankings.into_iter().map(Ok).collect(),
        Err(error) if asked.len() == 1 => vec![Err(error)],
        Err(_) => asked.chunks(1).flat_map(answer_each).collect(),
    }
}

fn answer(asked: &[Asked<'_>]) -> Result<Vec<Ranking>> {
    let Some(first) = asked.first() else { return Ok(Vec::new()) };
    let Asked { recommender, k, .. } = *first;
    if k == 0 {
        return Ok(vec![Vec::new(); asked.len()]);
    }
    let top = best(first, asked)?;
    finite(&top.scores)?;
    let ranking = |(q, asked): (usize, &Asked<'_>)| {
        let row = q * top.k..q * top.k + top.len[q] as usize;
        let pairs = top.items[row.clone()].iter().zip(&top.scores[row]);
        let high_enough = pairs.filter(|(_, score)| asked.min_score.is_none_or(|lowest| **score >= lowest));
        high_enough.map(|(&item, &score)| (recommender.items.key(item), score)).collect()
    };
    Ok(asked.iter().enumerate().map(ranking).collect())
}

/// The best items of requests that ask in the way of the first.
fn best(first: &Asked<'_>, asked: &[Asked<'_>]) -> Result<TopK> {
    let scorer = &first.recommender.scorer;
    let queries: Vec<Query<'_>> = asked.iter().map(Asked::query).collect();
    let lists: Vec<&[u32]> = asked.iter().map(Asked::list).collect();
    if first.penalty.is_none() {
        return match first.among {
            Some(_) => scorer.top_k_among(&queries, &lists, first.k),
            None => scorer.top_k(&queries, &lists, first.k),
        };
    }
    let mut scores = scorer.scores(&queries)?;
    let (mut top, mut items, mut best) = (TopK::new(first.k), Vec::new(), Vec::new());
    for (mut row, asked) in scores.rows_mut().into_iter().zip(asked) {
        let row = row.as_slice_mut().expect("scores should be in the standard layout");
        if let Some((lambda, popularity)) = asked.penalty {
            popularity.penalise(lambda, row);
        }
        match &asked.among {
            Some(among) => select_among(row, among, asked.k, &mut items, &mut best)?,
            None => select_top_k(row, &asked.excluded, asked.k, &mut items, &mut best)?,
        }
        top.push(&items, &best);
    }
    Ok(top)
}

impl Asked<'_> {
    /// Whether a scorer can be asked for both at once.
    fn goes_with(&self, other: &Asked<'_>) -> bool {
        std::ptr::eq(self.recommender, other.recommender)
            && self.k == other.k
            && self.among.is_some() == other.among.is_some()
            && self.penalty.is_some() == other.penalty.is_some()
    }

    pub(super) fn query(&self) -> Query<'_> {
        Query { user: self.user, history: &self.history }
    }

    /// The items that may be answered where they are named, otherwise those that may not.
    fn list(&self) -> &[u32] {
        self.among.as_deref().unwrap_or(&self.excluded)
    }
}
