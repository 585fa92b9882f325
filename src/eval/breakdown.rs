//! Breakdown of a metric: by the activity of users and by the popularity of items, with the
//! coverage of the catalogue.
//!
//! Users are told apart by the number of items they are known with, items by the number of users.
//! The groups of items have equal shares of the known pairs, so a list that followed the data would
//! take one part in five from each: what lies above or below is the popularity bias of the lists.

use std::collections::BTreeMap;

use gcnrec_graphs::Interactions;
use serde::{Deserialize, Serialize};

use super::evaluator::Evaluator;
use super::metrics::MetricAt;
use super::standard_error::of_mean;
use crate::error::Result;
use crate::models::{Query, Scorer};

/// Groups of users, and groups of items.
const N_GROUPS: usize = 5;
/// Users whose lists are asked for at once.
const BLOCK: usize = 256;

/// A held-out part's result by groups of users and of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The metric of [`UserGroup::value`], as in `ndcg@20`; its cut-off is the length of the lists.
    pub metric: String,
    /// Evaluated users, from few known items to many.
    pub users: Vec<UserGroup>,
    /// All items, the most popular first.
    pub items: Vec<ItemGroup>,
    /// The share of all items that stand in at least one list, 0..=1.
    pub coverage: f64,
}

/// The evaluated users with about equally many known items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserGroup {
    /// Fewest known items of a user.
    pub min_degree: usize,
    /// Most known items of a user.
    pub max_degree: usize,
    /// Number of users.
    pub n: usize,
    /// The metric's mean over them.
    pub value: f64,
}

/// Items of about equal popularity. Shares are of all groups together, 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemGroup {
    /// Fewest known users of an item.
    pub min_degree: usize,
    /// Most known users of an item.
    pub max_degree: usize,
    /// Number of items.
    pub n: usize,
    /// Share of the known pairs.
    pub known: f64,
    /// Share of the held-out pairs.
    pub held_out: f64,
    /// Share of the places in the lists.
    pub listed: f64,
    /// Share of the group's held-out pairs that stand in their user's list; 0 without such pairs.
    pub found: f64,
}

/// The list of every evaluated user, in the order of [`super::HeldOut::users`].
pub(crate) type Lists = Vec<Vec<u32>>;

/// A breakdown with what else one more look at the held-out part gives.
pub(crate) struct Judgement {
    /// The part by groups.
    pub breakdown: Breakdown,
    /// The list of every user.
    pub lists: Lists,
    /// The standard error, over the users, of every metric that is a mean over users.
    pub standard_errors: BTreeMap<String, f64>,
}

impl Judgement {
    /// Judges a scorer once more, by groups and by the first of `metrics` that has a value for each
    /// user; nothing where none has. `known` are the pairs that the model may have learnt from.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate_per_user`].
    pub(crate) fn new(
        scorer: &dyn Scorer,
        evaluator: &Evaluator,
        known: &Interactions,
        metrics: &[MetricAt],
    ) -> Result<Option<Judgement>> {
        let per_user = evaluator.evaluate_per_user(scorer)?;
        let found = metrics.iter().find_map(|&metric| Some((metric, per_user.column(metric)?)));
        let Some((metric, values)) = found else { return Ok(None) };
        let error = |&at: &MetricAt| Some((at.to_string(), of_mean(&per_user.column(at)?)?));
        let standard_errors = evaluator.metrics().iter().filter_map(error).collect();
        let lists = lists(scorer, evaluator, metric.k)?;
        let users = user_groups(evaluator, known, &values);
        let (items, coverage) = item_groups(evaluator, known, &lists);
        let breakdown = Breakdown { metric: metric.to_string(), users, items, coverage };
        Ok(Some(Judgement { breakdown, lists, standard_errors }))
    }
}

fn lists(scorer: &dyn Scorer, evaluator: &Evaluator, k: usize) -> Result<Lists> {
    let mut lists = Vec::with_capacity(evaluator.n_eval_users());
    for block in evaluator.held_out().users().chunks(BLOCK) {
        let queries: Vec<Query<'_>> =
            block.iter().map(|user| Query { user: Some(user.id), history: &user.history }).collect();
        let excluded: Vec<&[u32]> = block.iter().map(|user| user.excluded.as_slice()).collect();
        let top = scorer.top_k(&queries, &excluded, k.min(scorer.n_items()))?;
        lists.extend((0..block.len()).map(|row| top.items[row * top.k..][..top.len[row] as usize].to_vec()));
    }
    Ok(lists)
}

