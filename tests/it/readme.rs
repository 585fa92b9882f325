//! The commands of the README, as they stand there, one after the other in one folder.

use std::fs;
use std::path::Path;

use crate::cli::case::{copy, gcnrec};

/// The commands of a page's shell blocks, without what they say about themselves.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let lines = blocks.flat_map(|(block, _)| block.lines());
    let plain = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_string());
    plain.filter(|line| !line.is_empty()).collect()
}

/// What the program is given; nothing for a command of cargo's own.
fn arguments(command: &str) -> Option<Vec<&str>> {
    let of_program = command.strip_prefix("gcnrec ").or_else(|| command.strip_prefix("cargo run --release -- "));
    Some(of_program?.split_whitespace().collect())
}

#[test]
fn every_command_of_the_readme_works_after_those_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    copy(&root.join("examples"), &folder.path().join("examples"));
    let page = fs::read_to_string(root.join("README.md")).unwrap();
    let commands = commands(&page);
    let lines: Vec<Vec<&str>> = commands.iter().filter_map(|command| arguments(command)).collect();
    let names: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    assert_eq!(names, ["train", "train", "recommend", "recommend", "similar", "compare"]);
    for line in lines {
        // Numbered folders would be other ones on the second reading.
        assert!(
            !["train", "compare"].contains(&line[0]) || line.contains(&"--out"),
            "{line:?} does not name its folder"
        );
        // Two epochs show that it works; the README's numbers are other tests' business.
        let output = gcnrec(folder.path()).args(&line).env("GCNREC_TRAIN__MAX_EPOCHS", "2").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line:?}: {said}");
        assert!(!output.stdout.is_empty(), "{line:?} printed nothing");
    }
    for made in ["runs/demo/report.html", "runs/books/report.html", "runs/compare/compare.html"] {
        assert!(folder.path().join(made).is_file(), "{made}");
    }
}
