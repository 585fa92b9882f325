//! Atomic writing and verified reading of checkpoints: a checkpoint is there whole or not at all,
//! and nothing in it is used before its checksum fits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::contents::{Contents, Ids, RECOVERED_FROM};
use super::disk::{Disk, SystemDisk, parent};
use super::manifest::{FORMAT, FileSum, MANIFEST, MAX_MANIFEST_BYTES, Manifest, VERSION, sha256_hex};
use super::tensors;
use crate::error::{RecError, Result};
use crate::models::state::{State, Tensor};

pub(super) const MODEL: &str = "model.safetensors";
pub(super) const IDS: &str = "ids.json";
pub(super) const SEEN: &str = "seen.safetensors";
pub(super) const CONFIG: &str = "config.toml";
const FILES: [&str; 5] = [MODEL, IDS, SEEN, CONFIG, MANIFEST];

/// Why a folder was not taken as a checkpoint.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such folder.
    Absent,
    /// It is cut or damaged: an older checkpoint may stand in.
    Damaged(RecError),
    /// It is something else, or it cannot be read at all: nothing may stand in.
    Final(RecError),
}

impl Refusal {
    pub(super) fn damaged(path: &Path, problem: String) -> Refusal {
        let todo = "restore the folder from a copy, or train again";
        Refusal::Damaged(RecError::checkpoint(path, problem, todo))
    }

    pub(super) fn foreign(path: &Path) -> Refusal {
        let todo = "name a run folder or one of its folders best and last";
        let problem = format!("this is not the manifest of a gcnrec checkpoint (its format is not \"{FORMAT}\")");
        Refusal::Final(RecError::checkpoint(path, problem, todo))
    }

    pub(super) fn newer(path: &Path, version: u64, sealed: bool) -> Refusal {
        let doubt = if sealed { "" } else { ", and its checksum does not match" };
        let problem =
            format!("format version {version} is newer than {VERSION}, the newest that this program reads{doubt}");
        let todo = format!("use a newer gcnrec than {}", env!("CARGO_PKG_VERSION"));
        Refusal::Final(RecError::checkpoint(path, problem, todo))
    }
}

/// The folder of a checkpoint and its two neighbours.
struct Places {
    folder: PathBuf,
    tmp: PathBuf,
    old: PathBuf,
}

impl Places {
    fn of(folder: &Path) -> Result<Places> {
        let Some(name) = folder.file_name() else {
            return Err(RecError::checkpoint(
                folder,
                "this path has no last name, so nothing can stand beside it",
                "name the folder itself, as in runs/demo-1/best",
            ));
        };
        let beside = |suffix: &str| {
            let mut name = name.to_os_string();
            name.push(suffix);
            folder.with_file_name(name)
        };
        Ok(Places { folder: folder.to_path_buf(), tmp: beside(".tmp"), old: beside(".old") })
    }
}

/// Writes a checkpoint: the folder holds the new one whole, or still the previous one. The same
/// contents give the same bytes.
///
/// The previous checkpoint stays in `FOLDER.old` until the next call. The fact [`RECOVERED_FROM`]
/// is not written: it tells about a reading.
///
/// # Errors
/// [`RecError::Checkpoint`] for contents that contradict themselves and for a folder with other
/// people's files; [`RecError::Io`] when the disk is full or refuses, and then the previous
/// checkpoint can still be loaded.
pub fn save(folder: &Path, contents: &Contents) -> Result<()> {
    save_on(&SystemDisk, folder, contents)
}

/// [`save`] on a given disk.
pub(super) fn save_on(disk: &dyn Disk, folder: &Path, contents: &Contents) -> Result<()> {
    contents.check(folder)?;
    let places = Places::of(folder)?;
    for place in [&places.folder, &places.tmp, &places.old] {
        refuse_strangers(place)?;
    }
    let files = encode(folder, contents)?;
    let written = write_new(disk, &places.tmp, &files).and_then(|()| rotate(disk, &places));
    if written.is_err() {
        // Best effort, to give a full disk its space back; the next save clears the folder anyway.
        let _ = disk.remove_dir(&places.tmp);
    }
    let n_bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    tracing::debug!(path = %folder.display(), n_bytes, is_written = written.is_ok(), "saved a checkpoint");
    written
}

/// True when there is something that [`load`] would try: the folder, or an older one beside it.
pub fn exists(folder: &Path) -> bool {
    Places::of(folder).is_ok_and(|places| places.folder.is_dir() || places.old.is_dir())
}

