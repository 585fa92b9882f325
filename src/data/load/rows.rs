//! Rows of one file: dense ids, ratings, and times in a format that is told by trying.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use super::super::file_facts::{SAY_FORMAT, UnreadTime};
use super::super::reader::{self, Columns, Format, Outline, Source, TIME_FIELD, TimeFormat, day_of, plain};
use super::super::ticks::{Read, Times, finer};
use super::super::{Clock, FileFacts, Log};
use super::{Loader, file_name};
use crate::error::{Place, RecError, Result};

/// What a file gave: its rows, their times as they were written, and how many were rated too low.
struct Rows {
    log: Log,
    times: Times,
    n_dropped: usize,
}

impl Loader<'_> {
    pub(super) fn read(&mut self, path: &Path, min_rating: Option<f32>, refuse_duplicates: bool) -> Result<Log> {
        let source = Source::open(path)?;
        if self.like.is_none() {
            self.column_of_sessions = reader::names_sessions(&source, &self.columns);
        }
        let reader = reader::choose(&source, self.config.format, self.like, &self.columns)?;
        let (format, outline) = (Format::of(reader), reader.outline(&source.first_lines(100), &self.columns));
        drop(source);
        let mut facts = FileFacts { file: path.to_path_buf(), format: format.name().into(), ..FileFacts::default() };
        if let Some(outline) = &outline {
            facts.describe(outline);
        }
        let of_sessions = self.config.format.is_of_sessions();
        let candidates = self.time_formats(outline.as_ref());
        let (mut times_format, mut read, mut are_ambiguous) = (TimeFormat::Unread, None, false);
        for times in candidates.iter().chain([&TimeFormat::Unread]) {
            if are_ambiguous && *times != TimeFormat::Unread {
                continue;
            }
            let columns = Columns { times: times.clone(), ..self.columns.clone() };
            match self.read_rows(path, format, &columns, min_rating, refuse_duplicates) {
                Ok(rows) if is_ambiguous(times, &candidates, &rows.times) => {
                    are_ambiguous = true;
                    facts.unread_time = outline.as_ref().and_then(|outline| ambiguous(outline, times));
                }
                Ok(rows) => {
                    (times_format, read) = (times.clone(), Some(rows));
                    break;
                }
                Err(error) if self.config.time_format.is_none() => {
                    let unread = unread_time(error)?;
                    facts.unread_time.get_or_insert(unread);
                }
                Err(error) => return Err(error),
            }
        }
        if times_format != TimeFormat::Unread {
            facts.unread_time = None;
        }
        let Rows { mut log, times, n_dropped } = read.expect("without times, a file should be read or refused");
        (facts.n_rows, facts.n_low) = (log.len() + n_dropped, n_dropped);
        tracing::info!(path = %path.display(), format = format.name(), n_rows = log.len(), n_dropped, "read interactions");
        if log.is_empty() {
            return Err(RecError::input(
                Place::file(path),
                format!("{n_dropped} interactions, all with a rating below data.min_rating"),
                format!("at least one with {} or more", min_rating.unwrap_or_default()),
            )
            .with_todo("lower data.min_rating (--min-rating)"));
        }
        if !of_sessions {
            log.times = self.settle_times(times, &times_format, outline.as_ref(), &mut facts);
        }
        self.notes.extend(facts.note_times());
        self.files.push(facts);
        self.settle_order(&mut log, format);
        self.like = Some(format);
        Ok(log)
    }

    /// The formats in which the times of a file may be written, to be tried in this order.
    fn time_formats(&self, outline: Option<&Outline>) -> Vec<TimeFormat> {
        match (&self.columns.times, outline.and_then(|outline| Some((outline, outline.time?)))) {
            (TimeFormat::Plain, Some((outline, column))) => TimeFormat::candidates(&outline.values(column)),
            (given, _) => vec![given.clone()],
        }
    }

    fn read_rows(
        &mut self,
        path: &Path,
        format: Format,
        columns: &Columns,
        min_rating: Option<f32>,
        refuse_duplicates: bool,
    ) -> Result<Rows> {
        let source = Source::open(path)?;
        let (mut log, mut pairs, mut times) = (Log::default(), HashSet::new(), Times::default());
        let mut n_dropped = 0usize;
        let (users, items) = (&mut self.users, &mut self.items);
        let (notes_dropped, dropped) = (self.config.uniform.is_some(), &mut self.dropped_users);
        let n_trained = if self.only_trained { self.n_trained_users } else { usize::MAX };
        let (of_sessions, prefix, mut session) = (self.config.format.is_of_sessions(), self.prefix, String::new());
        reader::read(source, format, self.like, columns, &mut |row| {
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
            let name = if of_sessions { named_by_line(&mut session, prefix, row.line) } else { row.user };
            // Rows of one user mostly stand together; comparing is cheaper than looking up.
            let user = match log.users.last() {
                Some(&last) if users.key(last) == name => last,
                _ => users.insert(name),
            };
            if user as usize >= n_trained && !dropped.contains(name) {
                return Err(RecError::input(
                    Place::line(path, row.line),
                    format!("user {name:?}, who has no training row"),
                    "users of the training part: nothing is known of others",
                )
                .with_todo("remove their rows from the uniform part, or add theirs to the training part"));
            }
            let item = items.insert(row.item);
            if refuse_duplicates && !pairs.insert((user, item)) {
                return Err(RecError::input(
                    Place::line(path, row.line),
                    format!("user {name:?} with item {:?} a second time", row.item),
                    "each pair once",
                )
                .with_todo("set data.duplicates to keep_first, keep_last or keep_all"));
            }
            log.users.push(user);
            log.items.push(item);
            log.ratings.extend(row.rating);
            match (of_sessions, row.time) {
                (true, _) => log.times.push(row.line as i64),
                (false, Some(time)) => times.push(time),
                (false, None) => {}
            }
            Ok(())
        })?;
        Ok(Rows { log, times, n_dropped })
    }

    /// What the order of the rows means: the clock of the training part, and numbers that count
    /// each user's rows where a format has an order and no times.
    fn settle_order(&mut self, log: &mut Log, format: Format) {
        let of_sessions = self.config.format.is_of_sessions();
        let clock = if log.times.is_empty() { Clock::Rows } else { Clock::Seconds };
        let clock = if of_sessions { Clock::Lines } else { clock };
        let is_ordered = format.reader().is_some_and(|reader| reader.is_ordered());
        if self.like.is_none() && (is_ordered || clock != Clock::Rows) {
            self.clock = clock;
        }
        if is_ordered && !of_sessions {
            self.n_seen.resize(self.users.len(), 0);
            for &user in &log.users {
                let count = &mut self.n_seen[user as usize];
                log.times.push(*count);
                *count += 1;
            }
        }
    }

    /// The times of a part, in the unit of the finest part so far.
    fn settle_times(
        &mut self,
        times: Times,
        format: &TimeFormat,
        outline: Option<&Outline>,
        facts: &mut FileFacts,
    ) -> Vec<i64> {
        if times.is_empty() {
            return Vec::new();
        }
        let mut read = times.finish();
        let are_dates = format.is_date() || outline.is_some_and(has_dates);
        if !are_dates && let Some((first, n)) = read.absurd() {
            facts.unread_time = Some(absurd(&read, first, n, outline));
            return Vec::new();
        }
        let is_day = |outline: &Outline| outline.time.is_some_and(|time| plain(outline.name(time)) == "day");
        if !are_dates && !read.is_dated && outline.is_some_and(is_day) {
            read.count_days();
        }
        describe(&read, are_dates, facts);
        let (unit, name) = read.unit;
        let path = facts.file.clone();
        match self.unit {
            None => {
                self.unit = Some(read.unit);
                let by_age = [("recent_days", self.config.recent_days), ("half_life_days", self.config.half_life_days)];
                for (key, _) in by_age.iter().filter(|(_, days)| days.is_some() && unit > 1) {
                    self.notes.push(format!("times are {name}, told by their size: data.{key} is converted"));
                }
                self.ticks = read.ticks;
            }
            Some((_, before)) => {
                if before != name {
                    self.notes.push(format!(
                        "times of {} are {name}, told by their size, and those of the training part {before}: they are \
                         compared as such",
                        file_name(&path)
                    ));
                }
                if read.ticks > self.ticks {
                    self.finer = read.ticks.0 / self.ticks.0;
                    self.ticks = read.ticks;
                } else if finer(&mut read.times, self.ticks.0 / read.ticks.0).is_none() {
                    read.times.clear();
                    self.notes.push(format!(
                        "times of {} do not fit 64 bits in the unit of training: they are not used",
                        file_name(&path)
                    ));
                }
            }
        }
        read.times
    }
}

