//! Data settings: `[data]` of a run file.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::reader::{Columns, Format, TimeFormat};
use super::world;
use crate::error::{RecError, Result};
use crate::settings::{above, above_up_to, finite, from_to_below, name_setting, settings};

settings! {
    /// `[data]`. Either `path` names one file that is split here, or `train` (with `valid`, `test`)
    /// names files that are split already; with neither, the built-in demo world is used. Paths are
    /// used as they are: whoever read the run file has resolved them.
    pub struct Config {
        /// One file, split here.
        path: Option<PathBuf> = None, or "none", flag "--data";
        /// The training part of data that are split already.
        train: Option<PathBuf> = None, or "none: the demo world", flag "--train";
        /// Its validation part.
        valid: Option<PathBuf> = None, or "none: carved from training", flag "--valid";
        /// Its test part.
        test: Option<PathBuf> = None, or "none", flag "--test";
        /// Rows collected by showing items at random, beside `data.path` or `data.train`.
        uniform: Option<PathBuf> = None, or "none", flag "--uniform";
        /// What each test user's held-out items are ranked among, `user item item …` a line.
        candidates: Option<PathBuf> = None, or "none: all items are ranked", flag "--candidates-file";
        /// Shares of the uniform part that teach, validate and test, where `data.train` has no
        /// parts beside it; otherwise all of it teaches.
        uniform_ratios: [f64; 3] = [0.05, 0.05, 0.9], takes "three numbers of 0 or more, the first above 0";
        /// Column of ratings in the uniform part and in labelled parts beside it, where it is
        /// another one; they then have no time.
        uniform_rating_column: Option<String> = None, or "that of `data.rating_column`",
            takes "as `data.rating_column`";
        /// Training rows below `data.min_rating` are dropped, or stay with the label -1 (for `mse`
        /// and `logistic`).
        feedback: Feedback = Feedback::Implicit, flag "--feedback";
        /// Items with titles: `u.item`, `movies.dat`, an atomic `.item` file, or delimited text
        /// with a header.
        items: Option<PathBuf> = None, or "none", flag "--items";
        /// Format of all parts.
        format: Format = Format::AUTO, flag "--format";
        /// Rows rated lower are dropped before anything else, where a file has ratings; in the
        /// uniform part they become the label -1.
        min_rating: Option<f32> = None, or "none; 4 for the uniform part", in finite(), flag "--min-rating";
        /// Column of users.
        user_column: Option<String> = None, or "the first with a usual name",
            takes "a name in the header, or a number from 1 for `pairs`", flag "--user-column";
        /// Column of items.
        item_column: Option<String> = None, or "the first with a usual name", takes "as `data.user_column`", flag "--item-column";
        /// Column of ratings; a file may have none.
        rating_column: Option<String> = None, or "the first with a usual name", takes "as `data.user_column`", flag "--rating-column";
        /// Column of times; a file may have none.
        time_column: Option<String> = None, or "the first with a usual name", takes "as `data.user_column`", flag "--time-column";
        /// How times are written, where they are no numbers and do not begin with their year:
        /// `%Y %m %d %H %M %S`, `%y`, `%b` (name of the month), `%f` (fraction), `%I %p` (12
        /// hours), `%z` (zone).
        time_format: Option<String> = None, or "told by the first rows",
            takes "a pattern such as `%d/%m/%Y %H:%M`", flag "--time-format";
        /// Column of titles in `data.items`.
        title_column: Option<String> = None, or "the first with a usual name", takes "a name in the header";
        /// K-core of `data.path`: users with fewer rows are dropped, until nothing changes.
        min_user_interactions: u32 = 0;
        /// K-core of `data.path`: items with fewer rows are dropped likewise.
        min_item_interactions: u32 = 0;
        /// What happens to a pair that stands in a part more than once.
        duplicates: Option<Duplicates> = None, or "`keep_all` for `sessions` and for models that read an order; \
            `keep_last` where rows count by their age; otherwise `keep_first`";
        /// What happens to held-out rows of users or items that training lacks.
        unknown: Option<Unknown> = None, or "`sessions` where the column of users is named so; otherwise `refuse`";
        /// How `data.path` is split.
        split: Rule = Rule::Ratio, flag "--split";
        /// Shares of training, validation and test for `ratio` and `time`; they need not sum to 1.
        ratios: [f64; 3] = [0.8, 0.1, 0.1], takes "three numbers of 0 or more, the first above 0";
        /// What `ratio` divides: each user's rows, or all rows.
        group_by: GroupBy = GroupBy::User;
        /// Which rows go to training first; a split by `time` knows no other order.
        order: Option<Order> = None, or "`random` for `ratio`, `time` for `leave_one_out`";
        /// Parts that `leave_one_out` makes.
        hold_out: HoldOut = HoldOut::ValidAndTest;
        /// Share of each user's training rows that validates where neither a file nor the split
        /// makes that part, at least one row of each user staying; 0 for none, also where a split
        /// of `data.path` would make one.
        valid_fraction: f64 = 0.1, in from_to_below(0.0, 1.0), flag "--valid-fraction";
        /// Rows that validate where no validation part is given: a share of each user's rows, or
        /// the newest row of a share of the users.
        valid_rows: Option<ValidRows> = None, or "`random`; `last` for `sessions`";
        /// Models learn from the training rows of so many days before the newest one alone; times
        /// are seconds. Older rows stay in histories and masks.
        recent_days: Option<f64> = None, or "none: all of it", in above(0.0);
        /// Models learn from this share of the training rows alone, the newest ones; rows as old as
        /// the oldest of them stay too.
        recent_fraction: Option<f64> = None, or "none: all of it", in above_up_to(0.0, 1.0);
        /// Days in which the weight of a training pair halves; times are seconds.
        half_life_days: Option<f64> = None, or "none: all count alike", in above(0.0);
        /// The built-in demo world, used when there is neither `data.path` nor `data.train`.
        demo: world::Config = world::Config::default();
    }
}

