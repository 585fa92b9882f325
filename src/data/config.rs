//! What a user can choose about the data: `[data]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::reader::{Columns, Format};
use super::world;
use crate::error::{RecError, Result};

/// `[data]`. Either `path` names one file that is split here, or `train` (with `valid`, `test`) names files that are split already; with neither,
/// the built-in demo world is used. Paths are used as they are: whoever read the run file has resolved them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// One file to split. Default none.
    pub path: Option<PathBuf>,
    /// The training part of data that is split already. Default none.
    pub train: Option<PathBuf>,
    /// Its validation part. Default none: a share of the training part is carved out.
    pub valid: Option<PathBuf>,
    /// Its test part. Default none.
    pub test: Option<PathBuf>,
    /// Rows collected under uniform exposure, beside `path` or `train`. Default none.
    pub uniform: Option<PathBuf>,
    /// What the held-out items of each test user are ranked among, `user item item …` a line. Default none.
    pub candidates: Option<PathBuf>,
    /// Shares of the uniform part that teach debiasing methods, validate and test, where neither `valid` nor `test` is given beside `train`; 0 or more each,
    /// the first above 0. With `valid` or `test` all of it teaches. Default `[0.05, 0.05, 0.9]`.
    pub uniform_ratios: [f64; 3],
    /// The column of ratings in the uniform part and in labelled parts beside it, where it is another one; they then have no time. Default as
    /// `rating_column`.
    pub uniform_rating_column: Option<String>,
    /// What rows below `min_rating` are: nothing, or rows with the label -1. Default `implicit`.
    pub feedback: Feedback,
    /// Items with titles: `u.item`, `movies.dat`, an atomic `.item` file, or delimited text with a header. Default none.
    pub items: Option<PathBuf>,
    /// The format of all parts. Default `auto`.
    pub format: Format,
    /// Rows with a lower rating are dropped before anything else; files without ratings are left alone. In the uniform part lower ratings become the
    /// label -1 instead. Any finite number. Default none, and 4 for the uniform part.
    pub min_rating: Option<f32>,
    /// The column of users: a name in the header, or a number from 1 for `pairs`. Default: the first with a usual name.
    pub user_column: Option<String>,
    /// The column of items. Default as for users.
    pub item_column: Option<String>,
    /// The column of ratings. Default as for users; a file may have none.
    pub rating_column: Option<String>,
    /// The column of times. Default as for users; a file may have none.
    pub time_column: Option<String>,
    /// The column of titles in `items`. Default: the first with a usual name.
    pub title_column: Option<String>,
    /// Users with fewer rows are dropped, together with `min_item_interactions`, until nothing changes. Only for `path`. Default 0.
    pub min_user_interactions: u32,
    /// Items with fewer rows are dropped likewise. Only for `path`. Default 0.
    pub min_item_interactions: u32,
    /// What to do with a pair that stands in a part more than once. Default `keep_first`, for `sessions` `keep_all`.
    pub duplicates: Option<Duplicates>,
    /// How `path` is split. Default `ratio`.
    pub split: Rule,
    /// Shares of training, validation and test for `ratio`, 0 or more each, training above 0; they need not sum to 1. Default `[0.8, 0.1, 0.1]`.
    pub ratios: [f64; 3],
    /// What `ratio` divides. Default `user`.
    pub group_by: GroupBy,
    /// Which rows go first. Default `random` for `ratio`, `time` for `leave_one_out`; a split by `time` knows no other.
    pub order: Option<Order>,
    /// Which parts `leave_one_out` makes. Default `valid_and_test`.
    pub hold_out: HoldOut,
    /// Share of each user's training rows that becomes the validation part when there is none, from 0 to below 1; at least one row of each user
    /// stays. Default 0.1. 0 means no validation part: what a split of `path` would make of one is training.
    pub valid_fraction: f64,
    /// Which rows these are. Default `random`, for `sessions` `last`.
    pub valid_rows: Option<ValidRows>,
    /// Models learn from the training rows of so many days before the newest one alone, above 0; times are seconds. Older rows stay known: they are
    /// history, and masked. Default: from all.
    pub recent_days: Option<f64>,
    /// Models learn from this share of the training rows alone, the newest ones, above 0 to 1. Rows as old as the oldest of them stay too. Default: from
    /// all.
    pub recent_fraction: Option<f64>,
    /// Days in which the weight of a training pair halves, above 0; times are seconds. Default: all pairs count alike.
    pub half_life_days: Option<f64>,
    /// The built-in demo world, used when there is neither `path` nor `train`.
    pub demo: world::Config,
}

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

/// How a file is split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Shares of each user's rows, or of all rows.
    #[default]
    Ratio,
    /// The last row of each user is test, the last but one validation.
    LeaveOneOut,
    /// Two points in time for everybody: what comes before the first is training, what comes after the second test. They are where `ratios` of all
    /// rows would lie; rows of the same time are never divided.
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

