//! From a method and the data to what a learner needs: its pairs with labels, its weights, its further term, and what teaches them.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, Seed, UserId};
use gcnrec_kernels::Buffer;

use super::autodebias::{Features, ObservedWeights};
use super::cause::{Cause, RowLoss};
use super::config::{Autodebias, Config};
use super::distill;
use super::doubly_robust::{DoublyRobust, Imputed};
use super::fixed::FixedWeights;
use super::imputation::Imputation;
use super::meta_weight_net::MetaWeightNet;
use super::propensity::{self, Propensity};
use super::reweight::Reweight;
use crate::data::{Log, Split};
use crate::error::{Place, RecError, Result};
use crate::models::graph::{Learning, Uniform};
use crate::objectives::{self, AuxiliaryTerm, Judge, Nodes, Reduction};
use crate::samplers::Batch;

/// The weight of the imputation term where nothing is said: that of coat (SPEC C.2).
const DEFAULT_IMPUTATION: f64 = 0.05;

/// Rows of the uniform log that judge a look-ahead where nothing is said and it has more.
const DEFAULT_JUDGES: usize = 4096;

/// What a learner is to be trained on.
pub struct Training<'a> {
    /// The data.
    pub split: &'a Split,
    /// The pairs that it would be trained on without a method.
    pub pairs: Arc<Interactions>,
    /// The loss.
    pub objective: &'a objectives::Config,
    /// How losses become one.
    pub reduction: Reduction,
    /// Width of the embeddings, with bias columns.
    pub dim: usize,
    /// True when the last two columns are biases.
    pub biases: bool,
    /// The seed of the run.
    pub seed: Seed,
}

/// What a method makes of it.
pub struct Prepared {
    /// The pairs to train on.
    pub pairs: Arc<Interactions>,
    /// Weights, further term, labels and teacher.
    pub learning: Learning,
}

