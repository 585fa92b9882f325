//! Checkpoints as somebody would write them to do harm: one thing is not what the rest says, and
//! all checksums fit.
//!
//! Nothing here knows a model: every tensor, every fact and every name of a sound checkpoint is
//! changed in every way of a list.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{FILES, Files, base, manifest_of, model_names, seal};

const TENSORS: [&str; 2] = ["model.safetensors", "seen.safetensors"];

/// A changed checkpoint.
pub struct Attack {
    /// What was changed, as in `sasrec: items: no columns`.
    pub name: String,
    /// Its files, checksums fitting.
    pub files: Files,
    /// True where nothing of this size or with these numbers can have been trained.
    pub is_refused: bool,
}

/// A tensor as it lies in a file.
#[derive(Clone, PartialEq)]
struct Stored {
    dtype: String,
    shape: Vec<u64>,
    data: Vec<u8>,
}

impl Stored {
    /// Takes another shape: numbers are cut off, or zeros added.
    fn reshape(&mut self, shape: Vec<u64>) {
        self.data.resize(4 * shape.iter().product::<u64>() as usize, 0);
        self.shape = shape;
    }

    fn fill(&mut self, word: [u8; 4]) {
        self.data.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&word));
    }

    fn put_first(&mut self, word: [u8; 4]) {
        self.data.iter_mut().zip(word).for_each(|(byte, new)| *byte = new);
    }

    fn resize_axis(&mut self, is_last: bool, by: i64) {
        let mut shape = self.shape.clone();
        let axis = if is_last { shape.last_mut() } else { shape.first_mut() };
        if let Some(length) = axis {
            *length = length.saturating_add_signed(by);
        }
        self.reshape(shape);
    }
}

type Change = (&'static str, fn(&mut Stored));

/// What no model can take, where it changes anything.
const SHAPES: [Change; 14] = [
    ("no rows and 2^40 columns", |t| t.reshape(vec![0, 1 << 40])),
    ("2^40 rows and no columns", |t| t.reshape(vec![1 << 40, 0])),
    ("no rows", |t| t.resize_axis(false, i64::MIN)),
    ("no columns", |t| t.resize_axis(true, i64::MIN)),
    ("a row more", |t| t.resize_axis(false, 1)),
    ("a row less", |t| t.resize_axis(false, -1)),
    ("a column more", |t| t.resize_axis(true, 1)),
    ("a column less", |t| t.resize_axis(true, -1)),
    ("half the columns", |t| t.reshape(t.shape.iter().map(|length| length / 2).collect())),
    ("transposed", |t| t.shape.reverse()),
    ("flat", |t| t.shape = vec![t.shape.iter().product()]),
    ("an axis more", |t| t.shape.push(1)),
    ("one number", |t| t.reshape(Vec::new())),
    ("another type", |t| t.dtype = if t.dtype == "F32" { "U32".into() } else { "F32".into() }),
];

/// Numbers that a model may or may not take.
const NUMBERS: [Change; 9] = [
    ("first NaN", |t| t.put_first(f32::NAN.to_le_bytes())),
    ("first infinite", |t| t.put_first(f32::INFINITY.to_le_bytes())),
    ("first minus infinity", |t| t.put_first(f32::NEG_INFINITY.to_le_bytes())),
    ("all huge", |t| t.fill(f32::MAX.to_le_bytes())),
    ("all large", |t| t.fill(1e14f32.to_le_bytes())),
    ("all denormal", |t| t.fill(1u32.to_le_bytes())),
    ("all -1", |t| t.fill((-1f32).to_le_bytes())),
    ("all zero", |t| t.fill([0; 4])),
    ("all ones", |t| t.fill([0xff; 4])),
];

/// What takes the place of a fact.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(-1),
        json!(0),
        json!(1),
        json!(-40),
        json!(1u64 << 40),
        json!(u64::MAX),
        json!(1e300),
        json!(1e-300),
        json!(true),
        json!("x"),
        json!([]),
        json!({}),
    ]
}

/// Every attack on a model, by its number.
pub fn attacks(model: usize) -> Vec<Attack> {
    let mut found = Vec::new();
    for file in TENSORS {
        on_tensors(model, file, &mut found);
    }
    on_facts(model, &mut found);
    on_names(model, &mut found);
    for other in model_names() {
        found.push(with_manifest(model, format!("called {other}"), |manifest| {
            manifest.insert("model".into(), other.into());
        }));
    }
    found
}

fn attack(model: usize, what: &str, mut files: Files, is_refused: bool) -> Attack {
    seal(&mut files);
    Attack { name: format!("{} {model}: {what}", model_names()[model]), files, is_refused }
}

fn with_manifest(model: usize, what: String, change: impl FnOnce(&mut Map<String, Value>)) -> Attack {
    let mut files = base(model).clone();
    let mut manifest = manifest_of(&files);
    change(&mut manifest);
    files.insert(FILES[0].into(), Value::Object(manifest).to_string().into_bytes());
    attack(model, &what, files, false)
}

