//! A recommender that can be replaced while requests run.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Recommender;
use crate::error::{RecError, Result};

/// The recommender of a service that goes on while models come and go: threads share one, each
/// request takes the model of its moment, and a damaged model never replaces a good one.
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
/// # let prepared = Run::prepare(&sources, Destination::new(&folder))?;
/// # prepared.train(&mut Silent, &Stop::default())?;
/// let live = gcnrec::Live::open(&folder)?;
/// // A request keeps the model that it began with, for all its questions.
/// let model = live.get();
/// let ranking = model.request().user("user-0001").top()?;
/// // The run has been trained again: from here on its new model answers.
/// live.reload()?;
/// // What cannot be opened is refused, and the model that was there goes on.
/// assert!(live.switch("no/such/run").is_err());
/// assert_eq!(live.get().request().user("user-0001").top()?, ranking);
/// # Ok(())
/// # }
/// ```
pub struct Live {
    /// Locked for as long as it takes to copy a pointer.
    current: RwLock<Arc<Recommender>>,
    /// Where it comes from. Locked while a model is opened, so that of two calls at once the one
    /// that began later stays.
    folder: Mutex<PathBuf>,
}

impl Live {
    /// Opens a run folder or a checkpoint folder.
    ///
    /// # Errors
    /// Those of [`Recommender::open`].
    pub fn open(run: impl AsRef<Path>) -> Result<Live> {
        let current = RwLock::new(Arc::new(Recommender::open(&run)?));
        Ok(Live { current, folder: Mutex::new(run.as_ref().to_path_buf()) })
    }

    /// The model of this moment. It stays whole for as long as it is held, whatever replaces it.
    pub fn get(&self) -> Arc<Recommender> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the folder again; requests go on meanwhile.
    ///
    /// # Errors
    /// Those of [`Live::switch`].
    pub fn reload(&self) -> Result<()> {
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(&folder)
    }

    /// Opens another folder, which [`Live::reload`] opens from then on; requests go on meanwhile.
    ///
    /// # Errors
    /// Those of [`Recommender::open`], and [`RecError::Checkpoint`] where an older checkpoint would
    /// have to stand in for a damaged one. The model that was there goes on in either case, and so
    /// does its folder.
    pub fn switch(&self, run: impl AsRef<Path>) -> Result<()> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(run.as_ref())?;
        *folder = run.as_ref().to_path_buf();
        Ok(())
    }

    fn replace(&self, folder: &Path) -> Result<()> {
        let opened = Recommender::open(folder)?;
        if let Some(recovered) = opened.recovered_from() {
            let problem = format!("only an older model could be opened: {recovered}");
            return Err(RecError::checkpoint(folder, problem, "the model that was open goes on; train again"));
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::new(opened));
        // Where nobody holds it any more, freeing a large model takes longer than a request may
        // wait.
        drop(current);
        drop(before);
        Ok(())
    }
}
