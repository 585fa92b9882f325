//! Recommendations for many users: read, answered and written some at a time, so that memory does
//! not grow with their number.

use std::path::Path;

use gcnrec::Place;
use gcnrec::internals::report::Table;
use gcnrec::reader::Source;
use gcnrec::{RecError, Recommender, Result};

use super::add_rows;
use crate::cli::output::say;
use crate::cli::sink::Sink;

/// Users that are answered at once, and rows that they may have together.
const USERS: usize = 4096;
const ROWS: usize = 100_000;
/// Users that are left out and named; more are counted.
const NAMED: usize = 20;
/// Characters of a name in a message.
const LONGEST: usize = 80;

/// Who is answered, and with how many items.
pub(in crate::cli) struct Asked<'a> {
    /// A file with one user a line; all users of the run where there is none.
    pub users: Option<&'a Path>,
    /// Refuse a file with a user that the run does not know.
    pub strict: bool,
    /// Items for each.
    pub k: usize,
}

/// Answers the users of a file, or all users of the run.
///
/// # Errors
/// Those of reading the file and of writing; [`RecError::UnknownId`] with `--strict`;
/// [`RecError::Input`] for a file of which no user can be answered; of a run the reason why none
/// can.
pub(in crate::cli) fn answer(asked: &Asked<'_>, recommender: &Recommender, sink: &mut Sink) -> Result<()> {
    let Asked { users: file, strict, k } = *asked;
    if let (true, Some(file)) = (strict, file) {
        all_known(file, recommender)?;
    }
    let (mut users, mut left_out) = (Users::open(file, recommender)?, LeftOut::of("users"));
    loop {
        let block = users.next((ROWS / k).clamp(1, USERS))?;
        if block.is_empty() {
            break;
        }
        let names: Vec<&str> = block.iter().map(String::as_str).collect();
        let mut table = Table::new(["user", "rank", "item", "title", "score"]);
        for (user, answer) in names.iter().zip(recommender.top_k(&names, k)) {
            match answer {
                Ok(ranking) => add_rows(&mut table, Some(user), recommender, &ranking),
                Err(error) => left_out.add(user, error, strict)?,
            }
        }
        left_out.n_asked += block.len();
        sink.write(&table)?;
    }
    if left_out.n_asked == 0 {
        return Err(no_user(file));
    }
    left_out.tell(file)
}

/// The users to answer, in their order.
enum Users<'a> {
    File(Source),
    /// All users of the run, from this one on.
    Run(&'a [String]),
}

impl<'a> Users<'a> {
    fn open(file: Option<&Path>, recommender: &'a Recommender) -> Result<Self> {
        Ok(match file {
            Some(file) => Users::File(Source::open(file)?),
            None => Users::Run(recommender.users()),
        })
    }

    /// The next users, at most so many; none at the end. Empty lines do not count.
    fn next(&mut self, at_most: usize) -> Result<Vec<String>> {
        match self {
            Users::File(source) => {
                let mut block = Vec::new();
                while block.len() < at_most {
                    let Some((_, line)) = source.next_line()? else { break };
                    block.extend(Some(line.trim()).filter(|name| !name.is_empty()).map(String::from));
                }
                Ok(block)
            }
            Users::Run(users) => {
                let (block, rest) = users.split_at(at_most.min(users.len()));
                *users = rest;
                Ok(block.to_vec())
            }
        }
    }
}

/// Refuses a file with an unknown user before anything is written.
fn all_known(file: &Path, recommender: &Recommender) -> Result<()> {
    if !file.is_file() {
        return Err(RecError::usage(
            format!("--strict reads {} twice, and it is no file", file.display()),
            "write the users into a file",
        ));
    }
    let mut users = Users::open(Some(file), recommender)?;
    loop {
        let block = users.next(USERS)?;
        if block.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = block.iter().map(String::as_str).collect();
        recommender.top_k(&names, 0).into_iter().try_for_each(|answer| answer.map(drop))?;
    }
}

/// Users, or items, without an answer.
#[derive(Default)]
pub(in crate::cli) struct LeftOut {
    what: &'static str,
    /// How many were asked for.
    pub n_asked: usize,
    first: Option<RecError>,
    n_unknown: usize,
    unknown: Vec<String>,
    n_refused: usize,
    refused: Vec<String>,
}

