//! The split: a data set in training, validation and test part, with one set of ids.

use gcnrec_graphs::{Interactions, ItemId};

use super::{FileFacts, IdMap, Log, PerSecond};
use crate::error::Result;

/// A data set divided into parts that share one set of ids: the union of all parts.
///
/// ```
/// use gcnrec::{Part, Seed, configs, load_data};
///
/// let demo = load_data(&configs::Data::default(), Seed(2020))?;
/// assert_eq!((demo.n_users(), demo.n_items()), (1000, 600));
/// let known = demo.joint_interactions(&[Part::Train, Part::Valid])?;
/// assert_eq!(known.n_users(), 1000);
/// assert_eq!(demo.users.key(0), "user-0001");
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// Users.
    pub users: IdMap,
    /// Items. Items that appear only in the test part stay in the denominator.
    pub items: IdMap,
    /// What models learn from.
    pub train: Log,
    /// What picks the epoch. Empty when nothing is selected.
    pub valid: Log,
    /// What is scored once, at the end.
    pub test: Log,
    /// Interactions collected under uniform exposure, if any: labels +1 and -1 in `ratings`.
    pub uniform: Log,
    /// Rows that are known and that nothing learns from: what comes before the held-out item of a
    /// session, and training rows that are too old. They are part of histories and are masked.
    pub context: Log,
    /// What each user's held-out test items are ranked among, `[n_users]`; empty where no file says
    /// so.
    pub candidates: Vec<Vec<u32>>,
    /// What the times are.
    pub clock: Clock,
    /// How many units of `times` are one second.
    pub ticks: PerSecond,
    /// Time in which the weight of a training pair halves, in the unit of `times`; none where all
    /// count alike.
    pub half_life: Option<f64>,
    /// What was understood of each file, in the order of reading.
    pub files: Vec<FileFacts>,
    /// What reading did other than its user may mean, one sentence each.
    pub notes: Vec<String>,
    /// True where held-out rows were drawn at random, so that training has rows that are newer.
    pub held_out_at_random: bool,
    /// True when training rows are liked and disliked ones, told by the labels +1 and -1 in their
    /// `ratings`; otherwise all are liked.
    pub explicit: bool,
    /// True when the validation and the test part are rows of uniform exposure with labels +1 and
    /// -1, to be judged row by row.
    pub labelled: bool,
    /// SHA-256 over ids and parts, in hex.
    pub fingerprint: String,
    /// Names of items to show to a person (`titles[item]`), empty when the source has none.
    pub titles: Vec<String>,
    /// Test rows whose pair also stands in the training or the validation part. They stay, but no
    /// model that leaves out seen items can find them.
    pub n_overlap: usize,
}

/// What the times of a data set are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clock {
    /// There are none.
    #[default]
    None,
    /// Each user's rows in their order, counted from 0: users cannot be compared.
    Rows,
    /// The lines of a file of sessions in their order.
    Lines,
    /// Seconds, or whatever the source's unit is.
    Seconds,
}

/// The part of a data set.
///
/// ```
/// use gcnrec::{Part, Seed, World, configs};
///
/// let split = World::generate(&configs::Demo::default(), 0.1, Seed(1))?.split;
/// assert!(split.part(Part::Train).len() > split.part(Part::Test).len());
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What models learn from.
    Train,
    /// What picks the epoch.
    Valid,
    /// What is scored once, at the end.
    Test,
    /// What is known and not learnt from.
    Context,
}

impl Split {
    /// Number of users.
    pub fn n_users(&self) -> usize {
        self.users.len()
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.items.len()
    }

    /// The rows of a part.
    pub fn part(&self, part: Part) -> &Log {
        match part {
            Part::Train => &self.train,
            Part::Valid => &self.valid,
            Part::Test => &self.test,
            Part::Context => &self.context,
        }
    }

    /// The distinct pairs of a part.
    ///
    /// # Errors
    /// [`crate::RecError::Graph`] when a row has an id that the split does not know: impossible for
    /// a split that was read from files or made by the demo world.
    pub fn interactions(&self, part: Part) -> Result<Interactions> {
        Ok(self.part(part).interactions(self.n_users(), self.n_items())?)
    }

    /// The distinct training pairs.
    ///
    /// # Errors
    /// As [`Split::interactions`].
    pub fn train_interactions(&self) -> Result<Interactions> {
        self.interactions(Part::Train)
    }

