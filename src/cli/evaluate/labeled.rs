//! Labelled rows: the uniform part, or rows of a part with their ratings.

use gcnrec::internals::eval::{LabeledProtocol, evaluate_labeled};
use gcnrec::{Config, LabeledRows, Part, Scorer, Split};
use gcnrec::{RecError, Result};

use super::{Args, JudgedPart, show, warn_of_undefined};

/// A rating of at least this is positive where `data.min_rating` says nothing.
const THRESHOLD: f32 = 4.0;

/// Judges the labelled rows of a part.
///
/// # Errors
/// [`RecError::Missing`] when the part has no rows or no ratings; those of the metrics.
pub(super) fn judge(args: &Args, config: &Config, split: &Split, scorer: &dyn Scorer) -> Result<()> {
    let names = args.metrics.clone().unwrap_or_else(|| vec!["auc".into(), "logloss".into()]);
    let protocol = LabeledProtocol::parse(&names)?;
    let seen = [Part::Train, Part::Valid];
    let (log, seen) = match args.part {
        JudgedPart::Test => (&split.test, &seen[..]),
        JudgedPart::Valid => (&split.valid, &seen[..1]),
        JudgedPart::Uniform => (&split.uniform, &seen[..]),
    };
    if log.is_empty() || log.ratings.is_empty() {
        return Err(RecError::missing(
            "labelled row",
            format!("in the {} part", args.part.name()),
            "give data with ratings, or rows of uniform exposure (--uniform) and --part uniform",
        ));
    }
    let mut rows = LabeledRows::new(&log.users, &log.items, &log.ratings, split.histories(seen), split.n_items())?;
    let mut what = String::new();
    let classes = |label: &f32| [1.0, 0.0, -1.0].contains(label);
    if !protocol.takes_ratings() && !rows.labels().iter().all(classes) {
        let threshold = config.data.min_rating.unwrap_or(THRESHOLD);
        rows = rows.with_threshold(threshold);
        what = format!(", ratings of {threshold} or more are positive");
    }
    let order = match protocol {
        LabeledProtocol::Values(_) => "every row alike",
        LabeledProtocol::Ranking(_) => "each user's rows ranked",
    };
    let metrics = evaluate_labeled(scorer, &rows, &protocol)?;
    warn_of_undefined(args.part, &protocol.undefined(rows.labels()));
    let names: Vec<String> = metrics.iter().map(|(name, _)| name.to_string()).collect();
    show(args, &format!("{} labelled rows, {order}{what}", rows.len()), &names, &metrics)
}
