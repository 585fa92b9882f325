//! Session-parallel batches: each lane reads one session after the other, and a step takes one
//! position of every lane.
//!
//! The sessions are put in a line, in an order that is drawn anew each epoch, and the line is cut
//! into lanes of equal length: every position that another item follows is trained once an epoch,
//! the number of steps is the same in each, and only where the line is cut a session goes on in
//! another lane, from nothing. A step is a function of (seed, epoch, step) alone.
//!
//! # Source
//! Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks*, ICLR 2016,
//! section 3.1.1. Deliberate differences: they take the sessions by their start time, and leave out
//! what is left when the last session has begun in some lane.

use std::sync::Arc;

use gcnrec_graphs::{ItemId, Purpose, Seed};
use rand::seq::SliceRandom;

use super::{SequenceBatch, Windows};

/// Puts sessions into lanes.
#[derive(Debug)]
pub(crate) struct SessionLanes {
    seed: Seed,
    histories: Arc<Vec<Vec<ItemId>>>,
    /// Items of a session before its first one that is read.
    skipped: Vec<u32>,
    n_lanes: usize,
    n_steps: usize,
    /// Users with a session, in the order of the epoch.
    order: Vec<u32>,
    /// Where each of their sessions ends in the line.
    ends: Vec<usize>,
    shuffled_for: Option<u64>,
}

impl SessionLanes {
    /// Lanes for at most `n_lanes` sessions at a time; of a session longer than `max_len` all is
    /// read, or the last items.
    pub(crate) fn new(
        histories: Arc<Vec<Vec<ItemId>>>,
        (windows, max_len): (Windows, usize),
        n_lanes: usize,
        seed: Seed,
    ) -> Self {
        let skipped = |history: &Vec<ItemId>| match windows {
            Windows::All => 0,
            Windows::Last => history.len().saturating_sub(max_len.max(1) + 1) as u32,
        };
        let skipped: Vec<u32> = histories.iter().map(skipped).collect();
        let order: Vec<u32> = (0..histories.len() as u32).filter(|&user| histories[user as usize].len() > 1).collect();
        let length = |&user: &u32| histories[user as usize].len() - 1 - skipped[user as usize] as usize;
        let n_positions: usize = order.iter().map(length).sum();
        let n_lanes = n_lanes.min(n_positions).max(1);
        let n_steps = n_positions.div_ceil(n_lanes);
        SessionLanes { seed, histories, skipped, n_lanes, n_steps, order, ends: Vec::new(), shuffled_for: None }
    }

    /// Number of steps in an epoch.
    pub(crate) fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// Number of lanes: no step has more positions.
    pub(crate) fn n_lanes(&self) -> usize {
        self.n_lanes
    }

    fn start_epoch(&mut self, epoch: u64) {
        if self.shuffled_for == Some(epoch) {
            return;
        }
        // From the same order each time: an epoch is no function of those before it.
        self.order.sort_unstable();
        self.order.shuffle(&mut self.seed.stream(Purpose::Batch, epoch, u64::MAX));
        self.ends.clear();
        let mut end = 0;
        for &user in &self.order {
            end += self.histories[user as usize].len() - 1 - self.skipped[user as usize] as usize;
            self.ends.push(end);
        }
        self.shuffled_for = Some(epoch);
    }