/// True where the first times of a file are dates.
fn has_dates(outline: &Outline) -> bool {
    let first = outline.time.and_then(|column| outline.values(column).into_iter().find(|text| !text.is_empty()));
    first.is_some_and(|text| text.parse::<f64>().is_err())
}

/// The unit of some times and their span.
fn describe(read: &Read, are_dates: bool, facts: &mut FileFacts) {
    let Some((first, last)) = read.span() else { return };
    let per_day = 86_400 * i64::try_from(read.ticks.0).unwrap_or(i64::MAX / 86_400);
    let date = |time: i64| {
        let (year, month, day) = day_of(time.div_euclid(per_day));
        format!("{year:04}-{month:02}-{day:02}")
    };
    let number = |time: i64| (time as f64 * read.unit.0 as f64 / read.ticks.0 as f64).to_string();
    let (unit, span) = match (are_dates, read.is_dated) {
        (true, _) => ("dates", (date(first), date(last))),
        (false, true) => (read.unit.1, (date(first), date(last))),
        (false, false) if read.unit.1 == "days" => {
            ("days", ((first / 86_400).to_string(), (last / 86_400).to_string()))
        }
        (false, false) => ("numbers", (number(first), number(last))),
    };
    (facts.time_unit, facts.time_span) = (Some(unit.into()), Some(span));
}

