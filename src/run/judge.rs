//! A trained model judged again on its data: what `gcnrec evaluate` prints.

use super::loaded::Loaded;
use crate::data::Part;
use crate::error::{RecError, Result};
use crate::eval::{LabeledProtocol, LabeledRows, Metrics, evaluate_labeled};
use crate::models::Scorer;
use crate::train::{Evaluation, Job};

/// A rating of at least this is positive where `data.min_rating` says nothing.
const THRESHOLD: f32 = 4.0;
/// What labelled rows are judged by where nobody asked.
const METRICS_OF_ROWS: [&str; 2] = ["auc", "logloss"];

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JudgedPart {
    /// What is scored once, at the end.
    Test,
    /// What picked the epoch.
    Valid,
    /// Rows collected under uniform exposure, which have labels.
    Uniform,
}

impl JudgedPart {
    /// As the command line and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            JudgedPart::Test => "test",
            JudgedPart::Valid => "valid",
            JudgedPart::Uniform => "uniform",
        }
    }

    /// What users had met before the part.
    fn seen(self) -> &'static [Part] {
        match self {
            JudgedPart::Valid => &[Part::Train],
            JudgedPart::Test | JudgedPart::Uniform => &[Part::Train, Part::Valid],
        }
    }
}

/// The numbers of a trained model on a part.
///
/// ```
/// # use gcnrec::{Destination, JudgedPart, Recommender, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// # Run::prepare(&sources, Destination::new(&folder))?.train(&mut Silent, &Stop::default())?;
/// let recommender = Recommender::open(&folder)?;
/// let loaded = Run::reopen(&folder, &[], vec![])?.on_cpu().load()?;
/// loaded.check_trained(&recommender, &folder)?;
/// let judged = loaded.judge(JudgedPart::Test, recommender.scorer())?;
/// println!("{}: NDCG@20 {:.4}", judged.protocol, judged.metrics.get("ndcg@20").unwrap_or(f64::NAN));
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
pub struct Judged {
    /// How they came about, in words.
    pub protocol: String,
    /// The metrics that were asked for, in their order; [`Judged::metrics`] lacks the undefined ones.
    pub names: Vec<String>,
    /// Means over users, or values over all rows.
    pub metrics: Metrics,
    /// Metrics that have no value on this part, each with the reason.
    pub undefined: Vec<(String, String)>,
    /// What was judged, and the evaluation that did it, where items were ranked.
    pub ranked: Option<(Job, Evaluation)>,
}

impl Loaded {
    /// Judges a model as the run's own settings say.
    ///
    /// # Errors
    /// [`RecError::Usage`] for rows of uniform exposure, which have labels and no held-out items;
    /// [`RecError::Missing`] when the part has no rows; those of the evaluation.
    pub fn judge(&self, part: JudgedPart, scorer: &dyn Scorer) -> Result<Judged> {
        let rows = match part {
            JudgedPart::Test => Part::Test,
            JudgedPart::Valid => Part::Valid,
            JudgedPart::Uniform => {
                return Err(RecError::usage(
                    "--part uniform has labelled rows and no held-out items to rank",
                    "add --candidates labeled",
                ));
            }
        };
        let (job, name) = (self.job()?, part.name());
        let evaluation = job
            .evaluator(rows, part.seen())?
            .ok_or_else(|| RecError::missing("part", name, format!("the data of this run have no {name} pairs")))?;
        let metrics = evaluation.evaluate(scorer)?;
        let selected = !job.model.is_closed_form() && !job.split.valid.is_empty();
        let protocol = job.protocol(rows, selected, evaluation.n_eval_users()).to_string();
        let names = match job.split.labelled {
            // Labelled rows are also judged by what no list has.
            true => metrics.iter().map(|(name, _)| name.to_string()).collect(),
            false => job.eval.metrics_at()?.iter().map(ToString::to_string).collect(),
        };
        let undefined = evaluation.undefined();
        Ok(Judged { protocol, names, metrics, undefined, ranked: Some((job, evaluation)) })
    }

    /// Judges a model on the labelled or rated rows of a part, by the metrics of rows, or by those of
    /// lists over each user's own rows; none takes AUC and log loss.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for metrics that do not go together; [`RecError::Missing`] when the part
    /// has no rows or no ratings; those of the metrics.
    pub fn judge_rows(&self, part: JudgedPart, metrics: Option<&[String]>, scorer: &dyn Scorer) -> Result<Judged> {
        let names = metrics.map_or_else(|| METRICS_OF_ROWS.map(String::from).to_vec(), <[String]>::to_vec);
        let by = LabeledProtocol::parse(&names)?;
        let split = self.split();
        let log = match part {
            JudgedPart::Test => &split.test,
            JudgedPart::Valid => &split.valid,
            JudgedPart::Uniform => &split.uniform,
        };
        if log.is_empty() || log.ratings.is_empty() {
            return Err(RecError::missing(
                "labelled row",
                format!("in the {} part", part.name()),
                "give data with ratings, or rows of uniform exposure (--uniform) and --part uniform",
            ));
        }
        let histories = split.histories(part.seen());
        let mut rows = LabeledRows::new(&log.users, &log.items, &log.ratings, histories, split.n_items())?;
        let mut positive = String::new();
        let is_class = |label: &f32| [1.0, 0.0, -1.0].contains(label);
        if !by.takes_ratings() && !rows.labels().iter().all(is_class) {
            let threshold = self.config().data.min_rating.unwrap_or(THRESHOLD);
            rows = rows.with_threshold(threshold);
            positive = format!(", ratings of {threshold} or more are positive");
        }
        let order = match by {
            LabeledProtocol::Values(_) => "every row alike",
            LabeledProtocol::Ranking(_) => "each user's rows ranked",
        };
        let metrics = evaluate_labeled(scorer, &rows, &by)?;
        Ok(Judged {
            protocol: format!("{} labelled rows, {order}{positive}", rows.len()),
            names: metrics.iter().map(|(name, _)| name.to_string()).collect(),
            undefined: by.undefined(rows.labels()),
            metrics,
            ranked: None,
        })
    }

    /// Why the numbers of a part flatter a model that [`Loaded::judge`] judges.
    pub fn warning_of(&self, part: JudgedPart) -> Option<&'static str> {
        let (config, split) = (self.config(), self.split());
        let learnt = config.train.refit || config.model.is_closed_form();
        (part == JudgedPart::Valid && learnt && !split.labelled && !split.valid.is_empty())
            .then_some("this model has learnt from the validation pairs, so these numbers are too good")
    }
}
