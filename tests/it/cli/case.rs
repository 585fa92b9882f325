//! One row of the catalogue of bad input, and how it is judged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::trust;

/// Files to write, a command line to run among them, and what must come of it.
pub struct Case {
    name: String,
    files: Vec<(String, Vec<u8>)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    expected: Expected,
}

enum Expected {
    Accepted,
    Refused { code: i32, says: Vec<String> },
}

/// The program in a folder.
pub fn gcnrec(folder: &Path) -> Command {
    let mut command = trust::gcnrec();
    command.current_dir(folder);
    command
}

/// The words of a command line. A `~` stands for a blank within a word.
pub fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(|word| word.replace('~', " ")).collect()
}

impl Case {
    /// A case with its command line, in an empty folder.
    pub fn new(name: &str, line: &str) -> Case {
        let (files, environment) = (Vec::new(), Vec::new());
        Case { name: name.into(), files, arguments: words(line), environment, expected: Expected::Accepted }
    }

    /// With a file.
    pub fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Case {
        self.files.push((name.into(), content.as_ref().to_vec()));
        self
    }

    /// With more words at the end of the command line; a flag that is there already is replaced.
    pub fn with(mut self, line: &str) -> Case {
        let more = words(line);
        if let Some(at) = self.arguments.iter().position(|word| *word == more[0]) {
            self.arguments.truncate(at);
        }
        self.arguments.extend(more);
        self
    }

    /// With a variable in the environment.
    pub fn env(mut self, name: &str, value: &str) -> Case {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Must end with this exit code and one line that holds all these words.
    pub fn refused(mut self, code: i32, says: &[&str]) -> Case {
        let says = says.iter().map(|words| words.to_string()).collect();
        self.expected = Expected::Refused { code, says };
        self
    }

    /// What is wrong with the outcome in a folder that is empty but for `base`; nothing when it is
    /// as it must be.
    fn judge(&self, base: Option<&Path>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        if let Some(base) = base {
            copy(base, &folder.path().join("run"));
        }
        for (name, content) in &self.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let before = listing(folder.path());
        let mut command = gcnrec(folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.args(&self.arguments).output().unwrap();
        let problem = match &self.expected {
            Expected::Accepted => not_accepted(&output),
            Expected::Refused { code, says } => not_refused(&output, *code, says).or_else(|| {
                let after = listing(folder.path());
                (after != before).then(|| format!("it changed the folder: {before:?} became {after:?}"))
            }),
        }?;
        Some(format!("{}: {problem}\n{}", self.name, String::from_utf8_lossy(&output.stderr)))
    }
}

/// Judges all cases before it fails, so that one run shows everything that is wrong.
pub fn judge_all(cases: &[Case], base: Option<&Path>) {
    let problems: Vec<String> = cases.iter().filter_map(|case| case.judge(base)).collect();
    assert!(problems.is_empty(), "{} of {} cases\n\n{}", problems.len(), cases.len(), problems.join("\n"));
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "every case has its own name");
}

fn not_accepted(output: &Output) -> Option<String> {
    (output.status.code() != Some(0))
        .then(|| format!("it should be accepted, and ended with {:?}", output.status.code()))
}

fn not_refused(output: &Output, code: i32, says: &[String]) -> Option<String> {
    if output.status.code() != Some(code) {
        return Some(format!("it should end with {code}, and ended with {:?}", output.status.code()));
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    let [error] = errors[..] else { return Some(format!("{} lines start with \"error: \"", errors.len())) };
    if text.lines().last() != Some(error) || text.contains("panicked") {
        return Some("the error should be the last line".into());
    }
    if !output.stdout.is_empty() {
        return Some("nothing should go to stdout".into());
    }
    let missing = says.iter().find(|words| !error.contains(words.as_str()))?;
    Some(format!("it should say {missing:?}"))
}

/// Every file and folder below a folder, with the sizes of the files.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(listing(&path));
        }
        found.push((path, if metadata.is_file() { metadata.len() } else { 0 }));
    }
    found.sort();
    found
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
