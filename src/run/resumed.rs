//! Resumed runs: their settings must be those that the run began with.

use std::path::Path;

use crate::checkpoint::RunFolder;
use crate::config::{Config, Resolved};
use crate::error::{RecError, Result};

/// The text of the settings that the run in `folder` began with, which its checkpoints hold too.
///
/// # Errors
/// [`RecError::Config`] with the first key that has another value now; those of reading the text.
pub(super) fn recorded_text(folder: &Path, resolved: &Resolved) -> Result<String> {
    let recorded = Config::from_toml(&RunFolder::open(folder)?.read_config()?, &folder.join("config.toml"))?;
    // Results do not depend on the number of threads.
    let changed = |(key, ..): &(String, String, String)| key != "threads";
    match recorded.differences(&resolved.config)?.into_iter().find(changed) {
        None => recorded.to_toml(),
        Some((key, before, now)) => {
            let origin = resolved.origins.of(&key);
            Err(RecError::range(key, now, format!("{before}, as the run in {} began", folder.display()))
                .with_origin(origin)
                .with_todo("resume it as it began, or start again with --force"))
        }
    }
}
