//! Evaluation, the same for every model: ranks all items for each user, masks what the user has
//! already met, and compares the top of the list with the held-out items. Of models only
//! [`crate::models::Scorer`] is known.

pub(crate) mod breakdown;
mod evaluator;
mod held_out;
mod insight;
pub mod labeled;
pub mod metrics;
mod protocol;
pub mod trec;
mod values;

pub use breakdown::{Breakdown, ItemGroup};
pub use evaluator::Evaluator;
pub use held_out::HeldOut;
pub use insight::{Example, Insight, Listed};
pub use labeled::{LabeledProtocol, LabeledRows, evaluate_labeled, labeled_by_user};
pub use metrics::{ItemCounts, MetricAt};
pub use protocol::{Candidates, Config, Protocol, SelectedOn};
pub use values::Metrics;
