//! Evaluation protocol: `[eval]` of a run file, and what a report says of how it was evaluated.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metrics::{METRICS, MetricAt, N_DEFAULT, named};
use crate::error::{RecError, Result};
use crate::settings::{Setting, Takes, above, between, settings};

settings! {
    /// `[eval]`.
    pub struct Config {
        /// Lengths of the lists that are judged.
        k: Vec<usize> = vec![10, 20],
            in between(1.0, Config::MAX_K as f64).said("one or more whole numbers from 1 to 10000"), flag "--k";
        /// Metrics that are reported.
        metrics: Vec<String> = METRICS[..N_DEFAULT].iter().map(|metric| metric.name().to_string()).collect(),
            takes names_of_metrics(), flag "--metrics";
        /// What is ranked: every item, or the held-out items among N draws for each of them
        /// (uniform; by the number of training pairs; or, as RecBole does, by the number of pairs
        /// of all parts, the test part among them), or, in the test part, among those of
        /// `data.candidates`, with which it becomes `given` by itself.
        candidates: Candidates = Candidates::All,
            takes "`all` (or `full`), `uniN`, `popN`, `popN(recbole)`, N from 1 to 100000, `given`",
            flag "--candidates";
        /// The tail of `tailpercentage`: up to 1 a share of the items, least popular first; above 1
        /// a largest number of training users.
        tail_ratio: f64 = 0.1, in above(0.0);
        /// What a user has already met is left out of the list; for `sessions` it becomes false by
        /// itself.
        exclude_seen: bool = true;
    }
}

/// The metrics of ranked lists, as the table of keys shows them.
fn names_of_metrics() -> String {
    METRICS.iter().map(|metric| format!("`{}`", metric.name())).collect::<Vec<_>>().join(", ")
}

impl Config {
    /// The longest list that can be asked for.
    pub const MAX_K: usize = 10_000;

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range, [`RecError::Unknown`] for a
    /// metric that does not exist.
    pub fn validate(&self) -> Result<()> {
        if self.candidates == Candidates::Labeled {
            return Err(RecError::range("eval.candidates", "labeled", "all, uniN, popN or given, which rank lists of items").with_todo("labelled rows are judged after training: gcnrec evaluate RUN --candidates labeled --metrics auc,logloss"));
        }
        self.metrics_at().map(|_| ())
    }

    /// Every metric at every cut-off, metric by metric, cut-offs rising; what is named twice is
    /// reported once.
    ///
    /// # Errors
    /// As [`Config::validate`].
    pub fn metrics_at(&self) -> Result<Vec<MetricAt>> {
        self.check_ranges("eval")?;
        if self.k.is_empty() {
            return Err(RecError::range("eval.k", "an empty list", "one or more whole numbers from 1 to 10000"));
        }
        if self.metrics.is_empty() {
            return Err(RecError::range("eval.metrics", "an empty list", "one or more names of metrics"));
        }
        let mut ks = self.k.clone();
        ks.sort_unstable();
        let mut all: Vec<MetricAt> = Vec::new();
        for name in &self.metrics {
            let metric = named(name)?;
            // A metric of the whole ranking stands there once, without a cut-off.
            let ks = if metric.has_cut_off() { &ks[..] } else { &[0] };
            for at in ks.iter().map(|&k| MetricAt { metric, k }) {
                if !all.contains(&at) {
                    all.push(at);
                }
            }
        }
        Ok(all)
    }
}

/// Which items are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Candidates {
    /// Every item of every part.
    All,
    /// The user's held-out items and so many uniform draws for each of them.
    Uniform(u32),
    /// The same with draws in proportion to the number of training pairs of an item.
    Popularity(u32),
    /// The same with draws in proportion to the number of pairs of an item over all parts, as in
    /// RecBole: the draws of validation know the test part.
    PopularityOfAll(u32),
    /// Those of a file, for the test part; every item for the validation part.
    Given,
    /// No list is ranked, or only the user's own labelled rows are, as the metric of labelled rows asks.
    Labeled,
}