    /// The distinct validation pairs.
    ///
    /// # Errors
    /// As [`Split::interactions`].
    pub fn valid_interactions(&self) -> Result<Interactions> {
        self.interactions(Part::Valid)
    }

    /// The distinct test pairs.
    ///
    /// # Errors
    /// As [`Split::interactions`].
    pub fn test_interactions(&self) -> Result<Interactions> {
        self.interactions(Part::Test)
    }

    /// The distinct pairs of several parts together, for example those that are masked when test is
    /// ranked.
    ///
    /// # Errors
    /// As [`Split::interactions`].
    pub fn joint_interactions(&self, parts: &[Part]) -> Result<Interactions> {
        let pairs = parts.iter().flat_map(|&part| self.part(part).pairs());
        Ok(Interactions::from_pairs(self.n_users(), self.n_items(), pairs)?)
    }

    /// Each user's items over the given parts, oldest first: by time where all of these parts have
    /// times, and then, as without times, in the order of the parts and of their rows. An item that
    /// occurs twice stands twice.
    pub fn histories(&self, parts: &[Part]) -> Vec<Vec<ItemId>> {
        histories_of(self.n_users(), parts.iter().map(|&part| self.part(part)))
    }

    /// The same over the rows of a log.
    pub fn histories_in(&self, log: &Log) -> Vec<Vec<ItemId>> {
        histories_of(self.n_users(), std::iter::once(log))
    }

    /// The name of an item to show to a person: its title, or its key where the source has no
    /// titles.
    pub fn title(&self, item: ItemId) -> &str {
        self.titles.get(item.index()).map_or_else(|| self.items.key(item.0), String::as_str)
    }
}

/// See [`Split::histories`].
fn histories_of<'a>(n_users: usize, logs: impl Iterator<Item = &'a Log>) -> Vec<Vec<ItemId>> {
    let logs: Vec<&Log> = logs.filter(|log| !log.is_empty()).collect();
    let timed = logs.iter().all(|log| !log.times.is_empty());
    let mut events: Vec<Vec<(i64, u32)>> = vec![Vec::new(); n_users];
    for log in logs {
        for (row, (&user, &item)) in log.users.iter().zip(&log.items).enumerate() {
            events[user as usize].push((if timed { log.times[row] } else { 0 }, item));
        }
    }
    let ordered = |mut events: Vec<(i64, u32)>| {
        // A stable sort keeps the order of parts and rows among equal times.
        events.sort_by_key(|&(time, _)| time);
        events.into_iter().map(|(_, item)| ItemId(item)).collect()
    };
    events.into_iter().map(ordered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(train_times: &[i64], valid_times: &[i64]) -> Split {
        Split {
            users: ["a", "b"].into_iter().collect(),
            items: ["x", "y", "z"].into_iter().collect(),
            train: Log { users: vec![0, 1, 0], items: vec![2, 0, 1], times: train_times.to_vec(), ..Log::default() },
            valid: Log { users: vec![0], items: vec![0], times: valid_times.to_vec(), ..Log::default() },
            ..Split::default()
        }
    }

    fn history(split: &Split, parts: &[Part]) -> Vec<u32> {
        split.histories(parts)[0].iter().map(|item| item.0).collect()
    }

    #[test]
    fn histories_are_oldest_first_and_keep_file_order_among_equals() {
        let timed = split(&[30, 1, 10], &[20]);
        assert_eq!(history(&timed, &[Part::Train]), [1, 2]);
        assert_eq!(history(&timed, &[Part::Train, Part::Valid]), [1, 0, 2]);
        assert_eq!(history(&timed, &[Part::Train, Part::Valid, Part::Test]), [1, 0, 2]);
        let tied = split(&[5, 5, 5], &[5]);
        assert_eq!(history(&tied, &[Part::Train, Part::Valid]), [2, 1, 0]);
    }

    #[test]
    fn without_times_in_every_part_the_parts_follow_each_other() {
        assert_eq!(history(&split(&[30, 1, 10], &[]), &[Part::Train, Part::Valid]), [2, 1, 0]);
        assert_eq!(split(&[], &[]).histories(&[Part::Test]), [Vec::new(), Vec::new()]);
    }

    #[test]
    fn a_title_defaults_to_the_key() {
        let mut split = split(&[], &[]);
        assert_eq!(split.title(ItemId(1)), "y");
        split.titles = vec!["X".into(), "Y".into(), "Z".into()];
        assert_eq!(split.title(ItemId(1)), "Y");
    }
}
