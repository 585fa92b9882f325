//! Evaluation, the same for every model: ranks all items for each user, masks what the user has
//! already met, and compares the top of the list with the held-out items. Of models only
//! [`crate::models::Scorer`] is known.

pub(crate) mod breakdown;
mod evaluator;
mod held_out;
mod insight;
pub(crate) mod labeled;
pub(crate) mod metrics;
mod protocol;
pub(crate) mod standard_error;
pub(crate) mod trec;
mod values;

pub(crate) use breakdown::{Breakdown, ItemGroup, Judgement};
pub use evaluator::Evaluator;
pub use held_out::HeldOut;
pub(crate) use insight::{Example, Insight, Listed};
pub(crate) use labeled::labeled_by_user;
pub use labeled::{LabeledProtocol, LabeledRows, evaluate_labeled};
pub use metrics::{ItemCounts, MetricAt};
pub use protocol::{Candidates, Config, Protocol, SelectedOn};
pub use values::Metrics;
