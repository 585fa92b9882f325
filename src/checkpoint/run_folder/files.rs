//! The files of a run folder: configuration, metrics per epoch, report.

use serde_json::Value;

use super::{CONFIG, MARK, METRICS, REPORT_HTML, REPORT_JSON, RunFolder};
use crate::checkpoint::disk::{Disk, SystemDisk, replace_file};
use crate::error::{RecError, Result};
use crate::files::{LINES_LIMIT, SETTINGS_LIMIT, read_small_file, read_small_text};

impl RunFolder {
    /// Writes `config.toml`, in one step.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn write_config(&self, toml: &str) -> Result<()> {
        let marked = if toml.starts_with(MARK) { toml.to_string() } else { format!("{MARK}\n{toml}") };
        replace_file(&SystemDisk, &self.path.join(CONFIG), marked.as_bytes())
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`RecError::Missing`] or [`RecError::Io`] when it cannot be read.
    pub fn read_config(&self) -> Result<String> {
        let path = self.path.join(CONFIG);
        read_small_text(&path, SETTINGS_LIMIT)
    }

    /// `config.toml` as it was given to [`RunFolder::write_config`].
    ///
    /// # Errors
    /// As [`RunFolder::read_config`].
    pub fn settings(&self) -> Result<String> {
        let text = self.read_config()?;
        Ok(text.strip_prefix(MARK).map_or(&*text, |rest| rest.trim_start_matches(['\r', '\n'])).to_string())
    }

    /// Adds one line to `metrics.jsonl` and waits until the disk has it, so that a later checkpoint
    /// never counts a line that is lost.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn append_metrics(&self, line: &Value) -> Result<()> {
        self.append_metrics_on(&SystemDisk, line)
    }

    pub(super) fn append_metrics_on(&self, disk: &dyn Disk, line: &Value) -> Result<()> {
        let path = self.path.join(METRICS);
        disk.append_synced(&path, format!("{line}\n").as_bytes()).map_err(RecError::write(&path))
    }

    /// The whole lines of `metrics.jsonl`; none when the file is not there. A last line without its
    /// end is left out: its write was cut.
    ///
    /// # Errors
    /// [`RecError::Io`] when it cannot be read, [`RecError::Checkpoint`] for a whole line that is
    /// not JSON.
    pub fn read_metrics(&self) -> Result<Vec<Value>> {
        let path = self.path.join(METRICS);
        whole_lines(&self.metrics_bytes()?)
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_slice(line).map_err(|e| {
                    RecError::checkpoint(&path, format!("line {} is damaged: {e}", n + 1), "start again with --force")
                })
            })
            .collect()
    }

    /// Keeps the first lines of `metrics.jsonl`, in one step: those that the checkpoint knows
    /// about.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when there are fewer whole lines; [`RecError::Io`] when the system
    /// refuses.
    pub fn cut_metrics(&self, keep_lines: usize) -> Result<()> {
        let (path, bytes) = (self.path.join(METRICS), self.metrics_bytes()?);
        let n_lines = whole_lines(&bytes).count();
        if n_lines < keep_lines {
            return Err(RecError::checkpoint(
                &path,
                format!("it has {n_lines} whole lines, the checkpoint was written after {keep_lines}"),
                "restore it from a copy, or start again with --force",
            ));
        }
        let keep: usize = whole_lines(&bytes).take(keep_lines).map(<[u8]>::len).sum();
        if keep == bytes.len() { Ok(()) } else { replace_file(&SystemDisk, &path, &bytes[..keep]) }
    }

    /// Writes `report.json` and `report.html`, each in one step, the page first: where the JSON is,
    /// everything is.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn write_report(&self, json: &str, html: &str) -> Result<()> {
        replace_file(&SystemDisk, &self.path.join(REPORT_HTML), html.as_bytes())?;
        replace_file(&SystemDisk, &self.path.join(REPORT_JSON), json.as_bytes())
    }

    fn metrics_bytes(&self) -> Result<Vec<u8>> {
        let path = self.path.join(METRICS);
        match read_small_file(&path, LINES_LIMIT) {
            Err(RecError::Missing { .. }) => Ok(Vec::new()),
            read => read,
        }
    }
}

fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"))
}