fn on_tensors(model: usize, file: &str, found: &mut Vec<Attack>) {
    let tensors = unpack(&base(model)[file]);
    let mut put = |what: String, tensors: &BTreeMap<String, Stored>, is_refused| {
        let mut files = base(model).clone();
        files.insert(file.into(), pack(tensors));
        found.push(attack(model, &what, files, is_refused));
    };
    for (name, tensor) in &tensors {
        // What a debiasing method had learned answers no question, and any user may have no history.
        let is_read = !name.contains("debias.") && !name.ends_with("without_history");
        for (n, (what, change)) in SHAPES.iter().chain(&NUMBERS).enumerate() {
            let mut changed = tensor.clone();
            change(&mut changed);
            if changed != *tensor {
                // A matrix of factors may have any number of them.
                let is_factors = name == "vectors" && changed.shape.len() == 2 && changed.shape[0] == tensor.shape[0];
                let not_finite = changed.dtype == "F32" && changed.data.chunks_exact(4).any(is_not_finite);
                let all = tensors.clone().into_iter().chain([(name.clone(), changed)]).collect();
                put(format!("{name}: {what}"), &all, is_read && !is_factors && n < SHAPES.len() || not_finite);
            }
        }
        let mut without = tensors.clone();
        without.remove(name);
        put(format!("{name}: gone"), &without, is_read);
    }
    let mut all = tensors;
    all.values_mut().for_each(|tensor| tensor.resize_axis(true, i64::MIN));
    put("no columns anywhere".into(), &all, true);
}

fn is_not_finite(word: &[u8]) -> bool {
    word.try_into().is_ok_and(|word| !f32::from_le_bytes(word).is_finite())
}

fn on_facts(model: usize, found: &mut Vec<Attack>) {
    let manifest = manifest_of(base(model));
    for table in ["state", "facts"] {
        let mut paths = Vec::new();
        leaves(&manifest[table], &format!("/{table}"), &mut paths);
        for path in paths {
            for value in values() {
                found.push(with_manifest(model, format!("{path} is {value}"), |manifest| {
                    let mut whole = Value::Object(std::mem::take(manifest));
                    if let Some(place) = whole.pointer_mut(&path) {
                        *place = value;
                    }
                    *manifest = whole.as_object().cloned().unwrap_or_default();
                }));
            }
        }
    }
    // Settings that are kept as a text.
    for (name, text) in manifest["state"].as_object().into_iter().flatten() {
        let Some(Ok(settings)) = text.as_str().map(serde_json::from_str::<Value>) else { continue };
        let mut paths = Vec::new();
        leaves(&settings, "", &mut paths);
        for path in paths {
            for value in values() {
                let mut settings = settings.clone();
                if let Some(place) = settings.pointer_mut(&path) {
                    *place = value.clone();
                }
                found.push(with_manifest(model, format!("{name}{path} is {value}"), |manifest| {
                    manifest["state"][name] = settings.to_string().into();
                }));
            }
        }
    }
}

/// The places of all values that are no tables, and of lists as a whole.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found));
        }
        Value::Array(list) if !list.is_empty() => {
            found.push(at.into());
            leaves(&list[0], &format!("{at}/0"), found);
        }
        _ => found.push(at.into()),
    }
}

fn on_names(model: usize, found: &mut Vec<Attack>) {
    let ids: Value = serde_json::from_slice(&base(model)["ids.json"]).expect("names should be JSON");
    let mut put = |what: &str, change: &dyn Fn(&mut Value)| {
        let (mut files, mut ids) = (base(model).clone(), ids.clone());
        change(&mut ids);
        files.insert("ids.json".into(), ids.to_string().into_bytes());
        found.push(attack(model, what, files, true));
    };
    let push = |ids: &mut Value, kind: &str, name: &str| {
        ids[kind].as_array_mut().expect("names should be a list").push(name.into());
    };
    put("a user more", &|ids| push(ids, "users", "more"));
    put("an item more", &|ids| push(ids, "items", "more"));
    put("a user twice", &|ids| ids["users"][1] = ids["users"][0].clone());
    put("an item twice", &|ids| ids["items"][1] = ids["items"][0].clone());
    put("a title for nothing", &|ids| push(ids, "titles", "more"));
    put("no users", &|ids| ids["users"] = json!([]));
    put("no items", &|ids| ids["items"] = json!([]));
    put("nothing at all", &|ids| *ids = json!({"users": [], "items": [], "titles": []}));
    put("names that are numbers", &|ids| ids["users"] = json!([1, 2, 3]));
}

/// The tensors of a `safetensors` file: the length of its header in 8 bytes, the header in JSON,
/// the numbers.
fn unpack(bytes: &[u8]) -> BTreeMap<String, Stored> {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("the file should have a header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).expect("the header should be JSON");
    let number = |value: &Value| value.as_u64().expect("a length should be a whole number");
    let stored = |tensor: &Value| Stored {
        dtype: tensor["dtype"].as_str().expect("a type should be a name").into(),
        shape: tensor["shape"].as_array().expect("a shape should be a list").iter().map(number).collect(),
        data: data[number(&tensor["data_offsets"][0]) as usize..number(&tensor["data_offsets"][1]) as usize].to_vec(),
    };
    header.iter().map(|(name, tensor)| (name.clone(), stored(tensor))).collect()
}

fn pack(tensors: &BTreeMap<String, Stored>) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, Stored { dtype, shape, data: own }) in tensors {
        let offsets = [data.len(), data.len() + own.len()];
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
        data.extend_from_slice(own);
    }
    let header = Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}
