//! `autodebias`: example weights, imputation weights and imputed values, learned through a
//! look-ahead.
//!
//! Source: Chen et al., *AutoDebias: Learning to Debias for Recommendation*, SIGIR 2021, and its
//! code DongHande/AutoDebias. The weights are in [`super::observed_weights`], the imputation term
//! in [`super::imputation`].

use std::sync::Arc;

use gcnrec_graphs::Interactions;

use super::imputation::Imputation;
use super::inputs::each_edge;
use super::observed_weights::{Features, ObservedWeights};
use super::{Method, MethodInputs};
use crate::data::Split;
use crate::error::{RecError, Result};
use crate::models::graph::{Learning, MetaBatch};
use crate::objectives::UniformLoss;
use crate::settings::{Row, between, row, settings};

/// The weight of the imputation term where nothing is said: that of the published runs on Coat.
const DEFAULT_IMPUTATION: f64 = 0.05;

/// Examples of a look-ahead where nothing is said and the uniform log has more.
const DEFAULT_META_BATCH: usize = 4096;

settings! {
    /// `[debias.autodebias]`. Step sizes are those of Adam; decays are added to the gradient as in
    /// `torch.optim.Adam`.
    pub(crate) struct Autodebias {
        /// Weight of the imputation term over all pairs of a batch's users and items.
        imputation: Option<f64> = None, or "0.05 for `mse` and `logistic`, else 0", in between(0.0, 1e6);
        /// Epochs before example weights and imputation weights learn.
        frozen_epochs: u64 = 20;
        /// Steps from one look-ahead to the next.
        every: u64 = 1, in between(1.0, 1e6);
        /// Judge the point after the step; false judges the point before it, for less.
        look_ahead: bool = true;
        /// Rows of the uniform log (for `bpr` pairs of a liked and a disliked one of a user) that
        /// judge a look-ahead, drawn afresh for each.
        judge_rows: Option<usize> = None, or "all up to 4096, and 4096 of more",
            takes "1 to the rows of the uniform log", in between(1.0, 1e9);
        /// Loss of the uniform log.
        uniform_loss: Option<UniformLoss> = None, or "that of the loss; `bpr` for losses of rankings";
        /// The time column is the position in the list that was shown, a feature of the weights.
        positions: bool = false;
        /// Step size of the example weights.
        weight_rate: f64 = 1e-3, in between(0.0, 1e3);
        /// Their decay.
        weight_decay: f64 = 1e-4, in between(0.0, 1e3);
        /// Step size of the imputation weights.
        imputation_rate: f64 = 1e-3, in between(0.0, 1e3);
        /// Their decay.
        imputation_decay: f64 = 1e-3, in between(0.0, 1e3);
        /// Step size of the imputed values.
        value_rate: f64 = 0.1, in between(0.0, 1e3);
        /// Their decay.
        value_decay: f64 = 1e-4, in between(0.0, 1e3);
    }
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, Autodebias, "autodebias", "example weights and imputed values, learned through a look-ahead");

/// What the data give, checked.
struct FromData {
    positions: Option<Arc<Vec<u32>>>,
    /// The weight of the imputation term.
    strength: f64,
    meta_batch: MetaBatch,
}

impl Autodebias {
    fn read_data(&self, inputs: &MethodInputs<'_>) -> Result<FromData> {
        let positions =
            if self.positions { Some(Arc::new(positions_of(inputs.training.split, &inputs.pairs)?)) } else { None };
        let loss = inputs.training.objective;
        let strength = self.imputation.unwrap_or(if loss.is_of_labels() { DEFAULT_IMPUTATION } else { 0.0 });
        if strength > 0.0 && !loss.is_of_labels() {
            let expected = format!("0: the loss {} gives scores that are no labels", loss.name());
            return Err(RecError::range("debias.autodebias.imputation", strength, expected));
        }
        let mut meta_batch = inputs.meta_batch(self.uniform_loss)?;
        let n_examples = meta_batch.batch.positives.len();
        if let Some(wanted) = self.judge_rows.filter(|&wanted| wanted > n_examples) {
            let of_pairs = meta_batch.loss == UniformLoss::Bpr;
            let what = if of_pairs { "pairs of a liked and a disliked row" } else { "rows" };
            let expected = format!("a number from 1 to {n_examples}, the {what} of the uniform log");
            return Err(RecError::range("debias.autodebias.judge_rows", wanted, expected));
        }
        meta_batch.sample = Some(self.judge_rows.unwrap_or(DEFAULT_META_BATCH));
        (meta_batch.every, meta_batch.look_ahead) = (self.every, self.look_ahead);
        Ok(FromData { positions, strength, meta_batch })
    }
}

impl Method for Autodebias {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.autodebias")
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn check(&self, inputs: &MethodInputs<'_>) -> Result<()> {
        self.read_data(inputs).map(drop)
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        let FromData { positions, strength, meta_batch } = self.read_data(inputs)?;
        let (nodes, reduction, seed) = (inputs.nodes(), inputs.reduction(), inputs.seed());
        let labels = inputs.labels.clone();
        let features = Features { labels: labels.clone(), positions };
        learning.weights = Box::new(ObservedWeights::new(self, nodes, features, reduction, seed));
        if strength > 0.0 {
            let dim = inputs.training.dim;
            learning.auxiliary = Some(Box::new(Imputation::new(self, nodes, dim, labels, reduction, strength, seed)));
        }
        learning.meta_batch = Some(meta_batch);
        Ok(())
    }
}

/// The position of every training pair in the list that was shown: its time column.
fn positions_of(split: &Split, pairs: &Interactions) -> Result<Vec<u32>> {
    const MOST: i64 = 10_000;
    let refuse = |found: String| {
        RecError::range(
            "debias.autodebias.positions",
            found,
            "positions from 0 to 10000 in the time column of the training part",
        )
        .with_todo("name their column with data.time_column, or remove the key")
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