/// Prepares the training of a learner under a method.
///
/// # Errors
/// [`RecError::Missing`] where a method needs a uniform log and there is none, [`RecError::Input`] for one that has a single class,
/// [`RecError::Config`] where the loss cannot use labels that are there.
pub fn prepare(config: &Config, training: &Training<'_>) -> Result<Prepared> {
    let (split, reduction) = (training.split, training.reduction);
    let ranks = !is_of_labels(training.objective);
    if split.explicit && ranks && !matches!(config, Config::Uniform(_)) {
        return Err(RecError::Config {
            key: "objective".into(),
            origin: String::new(),
            found: format!("the loss {}, which takes every training row for a liked one", training.objective.name()),
            expected: "a loss of labels, because data.feedback is explicit".into(),
            todo: "use --loss mse or --loss logistic, or set data.feedback = \"implicit\"".into(),
        });
    }
    check_loss(config, training)?;
    let for_method = || format!("for the debiasing method {}", config.name());
    let uniform = if config.is_none() { Log::default() } else { uniform_rows(for_method, split)? };
    let (pairs, from_uniform) = match config {
        Config::Uniform(_) => (with_rows(training, &uniform, false, ranks)?, true),
        Config::Combine(_) => (with_rows(training, &uniform, true, ranks)?, true),
        _ => (training.pairs.clone(), false),
    };
    let mixed = from_uniform.then_some(&uniform);
    let labels = labels_of(split, &pairs, mixed);
    let graph = labels.as_ref().map(|labels| Arc::new(pairs.filtered(|edge| labels[edge] > 0.0)));
    let labels = labels.filter(|_| !ranks).map(Arc::new);
    let mut learning =
        Learning { weights: reduction.plain(), reduction, labels: labels.clone(), graph, ..Learning::default() };
    let all_liked = || vec![1.0; pairs.n_edges()];
    let nodes = Nodes { n_users: split.n_users(), n_items: split.n_items() };
    let seed = training.seed;
    let inverse = |kind: Propensity, clip: f64, alpha: f64| -> Vec<f32> {
        let known = labels.as_ref().map_or_else(all_liked, |labels| labels.to_vec());
        let propensities = match kind {
            Propensity::NaiveBayes => propensity::naive_bayes(&pairs, &known, &uniform.ratings),
            Propensity::Popularity => propensity::popularity(&pairs, alpha),
        };
        propensities.into_iter().map(|p| (1.0 / p.max(clip)) as f32).collect()
    };
    match config {
        Config::None(_) => {
            if let Some(weights) = split.recency_weights(&pairs) {
                learning.weights = Box::new(FixedWeights { weights, self_normalised: false, reduction });
            }
        }
        Config::Uniform(_) => {}
        Config::Combine(c) => {
            let mut weights = all_liked();
            each_edge(&pairs, &uniform, |edge, _| weights[edge] = c.weight);
            learning.weights = Box::new(FixedWeights { weights, self_normalised: false, reduction });
        }
        Config::Ips(c) | Config::Snips(c) => {
            let weights = inverse(c.propensity, c.clip, c.alpha);
            let self_normalised = matches!(config, Config::Snips(_));
            learning.weights = Box::new(FixedWeights { weights, self_normalised, reduction });
        }
        Config::Autodebias(c) => autodebias(c, training, &pairs, labels, &uniform, &mut learning)?,
        Config::Reweight(c) => {
            learning.weights = Box::new(Reweight { reduction, weights: Buffer::default() });
            let judge = c.uniform_loss.unwrap_or_else(|| judge_of(training.objective));
            learning.uniform =
                Some(Uniform { every: 1, look_ahead: false, ..all_of(judge, judged(judge, &uniform)?, seed) });
        }
        Config::MetaWeightNet(c) => {
            learning.weights = Box::new(MetaWeightNet::new(c, reduction, seed));
            let judge = c.uniform_loss.unwrap_or_else(|| judge_of(training.objective));
            let batch = judged(judge, &uniform)?;
            learning.uniform = Some(Uniform { every: c.every, ..all_of(judge, batch, seed) });
        }
        Config::Dr(c) | Config::DrJl(c) => {
            let imputed = if matches!(config, Config::Dr(_)) { Imputed::Labels } else { Imputed::Errors };
            let weights = inverse(c.propensity, c.clip, c.alpha);
            let known = (Arc::new(weights.clone()), labels);
            let term = DoublyRobust::new(c, imputed, nodes, training.dim, known, reduction, seed);
            learning.auxiliary = Some(Box::new(term));
            learning.weights = Box::new(FixedWeights { weights, self_normalised: false, reduction });
        }
        Config::Cause(c) => {
            let squared = matches!(training.objective, objectives::Config::Mse(_));
            let loss = if squared { RowLoss::Squared } else { RowLoss::Logistic };
            let columns = (training.dim, training.biases);
            learning.auxiliary = Some(Box::new(Cause::new(c, nodes, columns, loss, &uniform, reduction, seed)));
        }
        Config::KdLabel(c) => {
            let known = labels.as_ref().map_or_else(all_liked, |labels| labels.to_vec());
            learning.labels = Some(Arc::new(distill::labels(c, &pairs, &known, &uniform, seed)));
        }
    }
    Ok(Prepared { pairs, learning })
}

fn autodebias(
    config: &Autodebias,
    training: &Training<'_>,
    pairs: &Interactions,
    labels: Option<Arc<Vec<f32>>>,
    uniform: &Log,
    learning: &mut Learning,
) -> Result<()> {
    let (split, reduction, seed) = (training.split, training.reduction, training.seed);
    let nodes = Nodes { n_users: split.n_users(), n_items: split.n_items() };
    let positions = if config.positions { Some(Arc::new(positions_of(split, pairs)?)) } else { None };
    let features = Features { labels: labels.clone(), positions };
    let weights = ObservedWeights::new(config, nodes.n_users, nodes.n_items, features, reduction, seed);
    learning.weights = Box::new(weights);
    let of_labels = is_of_labels(training.objective);
    let strength = config.imputation.unwrap_or(if of_labels { DEFAULT_IMPUTATION } else { 0.0 });
    if strength > 0.0 && !of_labels {
        let expected = format!("0: the loss {} gives scores that are no labels", training.objective.name());
        return Err(RecError::range("debias.autodebias.imputation", strength, expected));
    }
    if strength > 0.0 {
        let term = Imputation::new(config, nodes, training.dim, labels, reduction, strength, seed);
        learning.auxiliary = Some(Box::new(term) as Box<dyn AuxiliaryTerm>);
    }
    let judge = config.uniform_loss.unwrap_or_else(|| judge_of(training.objective));
    let batch = judged(judge, uniform)?;
    let n_judges = batch.positives.len();
    if let Some(wanted) = config.judge_rows.filter(|&wanted| wanted > n_judges) {
        let what = if judge == Judge::Bpr { "pairs of a liked and a disliked row" } else { "rows" };
        let expected = format!("a number from 1 to {n_judges}, the {what} of the uniform log");
        return Err(RecError::range("debias.autodebias.judge_rows", wanted, expected));
    }
    let sample = Some(config.judge_rows.unwrap_or(DEFAULT_JUDGES));
    let (every, look_ahead) = (config.every, config.look_ahead);
    learning.uniform = Some(Uniform { every, look_ahead, sample, ..all_of(judge, batch, seed) });
    Ok(())
}

