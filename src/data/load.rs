//! From the files of a configuration to a split.

use std::collections::HashSet;
use std::path::Path;

use gcnrec_graphs::{ItemId, Purpose, Seed, UserId, k_core};
use rand::seq::SliceRandom;

use super::config::{Config, Duplicates, Feedback};
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

/// Epoch of the random stream that divides the uniform part: 0 and 1 divide the biased log.
const UNIFORM_STREAM: u64 = 2;

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
        loader.training_is_read();
    } else if let Some(train) = &config.train {
        data.train = loader.read_part(train)?;
        loader.training_is_read();
        // Beside a uniform part, held-out rows with ratings were shown at random too: they are judged by their labels.
        let beside_uniform = config.uniform.is_some();
        let parts = [(&config.valid, &mut data.valid), (&config.test, &mut data.test)];
        for (file, part) in parts {
            let Some(file) = file else { continue };
            *part = if beside_uniform {
                loader.read_held_out(file, &mut data.labelled)?
            } else {
                loader.read_part(file)?
            };
        }
    } else {
        return Ok(World::generate(&config.demo, config.valid_fraction, seed)?.split);
    }
    if let Some(uniform) = &config.uniform {
        loader.only_trained = true;
        data.uniform = loader.read_uniform(uniform)?;
        if config.divides_uniform() {
            divide_uniform(&mut data, config, seed);
        } else {
            refuse_overlap(&data, uniform, &loader)?;
        }
    }
    data.explicit = config.feedback == Feedback::Explicit && !data.train.ratings.is_empty();
    if let Some(items) = &config.items {
        data.titles = read_titles(Source::open(items)?, &loader.columns, &loader.items)?;
    }
    (data.users, data.items) = (loader.users, loader.items);
    // A biased part cannot pick the epoch where test is uniform.
    let fraction = if data.labelled { 0.0 } else { config.valid_fraction };
    finish(&mut data, fraction, seed);
    Ok(data)
}

/// Divides the uniform part into rows that teach, validate and test.
fn divide_uniform(data: &mut Split, config: &Config, seed: Seed) {
    let ratios = config.uniform_ratios;
    let sum: f64 = ratios.iter().sum();
    // Floors, as in the published split (SPEC C.1); what is left over tests. A hair is added where a share is whole but for its rounding.
    let n = data.uniform.len();
    let floor = |ratio: f64| (ratio / sum * n as f64 + 1e-9).floor() as usize;
    let n_teaching = floor(ratios[0]).clamp(1, n);
    let n_valid = floor(ratios[1]).min(n - n_teaching);
    let n_test = if ratios[2] > 0.0 { n - n_teaching - n_valid } else { 0 };
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut seed.stream(Purpose::Split, UNIFORM_STREAM, 0));
    let (teaching, rest) = order.split_at(if n_test == 0 { n - n_valid } else { n_teaching });
    let (valid, test) = rest.split_at(n_valid);
    let uniform = std::mem::take(&mut data.uniform);
    let part = |rows: &[u32]| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        uniform.select(&rows)
    };
    (data.uniform, data.valid, data.test) = (part(teaching), part(valid), part(test));
    data.labelled = !data.valid.is_empty() || !data.test.is_empty();
}

