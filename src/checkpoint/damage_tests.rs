//! Tests of damaged checkpoints: every byte flipped, every write failing, every state that a power
//! cut can leave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::disk::FullDisk;
use super::store::save_on;
use super::*;
use crate::error::RecError;
use crate::models::state::State;

const FILES: [&str; 5] = ["config.toml", "ids.json", "manifest.json", "model.safetensors", "seen.safetensors"];

fn contents(epoch: u64) -> Contents {
    let mut state = State::default();
    state.put_f32("base", &[3, 2], vec![0.5, -1.25, epoch as f32, 0.0, -0.0, 1e-40]);
    state.put_u32("degree", &[3], vec![1, 2, 3]);
    state.put_fact("score.norm_power", 0.5);
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    Contents {
        model: "lightgcn".into(),
        state,
        ids: Ids {
            users: names(&["u1", "\u{fc}ser 2"]),
            items: names(&["a", "b"]),
            titles: names(&["Alien", "Brazil"]),
        },
        seen: Some((vec![0, 2, 3], vec![1, 0, 1])),
        config_toml: "seed = 2020\n".into(),
        facts: BTreeMap::from([
            ("epoch".into(), json!(epoch)),
            ("loss".into(), json!(0.1)),
            ("seed".into(), json!(u64::MAX)),
        ]),
    }
}

struct Place {
    _base: tempfile::TempDir,
    folder: PathBuf,
}

impl Place {
    fn new() -> Place {
        let base = tempfile::tempdir().unwrap();
        Place { folder: base.path().join("last"), _base: base }
    }

    fn saved(epochs: &[u64]) -> Place {
        let place = Place::new();
        for &epoch in epochs {
            save(&place.folder, &contents(epoch)).unwrap();
        }
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.with_file_name(name)
    }

    fn bytes(&self) -> Vec<Vec<u8>> {
        FILES.iter().map(|name| fs::read(self.file(name)).unwrap()).collect()
    }
}

/// The error of a refused checkpoint: exit code 6, one line, with the file's name.
fn refusal(folder: &Path, file: &str) -> String {
    let error = load(folder).unwrap_err();
    let line = error.to_string();
    assert_eq!(error.exit_code(), 6, "{line}");
    assert!(line.contains(file) && !line.contains('\n'), "{line}");
    line
}

#[test]
fn contents_come_back_equal_and_the_same_contents_give_the_same_bytes() {
    let (one, two) = (Place::saved(&[3]), Place::saved(&[3]));
    assert_eq!(load(&one.folder).unwrap(), contents(3));
    assert_eq!(one.bytes(), two.bytes());
    save(&two.folder, &load(&one.folder).unwrap()).unwrap();
    assert_eq!(one.bytes(), two.bytes());
    let unseen = Contents { seen: None, ..contents(3) };
    save(&two.folder, &unseen).unwrap();
    assert_eq!(load(&two.folder).unwrap(), unseen);
}

#[test]
fn every_flipped_byte_is_refused_or_harmless() {
    let place = Place::saved(&[3]);
    for name in FILES {
        let path = place.file(name);
        let bytes = fs::read(&path).unwrap();
        let mut n_refused = 0;
        for at in 0..bytes.len() {
            // One bit, all bits, and the bit that turns a space or a letter into another one.
            for mask in [1, 0xff, 0x20] {
                let mut flipped = bytes.clone();
                flipped[at] ^= mask;
                fs::write(&path, flipped).unwrap();
                match load(&place.folder) {
                    Ok(loaded) => assert_eq!(loaded, contents(3), "{name}: byte {at} ^ {mask:#x}"),
                    Err(error) => {
                        assert_eq!(error.exit_code(), 6, "{error}");
                        assert!(error.to_string().contains(name), "{error}");
                        n_refused += 1;
                    }
                }
            }
        }
        assert!(n_refused > bytes.len(), "{name}: {n_refused} flips refused");
        fs::write(&path, bytes).unwrap();
    }
    assert_eq!(load(&place.folder).unwrap(), contents(3));
}