impl LeftOut {
    /// Nobody yet; `what` names them all.
    pub(in crate::cli) fn of(what: &'static str) -> LeftOut {
        LeftOut { what, ..LeftOut::default() }
    }

    /// Notes a user whom the run does not know or whom the model cannot answer.
    ///
    /// # Errors
    /// The error itself with `--strict`, and where it is not about this user.
    pub(in crate::cli) fn add(&mut self, user: &str, error: RecError, strict: bool) -> Result<()> {
        let name = || match user.char_indices().nth(LONGEST) {
            None => format!("{user:?}"),
            Some((end, _)) => format!("{:?}…", &user[..end]),
        };
        let (count, names, shown) = match &error {
            _ if strict => return Err(error),
            RecError::UnknownId { .. } => (&mut self.n_unknown, &mut self.unknown, name()),
            RecError::Unsupported { .. } => (&mut self.n_refused, &mut self.refused, format!("{} ({error})", name())),
            _ => return Err(error),
        };
        *count += 1;
        if names.len() < NAMED {
            names.push(shown);
        }
        self.first.get_or_insert(error);
        Ok(())
    }

    /// Says who was left out.
    ///
    /// # Errors
    /// [`RecError::Input`] where nobody of a file was answered; the first reason where it was the
    /// run that was asked for.
    pub(in crate::cli) fn tell(self, file: Option<&Path>) -> Result<()> {
        let nobody = self.n_unknown + self.n_refused == self.n_asked;
        if let (None, true, Some(error)) = (file, nobody, self.first) {
            return Err(error);
        }
        let tell = |n: usize, names: &[String], why: &str| {
            let more = n - names.len();
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let names = names.join(", ");
            say(&format!("warning: {n} of {} {} {why} and were left out: {names}{more}", self.n_asked, self.what));
        };
        if self.n_unknown > 0 {
            tell(self.n_unknown, &self.unknown, "are not in this run");
        }
        if self.n_refused > 0 {
            tell(self.n_refused, &self.refused, "cannot be answered");
        }
        match file.filter(|_| nobody) {
            None => Ok(()),
            Some(file) => Err(RecError::input(
                Place::file(file),
                format!("{} users, none of whom this run can answer", self.n_asked),
                "users of the training data, by their names in it",
            )),
        }
    }
}

fn no_user(file: Option<&Path>) -> RecError {
    let place = Place::file(file.unwrap_or(Path::new("run")));
    RecError::input(place, "no user", "UTF-8 text with one user a line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_users_is_read_some_at_a_time_whatever_its_line_ends() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("users.txt");
        std::fs::write(&file, "\u{feff}196\r\n\r\nZoë B\n \n 7").unwrap();
        let mut users = Users::File(Source::open(&file).unwrap());
        assert_eq!(users.next(2).unwrap(), ["196", "Zoë B"]);
        assert_eq!(users.next(2).unwrap(), ["7"]);
        assert!(users.next(2).unwrap().is_empty());
    }

    #[test]
    fn the_users_of_a_run_come_in_blocks() {
        let names = ["a", "b", "c"].map(String::from);
        let mut users = Users::Run(&names);
        assert_eq!(users.next(2).unwrap(), ["a", "b"]);
        assert_eq!(users.next(2).unwrap(), ["c"]);
        assert!(users.next(2).unwrap().is_empty());
    }

    #[test]
    fn many_who_are_left_out_are_counted_and_some_are_named() {
        let mut left_out = LeftOut { n_asked: 30, ..LeftOut::of("users") };
        let unknown = |key: &str| RecError::UnknownId { what: "user", key: key.into(), todo: String::new() };
        for n in 0..25 {
            left_out.add(&format!("u{n}"), unknown("u"), false).unwrap();
        }
        assert_eq!((left_out.n_unknown, left_out.unknown.len()), (25, NAMED));
        left_out.n_asked = 25;
        assert!(left_out.add("u", unknown("u"), true).is_err());
        assert_eq!(left_out.tell(Some(Path::new("users.txt"))).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn where_nobody_of_a_run_is_answered_the_reason_is_told() {
        let mut left_out = LeftOut::of("items");
        for n_asked in 1..3 {
            left_out.add("i", RecError::unsupported("popularity", format!("reason {n_asked}")), false).unwrap();
            left_out.n_asked = n_asked;
        }
        assert_eq!(left_out.tell(None).unwrap_err().to_string(), "popularity: reason 1");
    }
}