/// Reads a checkpoint, every byte checked against the manifest. When the folder is absent or
/// damaged, `FOLDER.old` is read instead and the fact [`RECOVERED_FROM`] says so. A folder
/// `FOLDER.tmp` is never read: its write was not finished.
///
/// # Errors
/// [`RecError::Missing`] when there is neither folder; [`RecError::Checkpoint`] naming the file and
/// the reason when what is there is damaged, foreign, or written by a newer version;
/// [`RecError::Io`] when the system refuses to read.
pub fn load(folder: &Path) -> Result<Contents> {
    let places = Places::of(folder)?;
    let damage = match read_folder(&places.folder) {
        Ok(contents) => {
            tracing::info!(path = %folder.display(), model = contents.model, "opened a checkpoint");
            return Ok(contents);
        }
        Err(Refusal::Final(error)) => return Err(error),
        Err(Refusal::Damaged(error)) => Some(error),
        Err(Refusal::Absent) => None,
    };
    let reason = damage.as_ref().map_or_else(|| format!("{} is not there", folder.display()), ToString::to_string);
    match (read_folder(&places.old), damage) {
        (Ok(mut contents), _) => {
            tracing::warn!(from = %places.old.display(), %reason, "the older checkpoint was loaded");
            contents.facts.insert(RECOVERED_FROM.into(), Value::String(format!("{} ({reason})", places.old.display())));
            Ok(contents)
        }
        (Err(Refusal::Damaged(error) | Refusal::Final(error)), None) => Err(error),
        (Err(_), Some(error)) => Err(error),
        (Err(Refusal::Absent), None) => Err(RecError::missing(
            "checkpoint",
            folder.display().to_string(),
            if places.tmp.is_dir() {
                format!("{} is the start of a write that was never finished", places.tmp.display())
            } else {
                "check the path, or train first".into()
            },
        )),
    }
}

/// True when every entry of the folder is one of a checkpoint's files.
pub(super) fn only_checkpoint_files(folder: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let known = entry.file_name().to_str().is_some_and(|name| FILES.contains(&name));
        if !known || !entry.file_type()?.is_file() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Nothing that is not ours is ever moved or removed.
fn refuse_strangers(folder: &Path) -> Result<()> {
    let ours = match fs::symlink_metadata(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(RecError::read(folder)(e)),
        Ok(meta) => meta.is_dir() && only_checkpoint_files(folder).map_err(RecError::read(folder))?,
    };
    if ours {
        return Ok(());
    }
    Err(RecError::checkpoint(
        folder,
        "this is no checkpoint folder, or it holds other files too",
        "choose another place",
    ))
}

/// Every file with its bytes, in the order in which they are written: the manifest last.
fn encode(folder: &Path, contents: &Contents) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let refused =
        |e: &dyn std::fmt::Display| RecError::checkpoint(folder, format!("the contents cannot be written: {e}"), "");
    let mut files = vec![(MODEL, tensors::encode(&contents.state.tensors).map_err(|e| refused(&e))?)];
    files.push((IDS, serde_json::to_vec(&contents.ids).map_err(|e| refused(&e))?));
    if let Some((ptr, items)) = &contents.seen {
        let vector = |values: &Vec<u32>| Tensor::U32 { shape: vec![values.len()], values: values.clone() };
        let seen = BTreeMap::from([("ptr".to_string(), vector(ptr)), ("items".to_string(), vector(items))]);
        files.push((SEEN, tensors::encode(&seen).map_err(|e| refused(&e))?));
    }
    files.push((CONFIG, contents.config_toml.clone().into_bytes()));
    let mut facts = contents.facts.clone();
    facts.remove(RECOVERED_FROM);
    let manifest = Manifest {
        format: FORMAT.into(),
        version: VERSION,
        gcnrec: env!("CARGO_PKG_VERSION").into(),
        model: contents.model.clone(),
        facts,
        state: contents.state.facts.clone(),
        files: files.iter().map(|(name, bytes)| (name.to_string(), FileSum::of(bytes))).collect(),
    };
    let rendered = manifest.render();
    // Facts that are nested too deeply print but do not parse; better refused now than at the next
    // start.
    if rendered.len() as u64 > MAX_MANIFEST_BYTES || Manifest::parse(Path::new(MANIFEST), &rendered).is_err() {
        return Err(refused(&"the facts are too large or nested too deeply"));
    }
    files.push((MANIFEST, rendered));
    Ok(files)
}