#[test]
fn every_cut_of_every_file_is_refused() {
    let place = Place::saved(&[3]);
    for name in FILES {
        let path = place.file(name);
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            // The manifest's last byte is its line end: without it nothing is lost.
            if name == "manifest.json" && length == bytes.len() - 1 {
                assert_eq!(load(&place.folder).unwrap(), contents(3));
            } else {
                refusal(&place.folder, name);
            }
        }
        fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        refusal(&place.folder, name);
        fs::remove_file(&path).unwrap();
        refusal(&place.folder, name);
        fs::create_dir(&path).unwrap();
        refusal(&place.folder, name);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_cut_newest_checkpoint_gives_way_to_the_older_one_and_says_so() {
    let place = Place::saved(&[3, 4]);
    fs::write(place.file("model.safetensors"), "").unwrap();
    let mut loaded = load(&place.folder).unwrap();
    let from = loaded.facts.remove(RECOVERED_FROM).unwrap();
    assert!(
        from.as_str().unwrap().contains("last.old") && from.as_str().unwrap().contains("model.safetensors"),
        "{from}"
    );
    assert_eq!(loaded, contents(3));
}

#[test]
fn a_damaged_newest_checkpoint_does_not_push_out_the_good_one() {
    let place = Place::saved(&[3, 4]);
    fs::write(place.file("ids.json"), "").unwrap();
    for n in 0..40 {
        if save_on(&FullDisk::after(n), &place.folder, &contents(5)).is_ok() {
            assert_eq!(load(&place.folder).unwrap().facts["epoch"], 5);
            fs::remove_dir_all(&place.folder).unwrap();
            assert_eq!(load(&place.folder).unwrap().facts["epoch"], 3);
            return;
        }
        let epoch = load(&place.folder).unwrap().facts["epoch"].clone();
        assert!(epoch == 3 || epoch == 5, "failure at change {n}: epoch {epoch}");
        if epoch == 5 {
            return;
        }
    }
    panic!("a save should need fewer than 40 changes");
}

#[test]
fn when_both_are_damaged_the_newest_is_named() {
    let place = Place::saved(&[3, 4]);
    fs::write(place.file("ids.json"), "").unwrap();
    fs::write(place.beside("last.old").join("config.toml"), "").unwrap();
    refusal(&place.folder, "ids.json");
}

#[test]
fn a_failure_at_any_write_leaves_a_checkpoint_that_loads() {
    let mut n_failures = 0;
    for n in 0.. {
        let place = Place::saved(&[2, 3]);
        match save_on(&FullDisk::after(n), &place.folder, &contents(4)) {
            Ok(()) => break,
            Err(error) => assert_eq!(error.exit_code(), 5, "{error}"),
        }
        n_failures += 1;
        let mut loaded = load(&place.folder).unwrap();
        loaded.facts.remove(RECOVERED_FROM);
        assert!(loaded == contents(3) || loaded == contents(4), "failure at change {n}: {:?}", loaded.facts);
        save(&place.folder, &contents(5)).unwrap();
        assert_eq!(load(&place.folder).unwrap(), contents(5), "the next save should mend everything");
    }
    // Folder; five files in three changes each; sync; remove the oldest; two renames; sync.
    assert_eq!(n_failures, 1 + 5 * 3 + 1 + 1 + 2 + 1);
}

#[test]
fn the_first_save_that_fails_leaves_nothing_that_looks_like_a_checkpoint() {
    for n in 0..18 {
        let place = Place::new();
        save_on(&FullDisk::after(n), &place.folder, &contents(4)).unwrap_err();
        assert!(!exists(&place.folder));
        assert!(matches!(load(&place.folder), Err(RecError::Missing { .. })), "failure at change {n}");
    }
}

#[test]
fn every_state_that_a_killed_rotation_leaves_is_understood() {
    let place = Place::saved(&[3]);
    // Killed while writing: only the unfinished folder is there.
    fs::rename(&place.folder, place.beside("last.tmp")).unwrap();
    let error = load(&place.folder).unwrap_err();
    assert!(matches!(error, RecError::Missing { .. }) && error.to_string().contains("last.tmp"), "{error}");
    // Killed between the two renames: the older and the unfinished one.
    save(&place.beside("other"), &contents(2)).unwrap();
    fs::rename(place.beside("other"), place.beside("last.old")).unwrap();
    assert_eq!(load(&place.folder).unwrap().facts["epoch"], 2);
    // Only the older one; then the next save.
    fs::remove_dir_all(place.beside("last.tmp")).unwrap();
    assert!(exists(&place.folder));
    assert_eq!(load(&place.folder).unwrap().facts["epoch"], 2);
    save(&place.folder, &contents(4)).unwrap();
    assert_eq!(load(&place.folder).unwrap(), contents(4));
}

#[test]
fn a_newer_format_is_refused_even_when_an_older_checkpoint_is_there() {
    let place = Place::saved(&[3, 4]);
    let text = fs::read_to_string(place.file("manifest.json")).unwrap();
    fs::write(place.file("manifest.json"), text.replace("\"version\": 1", "\"version\": 99")).unwrap();
    let line = refusal(&place.folder, "manifest.json");
    assert!(line.contains("format version 99 is newer than 1"), "{line}");
}

#[test]
fn a_folder_of_something_else_is_neither_read_nor_overwritten() {
    let place = Place::new();
    fs::create_dir(&place.folder).unwrap();
    fs::write(place.file("manifest.json"), "{\"name\": \"web app\"}").unwrap();
    refusal(&place.folder, "manifest.json");
    fs::write(place.file("photo.jpg"), "").unwrap();
    assert_eq!(save(&place.folder, &contents(1)).unwrap_err().exit_code(), 6);
    assert!(place.file("photo.jpg").exists());
    assert!(save(Path::new("/"), &contents(1)).is_err());
}

#[test]
fn contents_that_contradict_themselves_are_not_written() {
    let place = Place::new();
    let refused = |change: &dyn Fn(&mut Contents), expected: &str| {
        let mut contents = contents(1);
        change(&mut contents);
        let line = save(&place.folder, &contents).unwrap_err().to_string();
        assert!(line.contains(expected), "{line}");
        assert!(!place.folder.exists());
    };
    refused(&|c| c.ids.users[1] = "u1".into(), "user \"u1\" is listed twice");
    refused(&|c| c.ids.titles.truncate(1), "1 titles for 2 items");
    refused(&|c| c.seen = Some((vec![0, 3], vec![1, 0, 1])), "2 users need 3");
    refused(&|c| c.seen = Some((vec![0, 4, 3], vec![1, 0, 1])), "do not rise");
    refused(&|c| c.seen = Some((vec![0, 2, 3], vec![1, 0, 2])), "item 2, there are 2 items");
    refused(&|c| drop(c.facts.insert("loss".into(), json!({"deep": [f64::NAN]}))), "\"loss\"");
    refused(&|c| c.state.put_fact("logits", vec![0.0, f32::INFINITY]), "\"logits\"");
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    refused(&|c| drop(c.facts.insert("deep".into(), deep.clone())), "nested too deeply");
}

#[test]
fn a_forged_manifest_reaches_no_file_outside_the_folder() {
    let place = Place::saved(&[3]);
    let path = place.file("manifest.json");
    let mut manifest = manifest::Manifest::parse(&path, &fs::read(&path).unwrap()).unwrap();
    let sum = manifest.files["ids.json"].clone();
    manifest.files.insert("../../secret".into(), sum);
    fs::write(&path, manifest.render()).unwrap();
    assert!(refusal(&place.folder, "manifest.json").contains("not ours"));
    manifest.files.remove("../../secret");
    manifest.files.get_mut("ids.json").unwrap().bytes = u64::MAX;
    fs::write(&path, manifest.render()).unwrap();
    assert!(refusal(&place.folder, "ids.json").contains("the manifest says 18446744073709551615"));
}