    /// Fills `batch` with one item of each lane, as sequences of length one, and `fresh` with
    /// whether its session starts there. Lanes are in order; at the end the last ones may be done.
    pub(crate) fn step(&mut self, epoch: u64, step: usize, batch: &mut SequenceBatch, fresh: &mut Vec<bool>) {
        self.start_epoch(epoch);
        *batch = SequenceBatch { starts: vec![0], ..SequenceBatch::default() };
        fresh.clear();
        for lane in 0..self.n_lanes {
            let place = lane * self.n_steps + step;
            let session = self.ends.partition_point(|&end| end <= place);
            let Some(&user) = self.order.get(session) else { break };
            let start = if session == 0 { 0 } else { self.ends[session - 1] };
            let at = self.skipped[user as usize] as usize + place - start;
            let history = &self.histories[user as usize];
            batch.items.push(history[at].0);
            batch.targets.push(history[at + 1].0);
            batch.users.push(user);
            batch.rows.push(lane as u32);
            batch.starts.push(lane as u32 + 1);
            fresh.push(step == 0 || place == start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User `u` has the items `100 u`, `100 u + 1`, ..
    fn histories(lengths: &[u32]) -> Arc<Vec<Vec<ItemId>>> {
        let history = |(user, &n): (usize, &u32)| (0..n).map(|i| ItemId(100 * user as u32 + i)).collect();
        Arc::new(lengths.iter().enumerate().map(history).collect())
    }

    const LENGTHS: [u32; 8] = [11, 0, 1, 2, 30, 4, 5, 9];

    fn lanes(windows: Windows) -> SessionLanes {
        SessionLanes::new(histories(&LENGTHS), (windows, 6), 4, Seed(5))
    }

    /// Items, targets and fresh starts of each step.
    type Steps = Vec<(Vec<u32>, Vec<u32>, Vec<bool>)>;

    fn epoch(lanes: &mut SessionLanes, epoch: u64) -> Steps {
        let n = lanes.n_steps();
        let one = |step| {
            let (mut batch, mut fresh) = (SequenceBatch::default(), Vec::new());
            lanes.step(epoch, step, &mut batch, &mut fresh);
            (batch.items, batch.targets, fresh)
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn every_item_that_follows_another_is_predicted_once_an_epoch_from_the_one_before_it() {
        let mut lanes = lanes(Windows::All);
        // 10 + 1 + 29 + 3 + 4 + 8 = 55 positions in 4 lanes: 14 steps, the last lane has 13.
        assert_eq!((lanes.n_steps(), lanes.n_lanes()), (14, 4));
        for number in 0..3 {
            let steps = epoch(&mut lanes, number);
            assert!(steps[..13].iter().all(|(items, ..)| items.len() == 4) && steps[13].0.len() == 3);
            assert!(steps.iter().all(|(items, targets, _)| items.iter().zip(targets).all(|(i, t)| i + 1 == *t)));
            let mut predicted: Vec<u32> = steps.iter().flat_map(|(_, targets, _)| targets.clone()).collect();
            predicted.sort_unstable();
            let all = |(user, &n): (usize, &u32)| (1..n).map(move |i| 100 * user as u32 + i).collect::<Vec<_>>();
            assert_eq!(predicted, LENGTHS.iter().enumerate().flat_map(all).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_lane_goes_on_in_its_session_unless_a_fresh_one_starts() {
        let steps = epoch(&mut lanes(Windows::All), 1);
        let mut n_fresh = 0;
        for lane in 0..4 {
            let mut before = None;
            for (items, _, fresh) in steps.iter().filter(|(items, ..)| items.len() > lane) {
                // The next item of the same user, or the first one of another.
                let goes_on = before.is_some_and(|before| items[lane] == before + 1);
                assert_eq!(fresh[lane], !goes_on);
                assert!(goes_on || before.is_none() || items[lane].is_multiple_of(100));
                n_fresh += usize::from(fresh[lane]);
                before = Some(items[lane]);
            }
        }
        // Six sessions, of which three cuts make at most nine pieces.
        assert!((6..=9).contains(&n_fresh), "{n_fresh}");
    }

    #[test]
    fn the_last_items_of_a_session_are_those_that_a_model_reads() {
        let steps = epoch(&mut lanes(Windows::Last), 0);
        let mut predicted: Vec<u32> = steps.iter().flat_map(|(_, targets, _)| targets.clone()).collect();
        predicted.retain(|target| target / 100 == 4);
        predicted.sort_unstable();
        assert_eq!(predicted, (424..430).collect::<Vec<_>>());
    }

    #[test]
    fn a_step_is_a_function_of_seed_epoch_and_step() {
        let all = epoch(&mut lanes(Windows::All), 2);
        for step in (0..all.len()).rev() {
            let (mut batch, mut fresh) = (SequenceBatch::default(), Vec::new());
            let mut alone = lanes(Windows::All);
            alone.step(7, 0, &mut batch, &mut fresh);
            alone.step(2, step, &mut batch, &mut fresh);
            assert_eq!((batch.items, batch.targets, fresh), all[step]);
        }
        assert_ne!(epoch(&mut lanes(Windows::All), 3), all);
    }
}
