//! A finished run: its report, its numbers and its folder.

use crate::checkpoint::RunFolder;
use crate::error::Result;
use crate::recommend::Recommender;
use crate::report::Report;
use crate::train::{Job, Outcome};

/// A finished run.
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// let finished = Run::prepare(&sources, Destination::new(&folder))?.train(&mut Silent, &Stop::default())?;
/// println!("test NDCG@20: {:.4}", finished.report.metrics["test"]["ndcg@20"]);
/// assert_eq!(finished.recommender()?.for_user("user-0001", 5)?.len(), 5);
/// # Ok(())
/// # }
/// ```
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
