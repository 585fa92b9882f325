//! Runs as child processes of a program that understands `train`: the memory that a run reports is
//! its own, and a crash ends one run only.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::runs::{Ended, Order, Runner};
use crate::error::{RecError, Result};
use crate::train::Stop;

/// How often a running child is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a child may take to write its checkpoint after a stop was asked for. One that takes
/// longer is ended: it goes on from an older one.
const GRACE: Duration = Duration::from_secs(60);

/// Starts a program for every run.
#[derive(Debug)]
pub struct Program {
    /// The program, which is called as `PROGRAM train CONFIG --out FOLDER --resume`.
    pub path: PathBuf,
    /// Who may stop the comparison.
    pub stop: Stop,
}

impl Runner for Program {
    fn run(&mut self, order: &Order) -> Result<Ended> {
        let log = File::create(&order.log).map_err(RecError::write(&order.log))?;
        let mut command = Command::new(&self.path);
        command.arg("train").arg(&order.config).arg("--out").arg(&order.folder).args(["--output", "json"]);
        if order.folder.join("config.toml").is_file() {
            command.arg("--resume");
        }
        // The run file is complete: nothing of the environment may change it.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GCNREC_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
        let child =
            command.spawn().map_err(|source| RecError::Io { path: self.path.clone(), doing: "start", source })?;
        let status = self.wait(child)?;
        if status.success() {
            return Ok(Ended::Done);
        }
        if let Some(code) = self.stop.asked() {
            return Err(interrupted(code));
        }
        // Somebody stopped the child alone: the comparison stops too, and can go on.
        if let Some(code @ (130 | 143)) = status.code() {
            return Err(interrupted(code as u8));
        }
        Ok(Ended::Failed(last_error(&order.log, status)))
    }
}

impl Program {
    fn wait(&self, mut child: Child) -> Result<ExitStatus> {
        let failed = |source| RecError::Io { path: self.path.clone(), doing: "wait for", source };
        let mut asked: Option<Instant> = None;
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            match (self.stop.asked(), asked) {
                (Some(code), None) => {
                    asked = Some(Instant::now());
                    // Ctrl-C reaches the child from the terminal; a request to terminate reaches
                    // this process only.
                    if code != 130 {
                        terminate(&child);
                    }
                }
                (Some(_), Some(since)) if since.elapsed() > GRACE => child.kill().map_err(failed)?,
                _ => {}
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Asks a child to write a checkpoint and to end. Where that cannot be asked, it is ended after the
/// grace, which loses no more than the last seconds.
fn terminate(child: &Child) {
    if cfg!(unix) {
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
    }
}

fn interrupted(code: u8) -> RecError {
    RecError::Interrupted { code, todo: "go on with --resume and the same --out".into() }
}

/// The line with which a run failed, without the word that every error begins with.
fn last_error(log: &Path, status: ExitStatus) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    match text.lines().rev().find_map(|line| line.strip_prefix("error: ")) {
        Some(line) => line.to_string(),
        None => format!("it ended with {status} and no message; see {}", log.display()),
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that is a few lines of shell.
    fn run(script: &str) -> (Result<Ended>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let place = |name: &str| folder.path().join(name);
        let order = Order { config: place("c.toml"), folder: place("run"), log: place("run.log") };
        (Program { path, stop: Stop::default() }.run(&order), folder)
    }

    #[test]
    fn a_run_that_fails_is_reported_with_its_error_line() {
        let (ended, _) = run("echo 'note: x' >&2; echo 'error: loss is NaN' >&2; exit 1");
        assert_eq!(ended.unwrap(), Ended::Failed("loss is NaN".into()));
        let (ended, _) = run("kill -9 $$");
        let Ended::Failed(line) = ended.unwrap() else { panic!("a killed run is no finished run") };
        assert!(line.contains("signal: 9") && line.contains("run.log"), "{line}");
    }

    #[test]
    fn a_run_is_called_with_its_configuration_and_its_folder() {
        let (ended, folder) = run("echo \"$*\" >&2");
        assert_eq!(ended.unwrap(), Ended::Done);
        let said = fs::read_to_string(folder.path().join("run.log")).unwrap();
        let at = folder.path().display();
        assert_eq!(said, format!("train {at}/c.toml --out {at}/run --output json\n"));
    }

    #[test]
    fn a_run_that_was_stopped_stops_the_comparison() {
        let (ended, _) = run("exit 143");
        assert_eq!(ended.unwrap_err().exit_code(), 143);
    }
}