fn user_groups(evaluator: &Evaluator, known: &Interactions, values: &[f64]) -> Vec<UserGroup> {
    let users = evaluator.held_out().users();
    let mut ordered: Vec<(usize, usize)> =
        users.iter().enumerate().map(|(row, user)| (known.items_of(user.id).len(), row)).collect();
    ordered.sort_unstable();
    let target = ordered.len().div_ceil(N_GROUPS).max(1);
    let (mut groups, mut rest) = (Vec::new(), &ordered[..]);
    while !rest.is_empty() {
        // Users of one degree stay together.
        let last = rest[target.min(rest.len()) - 1].0;
        let (group, after) = rest.split_at(rest.partition_point(|&(degree, _)| degree <= last));
        let sum: f64 = group.iter().map(|&(_, row)| values[row]).sum();
        let value = sum / group.len() as f64;
        groups.push(UserGroup { min_degree: group[0].0, max_degree: last, n: group.len(), value });
        rest = after;
    }
    groups
}

fn item_groups(evaluator: &Evaluator, known: &Interactions, lists: &Lists) -> (Vec<ItemGroup>, f64) {
    let degrees: Vec<usize> = known.item_counts().into_iter().map(|n| n as usize).collect();
    let mut order: Vec<usize> = (0..degrees.len()).collect();
    order.sort_by_key(|&item| (std::cmp::Reverse(degrees[item]), item));
    let (group_of, members) = cut(&order, &degrees);

    let n_groups = members.len();
    let (mut n_held_out, mut n_listed, mut n_found) =
        (vec![0u64; n_groups], vec![0u64; n_groups], vec![0u64; n_groups]);
    let mut is_listed = vec![false; degrees.len()];
    for (user, list) in evaluator.held_out().users().iter().zip(lists) {
        user.relevant.iter().for_each(|&item| n_held_out[group_of[item as usize]] += 1);
        for &item in list {
            let group = group_of[item as usize];
            n_listed[group] += 1;
            n_found[group] += u64::from(user.relevant.binary_search(&item).is_ok());
            is_listed[item as usize] = true;
        }
    }
    let n_known: Vec<u64> = members.iter().map(|m| m.iter().map(|&item| degrees[item] as u64).sum()).collect();
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let share = |counts: &[u64], group: usize| ratio(counts[group], counts.iter().sum());
    let groups = members.iter().enumerate().map(|(group, members)| ItemGroup {
        max_degree: degrees[members[0]],
        min_degree: degrees[members[members.len() - 1]],
        n: members.len(),
        known: share(&n_known, group),
        held_out: share(&n_held_out, group),
        listed: share(&n_listed, group),
        found: ratio(n_found[group], n_held_out[group]),
    });
    let n_items_listed = is_listed.iter().filter(|&&listed| listed).count();
    (groups.collect(), ratio(n_items_listed as u64, degrees.len() as u64))
}

/// Cuts items, the most popular first, where another fifth of the known pairs is full; items of one
/// degree stay together.
fn cut<'a>(order: &'a [usize], degrees: &[usize]) -> (Vec<usize>, Vec<&'a [usize]>) {
    let total: usize = degrees.iter().sum();
    let (mut group_of, mut members) = (vec![0; degrees.len()], Vec::new());
    let (mut start, mut filled) = (0, 0);
    for (place, &item) in order.iter().enumerate() {
        group_of[item] = members.len();
        filled += degrees[item];
        let is_last = place + 1 == order.len();
        let degree_ends = is_last || degrees[order[place + 1]] != degrees[item];
        let is_full = filled * N_GROUPS >= total * (members.len() + 1) && members.len() + 1 < N_GROUPS;
        // Items that nobody is known with belong to the last group, however full it is.
        let only_unknown_left = !is_last && degrees[order[place + 1]] == 0;
        if is_last || (degree_ends && is_full && !only_unknown_left) {
            members.push(&order[start..=place]);
            start = place + 1;
        }
    }
    (group_of, members)
}

#[cfg(test)]
mod tests {
    use gcnrec_graphs::{ItemId, UserId};

