//! The uniform log: labelled rows of items that were shown at random, as rows and as a batch, with
//! what a method fits on them.

use std::collections::HashSet;
use std::path::Path;

use gcnrec_graphs::Seed;

use super::Config;
use crate::data::{Log, Split};
use crate::error::{Place, RecError, Result};
use crate::objectives::{Nodes, UniformLoss};
use crate::samplers::Batch;

/// The uniform log of a run, and what its method fits on it once for all stages.
#[derive(Debug, Default)]
pub struct UniformLog {
    /// The rows; none without a method.
    pub rows: Log,
    /// See [`Method::fit_to_uniform`](super::Method::fit_to_uniform).
    pub fitted: Vec<f64>,
}

impl UniformLog {
    /// The rows alone.
    ///
    /// # Errors
    /// [`RecError::Missing`] where the method needs rows and there are none, [`RecError::Input`]
    /// where all have the same label.
    pub fn unfitted(config: &Config, split: &Split) -> Result<UniformLog> {
        let needed = || format!("for the debiasing method {}", config.name());
        let rows = if config.is_none() { Log::default() } else { rows(split, needed)? };
        Ok(UniformLog { rows, fitted: Vec::new() })
    }

    /// The rows, with the fit of the method.
    ///
    /// # Errors
    /// As [`UniformLog::unfitted`].
    pub fn fitted(config: &Config, split: &Split, seed: Seed) -> Result<UniformLog> {
        let UniformLog { rows, .. } = UniformLog::unfitted(config, split)?;
        let nodes = Nodes { n_users: split.n_users(), n_items: split.n_items() };
        Ok(UniformLog { fitted: config.fit_to_uniform(&rows, nodes, seed), rows })
    }
}

/// The uniform log without rows of the validation and the test part: the demo world shows at random
/// what its users may also find later. `needed` says what it is for.
///
/// # Errors
/// [`RecError::Missing`] without rows, [`RecError::Input`] where all have the same label.
pub(super) fn rows(split: &Split, needed: impl Fn() -> String) -> Result<Log> {
    let held_out: HashSet<_> = split.valid.pairs().chain(split.test.pairs()).collect();
    let kept: Vec<u32> =
        (0..).zip(split.uniform.pairs()).filter(|(_, pair)| !held_out.contains(pair)).map(|(row, _)| row).collect();
    let uniform = split.uniform.select(&kept);
    if uniform.is_empty() {
        return Err(RecError::missing(
            "log of uniform exposure",
            needed(),
            "add --uniform FILE (data.uniform) with ratings of items that were shown at random",
        ));
    }
    let n_liked = uniform.ratings.iter().filter(|&&label| label > 0.0).count();
    if n_liked == 0 || n_liked == uniform.len() {
        let label = if n_liked == 0 { "-1" } else { "+1" };
        return Err(RecError::input(
            Place::file(Path::new("uniform part")),
            format!("{} rows, all with the label {label}", uniform.len()),
            "rows with both labels",
        )
        .with_todo("ratings of data.min_rating (--min-rating, default 4) or more are +1, lower ones -1: change it"));
    }
    Ok(uniform)
}

/// The whole uniform log as one batch of a loss.
///
/// # Errors
/// [`RecError::Input`] for `bpr` where no user has both labels.
pub(super) fn batch(loss: UniformLoss, uniform: &Log) -> Result<Batch> {
    let mut batch = Batch::default();
    if loss != UniformLoss::Bpr {
        batch.users.clone_from(&uniform.users);
        batch.positives.clone_from(&uniform.items);
        batch.labels.clone_from(&uniform.ratings);
        return Ok(batch);
    }
    let mut rows: Vec<usize> = (0..uniform.len()).collect();
    rows.sort_by_key(|&row| uniform.users[row]);
    for of_user in rows.chunk_by(|&a, &b| uniform.users[a] == uniform.users[b]) {
        let (liked, disliked): (Vec<usize>, Vec<usize>) = of_user.iter().partition(|&&row| uniform.ratings[row] > 0.0);
        for (&l, &d) in liked.iter().flat_map(|l| disliked.iter().map(move |d| (l, d))) {
            batch.users.push(uniform.users[l]);
            batch.positives.push(uniform.items[l]);
            batch.negatives.push(uniform.items[d]);
        }
    }
    if batch.users.is_empty() {
        return Err(RecError::input(
            Place::file(Path::new("uniform part")),
            "no user with both labels",
            "users with a liked and a disliked row, for the loss bpr of the uniform log",
        )
        .with_todo("set uniform_loss = \"logistic\" in the method's table, or give more rows per user"));
    }
    Ok(batch)
}
