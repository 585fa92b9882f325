//! The kept corpus of every fuzz target, run as an ordinary test: what fuzzing once found stays
//! found.

#[allow(dead_code, missing_docs)]
#[path = "../../fuzz/src/lib.rs"]
pub mod checks;

use std::fs;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Every seed of a target, in the order of their names.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(corpus().join(target)).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn run(target: &str, check: impl Fn(&[u8])) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for (path, bytes) in seeds {
        println!("{}", path.display());
        check(&bytes);
        // Cut in the middle, and with one byte changed.
        check(&bytes[..bytes.len() / 2]);
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(bytes.len() / 3) {
            *byte ^= 0x10;
        }
        check(&changed);
    }
}

#[test]
fn every_seed_of_every_reader_gives_rows_or_an_error() {
    run("reader", checks::reader);
    run("titles", checks::titles);
}

#[test]
fn every_seed_of_the_run_file_gives_a_configuration_or_an_error() {
    run("run_file", checks::run_file);
}

#[test]
fn every_seed_of_the_checkpoint_reader_is_opened_or_refused() {
    run("checkpoint", checks::checkpoint);
}

#[test]
#[ignore = "writes the seeds of the checkpoint reader: only after the layout of a checkpoint changed"]
fn write_the_seeds_of_the_checkpoint_reader() {
    fs::create_dir_all(corpus().join("checkpoint")).unwrap();
    for (n, seed) in checks::checkpoint_seeds().iter().enumerate() {
        fs::write(corpus().join(format!("checkpoint/seed-{n:02}")), seed).unwrap();
    }
}
