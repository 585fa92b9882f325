//! The manifest of a checkpoint: what it is, and the length and SHA-256 of every file, sealed with
//! a SHA-256 of itself.
//!
//! The seal is taken over the manifest's values as compact JSON with sorted keys and without the
//! seal. White space may change; any change of a value is found.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::store::Refusal;

/// Says that a manifest is ours.
pub(super) const FORMAT: &str = "gcnrec-checkpoint";
/// The layout of a checkpoint that this program writes and reads.
pub(super) const VERSION: u64 = 1;
/// The name of the manifest in its folder.
pub(super) const MANIFEST: &str = "manifest.json";
/// Larger than any manifest we write: one that claims more is not read.
pub(super) const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The manifest, without its seal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) version: u64,
    /// The version of the program that wrote it.
    pub(super) gcnrec: String,
    pub(super) model: String,
    pub(super) facts: BTreeMap<String, Value>,
    /// The small facts of the model's state.
    pub(super) state: BTreeMap<String, Value>,
    /// Every other file of the folder.
    pub(super) files: BTreeMap<String, FileSum>,
}

/// The length and checksum of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSum {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl FileSum {
    /// The sums of these bytes.
    pub(super) fn of(bytes: &[u8]) -> FileSum {
        FileSum { bytes: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }
}

impl Manifest {
    /// The manifest as a file: the same manifest gives the same bytes.
    pub(super) fn render(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("a manifest should be JSON: its keys are strings");
        let Value::Object(mut fields) = sorted(value, false) else { unreachable!("a struct serialises to an object") };
        let seal = seal_of(&fields);
        fields.insert("sha256".into(), Value::String(seal));
        let mut bytes = serde_json::to_vec_pretty(&fields).expect("a JSON value should serialise");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest and checks its seal. `path` is for the messages.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest, Refusal> {
        let damaged = |problem: String| Refusal::damaged(path, problem);
        let value: Value = serde_json::from_slice(bytes).map_err(|e| damaged(format!("it is cut or damaged: {e}")))?;
        let Value::Object(mut fields) = value else { return Err(Refusal::foreign(path)) };
        if fields.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(Refusal::foreign(path));
        }
        let seal = fields.shift_remove("sha256");
        let sealed = seal.as_ref().and_then(Value::as_str) == Some(seal_of(&fields).as_str());
        match fields.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => return Err(Refusal::newer(path, version, sealed)),
            _ => return Err(damaged("its format version is not a known number".into())),
        }
        if !sealed {
            return Err(damaged("its checksum does not match its content".into()));
        }
        serde_json::from_value(Value::Object(fields)).map_err(|e| damaged(format!("it is not a manifest: {e}")))
    }
}

/// SHA-256 in lower-case hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seal_of(fields: &Map<String, Value>) -> String {
    let canonical = sorted(Value::Object(fields.clone()), true);
    sha256_hex(canonical.to_string().as_bytes())
}

/// The value with the keys of every object in order: two equal values then print the same bytes.
/// With `outer` unset the outermost object keeps the order of its fields, which is nicer to read.
fn sorted(value: Value, outer: bool) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(|value| sorted(value, true)).collect()),
        Value::Object(map) => {
            let mut fields: Vec<(String, Value)> =
                map.into_iter().map(|(key, value)| (key, sorted(value, true))).collect();
            if outer {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
            }
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT.into(),
            version: VERSION,
            gcnrec: "0.1.0".into(),
            model: "lightgcn".into(),
            facts: BTreeMap::from([
                ("loss".into(), json!(0.1)),
                ("nested".into(), json!({"b": 1, "a": [1.5e-7, -0.0]})),
            ]),
            state: BTreeMap::new(),
            files: BTreeMap::from([("ids.json".into(), FileSum::of(b"{}"))]),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Manifest, Refusal> {
        Manifest::parse(Path::new(MANIFEST), bytes)
    }

    #[test]
    fn sha256_of_abc_is_the_published_vector() {
        // FIPS 180-4, example of one block.
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn rendering_and_parsing_gives_the_same_manifest() {
        assert_eq!(parse(&manifest().render()).unwrap(), manifest());
    }

    #[test]
    fn the_order_of_keys_in_a_fact_changes_no_byte() {
        let mut other = manifest();
        other.facts.insert("nested".into(), json!({"a": [1.5e-7, -0.0], "b": 1}));
        assert_eq!(other.render(), manifest().render());
    }

    #[test]
    fn white_space_may_change_and_values_may_not() {
        let bytes = String::from_utf8(manifest().render()).unwrap();
        assert_eq!(parse(bytes.replace("  ", "\t").as_bytes()).unwrap(), manifest());
        assert!(matches!(parse(bytes.replace("lightgcn", "popularity").as_bytes()), Err(Refusal::Damaged(_))));
    }

    #[test]
    fn a_newer_version_is_told_from_damage_and_from_a_stranger() {
        let newer = Manifest { version: 2, ..manifest() }.render();
        assert!(matches!(parse(&newer), Err(Refusal::Final(e)) if e.to_string().contains("format version 2")));
        assert!(matches!(parse(b"{\"format\": \"pt\"}"), Err(Refusal::Final(_))));
        assert!(matches!(parse(b"[]"), Err(Refusal::Final(_))));
        assert!(matches!(parse(b""), Err(Refusal::Damaged(_))));
    }
}
