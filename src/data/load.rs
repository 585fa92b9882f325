//! Loading: reads the files that a configuration names into a split.

mod rows;

use std::collections::HashSet;
use std::path::Path;

use gcnrec_graphs::{ItemId, Purpose, Seed, UserId, k_core};
use rand::seq::SliceRandom;

use super::config::{Config, Duplicates, Feedback, Order, Unknown};
use super::fingerprint::fingerprint;
use super::reader::{Columns, Format, Source, read_titles};
use super::split::{carve, carve_last, distinct_rows, split};
use super::ticks::finer;
use super::unknown::{are_sessions, note_strangers, refuse_strange_ids, take_sessions_apart};
use super::world::World;
use super::{Clock, FileFacts, IdMap, Log, PerSecond, Split, ValidRows, recency};
use crate::error::{Place, RecError, Result};

/// A uniform rating of at least this is the label +1 where `min_rating` says nothing (as in
/// AutoDebias's code).
const UNIFORM_THRESHOLD: f32 = 4.0;

/// Which random stream carves the validation part out of training.
const VALID_STREAM: u64 = 0;

/// Epoch of the random stream that divides the uniform part: 0 and 1 divide the biased log.
const UNIFORM_STREAM: u64 = 2;

/// Reads the data that a configuration names: rows below `min_rating` are dropped, then duplicates,
/// then (for one file) users and items outside the k-core; the file is split, and a validation part
/// carved out of training where there is none. Without any file this is the demo world.
///
/// Ids are the union over all parts, in the order training, validation, test, uniform; a user or an
/// item of which no row is left has no id.
///
/// # Errors
/// [`RecError::Config`] and [`RecError::Usage`] as [`Config::validate`]; [`RecError::Missing`],
/// [`RecError::Io`] and [`RecError::Input`] for the files.
///
/// # Source
/// The order of the filters is RecBole's (`data/dataset/dataset.py`). We differ: rows below
/// `min_rating` go before duplicates are looked for, so that a pair rated twice stays when one of
/// its ratings is good enough.
pub fn load(config: &Config, seed: Seed) -> Result<Split> {
    config.validate()?;
    let mut loader = Loader::new(config);
    let mut data = Split::default();
    if let Some(path) = &config.path {
        let mut log = loader.read_part(path)?;
        if config.order() == Order::Time {
            loader.refuse_unread_times("rows are divided by it (data.split, data.order)")?;
        }
        if config.min_user_interactions > 0 || config.min_item_interactions > 0 {
            log = loader.keep_core(path, &log)?;
        }
        [data.train, data.valid, data.test] = split(&log, config, seed)?;
        data.held_out_at_random = config.order() == Order::Random && !(data.valid.is_empty() && data.test.is_empty());
        loader.training_is_read();
        loader.answer_sessions(&mut data);
    } else if let Some(train) = &config.train {
        data.train = loader.read_part(train)?;
        loader.training_is_read();
        // Beside a uniform part, held-out rows with ratings were shown at random too: they are
        // judged by their labels.
        let beside_uniform = config.uniform.is_some();
        for (file, is_test, prefix) in [(&config.valid, false, "valid-"), (&config.test, true, "test-")] {
            let Some(file) = file else { continue };
            loader.prefix = prefix;
            let mut log = if beside_uniform {
                loader.read_held_out(file, &mut data.labelled)?
            } else {
                loader.read_part(file)?
            };
            loader.count_alike(&mut data, file)?;
            if config.format.is_of_sessions() {
                let (given, held_out) = last_of_sessions(&log, file)?;
                data.context.append(&given);
                log = held_out;
            } else if config.unknown != Some(Unknown::Keep) && !loader.are_sessions() && !data.labelled {
                refuse_strange_ids(&data, &loader.users, &loader.items, &log, file)?;
            }
            *if is_test { &mut data.test } else { &mut data.valid } = log;
        }
        if !config.format.is_of_sessions() && !data.labelled {
            loader.answer_sessions(&mut data);
        }
    } else {
        let mut data = World::generate(&config.demo, config.valid_fraction, seed)?.split;
        look_back(&mut data, config)?;
        return Ok(data);
    }
    data.clock = loader.clock;
    if let Some(uniform) = &config.uniform {
        loader.only_trained = true;
        let rows = loader.read_uniform(uniform)?;
        loader.count_alike(&mut data, uniform)?;
        data.uniform = rows;
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
    if let Some(candidates) = &config.candidates {
        data.candidates = loader.read_candidates(candidates, &data.test)?;
    }
    let rows = config.valid_rows(config.format);
    if config.recent_days.is_some() || config.recent_fraction.is_some() || config.half_life_days.is_some() {
        loader.refuse_unread_times("rows count by their age (data.recent_days and the like)")?;
    }
    (data.ticks, data.notes, data.files) = (loader.ticks, loader.notes, loader.files);
    (data.users, data.items) = (loader.users, loader.items);
    // A biased part cannot pick the epoch where test is uniform.
    let fraction = if data.labelled { 0.0 } else { config.valid_fraction };
    finish(&mut data, fraction, rows, seed);
    look_back(&mut data, config)?;
    note_strangers(&mut data);
    Ok(data)
}

/// Leaves the recent rows to learn from, where the configuration says which they are.
fn look_back(data: &mut Split, config: &Config) -> Result<()> {
    recency::apply(data, config)?;
    if !data.context.is_empty() {
        data.fingerprint = fingerprint(data);
    }
    Ok(())
}

/// Takes held-out sessions apart: what was given, and the last item of each, which is to be found.
fn last_of_sessions(log: &Log, path: &Path) -> Result<(Log, Log)> {
    let is_last = |&row: &u32| log.users.get(row as usize + 1) != Some(&log.users[row as usize]);
    let (last, given): (Vec<u32>, Vec<u32>) = (0..log.len() as u32).partition(is_last);
    // The time of a row is its line.
    let alone = last.iter().find(|&&row| row == 0 || log.users[row as usize - 1] != log.users[row as usize]);
    if let Some(&row) = alone {
        return Err(RecError::input(
            Place::line(path, log.times[row as usize] as u64),
            "a session of one item",
            "at least one item before the one to be found",
        )
        .with_todo("remove the line"));
    }
    Ok((log.select(&given), log.select(&last)))
}

/// Divides the uniform part into rows that teach, validate and test.
fn divide_uniform(data: &mut Split, config: &Config, seed: Seed) {
    let ratios = config.uniform_ratios;
    let sum: f64 = ratios.iter().sum();
    // Floors, as in AutoDebias's split; what is left over tests. A hair is added where a share is
    // whole but for its rounding.
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
            return Err(RecError::input(
                Place::file(uniform),
                format!(
                    "user {:?} with item {:?}, which is also a row of the {part} part",
                    loader.users.key(user.0),
                    loader.items.key(item.0)
                ),
                "rows that are in no part that judges",
            )
            .with_todo(format!("remove the rows of the {part} part from it")));
        }
    }
    Ok(())
}