/// A look-ahead in every step that the whole log judges.
fn all_of(loss: Judge, batch: Batch, seed: Seed) -> Uniform {
    Uniform { loss, batch, every: 1, look_ahead: true, sample: None, seed }
}

/// Refuses a method whose loss cannot be that of the objective.
fn check_loss(config: &Config, training: &Training<'_>) -> Result<()> {
    let objective = training.objective;
    let (fits, which) = match config {
        Config::Dr(_) | Config::DrJl(_) | Config::KdLabel(_) => {
            (matches!(objective, objectives::Config::Mse(_)), "the loss mse")
        }
        Config::Cause(_) => (is_of_labels(objective), "the losses mse and logistic"),
        _ => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    Err(RecError::Usage {
        problem: format!("the debiasing method {} does not fit the loss {}", config.name(), objective.name()),
        todo: format!("it fits {which}"),
    })
}

/// The uniform log as a lesson for layer weights (`attention.fit = "uniform"`): its loss, and all of its rows as one batch.
///
/// # Errors
/// As [`prepare`].
pub fn lesson(objective: &objectives::Config, split: &Split) -> Result<(Judge, Batch)> {
    let uniform = uniform_rows(|| "for layer weights that it teaches".to_string(), split)?;
    let judge = judge_of(objective);
    Ok((judge, judged(judge, &uniform)?))
}

fn is_of_labels(objective: &objectives::Config) -> bool {
    matches!(objective, objectives::Config::Mse(_) | objectives::Config::Logistic(_))
}

fn judge_of(objective: &objectives::Config) -> Judge {
    match objective {
        objectives::Config::Mse(_) => Judge::Mse,
        objectives::Config::Logistic(_) => Judge::Logistic,
        _ => Judge::Bpr,
    }
}

/// The uniform log without rows of the validation and the test part: the demo world shows at random what its users may also find later.
fn uniform_rows(needed: impl Fn() -> String, split: &Split) -> Result<Log> {
    let held_out: HashSet<_> = split.valid.pairs().chain(split.test.pairs()).collect();
    let kept: Vec<u32> =
        (0..).zip(split.uniform.pairs()).filter(|(_, pair)| !held_out.contains(pair)).map(|(row, _)| row).collect();
    let uniform = split.uniform.select(&kept);
    if uniform.is_empty() {
        return Err(RecError::Missing {
            what: "log of uniform exposure",
            name: needed(),
            todo: "add --uniform FILE (data.uniform) with ratings of items that were shown at random".into(),
        });
    }
    let n_liked = uniform.ratings.iter().filter(|&&label| label > 0.0).count();
    if n_liked == 0 || n_liked == uniform.len() {
        let label = if n_liked == 0 { "-1" } else { "+1" };
        return Err(RecError::Input {
            place: Place::file(Path::new("uniform part")),
            found: format!("{} rows, all with the label {label}", uniform.len()),
            expected: "rows with both labels".into(),
            todo: "ratings of data.min_rating (--min-rating, default 4) or more are +1, lower ones -1: change it"
                .into(),
        });
    }
    Ok(uniform)
}

/// The uniform rows as training pairs, alone or beside the training pairs. A loss of rankings takes the liked ones.
fn with_rows(training: &Training<'_>, uniform: &Log, beside: bool, liked_only: bool) -> Result<Arc<Interactions>> {
    let (n_users, n_items) = (training.split.n_users(), training.split.n_items());
    let rows = uniform.pairs().zip(&uniform.ratings).filter(|(_, label)| !liked_only || **label > 0.0);
    let biased = beside.then(|| training.pairs.pairs()).into_iter().flatten();
    let pairs: Vec<(UserId, ItemId)> = biased.chain(rows.map(|(pair, _)| pair)).collect();
    Ok(Arc::new(Interactions::from_pairs(n_users, n_items, pairs)?))
}

/// Calls `each` with the edge and the row of every row that is an edge.
fn each_edge(pairs: &Interactions, log: &Log, mut each: impl FnMut(usize, usize)) {
    for (row, (user, item)) in log.pairs().enumerate() {
        if let Some(edge) = pairs.edge(user, item) {
            each(edge, row);
        }
    }
}

/// The labels of the pairs: those of the training rows where feedback is explicit, those of the uniform rows where they are mixed in, otherwise +1.
/// None where all are +1 by nature.
fn labels_of(split: &Split, pairs: &Interactions, uniform: Option<&Log>) -> Option<Vec<f32>> {
    if !split.explicit && uniform.is_none() {
        return None;
    }
    let mut labels = vec![1.0; pairs.n_edges()];
    if split.explicit {
        let held_out = if split.labelled { None } else { Some(&split.valid) };
        for log in [Some(&split.train), held_out].into_iter().flatten().filter(|log| !log.ratings.is_empty()) {
            each_edge(pairs, log, |edge, row| labels[edge] = log.ratings[row]);
        }
    }
    if let Some(uniform) = uniform {
        each_edge(pairs, uniform, |edge, row| labels[edge] = uniform.ratings[row]);
    }
    Some(labels)
}

/// The position of every training pair in the list that was shown: its time column.
fn positions_of(split: &Split, pairs: &Interactions) -> Result<Vec<u32>> {
    const MOST: i64 = 10_000;
    let refuse = |found: String| RecError::Config {
        key: "debias.autodebias.positions".into(),
        origin: String::new(),
        found,
        expected: "positions from 0 to 10000 in the time column of the training part".into(),
        todo: "name their column with data.time_column, or remove the key".into(),
    };
    let log = &split.train;
    if log.times.is_empty() {
        return Err(refuse("a training part without a time column".into()));
    }
    if let Some(time) = log.times.iter().find(|time| !(0..=MOST).contains(*time)) {
        return Err(refuse(format!("the time {time}")));
    }
    let mut positions = vec![0; pairs.n_edges()];
    each_edge(pairs, log, |edge, row| positions[edge] = log.times[row] as u32);
    Ok(positions)
}

/// The whole uniform log as one batch of a loss.
fn judged(loss: Judge, uniform: &Log) -> Result<Batch> {
    let mut batch = Batch::default();
    if loss == Judge::Bpr {
        let mut rows: Vec<usize> = (0..uniform.len()).collect();
        rows.sort_by_key(|&row| uniform.users[row]);
        for of_user in rows.chunk_by(|&a, &b| uniform.users[a] == uniform.users[b]) {
            let (liked, disliked): (Vec<usize>, Vec<usize>) =
                of_user.iter().partition(|&&row| uniform.ratings[row] > 0.0);
            for (&l, &d) in liked.iter().flat_map(|l| disliked.iter().map(move |d| (l, d))) {
                batch.users.push(uniform.users[l]);
                batch.positives.push(uniform.items[l]);
                batch.negatives.push(uniform.items[d]);
            }
        }
        if batch.users.is_empty() {
            return Err(RecError::Input {
                place: Place::file(Path::new("uniform part")),
                found: "no user with both labels".into(),
                expected: "users with a liked and a disliked row, for the loss bpr of the uniform log".into(),
                todo: "set uniform_loss = \"logistic\" in the method's table, or give more rows per user".into(),
            });
        }
    } else {
        batch.users.clone_from(&uniform.users);
        batch.positives.clone_from(&uniform.items);
        batch.labels.clone_from(&uniform.ratings);
    }
    Ok(batch)
}
