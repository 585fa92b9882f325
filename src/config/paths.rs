//! Paths of files: relative to the run file or to the current folder, then in the folder that
//! `GCNREC_DATA` names.

use std::path::{Component, Path, PathBuf, absolute};

use toml::Value;

use super::entry::Entry;
use super::layers::Resolved;
use super::run::Config;
use super::tree;
use crate::data;
use crate::error::{RecError, Result};
use crate::settings::Takes;

/// True when a key holds a path.
fn is_path(key: &str) -> bool {
    tree::row(key).is_some_and(|key| matches!(key.takes, Takes::Path))
}

/// True when a key names a file of the data: where that lies decides nothing, what is in it does.
pub(crate) fn is_data_file(key: &str) -> bool {
    key.starts_with("data.") && is_path(key)
}

/// The files of the data with their keys.
fn files(config: &mut data::Config) -> [(&'static str, &mut Option<PathBuf>); 7] {
    [
        ("data.path", &mut config.path),
        ("data.train", &mut config.train),
        ("data.valid", &mut config.valid),
        ("data.test", &mut config.test),
        ("data.uniform", &mut config.uniform),
        ("data.candidates", &mut config.candidates),
        ("data.items", &mut config.items),
    ]
}

/// Makes the path of an entry absolute, if it holds one.
pub(super) fn locate(entry: &mut Entry, base: &Path, data_folder: Option<&Path>) {
    if let Value::String(written) = &entry.value
        && is_path(&entry.key())
        && let (found, is_in_data_folder) = find(Path::new(written), base, data_folder)
        && let Some(found) = found.to_str()
    {
        entry.in_data_folder = is_in_data_folder.then(|| written.clone());
        entry.value = Value::String(found.into());
    }
}

/// The first place where the path exists; the place beside the run file when it exists nowhere. True
/// for a relative path that was found in the data folder.
fn find(path: &Path, base: &Path, data_folder: Option<&Path>) -> (PathBuf, bool) {
    let whole = |path: PathBuf| absolute(&path).unwrap_or(path);
    let beside = whole(base.join(path));
    match data_folder.map(|folder| whole(folder.join(path))) {
        Some(in_data_folder) if !beside.exists() && in_data_folder.exists() => (in_data_folder, path.is_relative()),
        _ => (beside, false),
    }
}

impl Resolved {
    /// A configuration of this run as its folder keeps it: files that were found in the data folder
    /// as they were written, so that they are found again when that folder has moved.
    pub(crate) fn stored(&self, config: &Config) -> Config {
        let mut stored = config.clone();
        for (key, file) in files(&mut stored.data) {
            if let (Some(written), Some(file)) = (self.in_data_folder.get(key), file) {
                *file = written.into();
            }
        }
        stored
    }

    /// Looks in the data folder for recorded files that are not where they were: by the whole path
    /// below it, then without its first folders. Whether they are the same, their fingerprint
    /// decides.
    pub(crate) fn relocate(&mut self, data_folder: Option<&Path>) {
        let Some(folder) = data_folder else { return };
        for (key, file) in files(&mut self.config.data) {
            let Some(missing) = file.as_ref().filter(|path| !path.exists()) else { continue };
            let parts: Vec<Component<'_>> =
                missing.components().filter(|part| matches!(part, Component::Normal(_))).collect();
            let ends = (0..parts.len()).map(|skip| folder.join(parts[skip..].iter().collect::<PathBuf>()));
            if let Some(found) = ends.into_iter().find(|path| path.is_file()) {
                let found = absolute(&found).unwrap_or(found);
                let (missing, found_in) = (missing.display(), found.display());
                self.notes.push(format!("{key}: {missing} is not there; {found_in} is taken, of GCNREC_DATA"));
                *file = Some(found);
            }
        }
    }
}

/// True when an entry of a higher layer makes an entry of a lower one void: another source of data
/// was named.
pub(super) fn replaces_source(higher: &Entry, lower: &[String]) -> bool {
    let lower = lower.join(".");
    match higher.key().as_str() {
        // One file is one source; the other paths of data belong to each other.
        "data.path" => lower != "data.path" && lower.starts_with("data.") && is_path(&lower),
        "data.train" => lower == "data.path",
        _ => false,
    }
}

/// Refuses files of `[data]` that are not there, before anything is computed.
///
/// # Errors
/// [`RecError::Missing`] for the first one.
pub(crate) fn check_files(config: &data::Config, data_folder: Option<&Path>) -> Result<()> {
    let mut config = config.clone();
    let missing = files(&mut config).into_iter().find_map(|(key, file)| {
        let path = file.take().filter(|path| !path.exists())?;
        Some((key, path))
    });
    let Some((key, path)) = missing else { return Ok(()) };
    let flag = tree::row(key).and_then(|row| row.flag).unwrap_or("--set");
    let todo = match data_folder {
        Some(folder) => format!("it is not in GCNREC_DATA={} either; name it with {flag}", folder.display()),
        None => format!("check the path, name it with {flag}, or set GCNREC_DATA to the folder that holds it"),
    };
    Err(RecError::missing("file", path.display().to_string(), todo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_the_run_file_comes_before_the_data_folder() {
        let place = tempfile::tempdir().unwrap();
        let (beside, shared) = (place.path().join("runs"), place.path().join("shared"));
        for (folder, names) in [(&beside, &["both.txt"][..]), (&shared, &["both.txt", "shared.txt"][..])] {
            std::fs::create_dir(folder).unwrap();
            names.iter().for_each(|name| std::fs::write(folder.join(name), "").unwrap());
        }
        let found = |name: &str| find(Path::new(name), &beside, Some(&shared));
        assert_eq!(found("both.txt"), (beside.join("both.txt"), false));
        assert_eq!(found("shared.txt"), (shared.join("shared.txt"), true));
        assert_eq!(found("neither.txt"), (beside.join("neither.txt"), false));
    }

    #[test]
    fn a_file_that_moved_is_found_by_the_end_of_its_path_and_it_is_said() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("ml")).unwrap();
        for name in ["ml/u1.base", "u1.base", "u1.test"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let data = data::Config::default().with(|own| {
            (own.train, own.test) = (Some("/old/data/ml/u1.base".into()), Some("/old/data/ml/u1.test".into()));
            own.valid = Some("/old/u1.valid".into());
        });
        let mut resolved = Resolved::of(Config { data, ..Config::default() });
        resolved.relocate(Some(place.path()));
        let found = &resolved.config.data;
        assert_eq!(found.train, Some(place.path().join("ml/u1.base")), "the longest end comes first");
        assert_eq!(found.test, Some(place.path().join("u1.test")));
        assert_eq!(found.valid, Some("/old/u1.valid".into()));
        assert_eq!(resolved.notes.len(), 2);
        assert!(resolved.notes[0].starts_with("data.train: /old/data/ml/u1.base is not there; "), "{resolved:?}");
    }

    #[test]
    fn only_keys_of_files_are_taken_for_paths() {
        let mut metric = Entry::new("train.metric", "ndcg@20", "run.toml:1");
        locate(&mut metric, Path::new("/base"), None);
        assert_eq!(metric.value, Value::String("ndcg@20".into()));
        let mut train = Entry::new("data.train", "u1.base", "run.toml:1");
        locate(&mut train, Path::new("/base"), None);
        let mut run = Entry::new("train.init_items_from", "runs/mf-1", "run.toml:1");
        locate(&mut run, Path::new("/base"), None);
        assert_eq!(run.value, Value::String("/base/runs/mf-1".into()));
        assert_eq!(train.value, Value::String("/base/u1.base".into()));
    }

    #[test]
    fn a_missing_file_is_named_with_what_to_do() {
        let config = data::Config { train: Some("/nowhere/u1.base".into()), ..data::Config::default() };
        let error = check_files(&config, None).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(
            error
                .to_string()
                .starts_with("file /nowhere/u1.base is not there; check the path, name it with --train, or")
        );
    }
}
