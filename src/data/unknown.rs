//! Users and items of held-out parts that training lacks: ids that do not meet, sessions, and how
//! many of either kind there are.

use std::path::Path;

use super::config::Unknown;
use super::{IdMap, Log, Split};
use crate::error::{Place, RecError, Result};

/// So many unknown ids show no pattern yet: they are counted and not refused.
const FEW: usize = 3;

/// Which ids stand in some rows.
fn present<'a>(n: usize, ids: impl IntoIterator<Item = &'a u32>) -> Vec<bool> {
    let mut present = vec![false; n];
    ids.into_iter().for_each(|&id| present[id as usize] = true);
    present
}

/// The ids of `ids`, each once and rising, and those of them that are not known.
fn unknown(ids: &[u32], known: &[bool]) -> (Vec<u32>, Vec<u32>) {
    let mut all = ids.to_vec();
    all.sort_unstable();
    all.dedup();
    let unknown = all.iter().copied().filter(|&id| !known[id as usize]).collect();
    (all, unknown)
}

/// Refuses a held-out part of which training lacks more than half the users or items.
pub(super) fn refuse_strange_ids(data: &Split, users: &IdMap, items: &IdMap, log: &Log, file: &Path) -> Result<()> {
    let known_users = present(users.len(), &data.train.users);
    let known_items = present(items.len(), &data.train.items);
    check("users", &log.users, &known_users, users, (&known_items, items), file)?;
    check("items", &log.items, &known_items, items, (&known_users, users), file)
}

fn check(
    what: &str,
    ids: &[u32],
    known: &[bool],
    names: &IdMap,
    (known_others, others): (&[bool], &IdMap),
    file: &Path,
) -> Result<()> {
    let (all, unknown) = unknown(ids, known);
    if 2 * unknown.len() <= all.len() || unknown.len() < FEW {
        return Ok(());
    }
    let of_training: Vec<u32> = (0..names.len() as u32).filter(|&id| known[id as usize]).collect();
    let two = |ids: &[u32]| {
        ids.iter().take(2).map(|&id| format!("{:?}", shortened(names.key(id)))).collect::<Vec<_>>().join(" and ")
    };
    let is_known = |name: &str| names.get(name).is_some_and(|id| known[id as usize]);
    let is_other = |name: &str| others.get(name).is_some_and(|id| known_others[id as usize]);
    let share =
        |test: &dyn Fn(&str) -> bool| 2 * unknown.iter().filter(|&&id| test(names.key(id))).count() > unknown.len();
    let without_zeros = |name: &str| is_known(name.trim_start_matches('0'));
    let without_fraction = |name: &str| name.strip_suffix(".0").is_some_and(is_known);
    let in_lower_case = |name: &str| is_known(&name.to_lowercase()) || is_known(&name.to_uppercase());
    let cause = if share(&without_fraction) {
        "they were written as floats (\".0\"): write them as whole numbers"
    } else if share(&without_zeros) {
        "they have leading zeros there and not in training: write them alike"
    } else if share(&in_lower_case) {
        "they are written in another case: write them alike"
    } else if share(&is_other) {
        "the columns of users and items seem to be swapped: name them with data.user_column and data.item_column"
    } else {
        "they may be numbered in another way than in training; if they are new sessions, set data.unknown = \"sessions\", \
         and if they are meant, data.unknown = \"keep\""
    };
    Err(RecError::input(
        Place::file(file),
        format!("{} of {} {what} that training lacks, such as {}", unknown.len(), all.len(), two(&unknown)),
        format!("{what} of the training part, such as {}", two(&of_training)),
    )
    .with_todo(cause))
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Whether users that training lacks are sessions.
pub(super) fn are_sessions(setting: Option<Unknown>, column_of_sessions: bool) -> bool {
    match setting {
        None => column_of_sessions,
        Some(unknown) => unknown == Unknown::Sessions,
    }
}

/// Takes the sessions of a held-out part apart that training lacks: all rows but the newest of each
/// are given, and that one is to be found. Answers what is given, what is held out, and the number
/// of sessions.
pub(super) fn take_sessions_apart(log: &Log, trained: &Log, n_users: usize) -> (Log, Log, usize) {
    let known = present(n_users, &trained.users);
    let time = |row: u32| log.times.get(row as usize).copied().unwrap_or(0);
    let mut newest: Vec<Option<u32>> = vec![None; n_users];
    for row in 0..log.len() as u32 {
        let newest = &mut newest[log.users[row as usize] as usize];
        // Of rows of the same time the last in the file is the newest.
        *newest = Some(newest.filter(|&before| time(before) > time(row)).unwrap_or(row));
    }
    let is_given = |&row: &u32| {
        let user = log.users[row as usize] as usize;
        !known[user] && newest[user] != Some(row)
    };
    let (given, held_out): (Vec<u32>, Vec<u32>) = (0..log.len() as u32).partition(is_given);
    let n_sessions = newest.iter().zip(&known).filter(|(newest, known)| newest.is_some() && !**known).count();
    (log.select(&given), log.select(&held_out), n_sessions)
}

/// Says how many users and items of the held-out parts have no training row.
pub(super) fn note_strangers(data: &mut Split) {
    let (mut users, mut items) =
        (present(data.n_users(), &data.train.users), present(data.n_items(), &data.train.items));
    let mut notes = Vec::new();
    for (part, log) in [("validation", &data.valid), ("test", &data.test)] {
        let (all, strangers) = unknown(&log.users, &users);
        if !strangers.is_empty() {
            notes.push(format!(
                "{} of {} users of the {part} part have no training row: they are answered by the items that are given \
                 of them, or by popularity",
                strangers.len(),
                all.len()
            ));
        }
        let (all, strangers) = unknown(&log.items, &items);
        if !strangers.is_empty() {
            notes.push(format!(
                "{} of {} items of the {part} part have no training row: they rank last",
                strangers.len(),
                all.len()
            ));
        }
        // What validates may be learnt from before the test.
        log.users.iter().for_each(|&user| users[user as usize] = true);
        log.items.iter().for_each(|&item| items[item as usize] = true);
    }
    data.notes.extend(notes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_training_lacks_are_asked_for_their_newest_row() {
        let trained = Log { users: vec![0], items: vec![5], ..Log::default() };
        let log = Log {
            users: vec![1, 0, 1, 1, 2],
            items: vec![7, 6, 8, 9, 7],
            times: vec![3, 1, 5, 5, 0],
            ..Log::default()
        };
        let (given, held_out, n) = take_sessions_apart(&log, &trained, 4);
        // User 0 is known. Of session 1 the newest row is the second of time 5; session 2 has one row.
        assert_eq!((given.users, given.items), (vec![1, 1], vec![7, 8]));
        assert_eq!((held_out.users, held_out.items, n), (vec![0, 1, 2], vec![6, 9, 7], 2));
    }
}