    use super::super::HeldOut;
    use ndarray::Array2;

    use super::*;
    use crate::models::state::State;

    /// Scores item `i` with `-i`: the list is 0, 1, 2 … without what is masked.
    struct Falling(usize);

    impl Scorer for Falling {
        fn model(&self) -> &'static str {
            "popularity"
        }

        fn n_items(&self) -> usize {
            self.0
        }

        fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
            Ok(Array2::from_shape_fn((queries.len(), self.0), |(_, item)| -(item as f32)))
        }

        fn state(&self) -> State {
            State::default()
        }
    }

    fn pairs(n_users: usize, n_items: usize, pairs: &[(u32, u32)]) -> Interactions {
        Interactions::from_pairs(n_users, n_items, pairs.iter().map(|&(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    #[test]
    fn groups_of_users_and_items_have_the_values_worked_out_by_hand() {
        // Items 0 and 1 have two users, item 2 one, item 3 none. User 0 knows one item, users 1 and
        // 2 two.
        let known = pairs(3, 4, &[(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]);
        let held_out = pairs(3, 4, &[(0, 1), (1, 3), (2, 0)]);
        let judged = HeldOut::new(&held_out, &known, &vec![Vec::new(); 3]).unwrap();
        // Coverage is no mean over users.
        let [coverage, recall] = ["itemcoverage@1", "recall@1"].map(|name| name.parse::<MetricAt>().unwrap());
        let evaluator = Evaluator::new(judged, &[coverage, recall]).unwrap();
        assert!(Judgement::new(&Falling(4), &evaluator, &known, &[coverage]).unwrap().is_none());
        let judged = Judgement::new(&Falling(4), &evaluator, &known, &[coverage, recall]).unwrap();
        let Judgement { breakdown, lists, standard_errors } = judged.unwrap();
        // Recalls 1, 0 and 1: the squares around 2/3 make 2/3, over 2 and 3, 1/9.
        approx::assert_relative_eq!(standard_errors["recall@1"], 1.0 / 3.0, epsilon = 1e-15);
        assert!(!standard_errors.contains_key("itemcoverage@1"));
        assert_eq!(breakdown.metric, "recall@1");
        // User 0 lacks 0 and gets 1 (a hit), user 1 lacks 0 and 1 and gets 2 (a miss), user 2 gets
        // 0 (a hit).
        assert_eq!(lists, [vec![1], vec![2], vec![0]]);
        assert_eq!(breakdown.coverage, 0.75);
        let users: Vec<_> = breakdown.users.iter().map(|g| (g.min_degree, g.max_degree, g.n, g.value)).collect();
        assert_eq!(users, [(1, 1, 1, 1.0), (2, 2, 2, 0.5)]);
        // Five known pairs: items 0 and 1 (one degree) hold four of them; items 2 and 3 hold the
        // rest.
        let items: Vec<_> = breakdown.items.iter().map(|g| (g.min_degree, g.max_degree, g.n, g.known)).collect();
        assert_eq!(items, [(2, 2, 2, 0.8), (0, 1, 2, 0.2)]);
        let shares: Vec<_> = breakdown.items.iter().map(|g| (g.held_out, g.listed, g.found)).collect();
        assert_eq!(shares, [(2.0 / 3.0, 2.0 / 3.0, 1.0), (1.0 / 3.0, 1.0 / 3.0, 0.0)]);
    }

    #[test]
    fn items_of_equal_popularity_make_five_groups_only_when_they_differ() {
        let degrees = [9, 1, 8, 7, 3, 2, 0];
        let order = [0, 2, 3, 4, 5, 1, 6];
        // 30 pairs, 6 a group: 9 | 8 (17 of 18 is not 18, but 17 >= 12) | 7 (24 >= 18) | 3 (27 >=
        // 24) | 2, 1, 0.
        let (group_of, members) = cut(&order, &degrees);
        assert_eq!(members, [&[0][..], &[2], &[3], &[4], &[5, 1, 6]]);
        assert_eq!(group_of, [0, 4, 1, 2, 3, 4, 4]);
        assert_eq!(cut(&[0, 1], &[5, 5]).1.len(), 1);
        assert_eq!(cut(&[], &[]).1.len(), 0);
    }
}
