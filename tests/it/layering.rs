//! Imports point downward only: the design's list of layers, checked against the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of this crate each module may name. A module may always name itself, `error`,
/// `files` and `settings`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("files", &[]),
    ("settings", &[]),
    ("data", &[]),
    ("samplers", &["data"]),
    ("objectives", &["samplers"]),
    ("models", &["objectives", "samplers", "data"]),
    ("debias", &["models", "objectives", "samplers", "data"]),
    ("eval", &["models"]),
    ("checkpoint", &["models"]),
    ("recommend", &["checkpoint", "models"]),
    ("report", &["debias", "eval", "models", "data"]),
    ("export", &["report"]),
    ("train", &["eval", "checkpoint", "debias", "models", "objectives", "samplers", "data"]),
    ("config", &["train", "eval", "debias", "models", "objectives", "data"]),
    ("run", &["config", "train", "recommend", "report", "eval", "checkpoint", "debias", "models", "data"]),
    ("compare", &["run", "config", "train", "recommend", "report", "eval", "checkpoint", "models", "data"]),
    (
        "cli",
        &[
            "compare",
            "run",
            "config",
            "train",
            "debias",
            "eval",
            "recommend",
            "report",
            "checkpoint",
            "models",
            "objectives",
            "data",
        ],
    ),
];

/// Words that belong to some folders alone.
const CONFINED: &[(&str, &str)] = &[
    ("cubecl", "kernels/"),
    ("burn", "src/models/sequential/ kernels/src/burn_bridge/ kernels/tests/parity/sequences.rs"),
    ("petgraph", "graphs/"),
    ("gemm::", "kernels/"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The source without comments: a doc may speak of anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::x` of a source; of `crate::{x::…, y}` each member.
fn named_modules(code: &str) -> Vec<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.push(word(rest)),
            Some(list) => {
                let (mut depth, mut member) = (0, String::new());
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => names.push(word(std::mem::take(&mut member).trim())),
                        _ => {}
                    }
                    if depth == 0 && c != ',' {
                        member.push(c);
                    }
                }
                names.push(word(member.trim()));
            }
        }
    }
    names
}

#[test]
fn modules_import_downward_only() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let src = root().join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let inside = file.strip_prefix(&src).unwrap().to_string_lossy().into_owned();
        let module = inside.split(['/', '.']).next().unwrap().to_string();
        // What the crate shows is no layer of its own.
        if ["lib", "main", "internals"].contains(&module.as_str()) {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("src/{inside}: module \"{module}\" has no row in tests/it/layering.rs"));
            continue;
        };
        for name in named_modules(&code(&file)) {
            let known = allowed.contains_key(name.as_str());
            if known
                && name != module
                && !["error", "files", "settings"].contains(&name.as_str())
                && !may.contains(&name.as_str())
            {
                wrong.push(format!("src/{inside}: {module} must not import {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_two_lower_crates_do_not_know_each_other_or_us() {
    for (krate, strangers) in [("graphs", ["gcnrec_kernels", "gcnrec::"]), ("kernels", ["gcnrec_graphs", "gcnrec::"])] {
        for file in rust_files(&root().join(krate)) {
            for stranger in strangers {
                assert!(!code(&file).contains(stranger), "{} names {stranger}", file.display());
            }
        }
    }
}

#[test]
fn confined_libraries_stay_where_they_belong() {
    for file in ["src", "kernels", "graphs"].iter().flat_map(|folder| rust_files(&root().join(folder))) {
        let inside = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        for (library, home) in CONFINED {
            let uses = code(&file).contains(&format!("use {library}")) || code(&file).contains(&format!("{library}::"));
            assert!(
                !uses || home.split(' ').any(|home| inside.starts_with(home)),
                "{inside} uses {library}, which belongs to {home}"
            );
        }
    }
}

#[test]
fn the_import_scanner_sees_nested_lists() {
    let found = named_modules("use crate::{data::{Log, Split}, eval, train::Job}; crate::models::x();");
    assert_eq!(found, ["data", "eval", "train", "models"]);
}
