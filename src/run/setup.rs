//! A run whose settings are known and whose data are not read yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;

use super::destination::Destination;
use super::device;
use super::loaded::Loaded;
use super::prepared::Prepared;
use crate::checkpoint::check_folder;
use crate::config::{Config, Flag, Resolved, Sources, check_files, resolve};
use crate::data::{self, Split};
use crate::error::{RecError, Result};

/// What of the environment counts for a finished run: what cannot change its results.
const WITHOUT_EFFECT: [&str; 3] = ["GCNREC_THREADS", "GCNREC_DEVICE", "GCNREC_DATA"];

/// A run whose settings are known and whose data are not read yet.
///
/// The road goes on: `Run` → [`Loaded`] → [`Prepared`] → [`Finished`](crate::Finished). Every check
/// comes in this order, and nothing is written before the last of them has passed:
///
/// 1. [`Run::resolve`]: the run folder is free or holds a run to go on with; all settings are
///    known, of the right kind and within their ranges.
/// 2. [`Run::load`]: the data files are there; the device is there and can do what the model and
///    the debiasing method ask for; the data can be read. Then every default that depends on the
///    data is filled in: loss, step size, batch size, and what judges labelled rows.
/// 3. [`Loaded::prepare`]: a run to go on with has the same settings; otherwise no setting was
///    written that nothing reads; the job fits together and into memory.
///
/// [`Prepared::train`] then creates the folder and leaves `config.toml`, `metrics.jsonl`, `best/`,
/// `last/`, `weights.csv` (with a debiasing method), `report.html` and `report.json` in it.
///
/// ```
/// use gcnrec::{Destination, Run, Silent, Sources, Stop};
///
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// // Without a data file: the built-in demo world.
/// let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// set.push("model.ease.l2=20".into());
/// let sources = Sources { set, ..Sources::default() };
/// let prepared = Run::prepare(&sources, Destination::new(&folder))?;
/// let finished = prepared.train(&mut Silent, &Stop::default())?;
///
/// assert!(finished.report.metrics["test"]["ndcg@20"] > 0.0);
/// let recommender = finished.recommender()?;
/// assert_eq!(recommender.for_user("user-0001", 3)?.len(), 3);
/// # Ok(())
/// # }
/// ```
///
/// The process is the caller's: the library reads no environment variable, starts no threads and
/// prints nothing. Notes for the user are returned.
#[derive(Debug, Clone)]
pub struct Run {
    pub(super) resolved: Resolved,
    /// True for recorded settings: no default is left open.
    pub(super) settled: bool,
    pub(super) destination: Destination,
    data_folder: Option<PathBuf>,
    device: Option<Device>,
}

impl Run {
    /// The whole way to a run that can be trained: [`Run::resolve`], [`Run::load`],
    /// [`Loaded::prepare`].
    ///
    /// # Errors
    /// Those of the three.
    pub fn prepare(sources: &Sources, into: Destination) -> Result<Prepared> {
        Run::resolve(sources, into)?.load()?.prepare()
    }

    /// Checks the folder and resolves the settings. Where a run in the folder goes on and no run
    /// file is named, its own `config.toml` is the run file.
    ///
    /// # Errors
    /// Those of [`Destination::check`] and of [`resolve`].
    pub fn resolve(sources: &Sources, into: Destination) -> Result<Run> {
        let mut run = Run::read(sources, into)?;
        // A run that goes on, by its own file, keeps the data that it began with.
        if run.destination.begun().is_none() || sources.run_file.is_some() {
            run.resolved.settle_repeats();
        }
        Ok(run)
    }

    fn read(sources: &Sources, into: Destination) -> Result<Run> {
        into.check()?;
        let resolved = match (into.begun(), &sources.run_file) {
            (Some(folder), None) => {
                resolve(&Sources { run_file: Some(folder.join("config.toml")), ..sources.clone() })?
            }
            _ => resolve(sources)?,
        };
        let data_folder = sources.data_folder().map(Path::to_path_buf);
        let mut resolved = resolved;
        if into.begun().is_some() && sources.run_file.is_none() {
            resolved.relocate(data_folder.as_deref());
        }
        Ok(Run { resolved, settled: false, destination: into, data_folder, device: None })
    }

    /// The settings of a finished run. Of the environment only threads, device and the data folder
    /// count; `flags` choose what is judged and where the data are.
    ///
    /// # Errors
    /// [`RecError::Missing`] when there is no such run; settings of another version or that do not
    /// resolve.
    pub fn reopen(folder: &Path, environment: &[(String, String)], flags: Vec<Flag>) -> Result<Run> {
        let file = folder.join("config.toml");
        if !file.is_file() {
            check_folder(folder)?;
            return Err(RecError::missing(
                if folder.is_dir() { "config.toml of a run in" } else { "run folder" },
                folder.display().to_string(),
                "give the folder that gcnrec train wrote, such as runs/lightgcn-1",
            ));
        }
        let counts = |(name, _): &&(String, String)| WITHOUT_EFFECT.contains(&name.as_str());
        let environment = environment.iter().filter(counts).cloned().collect();
        let sources = Sources { run_file: Some(file), environment, flags, ..Sources::default() };
        let mut run = Run { settled: true, ..Run::read(&sources, Destination::default())? };
        run.resolved.relocate(run.data_folder.as_deref());
        Ok(run)
    }

    /// A run of settings that are complete: no default is left that depends on the data.
    pub fn settled(config: Config) -> Run {
        Run {
            resolved: Resolved::of(config),
            settled: true,
            destination: Destination::default(),
            data_folder: None,
            device: None,
        }
    }

    /// Computes on the CPU, whatever device the settings name.
    pub fn on_cpu(self) -> Run {
        Run { device: Some(Device::Cpu), ..self }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.resolved.config
    }

    /// What was written without effect, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.resolved.notes
    }

    /// Refuses settings that no model, loss or split would read.
    ///
    /// # Errors
    /// As [`Resolved::check_unread`].
    pub fn check_unread(&self) -> Result<()> {
        self.resolved.check_unread()
    }

    /// Refuses data files that are not there.
    ///
    /// # Errors
    /// [`RecError::Missing`] for the first one.
    pub fn check_files(&self) -> Result<()> {
        check_files(&self.config().data, self.data_folder.as_deref())
    }

    /// Reads the data and nothing else.
    ///
    /// # Errors
    /// Those of [`Run::check_files`] and [`data::load`].
    pub fn split(&self) -> Result<Arc<Split>> {
        self.check_files()?;
        Ok(Arc::new(data::load(&self.config().data, Seed(self.config().seed))?))
    }

    /// Finds the files, opens the device, reads the data, and fills in what depends on them.
    ///
    /// # Errors
    /// Those of [`Run::check_files`] and [`data::load`];
    /// [`KernelError::Device`](gcnrec_kernels::KernelError::Device) for the device.
    pub fn load(self) -> Result<Loaded> {
        self.check_files()?;
        let (device, note) = self.open_device()?;
        let started = Instant::now();
        let split = self.split()?;
        Ok(Loaded::new(self, split, device, note, started.elapsed().as_secs_f64()))
    }

    /// As [`Run::load`], with data that are in memory.
    ///
    /// # Errors
    /// Those of opening the device.
    pub fn with_split(self, split: Arc<Split>) -> Result<Loaded> {
        let (device, note) = self.open_device()?;
        Ok(Loaded::new(self, split, device, note, 0.0))
    }

    fn open_device(&self) -> Result<(Device, Option<String>)> {
        match &self.device {
            Some(device) => Ok((device.clone(), None)),
            None => device::open(self.config()),
        }
    }
}