fn write_new(disk: &dyn Disk, tmp: &Path, files: &[(&'static str, Vec<u8>)]) -> Result<()> {
    if tmp.exists() {
        disk.remove_dir(tmp).map_err(RecError::write(tmp))?;
    }
    disk.create_dir(tmp).map_err(RecError::write(tmp))?;
    for (name, bytes) in files {
        let path = tmp.join(name);
        disk.write_synced(&path, bytes).map_err(RecError::write(&path))?;
    }
    disk.sync_dir(tmp).map_err(RecError::write(tmp))
}

fn rotate(disk: &dyn Disk, places: &Places) -> Result<()> {
    let Places { folder, tmp, old } = places;
    let mut moved = false;
    if folder.exists() {
        if looks_whole(folder) {
            if old.exists() {
                disk.remove_dir(old).map_err(RecError::write(old))?;
            }
            disk.rename(folder, old).map_err(RecError::write(folder))?;
            moved = true;
        } else {
            // A damaged newest checkpoint must not push out the good one behind it.
            disk.remove_dir(folder).map_err(RecError::write(folder))?;
        }
    }
    if let Err(e) = disk.rename(tmp, folder) {
        if moved {
            // Best effort: if it fails too, `load` finds the older folder by its own name.
            let _ = disk.rename(old, folder);
        }
        return Err(RecError::write(folder)(e));
    }
    disk.sync_dir(parent(folder)).map_err(RecError::write(folder))
}

/// A quick look without hashing the tensors: the manifest is sealed and every file has its length.
fn looks_whole(folder: &Path) -> bool {
    let length = |name: &str| fs::metadata(folder.join(name)).map(|meta| meta.len()).ok();
    read_manifest(folder).is_ok_and(|manifest| manifest.files.iter().all(|(name, sum)| length(name) == Some(sum.bytes)))
}

fn read_manifest(folder: &Path) -> Result<Manifest, Refusal> {
    let path = folder.join(MANIFEST);
    let bytes = read_file(&path, None)?;
    Manifest::parse(&path, &bytes)
}

fn read_folder(folder: &Path) -> Result<Contents, Refusal> {
    match fs::metadata(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Refusal::Absent),
        Err(e) => return Err(Refusal::Final(RecError::read(folder)(e))),
        Ok(meta) if !meta.is_dir() => return Err(Refusal::foreign(folder)),
        Ok(_) => {}
    }
    let manifest = read_manifest(folder)?;
    if let Some(name) = manifest.files.keys().find(|name| !FILES[..4].contains(&name.as_str())) {
        return Err(Refusal::damaged(&folder.join(MANIFEST), format!("it lists a file {name:?} that is not ours")));
    }
    let read = |name: &str| -> Result<Vec<u8>, Refusal> {
        let sum = manifest.files.get(name);
        let sum = sum.ok_or_else(|| Refusal::damaged(&folder.join(MANIFEST), format!("it does not list {name}")))?;
        read_file(&folder.join(name), Some(sum))
    };
    let tensors_of = |name: &str| -> Result<BTreeMap<String, Tensor>, Refusal> {
        tensors::decode(&read(name)?).map_err(|problem| Refusal::damaged(&folder.join(name), problem))
    };
    let ids: Ids =
        serde_json::from_slice(&read(IDS)?).map_err(|e| Refusal::damaged(&folder.join(IDS), e.to_string()))?;
    let config_toml =
        String::from_utf8(read(CONFIG)?).map_err(|e| Refusal::damaged(&folder.join(CONFIG), e.to_string()))?;
    let seen = if manifest.files.contains_key(SEEN) {
        let seen = State { tensors: tensors_of(SEEN)?, ..State::default() };
        match (seen.u32("ptr"), seen.u32("items")) {
            (Ok(ptr), Ok(items)) => Some((ptr.to_vec(), items.to_vec())),
            _ => return Err(Refusal::damaged(&folder.join(SEEN), "it holds no vectors ptr and items".into())),
        }
    } else {
        None
    };
    let state = State { tensors: tensors_of(MODEL)?, facts: manifest.state.clone() };
    let contents = Contents { model: manifest.model, state, ids, seen, config_toml, facts: manifest.facts };
    contents.check(folder).and_then(|()| contents.check_numbers(folder)).map_err(Refusal::Damaged)?;
    Ok(contents)
}

/// The bytes of a file. With a sum, its length is compared before anything is allocated, and its
/// checksum afterwards.
fn read_file(path: &Path, sum: Option<&FileSum>) -> Result<Vec<u8>, Refusal> {
    let damaged = |problem: String| Refusal::damaged(path, problem);
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => damaged("this file of the checkpoint is missing".into()),
        _ => Refusal::Final(RecError::read(path)(e)),
    };
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        return Err(damaged("this is not a file".into()));
    }
    match sum {
        Some(sum) if sum.bytes != meta.len() => {
            return Err(damaged(format!("it has {} bytes, the manifest says {}", meta.len(), sum.bytes)));
        }
        None if meta.len() > MAX_MANIFEST_BYTES => {
            return Err(damaged(format!("it has {} bytes, a manifest has at most {MAX_MANIFEST_BYTES}", meta.len())));
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    let length = usize::try_from(meta.len()).unwrap_or(usize::MAX);
    if bytes.try_reserve_exact(length).is_err() {
        return Err(Refusal::Final(
            RecError::resources(path.display().to_string(), "too little memory", format!("{} bytes", meta.len()))
                .with_todo("load it on a larger machine"),
        ));
    }
    // One byte more than the length, so that a file which grows meanwhile is found and never read
    // without end.
    File::open(path).map_err(failed)?.take(meta.len().saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 != meta.len() || sum.is_some_and(|sum| sum.sha256 != sha256_hex(&bytes)) {
        return Err(damaged("its checksum does not match the manifest".into()));
    }
    Ok(bytes)
}