impl Default for Config {
    fn default() -> Self {
        Config {
            path: None,
            train: None,
            valid: None,
            test: None,
            uniform: None,
            candidates: None,
            uniform_ratios: [0.05, 0.05, 0.9],
            uniform_rating_column: None,
            feedback: Feedback::Implicit,
            items: None,
            format: Format::AUTO,
            min_rating: None,
            user_column: None,
            item_column: None,
            rating_column: None,
            time_column: None,
            title_column: None,
            min_user_interactions: 0,
            min_item_interactions: 0,
            duplicates: None,
            split: Rule::Ratio,
            ratios: [0.8, 0.1, 0.1],
            group_by: GroupBy::User,
            order: None,
            hold_out: HoldOut::ValidAndTest,
            valid_fraction: 0.1,
            valid_rows: None,
            recent_days: None,
            recent_fraction: None,
            half_life_days: None,
            demo: world::Config::default(),
        }
    }
}

impl Config {
    /// Refuses values outside their ranges and files that contradict each other.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range, [`RecError::Usage`] for a contradiction.
    pub fn validate(&self) -> Result<()> {
        if let Some(rating) = self.min_rating
            && !rating.is_finite()
        {
            return Err(RecError::range("data.min_rating", rating, "a finite number"));
        }
        let [train, ..] = self.ratios;
        if !self.ratios.iter().all(|ratio| (0.0..=1e9).contains(ratio)) || train <= 0.0 {
            let found = format!("{:?}", self.ratios);
            return Err(RecError::range("data.ratios", found, "three numbers from 0 to 1e9, the first above 0"));
        }
        let [teaching, ..] = self.uniform_ratios;
        if !self.uniform_ratios.iter().all(|ratio| (0.0..=1e9).contains(ratio)) || teaching <= 0.0 {
            let found = format!("{:?}", self.uniform_ratios);
            let expected = "three numbers from 0 to 1e9, the first above 0";
            return Err(RecError::range("data.uniform_ratios", found, expected));
        }
        if !(0.0..1.0).contains(&self.valid_fraction) {
            return Err(RecError::range("data.valid_fraction", self.valid_fraction, "a number from 0 to below 1"));
        }
        self.check_recency()?;
        self.demo.validate("data.demo")?;
        self.check_files()
    }

    fn check_recency(&self) -> Result<()> {
        for (key, days) in [("recent_days", self.recent_days), ("half_life_days", self.half_life_days)] {
            if let Some(days) = days.filter(|days| !(*days > 0.0 && days.is_finite())) {
                return Err(RecError::range(format!("data.{key}"), days, "a number above 0"));
            }
        }
        if let Some(fraction) = self.recent_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction <= 1.0)) {
            return Err(RecError::range("data.recent_fraction", fraction, "a number above 0, up to 1"));
        }
        if self.recent_days.is_some() && self.recent_fraction.is_some() {
            return Err(RecError::Usage {
                problem: "data.recent_days and data.recent_fraction both say which rows are recent".into(),
                todo: "give one of the two".into(),
            });
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        let refuse = |problem: &str, todo: &str| Err(RecError::Usage { problem: problem.into(), todo: todo.into() });
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
        self.duplicates.unwrap_or(if format.is_of_sessions() { Duplicates::KeepAll } else { Duplicates::KeepFirst })
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(config: Config) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_default_is_the_demo_world_and_in_range() {
        assert!(Config::default().validate().is_ok());
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn every_key_survives_a_run_file_and_an_unknown_one_is_refused() {
        let config: Config = toml::from_str(
            "path = \"a.csv\"\nformat = \"csv\"\nsplit = \"leave_one_out\"\nhold_out = \"test_only\"\norder = \"random\"\nduplicates = \"refuse\"",
        )
        .unwrap();
        assert_eq!((config.split, config.hold_out), (Rule::LeaveOneOut, HoldOut::TestOnly));
        assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
        assert!(toml::from_str::<Config>("pth = \"a.csv\"").is_err());
    }

    #[test]
    fn values_outside_their_range_are_refused_by_name() {
        assert!(
            message(Config { valid_fraction: 1.0, ..Config::default() }).starts_with("data.valid_fraction: found 1")
        );
        assert!(message(Config { valid_fraction: f64::NAN, ..Config::default() }).starts_with("data.valid_fraction"));
        assert!(message(Config { ratios: [0.0, 0.5, 0.5], ..Config::default() }).starts_with("data.ratios"));
        assert!(message(Config { min_rating: Some(f32::NAN), ..Config::default() }).starts_with("data.min_rating"));
        assert!(message(Config { recent_days: Some(0.0), ..Config::default() }).starts_with("data.recent_days"));
        assert!(
            message(Config { recent_fraction: Some(1.5), ..Config::default() }).starts_with("data.recent_fraction")
        );
        assert!(
            message(Config { half_life_days: Some(f64::NAN), ..Config::default() }).starts_with("data.half_life_days")
        );
    }

    #[test]
    fn files_that_contradict_each_other_are_a_usage_error() {
        let file = || Some(PathBuf::from("f"));
        for config in [
            Config { path: file(), train: file(), ..Config::default() },
            Config { path: file(), test: file(), ..Config::default() },
            Config { test: file(), ..Config::default() },
            Config { uniform: file(), ..Config::default() },
            Config { train: file(), min_user_interactions: 5, ..Config::default() },
            Config { candidates: file(), ..Config::default() },
            Config { user_column: Some("a".into()), item_column: Some("a".into()), ..Config::default() },
            Config { split: Rule::Time, order: Some(Order::Random), ..Config::default() },
            Config { recent_days: Some(7.0), recent_fraction: Some(0.5), ..Config::default() },
        ] {
            assert_eq!(config.validate().unwrap_err().exit_code(), 2, "{config:?}");
        }
    }
}
