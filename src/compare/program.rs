//! Runs as child processes of a program that understands `train`: the memory that a run reports is
//! its own, and a crash ends one run only.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
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
    /// The program, which is called as `PROGRAM train CONFIG --out FOLDER --output json
    /// --obey-stdin`, with `--resume` where the folder holds the beginning of the run. Each byte on
    /// its stdin is an exit code: it should write a checkpoint and end with it. The end of stdin
    /// means that this process is gone, and the program should end at once.
    pub path: PathBuf,
    /// Who may stop the comparison.
    pub stop: Stop,
}

impl Runner for Program {
    fn run(&mut self, order: &Order) -> Result<Ended> {
        // The log of an earlier try goes first: what a link in its place leads to is not ours.
        match fs::remove_file(&order.log) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(RecError::write(&order.log)(error)),
            _ => {}
        }
        let log = OpenOptions::new().write(true).create_new(true).open(&order.log);
        let log = log.map_err(RecError::write(&order.log))?;
        let mut command = Command::new(&self.path);
        command.arg("train").arg(&order.config).arg("--out").arg(&order.folder);
        command.args(["--output", "json", "--obey-stdin"]);
        if order.folder.join("config.toml").is_file() {
            command.arg("--resume");
        }
        // The run file is complete: nothing of the environment may change it.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GCNREC_")) {
            command.env_remove(name);
        }
        if let Some(folder) = &order.data_folder {
            command.env("GCNREC_DATA", folder);
        }
        // What the terminal says to this process, this process tells the child.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::from(log));
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
        if let Some(code @ (129 | 130 | 143)) = status.code() {
            return Err(interrupted(code as u8));
        }
        Ok(Ended::Failed(last_error(&order.log, status)))
    }
}

impl Program {
    fn wait(&self, mut child: Child) -> Result<ExitStatus> {
        let failed = |source| RecError::Io { path: self.path.clone(), doing: "wait for", source };
        let mut asked: Option<Instant> = None;
        // It ends with this process, however that ends, and the child with it.
        let mut leash = child.stdin.take();
        let _heeding = self.stop.heed();
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(status);
            }
            match (self.stop.asked(), asked) {
                (Some(code), None) => {
                    asked = Some(Instant::now());
                    // A child that does not listen any more has ended.
                    if let Some(leash) = &mut leash {
                        let _ = leash.write_all(&[code]).and_then(|()| leash.flush());
                    }
                }
                (Some(_), Some(since)) if since.elapsed() > GRACE => child.kill().map_err(failed)?,
                _ => {}
            }
            std::thread::sleep(LOOK_EVERY);
        }
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
    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("program");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn order(folder: &Path) -> Order {
        let place = |name: &str| folder.join(name);
        Order { config: place("c.toml"), folder: place("run"), log: place("run.log"), data_folder: None }
    }

    fn run(script: &str) -> (Result<Ended>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), script);
        (Program { path, stop: Stop::default() }.run(&order(folder.path())), folder)
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
        assert_eq!(said, format!("train {at}/c.toml --out {at}/run --output json --obey-stdin\n"));
    }

    #[test]
    fn a_request_to_stop_reaches_the_run_at_once_with_its_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), "code=$(od -An -N1 -tu1); echo \"told $code\" >&2; exit $code");
        let stop = Stop::default();
        let started = Instant::now();
        let ended = std::thread::scope(|scope| {
            let run = scope.spawn(|| Program { path, stop: stop.clone() }.run(&order(folder.path())));
            while !stop.is_heeded() {
                std::thread::sleep(LOOK_EVERY);
            }
            stop.ask(130);
            run.join().unwrap()
        });
        assert_eq!(ended.unwrap_err().exit_code(), 130);
        assert!(started.elapsed() < GRACE / 2, "{:?}", started.elapsed());
        let said = fs::read_to_string(folder.path().join("run.log")).unwrap();
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["told", "130"]);
    }

    #[test]
    fn a_link_in_the_place_of_a_log_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let thesis = folder.path().join("thesis.txt");
        fs::write(&thesis, "years of work").unwrap();
        std::os::unix::fs::symlink(&thesis, folder.path().join("run.log")).unwrap();
        let path = program(folder.path(), "echo hello >&2");
        assert_eq!(Program { path, stop: Stop::default() }.run(&order(folder.path())).unwrap(), Ended::Done);
        assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work");
        assert_eq!(fs::read_to_string(folder.path().join("run.log")).unwrap(), "hello\n");
    }

    #[test]
    fn a_run_that_was_stopped_stops_the_comparison() {
        let (ended, _) = run("exit 143");
        assert_eq!(ended.unwrap_err().exit_code(), 143);
    }
}
