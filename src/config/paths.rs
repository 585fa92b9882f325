//! Paths of files: relative to the run file or to the current folder, then in the folder that
//! `GCNREC_DATA` names.

use std::path::{Path, PathBuf, absolute};

use toml::Value;

use super::entry::Entry;
use super::tree;
use crate::data;
use crate::error::{RecError, Result};
use crate::settings::Takes;

/// True when a key holds a path.
fn is_path(key: &str) -> bool {
    tree::row(key).is_some_and(|key| matches!(key.takes, Takes::Path))
}

/// Makes the path of an entry absolute, if it holds one.
pub(super) fn locate(entry: &mut Entry, base: &Path, data_folder: Option<&Path>) {
    if let Value::String(written) = &entry.value
        && is_path(&entry.key())
        && let Some(found) = find(Path::new(written), base, data_folder).to_str()
    {
        entry.value = Value::String(found.into());
    }
}

/// The first place where the path exists; the place beside the run file when it exists nowhere.
fn find(path: &Path, base: &Path, data_folder: Option<&Path>) -> PathBuf {
    let whole = |path: PathBuf| absolute(&path).unwrap_or(path);
    let beside = whole(base.join(path));
    match data_folder.map(|folder| whole(folder.join(path))) {
        Some(in_data_folder) if !beside.exists() && in_data_folder.exists() => in_data_folder,
        _ => beside,
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
pub fn check_files(config: &data::Config, data_folder: Option<&Path>) -> Result<()> {
    let parts = [&config.path, &config.train, &config.valid, &config.test, &config.uniform];
    let named = parts.into_iter().chain([&config.candidates, &config.items]);
    match named.flatten().find(|path| !path.exists()) {
        None => Ok(()),
        Some(path) => Err(RecError::missing(
            "file",
            path.display().to_string(),
            match data_folder {
                Some(folder) => format!("it is not in GCNREC_DATA={} either", folder.display()),
                None => "check the path, or set GCNREC_DATA to the folder that holds it".into(),
            },
        )),
    }
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
        assert_eq!(found("both.txt"), beside.join("both.txt"));
        assert_eq!(found("shared.txt"), shared.join("shared.txt"));
        assert_eq!(found("neither.txt"), beside.join("neither.txt"));
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
            error.to_string().starts_with("file /nowhere/u1.base is not there; check the path, or set GCNREC_DATA")
        );
    }
}