name_setting!(Feedback, "kind of feedback");
name_setting!(Format, "format");
name_setting!(Duplicates, "way to treat duplicates");
name_setting!(Unknown, "way to treat unknown users");
name_setting!(Rule, "split");
name_setting!(ValidRows, "choice of validation rows");
name_setting!(GroupBy, "value");
name_setting!(Order, "value");
name_setting!(HoldOut, "value");

/// What training rows say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// Rows rated below `min_rating` are dropped, the others are all liked.
    #[default]
    Implicit,
    /// All rows stay: rated `min_rating` (default 4) or more they have the label +1, otherwise -1.
    Explicit,
}

/// What to do with a pair that stands in a part more than once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The earliest row stays: the first by time, or in the file where there are no times.
    #[default]
    KeepFirst,
    /// The latest row stays.
    KeepLast,
    /// All rows stay, as sequences with repeats need.
    KeepAll,
    /// An error that names the line.
    Refuse,
}

/// What happens to held-out rows of users or items that training lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// A part of which training lacks more than half the users or items is refused.
    #[default]
    Refuse,
    /// They stay, however many they are.
    Keep,
    /// Users that training lacks are sessions: the newest row of each is to be found, and those
    /// before it are given.
    Sessions,
}

/// How a file is split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Shares of each user's rows, or of all rows.
    #[default]
    Ratio,
    /// The last row of each user is test, the last but one validation.
    LeaveOneOut,
    /// Two points in time for everybody: what comes before the first is training, what comes after
    /// the second test. They are where `ratios` of all rows would lie; rows of the same time are
    /// never divided.
    Time,
}

/// Which rows of a user validate where no validation part is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidRows {
    /// A share of each user's rows, drawn.
    #[default]
    Random,
    /// The newest row of a share of the users, drawn: what a model of sequences is asked for.
    Last,
}

/// What `ratio` divides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// The rows of each user.
    #[default]
    User,
    /// All rows together.
    None,
}

/// Which rows go first, that is to training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A seeded shuffle.
    Random,
    /// The oldest; rows of the same time in file order.
    Time,
}

/// Which parts `leave_one_out` makes beside training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOut {
    /// Both.
    #[default]
    ValidAndTest,
    /// Validation only.
    ValidOnly,
    /// Test only; validation is carved out of training.
    TestOnly,
}