/// True where a file could be read with day and month in either place.
fn is_ambiguous(format: &TimeFormat, candidates: &[TimeFormat], times: &Times) -> bool {
    let has_other = || format.swapped().is_some_and(|other| candidates.contains(&other));
    // Only a day above 12 cannot be a month.
    has_other() && times.whole().iter().all(|time| day_of(time.div_euclid(86_400)).2 <= 12)
}

fn ambiguous(outline: &Outline, format: &TimeFormat) -> Option<UnreadTime> {
    let column = outline.time?;
    let other = format.swapped()?;
    let first = outline.values(column).first().copied().unwrap_or_default().to_string();
    Some(UnreadTime {
        column: column + 1,
        found: format!("dates such as {first:?}, of which none says what is the day and what the month"),
        expected: "a day above 12 somewhere".into(),
        todo: format!(
            "say which it is with --time-format {:?} or {:?}",
            format.pattern().unwrap_or_default(),
            other.pattern().unwrap_or_default()
        ),
        ..UnreadTime::default()
    })
}

fn absurd(read: &Read, first: i64, n: usize, outline: Option<&Outline>) -> UnreadTime {
    let days = first as f64 / read.ticks.0 as f64 / 86_400.0;
    let (year, month, day) = day_of(days.clamp(-1e12, 1e12).floor() as i64);
    let number = (first as f64 * read.unit.0 as f64 / read.ticks.0 as f64).to_string();
    UnreadTime {
        column: outline.and_then(|outline| outline.time).map_or(1, |column| column + 1),
        found: format!(
            "{n} of {} times that no other is near, such as {number}, which in {} would be {year:04}-{month:02}-{day:02}",
            read.times.len(),
            read.unit.1
        ),
        expected: "times of one unit, none missing".into(),
        todo: "correct or remove these rows, or name another column with --time-column".into(),
        ..UnreadTime::default()
    }
}

/// The time at fault, where an error is about one; otherwise the error.
fn unread_time(error: RecError) -> Result<UnreadTime> {
    match error {
        // What stands in the first line may be a header.
        RecError::Input {
            place: Place { line: Some(line @ 2..), column: Some((column, TIME_FIELD)), .. },
            found,
            expected,
            ..
        } => Ok(UnreadTime { line: Some(line), column, found, expected, todo: SAY_FORMAT.into() }),
        error => Err(error),
    }
}

/// The name of the session on a line, written into `name`.
fn named_by_line<'n>(name: &'n mut String, prefix: &str, line: u64) -> &'n str {
    name.clear();
    // Writing to a string cannot fail.
    let _ = write!(name, "{prefix}{line}");
    name
}

fn too_many(path: &Path) -> RecError {
    RecError::resources(
        path.display().to_string(),
        "more interactions than a 32-bit position can count",
        "fewer than 4294967294",
    )
    .with_todo("leave some out with data.min_rating, or take a sample of the rows")
}