impl Candidates {
    /// The most draws for each held-out pair.
    pub const MAX_DRAWS: u32 = 100_000;
}

impl fmt::Display for Candidates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Candidates::All => f.write_str("all"),
            Candidates::Uniform(n) => write!(f, "uni{n}"),
            Candidates::Popularity(n) => write!(f, "pop{n}"),
            Candidates::PopularityOfAll(n) => write!(f, "pop{n}(recbole)"),
            Candidates::Given => f.write_str("given"),
            Candidates::Labeled => f.write_str("labeled"),
        }
    }
}

impl From<Candidates> for String {
    fn from(candidates: Candidates) -> String {
        candidates.to_string()
    }
}

impl TryFrom<String> for Candidates {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let draws = |digits: &str| digits.parse().ok().filter(|n| (1..=Candidates::MAX_DRAWS).contains(n));
        let sampled = |kind: &str| text.strip_prefix(kind).and_then(draws);
        match text.as_str() {
            "all" | "full" => return Ok(Candidates::All),
            "given" => return Ok(Candidates::Given),
            "labeled" => return Ok(Candidates::Labeled),
            _ => {}
        }
        let of_all = text.strip_suffix("(recbole)").and_then(|text| text.strip_prefix("pop")).and_then(draws);
        let sampled = sampled("uni")
            .map(Candidates::Uniform)
            .or_else(|| sampled("pop").map(Candidates::Popularity))
            .or_else(|| of_all.map(Candidates::PopularityOfAll));
        sampled.ok_or_else(|| format!("invalid value, expected {KINDS_OF_CANDIDATES}"))
    }
}

const KINDS_OF_CANDIDATES: &str =
    "all, uniN, popN or popN(recbole) with N from 1 to 100000 (uni100), given, or labeled";

impl Setting for Candidates {
    const TAKES: Takes =
        Takes::Form { words: KINDS_OF_CANDIDATES, fits: |text| Candidates::try_from(text.to_string()).is_ok() };
}

/// Which part of the data picked the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectedOn {
    /// The validation part.
    Valid,
    /// Nothing: a fixed number of epochs, or a model in closed form.
    None,
    /// A part of the uniformly exposed data.
    Uniform,
}

/// How the numbers of a report came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// Which items were ranked.
    pub candidates: Candidates,
    /// Whether items that the user had already met were left out.
    pub exclude_seen: bool,
    /// Which part picked the epoch.
    pub selected_on: SelectedOn,
    /// Whether the model that is scored on test has learnt from training and validation pairs:
    /// trained again on both, or a closed form.
    pub refit: bool,
    /// Users with at least one held-out item: those the means are over.
    pub n_eval_users: usize,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidates = match self.candidates {
            Candidates::All => "all items ranked".to_string(),
            Candidates::Uniform(n) => format!("ranked among {n} uniform draws for each held-out pair"),
            Candidates::Popularity(n) => {
                format!("ranked among {n} draws by training popularity for each held-out pair")
            }
            Candidates::PopularityOfAll(n) => {
                format!("ranked among {n} draws by popularity in all parts, test too, for each held-out pair")
            }
            Candidates::Given => "ranked among the candidates of a file".to_string(),
            Candidates::Labeled => "labelled rows only".to_string(),
        };
        let seen = if self.exclude_seen { "seen items left out" } else { "seen items may return" };
        let selected = match self.selected_on {
            SelectedOn::Valid => "selected on validation",
            SelectedOn::None => "nothing selected",
            SelectedOn::Uniform => "selected on uniform data",
        };
        let refit = match (self.refit, self.selected_on) {
            (false, _) => "",
            (true, SelectedOn::None) => ", learnt from training and validation pairs",
            (true, _) => ", refitted with the validation pairs",
        };
        write!(f, "{} users, {candidates}, {seen}, {selected}{refit}", self.n_eval_users)
    }
}

#[cfg(test)]
mod tests;