impl Config {
    /// Refuses values outside their ranges and files that contradict each other.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range, [`RecError::Usage`] for a
    /// contradiction.
    pub fn validate(&self) -> Result<()> {
        self.check_ranges("data")?;
        for (key, ratios) in [("data.ratios", self.ratios), ("data.uniform_ratios", self.uniform_ratios)] {
            if !ratios.iter().all(|ratio| (0.0..=1e9).contains(ratio)) || ratios[0] <= 0.0 {
                let expected = "three numbers from 0 to 1e9, the first above 0";
                return Err(RecError::range(key, format!("{ratios:?}"), expected));
            }
        }
        if let Some(Err(found)) = self.time_format.as_deref().map(TimeFormat::given) {
            let expected = "a pattern with a year, a month and a day, such as %d/%m/%Y %H:%M";
            return Err(RecError::range("data.time_format", found, expected));
        }
        self.demo.validate("data.demo")?;
        if self.recent_days.is_some() && self.recent_fraction.is_some() {
            return Err(RecError::usage(
                "data.recent_days and data.recent_fraction both say which rows are recent",
                "give one of the two",
            ));
        }
        self.check_files()
    }

    fn check_files(&self) -> Result<()> {
        let refuse = |problem: &str, todo: &str| Err(RecError::usage(problem, todo));
        let (path, train) = (self.path.is_some(), self.train.is_some());
        if path && train {
            return refuse(
                "data.path is one file to split and data.train is a part of split data",
                "give one of the two",
            );
        }
        if path && (self.valid.is_some() || self.test.is_some()) {
            return refuse(
                "data.path is split here, so data.valid and data.test have no place",
                "name the training part with data.train instead of data.path",
            );
        }
        if !path && !train {
            let others = [
                ("valid", &self.valid),
                ("test", &self.test),
                ("uniform", &self.uniform),
                ("candidates", &self.candidates),
                ("items", &self.items),
            ];
            if let Some((name, _)) = others.iter().find(|(_, file)| file.is_some()) {
                return refuse(&format!("data.{name} is given without training data"), "add data.train or data.path");
            }
        }
        if let (Some(user), Some(item)) = (&self.user_column, &self.item_column)
            && user == item
        {
            return refuse(
                &format!("data.user_column and data.item_column are both the column {user}"),
                "name the column of users and that of items",
            );
        }
        if self.split == Rule::Time && self.order == Some(Order::Random) {
            return refuse("data.order = \"random\" does not fit data.split = \"time\"", "remove one of the two");
        }
        if !path && (self.min_user_interactions > 0 || self.min_item_interactions > 0) {
            return refuse(
                "data.min_user_interactions and data.min_item_interactions belong to data.path",
                "parts that are split already are used as they are; remove the two keys",
            );
        }
        Ok(())
    }

    /// True when the uniform part is divided here.
    pub fn divides_uniform(&self) -> bool {
        self.uniform.is_some() && self.train.is_some() && self.valid.is_none() && self.test.is_none()
    }

    /// The order in use.
    pub fn order(&self) -> Order {
        self.order.unwrap_or(match self.split {
            Rule::Ratio => Order::Random,
            Rule::LeaveOneOut | Rule::Time => Order::Time,
        })
    }

    /// What is done with repeats in files of a format.
    pub fn duplicates(&self, format: Format) -> Duplicates {
        let by_age = self.half_life_days.is_some() || self.recent_days.is_some() || self.recent_fraction.is_some();
        self.duplicates.unwrap_or(match format.is_of_sessions() {
            true => Duplicates::KeepAll,
            // Who comes back is as recent as the last visit.
            false if by_age => Duplicates::KeepLast,
            false => Duplicates::KeepFirst,
        })
    }

    /// Which rows are carved out of a training part of a format.
    pub fn valid_rows(&self, format: Format) -> ValidRows {
        self.valid_rows.unwrap_or(if format.is_of_sessions() { ValidRows::Last } else { ValidRows::Random })
    }

    /// The columns that the user named.
    pub fn columns(&self) -> Columns {
        Columns {
            user: self.user_column.clone(),
            item: self.item_column.clone(),
            rating: self.rating_column.clone(),
            time: self.time_column.clone(),
            title: self.title_column.clone(),
            times: self.time_format.as_deref().and_then(|text| TimeFormat::given(text).ok()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
