//! From the files of a configuration to a split.

use std::collections::HashSet;
use std::path::Path;

use gcnrec_graphs::{ItemId, Seed, UserId, k_core};

use super::config::{Config, Duplicates};
use super::fingerprint::fingerprint;
use super::reader::{self, Columns, Format, Source, read_titles};
use super::split::{carve, distinct_rows, split};
use super::world::World;
use super::{IdMap, Log, Split};
use crate::error::{Place, RecError, Result};

/// A uniform rating of at least this is the label +1 where `min_rating` says nothing (AutoDebias's code, SPEC C.1).
const UNIFORM_THRESHOLD: f32 = 4.0;

/// Which random stream carves the validation part out of training.
const VALID_STREAM: u64 = 0;

/// Reads the data that a configuration names: rows below `min_rating` are dropped, then duplicates, then (for one file) users and items outside the
/// k-core; the file is split, and a validation part carved out of training where there is none. Without any file this is the demo world.
///
/// Ids are the union over all parts, in the order training, validation, test, uniform; a user or an item of which no row is left has no id.
///
/// # Errors
/// [`RecError::Config`] and [`RecError::Usage`] as [`Config::validate`]; [`RecError::Missing`], [`RecError::Io`] and [`RecError::Input`] for the files.
///
/// # Source
/// The order of the filters is RecBole's (SPEC E.1). We differ: rows below `min_rating` go before duplicates are looked for, so that a pair rated
/// twice stays when one of its ratings is good enough.
pub fn load(config: &Config, seed: Seed) -> Result<Split> {
    config.validate()?;
    let mut loader = Loader::new(config);
    let mut data = Split::default();
    if let Some(path) = &config.path {
        let mut log = loader.read_part(path)?;
        if config.min_user_interactions > 0 || config.min_item_interactions > 0 {
            log = loader.keep_core(path, &log)?;
        }
        [data.train, data.valid, data.test] = split(&log, config, seed)?;
    } else if let Some(train) = &config.train {
        data.train = loader.read_part(train)?;
        if let Some(valid) = &config.valid {
            data.valid = loader.read_part(valid)?;
        }
        if let Some(test) = &config.test {
            data.test = loader.read_part(test)?;
        }
    } else {
        return Ok(World::generate(&config.demo, config.valid_fraction, seed)?.split);
    }
    if let Some(uniform) = &config.uniform {
        data.uniform = loader.read_uniform(uniform)?;
    }
    if let Some(items) = &config.items {
        data.titles = read_titles(Source::open(items)?, &loader.columns, &loader.items)?;
    }
    (data.users, data.items) = (loader.users, loader.items);
    finish(&mut data, config.valid_fraction, seed);
    Ok(data)
}

/// Carves the validation part where there is none, counts the overlap, takes the fingerprint.
pub(super) fn finish(data: &mut Split, valid_fraction: f64, seed: Seed) {
    if data.valid.is_empty() && valid_fraction > 0.0 {
        (data.train, data.valid) = carve(&data.train, valid_fraction, seed, VALID_STREAM);
    }
    let mut known: Vec<(UserId, ItemId)> = data.train.pairs().chain(data.valid.pairs()).collect();
    known.sort_unstable();
    data.n_overlap = data.test.pairs().filter(|pair| known.binary_search(pair).is_ok()).count();
    data.fingerprint = fingerprint(data);
}

/// What the parts share while they are read.
struct Loader<'a> {
    config: &'a Config,
    columns: Columns,
    users: IdMap,
    items: IdMap,
    /// For sources with an order but no times: how many rows each user has had, over all parts.
    n_seen: Vec<i64>,
    /// The format of the part before, which settles what a list of numbers means.
    like: Option<Format>,
}

impl<'a> Loader<'a> {
    fn new(config: &'a Config) -> Self {
        Loader {
            config,
            columns: config.columns(),
            users: IdMap::default(),
            items: IdMap::default(),
            n_seen: Vec::new(),
            like: None,
        }
    }

    /// A part of positives: rows with too low a rating and duplicates are gone.
    fn read_part(&mut self, path: &Path) -> Result<Log> {
        let log = self.read(path, self.config.min_rating, self.config.duplicates == Duplicates::Refuse)?;
        let keep_last = match self.config.duplicates {
            Duplicates::KeepAll | Duplicates::Refuse => return Ok(log),
            Duplicates::KeepFirst => false,
            Duplicates::KeepLast => true,
        };
        let rows = distinct_rows(&log, keep_last);
        Ok(if rows.len() == log.len() { log } else { log.select(&rows) })
    }

