//! Example weights and further terms of a loss, and how they learn: the interface between graph
//! models and debiasing methods.

use gcnrec_kernels::{Buffer, Device};

use crate::error::Result;
use crate::samplers::Batch;
use crate::settings::name_setting;

/// Named arrays of a method's own parameters and their optimiser's moments, for checkpoints.
pub(crate) type Parameters = Vec<(&'static str, Vec<f32>)>;

/// The examples of a batch, as a method that weighs them sees them.
///
/// The examples of one pair (a positive with its sampled negatives) stand together, in the order of
/// the batch's pairs.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Number of its examples.
    pub n: usize,
    /// The loss of every example, `[n]`, at the point before the step; empty where pairs are
    /// weighed outside of a step.
    pub losses: &'a Buffer<f32>,
}

/// Gives every example of a batch its weight in the loss.
pub trait ExampleWeights: Send {
    /// Fills `weights` with one number per example. They are used as they are: a mean carries its
    /// own `1/n`. No method waits for the device here.
    ///
    /// # Errors
    /// Those of the method that learns the weights.
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()>;

    /// True when a pair has a weight of its own, whatever batch it is in (up to the batch's scale).
    fn weighs_pairs(&self) -> bool {
        true
    }

    /// True when the method wants [`ExampleWeights::learn`] in the steps of this epoch.
    fn learns(&self, epoch: u64) -> bool {
        let _ = epoch;
        false
    }

    /// Moves the method's own parameters: `hypergradient[b]` is the derivative of the uniform log's
    /// loss after the step, with respect to the weight of example `b` in the step. Speaks of the
    /// batch of the last [`ExampleWeights::weigh`]. A method whose parameters are in host memory
    /// waits for it.
    ///
    /// # Errors
    /// Those of the method.
    fn learn(&mut self, device: &Device, batch: &Batch, hypergradient: &Buffer<f32>) -> Result<()> {
        let _ = (device, batch, hypergradient);
        Ok(())
    }

    /// Everything that the next step depends on.
    fn parameters(&self) -> Parameters {
        Parameters::new()
    }

    /// Puts one array of [`ExampleWeights::parameters`] back, in the same order and of the same
    /// length.
    fn restore(&mut self, parameters: Parameters) {
        debug_assert!(parameters.is_empty());
    }
}

/// A term of the loss that is no sum over the batch's examples. It speaks of the rows of the final
/// embeddings that the batch touches.
///
/// # Shapes
/// - `rows`, `rows_dot`, `gradient`: `[n_rows, dim]`, row-major, users first
pub trait AuxiliaryTerm: Send {
    /// Takes a batch and the nodes of its rows (users `0..n_users`, then items), strictly rising.
    ///
    /// # Errors
    /// Those of the term.
    fn prepare(&mut self, device: &Device, batch: &Batch, nodes: &[u32]) -> Result<()>;

    /// True when the term fits something of its own to the model in every step, without a
    /// look-ahead.
    fn fits(&self) -> bool {
        false
    }

    /// Takes a step of that fit, between [`AuxiliaryTerm::prepare`] and
    /// [`AuxiliaryTerm::backward`], on the rows that the latter will be given.
    fn fit(&mut self, device: &Device, rows: &Buffer<f32>) {
        let _ = (device, rows);
    }

    /// The value of the term. On a GPU this waits.
    ///
    /// # Errors
    /// Those of the ops.
    fn forward(&self, device: &Device, rows: &Buffer<f32>) -> Result<f64>;

    /// Adds the term's gradient with respect to every row.
    ///
    /// # Errors
    /// Those of the ops.
    fn backward(&mut self, device: &Device, rows: &Buffer<f32>, gradient: &mut Buffer<f32>) -> Result<()>;

    /// Follows a motion of the rows: keeps the derivative of the term's own motion with respect to
    /// its parameters, which [`AuxiliaryTerm::learn`] takes a step against.
    ///
    /// # Errors
    /// Those of the ops.
    fn tangent(&mut self, device: &Device, rows: &Buffer<f32>, rows_dot: &Buffer<f32>) -> Result<()>;

    /// True when the term wants to learn from the look-ahead in the steps of this epoch.
    fn learns(&self, epoch: u64) -> bool {
        let _ = epoch;
        false
    }

    /// Moves the term's own parameters, after [`AuxiliaryTerm::tangent`] along the motion that the
    /// uniform log asks for.
    fn learn(&mut self, epoch: u64) {
        let _ = epoch;
    }

    /// The values that stand in for the labels of observed -1, unobserved and observed +1 pairs, if
    /// the term imputes labels.
    fn imputed_values(&self) -> Option<[f64; 3]> {
        None
    }

    /// As [`ExampleWeights::parameters`].
    fn parameters(&self) -> Parameters;

    /// As [`ExampleWeights::restore`].
    fn restore(&mut self, parameters: Parameters);
}

/// The mean over the batch: every example weighs `1 / n_examples`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean;

impl ExampleWeights for Mean {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        device.fill(weights, Reduction::Mean.scale(examples.n), examples.n);
        Ok(())
    }
}

/// The sum over the batch: every example weighs 1.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum;

impl ExampleWeights for Sum {
    fn weigh(&mut self, device: &Device, examples: &Examples<'_>, weights: &mut Buffer<f32>) -> Result<()> {
        device.fill(weights, Reduction::Sum.scale(examples.n), examples.n);
        Ok(())
    }
}

/// How the losses of a batch become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their mean; weight decay is divided by the number of examples too.
    #[default]
    Mean,
    /// Their sum; weight decay is not divided either.
    Sum,
}

name_setting!(Reduction, "reduction");

impl Reduction {
    /// What a weight of 1 becomes in a batch of `n` examples.
    pub fn scale(self, n: usize) -> f32 {
        match self {
            Reduction::Mean => 1.0 / n.max(1) as f32,
            Reduction::Sum => 1.0,
        }
    }

    /// Examples that all count alike.
    pub fn plain(self) -> Box<dyn ExampleWeights> {
        match self {
            Reduction::Mean => Box::new(Mean),
            Reduction::Sum => Box::new(Sum),
        }
    }
}