/// Carves the validation part where there is none, counts the overlap, takes the fingerprint.
pub(super) fn finish(data: &mut Split, valid_fraction: f64, rows: ValidRows, seed: Seed) {
    if data.valid.is_empty() && valid_fraction > 0.0 {
        (data.train, data.valid) = match rows {
            ValidRows::Random => carve(&data.train, valid_fraction, seed, VALID_STREAM),
            ValidRows::Last => carve_last(&data.train, valid_fraction, seed, VALID_STREAM),
        };
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
    /// Users of the training part of whom no row was good enough: they have no id, and yet they are
    /// known.
    dropped_users: HashSet<String>,
    /// True while a part is read whose users must be those of the training part.
    only_trained: bool,
    /// What the name of a session begins with, before its line; sessions of different parts are
    /// different users.
    prefix: &'static str,
    /// What the times of the training part are.
    clock: Clock,
    /// How finely times are counted: as the finest part so far has them.
    ticks: PerSecond,
    /// How much more finely than the parts before the last one was.
    finer: u64,
    /// What the numbers of the first column of times count.
    unit: Option<(u64, &'static str)>,
    /// True where the header of the training part calls its users sessions.
    column_of_sessions: bool,
    /// What was understood of the files.
    files: Vec<FileFacts>,
    notes: Vec<String>,
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
            prefix: "",
            clock: Clock::None,
            ticks: PerSecond::default(),
            finer: 1,
            unit: None,
            column_of_sessions: false,
            files: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn are_sessions(&self) -> bool {
        are_sessions(self.config.unknown, self.column_of_sessions)
    }

    /// Takes held-out sessions apart that training lacks, where they are some.
    fn answer_sessions(&mut self, data: &mut Split) {
        if !self.are_sessions() {
            return;
        }
        for is_test in [false, true] {
            let log = if is_test { &data.test } else { &data.valid };
            let (given, held_out, n) = take_sessions_apart(log, &data.train, self.users.len());
            if n > 0 {
                let part = if is_test { "test" } else { "validation" };
                self.notes.push(format!(
                    "{n} sessions of the {part} part are not in training: the newest item of each is to be found, \
                     and those before it are given (data.unknown)"
                ));
                data.context.append(&given);
                *if is_test { &mut data.test } else { &mut data.valid } = held_out;
            }
        }
    }

    /// Counts the times of earlier parts as finely as those of the part that was read last.
    fn count_alike(&mut self, data: &mut Split, file: &Path) -> Result<()> {
        let factor = std::mem::replace(&mut self.finer, 1);
        if factor == 1 || self.clock != Clock::Seconds {
            return Ok(());
        }
        for log in [&mut data.train, &mut data.valid, &mut data.test, &mut data.context] {
            finer(&mut log.times, factor).ok_or_else(|| {
                RecError::input(
                    Place::file(file),
                    "times that are counted so finely that those of the training part do not fit 64 bits",
                    "times of the same unit in all parts",
                )
            })?;
        }
        Ok(())
    }

    /// What was understood of the file that was read last.
    fn facts(&mut self) -> &mut FileFacts {
        self.files.last_mut().expect("a file should have been read")
    }

    /// Refuses a training part whose times could not be read; `why` is who needs them.
    fn refuse_unread_times(&self, why: &str) -> Result<()> {
        self.files.first().and_then(|facts| facts.refuse_times(why)).map_or(Ok(()), Err)
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
        let duplicates = self.config.duplicates(self.config.format);
        let mut log = self.read(path, min_rating, duplicates == Duplicates::Refuse)?;
        if explicit {
            if log.ratings.is_empty() {
                return Err(no_ratings(path, "a rating for every row, because data.feedback is explicit"));
            }
            self.label(&mut log);
        } else if min_rating.is_none() {
            self.note_low_ratings(&log, path);
        }
        let keep_last = match duplicates {
            Duplicates::KeepAll | Duplicates::Refuse => return Ok(log),
            Duplicates::KeepFirst => false,
            Duplicates::KeepLast => true,
        };
        let rows = distinct_rows(&log, keep_last);
        if rows.len() == log.len() {
            return Ok(log);
        }
        self.facts().n_repeats = log.len() - rows.len();
        self.notes.push(format!(
            "{} of {} rows of {} repeat a pair of user and item and were dropped, the {} stayed; \
             data.duplicates = \"keep_all\" keeps them",
            log.len() - rows.len(),
            log.len(),
            file_name(path),
            if keep_last { "newest" } else { "oldest" }
        ));
        Ok(log.select(&rows))
    }

    /// Says that rows which look like dislikes count as likes.
    fn note_low_ratings(&mut self, log: &Log, path: &Path) {
        let n_low = log.ratings.iter().filter(|rating| **rating <= 0.0).count();
        if n_low > 0 {
            self.notes.push(format!(
                "{n_low} of {} rows of {} are rated 0 or less and count as likes like all others; \
                 data.min_rating (--min-rating) drops them",
                log.len(),
                file_name(path)
            ));
        }
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

    /// A validation or test part beside a uniform part: labelled rows where it has ratings,
    /// otherwise positives.
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

    /// What each test user's items are ranked among, by user; items that are nowhere else become
    /// items of the catalogue.
    fn read_candidates(&mut self, path: &Path, test: &Log) -> Result<Vec<Vec<u32>>> {
        let mut lists = vec![Vec::new(); self.users.len()];
        let mut source = Source::open(path)?.with_list_lines();
        while let Some((line, text)) = source.next_line()? {
            let refuse = |found: String, expected: &str, todo: &str| {
                RecError::input(Place::line(path, line), found, expected).with_todo(todo)
            };
            let mut names = text.split_ascii_whitespace();
            let Some(user) = names.next() else { continue };
            let Some(id) = self.users.get(user) else {
                let todo = "check that the file belongs to these data, or remove the line";
                return Err(refuse(format!("user {user:?}"), "users of the data", todo));
            };
            let list: &mut Vec<u32> = &mut lists[id as usize];
            let before = list.len();
            list.extend(names.map(|name| self.items.insert(name)));
            if list.len() == before {
                return Err(refuse(format!("user {user:?} without items"), "user item item …", "remove the line"));
            }
        }
        match test.users.iter().find(|&&user| lists[user as usize].is_empty()) {
            None => Ok(lists),
            Some(&user) => Err(RecError::input(
                Place::file(path),
                format!("no line for user {:?}", self.users.key(user)),
                "a line for every user of the test part",
            )
            .with_todo("add one, or leave the file away to rank all items")),
        }
    }

    /// Only the k-core, with ids that count anew.
    fn keep_core(&mut self, path: &Path, log: &Log) -> Result<Log> {
        let (min_user, min_item) = (self.config.min_user_interactions, self.config.min_item_interactions);
        let pairs: Vec<(UserId, ItemId)> = log.pairs().collect();
        let stays = k_core(&pairs, min_user, min_item);
        let rows: Vec<u32> = (0..log.len() as u32).filter(|&row| stays[row as usize]).collect();
        if rows.is_empty() {
            return Err(RecError::input(
                Place::file(path),
                format!("no interaction between users with {min_user} or more and items with {min_item} or more"),
                "at least one",
            )
            .with_todo("lower data.min_user_interactions or data.min_item_interactions"));
        }
        self.facts().n_outside_core = log.len() - rows.len();
        let mut core = log.select(&rows);
        self.users = renumber(&self.users, &mut core.users);
        self.items = renumber(&self.items, &mut core.items);
        Ok(core)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
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
    RecError::input(Place::file(path), "no ratings", expected).with_todo("name their column with data.rating_column")
}
