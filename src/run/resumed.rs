//! Resumed runs: their settings must be those that the run began with.

use std::path::Path;

use gcnrec_kernels::Device;
use serde_json::Value;

use crate::checkpoint::{self, RunFolder};
use crate::config::{Config, Resolved, is_data_file};
use crate::error::{RecError, Result};

/// The text of the settings that the run in `folder` began with, which its checkpoints hold too.
/// Files of the data may lie elsewhere now, and `device` may have another name if it is the one that
/// the run computed on.
///
/// # Errors
/// [`RecError::Config`] with the first key that has another value now; those of reading the text.
pub(super) fn recorded_text(folder: &Path, resolved: &Resolved, device: &Device) -> Result<String> {
    let folder = RunFolder::open(folder)?;
    let last = Some(folder.last()).filter(|last| checkpoint::exists(last));
    let last = last.map(|last| checkpoint::load(&last)).transpose()?;
    let text = last.as_ref().map_or_else(|| folder.settings(), |last| Ok(last.config_toml.clone()))?;
    let recorded = Config::from_toml(&text, &folder.path().join("config.toml"))?;
    // Nothing was computed before the first checkpoint.
    let device = device.name();
    let is_on_it = last.is_none_or(|last| last.facts.get("device").and_then(Value::as_str) == Some(&*device));
    // Results do not depend on the number of threads.
    let may_change = |key: &str| key == "threads" || is_data_file(key) || (key == "device" && is_on_it);
    match recorded.differences(&resolved.config)?.into_iter().find(|(key, ..)| !may_change(key)) {
        None => Ok(text),
        Some((key, before, now)) => {
            let origin = resolved.origins.of(&key);
            let expected = format!("{before}, as the run in {} began", folder.path().display());
            Err(RecError::range(key, now, expected)
                .with_origin(origin)
                .with_todo("resume it as it began, or start again with --force"))
        }
    }
}