    /// The uniform part: all rows, with ratings turned into labels.
    fn read_uniform(&mut self, path: &Path) -> Result<Log> {
        let mut log = self.read(path, None, false)?;
        if log.ratings.is_empty() {
            return Err(RecError::Input {
                place: Place::file(path),
                found: "no ratings".into(),
                expected: "a rating or a label for every row collected under uniform exposure".into(),
                todo: "name their column with data.rating_column".into(),
            });
        }
        // Labels may come ready: no scale of ratings consists of -1 and +1.
        let ready = log.ratings.contains(&-1.0) && log.ratings.iter().all(|rating| rating.abs() == 1.0);
        if !ready {
            let threshold = self.config.min_rating.unwrap_or(UNIFORM_THRESHOLD);
            for rating in &mut log.ratings {
                *rating = if *rating >= threshold { 1.0 } else { -1.0 };
            }
        }
        Ok(log)
    }

    fn read(&mut self, path: &Path, min_rating: Option<f32>, refuse_duplicates: bool) -> Result<Log> {
        let source = Source::open(path)?;
        let (mut log, mut pairs) = (Log::default(), HashSet::new());
        let (mut n_dropped, mut n_seen) = (0usize, std::mem::take(&mut self.n_seen));
        let (users, items) = (&mut self.users, &mut self.items);
        let format = reader::read(source, self.config.format, self.like, &self.columns, &mut |row| {
            if let (Some(min), Some(rating)) = (min_rating, row.rating)
                && rating < min
            {
                n_dropped += 1;
                return Ok(());
            }
            if log.len() >= u32::MAX as usize - 1 {
                return Err(too_many(path));
            }
            // Rows of one user mostly stand together; comparing is cheaper than looking up.
            let user = match log.users.last() {
                Some(&last) if users.key(last) == row.user => last,
                _ => users.insert(row.user),
            };
            let item = items.insert(row.item);
            if refuse_duplicates && !pairs.insert((user, item)) {
                return Err(RecError::Input {
                    place: Place::line(path, row.line),
                    found: format!("user {:?} with item {:?} a second time", row.user, row.item),
                    expected: "each pair once".into(),
                    todo: "set data.duplicates to keep_first, keep_last or keep_all".into(),
                });
            }
            log.users.push(user);
            log.items.push(item);
            log.ratings.extend(row.rating);
            log.times.extend(row.time);
            Ok(())
        })?;
        if log.is_empty() {
            return Err(RecError::Input {
                place: Place::file(path),
                found: format!("{n_dropped} interactions, all with a rating below data.min_rating"),
                expected: format!("at least one with {} or more", min_rating.unwrap_or_default()),
                todo: "lower data.min_rating (--min-rating)".into(),
            });
        }
        if format.reader().is_some_and(|reader| reader.ordered()) {
            n_seen.resize(self.users.len(), 0);
            for &user in &log.users {
                let count = &mut n_seen[user as usize];
                log.times.push(*count);
                *count += 1;
            }
        }
        (self.n_seen, self.like) = (n_seen, Some(format));
        Ok(log)
    }

    /// Only the k-core, with ids that count anew.
    fn keep_core(&mut self, path: &Path, log: &Log) -> Result<Log> {
        let (min_user, min_item) = (self.config.min_user_interactions, self.config.min_item_interactions);
        let pairs: Vec<(UserId, ItemId)> = log.pairs().collect();
        let stays = k_core(&pairs, min_user, min_item);
        let rows: Vec<u32> = (0..log.len() as u32).filter(|&row| stays[row as usize]).collect();
        if rows.is_empty() {
            return Err(RecError::Input {
                place: Place::file(path),
                found: format!(
                    "no interaction between users with {min_user} or more and items with {min_item} or more"
                ),
                expected: "at least one".into(),
                todo: "lower data.min_user_interactions or data.min_item_interactions".into(),
            });
        }
        let mut core = log.select(&rows);
        self.users = renumber(&self.users, &mut core.users);
        self.items = renumber(&self.items, &mut core.items);
        Ok(core)
    }
}

/// Gives the ids in use new numbers in the order of first use, and returns their names.
fn renumber(old: &IdMap, ids: &mut [u32]) -> IdMap {
    let mut new = IdMap::default();
    for id in ids {
        *id = new.insert(old.key(*id));
    }
    new
}

fn too_many(path: &Path) -> RecError {
    RecError::Resources {
        what: path.display().to_string(),
        found: "more interactions than a 32-bit position can count".into(),
        expected: "fewer than 4294967294".into(),
        todo: "leave some out with data.min_rating, or take a sample of the rows".into(),
    }
}