/// Rows that teach must not be rows that judge.
fn refuse_overlap(data: &Split, uniform: &Path, loader: &Loader<'_>) -> Result<()> {
    for (part, log) in [("validation", &data.valid), ("test", &data.test)] {
        let held_out: HashSet<(UserId, ItemId)> = log.pairs().collect();
        if let Some((user, item)) = data.uniform.pairs().find(|pair| held_out.contains(pair)) {
            return Err(RecError::Input {
                place: Place::file(uniform),
                found: format!(
                    "user {:?} with item {:?}, which is also a row of the {part} part",
                    loader.users.key(user.0),
                    loader.items.key(item.0)
                ),
                expected: "rows that are in no part that judges".into(),
                todo: format!("remove the rows of the {part} part from it"),
            });
        }
    }
    Ok(())
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
    /// Users of the training part.
    n_trained_users: usize,
    /// Users of the training part of whom no row was good enough: they have no id, and yet they are known.
    dropped_users: HashSet<String>,
    /// True while a part is read whose users must be those of the training part.
    only_trained: bool,
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
            n_trained_users: usize::MAX,
            dropped_users: HashSet::new(),
            only_trained: false,
        }
    }

    /// What follows are parts beside the training part.
    fn training_is_read(&mut self) {
        self.n_trained_users = self.users.len();
        if let Some(column) = &self.config.uniform_rating_column {
            (self.columns.rating, self.columns.time) = (Some(column.clone()), None);
        }
    }

    /// A part of the biased log: rows with too low a rating and duplicates are gone.
    fn read_part(&mut self, path: &Path) -> Result<Log> {
        let explicit = self.config.feedback == Feedback::Explicit;
        let min_rating = if explicit { None } else { self.config.min_rating };
        let mut log = self.read(path, min_rating, self.config.duplicates == Duplicates::Refuse)?;
        if explicit {
            if log.ratings.is_empty() {
                return Err(no_ratings(path, "a rating for every row, because data.feedback is explicit"));
            }
            self.label(&mut log);
        }
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
            return Err(no_ratings(path, "a rating or a label for every row collected under uniform exposure"));
        }
        self.label(&mut log);
        Ok(log)
    }

    /// A validation or test part beside a uniform part: labelled rows where it has ratings, otherwise positives.
    fn read_held_out(&mut self, path: &Path, labelled: &mut bool) -> Result<Log> {
        let mut log = self.read(path, None, false)?;
        if log.ratings.is_empty() {
            return Ok(log);
        }
        *labelled = true;
        self.label(&mut log);
        Ok(log)
    }

    /// Turns ratings into labels.
    fn label(&self, log: &mut Log) {
        // Labels may come ready: no scale of ratings consists of -1 and +1.
        let ready = log.ratings.contains(&-1.0) && log.ratings.iter().all(|rating| rating.abs() == 1.0);
        if !ready {
            let threshold = self.config.min_rating.unwrap_or(UNIFORM_THRESHOLD);
            for rating in &mut log.ratings {
                *rating = if *rating >= threshold { 1.0 } else { -1.0 };
            }
        }
    }

    fn read(&mut self, path: &Path, min_rating: Option<f32>, refuse_duplicates: bool) -> Result<Log> {
        let source = Source::open(path)?;
        let (mut log, mut pairs) = (Log::default(), HashSet::new());
        let (mut n_dropped, mut n_seen) = (0usize, std::mem::take(&mut self.n_seen));
        let (users, items, columns) = (&mut self.users, &mut self.items, &self.columns);
        let (notes_dropped, dropped) = (self.config.uniform.is_some(), &mut self.dropped_users);
        let n_trained = if self.only_trained { self.n_trained_users } else { usize::MAX };
        let format = reader::read(source, self.config.format, self.like, columns, &mut |row| {
            if let (Some(min), Some(rating)) = (min_rating, row.rating)
                && rating < min
            {
                n_dropped += 1;
                if notes_dropped && !dropped.contains(row.user) {
                    dropped.insert(row.user.into());
                }
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
            if user as usize >= n_trained && !dropped.contains(row.user) {
                return Err(RecError::Input {
                    place: Place::line(path, row.line),
                    found: format!("user {:?}, who has no training row", row.user),
                    expected: "users of the training part: nothing is known of others".into(),
                    todo: "remove their rows from the uniform part, or add theirs to the training part".into(),
                });
            }
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

fn no_ratings(path: &Path, expected: &str) -> RecError {
    RecError::Input {
        place: Place::file(path),
        found: "no ratings".into(),
        expected: expected.into(),
        todo: "name their column with data.rating_column".into(),
    }
}

fn too_many(path: &Path) -> RecError {
    RecError::Resources {
        what: path.display().to_string(),
        found: "more interactions than a 32-bit position can count".into(),
        expected: "fewer than 4294967294".into(),
        todo: "leave some out with data.min_rating, or take a sample of the rows".into(),
    }
}
