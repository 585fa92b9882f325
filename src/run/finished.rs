//! A finished run: its report, its numbers and its folder.

use crate::checkpoint::RunFolder;
use crate::error::Result;
use crate::recommend::Recommender;
use crate::report::Report;
use crate::train::{Job, Outcome};

/// A finished run.
#[non_exhaustive]
pub struct Finished {
    /// What `report.json` holds.
    pub report: Report,
    /// The final model and its metrics, to the bit.
    pub outcome: Outcome,
    /// The run folder.
    pub folder: RunFolder,
    /// What was trained.
    pub job: Job,
}

impl Finished {
    /// Opens the model that was written, to answer queries by name.
    ///
    /// # Errors
    /// Those of [`Recommender::open`].
    pub fn recommender(&self) -> Result<Recommender> {
        Recommender::open(self.folder.path())
    }
}
