//! What must hold for any bytes: a value or an error, never a panic. An error is one line with one
//! of the documented exit codes; a value keeps the promises of its type. The fuzz targets and the
//! ordinary test of their seeds (`tests/it/fuzz_seeds.rs`) share this.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gcnrec::internals::train;
use gcnrec::internals::train::Job;
use gcnrec::internals::{models, objectives};
use gcnrec::reader;
use gcnrec::reader::Columns;
use gcnrec::reader::Source;
use gcnrec::{Config, Destination, Format, Log, Prepared, RecError, Recommender, Silent, Split, Stop};
use gcnrec_graphs::Seed;
use gcnrec_kernels::Device;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Checkpoints that somebody wrote to do harm.
pub mod attacks;

/// The files of a checkpoint by name.
type Files = BTreeMap<String, Vec<u8>>;

/// An error is one line and has one of these exit codes.
fn check_error(error: &RecError, codes: &[u8]) {
    let line = error.to_string();
    assert!(!line.contains(['\n', '\r']), "{line:?}");
    assert!(codes.contains(&error.exit_code()), "exit code {} for {line:?}", error.exit_code());
}

fn source(bytes: &[u8]) -> Result<Source, RecError> {
    Source::from_reader(Path::new("fuzz.data"), Cursor::new(bytes.to_vec()))
}

/// Any bytes read in any format are rows with names and finite ratings, or an error of exit code 3.
pub fn reader(bytes: &[u8]) {
    for name in Format::names() {
        read_as(Format::named(name).expect("a name of the list should be known"), bytes);
    }
}

fn read_as(format: Format, bytes: &[u8]) {
    if let (Some(reader), Ok(source)) = (format.reader(), source(bytes))
        && let Some(outline) = reader.outline(&source.first_lines(100), &Columns::default())
    {
        let n = outline.names.len();
        let columns = [Some(outline.user), Some(outline.item), outline.rating, outline.time, outline.event];
        assert!(columns.iter().flatten().all(|&column| column < n));
        assert!(outline.rows.iter().all(|row| row.len() == n));
    }
    let mut n_lines = 0;
    let read = source(bytes).and_then(|source| {
        reader::read(source, format, None, &Columns::default(), &mut |row| {
            // The users of sessions have no names.
            assert!(!row.item.is_empty() && (format.is_of_sessions() || !row.user.is_empty()));
            assert!(row.rating.is_none_or(f32::is_finite));
            assert!(row.line >= n_lines, "line {} after {n_lines}", row.line);
            n_lines = row.line;
            Ok(())
        })
    });
    if let Err(error) = read {
        check_error(&error, &[3]);
    }
}

/// Any bytes read as a file of titles give one title per known item, or an error of exit code 3.
pub fn titles(bytes: &[u8]) {
    let items = ["1", "2", "x"].into_iter().collect();
    match source(bytes).and_then(|source| reader::read_titles(source, &Columns::default(), &items)) {
        Ok(titles) => assert!(titles.is_empty() || titles.len() == 3, "{titles:?}"),
        Err(error) => check_error(&error, &[3]),
    }
}

/// Any text is a configuration that reads back equal, or an error of exit code 2 or 4.
pub fn run_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let name = Path::new("/run.toml");
    match Config::from_toml(text, name) {
        Ok(config) => {
            let written = config.to_toml().expect("a valid configuration should be TOML");
            assert_eq!(Config::from_toml(&written, name).expect("what was written should be read"), config);
        }
        Err(error) => check_error(&error, &[2, 4]),
    }
}

/// The files of a checkpoint that the first byte's lower half chooses from.
const FILES: [&str; 5] = ["manifest.json", "model.safetensors", "ids.json", "seen.safetensors", "config.toml"];
/// The models that its upper half chooses from, in the order in which the kept seeds count them;
/// models that are newer than the seeds follow.
const MODELS: [&str; 16] = [
    "lightgcn",
    "lightgcn",
    "mf",
    "popularity",
    "ease",
    "item_knn",
    "gf_cf",
    "rp3beta",
    "markov",
    "fusion",
    "fpmc",
    "gru4rec",
    "narm",
    "sasrec",
    "fmlp",
    "bert4rec",
];

/// The names of all models, each in its place.
pub fn model_names() -> Vec<&'static str> {
    let newer = models::Config::names().into_iter().filter(|name| !MODELS.contains(name));
    MODELS.into_iter().chain(newer).collect()
}

/// The first byte of a case: six files for each model, sixteen models, and then sixteen more.
fn choice_of(model: usize, file: usize) -> u8 {
    (model % 16 * 16 + model / 16 * 6 + file) as u8
}

/// A checkpoint in which one file is replaced is opened or refused with exit code 6, and what was
/// opened answers or refuses by name.
///
/// The first byte chooses the model and the file; the rest is the file. The manifest is made to fit
/// again, so that the bytes get past the checksums to whatever reads them: nothing behind the
/// checksums may trust them. The choice 5 replaces the facts within a fitting manifest.
pub fn checkpoint(bytes: &[u8]) {
    let Some((&choice, content)) = bytes.split_first() else { return };
    let low = usize::from(choice & 15);
    let (file, model) = (low % 6, (usize::from(choice >> 4) + low / 6 * 16) % model_names().len());
    let mut files = base(model).clone();
    match FILES.get(file) {
        Some(&name) => drop(files.insert(name.into(), content.to_vec())),
        None => {
            let Ok(Value::Object(changes)) = serde_json::from_slice(content) else { return };
            let mut manifest = manifest_of(&files);
            manifest.extend(changes);
            files.insert(FILES[0].into(), Value::Object(manifest).to_string().into_bytes());
        }
    }
    if file != 0 {
        seal(&mut files);
    }
    open(&files);
}

/// Opens the files of a checkpoint and asks what opens. True when they were refused.
pub fn open(files: &Files) -> bool {
    static N_OPENED: AtomicUsize = AtomicUsize::new(0);
    let folder = folder().join(format!("opened-{}", N_OPENED.fetch_add(1, Ordering::Relaxed)));
    write(files, &folder);
    let opened = Recommender::open(&folder);
    fs::remove_dir_all(&folder).expect("what was written should be removable");
    match &opened {
        Ok(recommender) => ask(recommender),
        Err(error) => check_error(error, &[6]),
    }
    opened.is_err()
}

/// Writes the files of a checkpoint into a folder.
pub fn write(files: &Files, folder: &Path) {
    fs::create_dir_all(folder).expect("the folder for temporary files should be writable");
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).expect("the folder for temporary files should be writable");
    }
}

/// The first bytes choose a model and one or two attacks on it, whose changes are put together
/// where they are to different files; the checksums fit again.
pub fn run_folder(bytes: &[u8]) {
    static ATTACKS: OnceLock<Vec<Vec<attacks::Attack>>> = OnceLock::new();
    let all = ATTACKS.get_or_init(|| (0..model_names().len()).map(attacks::attacks).collect());
    let Some((&[model, a, b, c, d], _)) = bytes.split_first_chunk::<5>() else { return };
    let of_model = &all[usize::from(model) % all.len()];
    let pick = |high: u8, low: u8| &of_model[(usize::from(high) * 256 + usize::from(low)) % of_model.len()].files;
    let (first, second, sound) = (pick(a, b), pick(c, d), base(usize::from(model) % all.len()));
    let mut files = first.clone();
    files.extend(
        second.iter().filter(|(name, bytes)| sound[*name] != **bytes).map(|(name, b)| (name.clone(), b.clone())),
    );
    seal(&mut files);
    open(&files);
}

fn ask(recommender: &Recommender) {
    let (users, items): (Vec<&str>, Vec<&str>) = (
        recommender.users().iter().take(5).map(String::as_str).collect(),
        recommender.items().iter().take(5).map(String::as_str).collect(),
    );
    let answered = |answer: Result<Vec<(String, f32)>, RecError>| match answer {
        Ok(ranking) => {
            assert!(ranking.len() <= recommender.n_items());
            assert!(ranking.iter().all(|(_, score)| *score < f32::INFINITY), "{ranking:?}");
        }
        // A model may refuse a question, and a score may be no number: both are failures that name
        // themselves.
        Err(error) => check_error(&error, &[1, 3]),
    };
    users.iter().for_each(|user| answered(recommender.for_user(user, 3)));
    items.iter().for_each(|item| answered(recommender.similar_items(item, 3)));
    answered(recommender.for_history(&items, 3));
}

/// Seeds of the target `checkpoint`: every file of every model as it should be, and its facts.
pub fn checkpoint_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for model in 0..model_names().len() {
        let files = base(model);
        for (file, name) in FILES.iter().enumerate() {
            seeds.push([&[choice_of(model, file)], &files[*name][..]].concat());
        }
        let manifest = manifest_of(files);
        let facts = json!({"model": manifest["model"], "state": manifest["state"], "facts": manifest["facts"]});
        seeds.push([&[choice_of(model, 5)], facts.to_string().as_bytes()].concat());
    }
    seeds
}

/// The manifest of a checkpoint.
pub fn manifest_of(files: &Files) -> Map<String, Value> {
    match serde_json::from_slice(&files[FILES[0]]) {
        Ok(Value::Object(manifest)) => manifest,
        other => panic!("the manifest should be an object: {other:?}"),
    }
}

/// Makes the checksums fit the files, and the manifest's own checksum fit the manifest.
pub fn seal(files: &mut Files) {
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut manifest = manifest_of(files);
    let sums = FILES[1..]
        .iter()
        .map(|&name| (name.to_string(), json!({"bytes": files[name].len(), "sha256": hex(&files[name])})));
    manifest.insert("files".into(), Value::Object(sums.collect()));
    manifest.shift_remove("sha256");
    let sealed = hex(sorted(Value::Object(manifest.clone())).to_string().as_bytes());
    manifest.insert("sha256".into(), Value::String(sealed));
    files.insert(FILES[0].into(), Value::Object(manifest).to_string().into_bytes());
}

/// The value with sorted keys: what the manifest's checksum is taken over.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        Value::Object(map) => {
            let fields: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

/// A folder of this process, in memory where the system has such a place.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        base.join(format!("gcnrec-fuzz-{}", std::process::id()))
    })
}

/// The files of a good checkpoint of a model, trained once for a moment.
fn base(model: usize) -> &'static Files {
    static BASES: OnceLock<Vec<Files>> = OnceLock::new();
    &BASES.get_or_init(|| (0..model_names().len()).map(trained).collect())[model]
}

fn trained(model: usize) -> Files {
    let split = Split {
        users: ["a", "b", "c"].into_iter().collect(),
        items: ["w", "x", "y", "z"].into_iter().collect(),
        train: Log { users: vec![0, 0, 1, 1, 2], items: vec![0, 1, 1, 2, 3], ..Log::default() },
        ..Split::default()
    };
    let name = model_names()[model];
    let settings = match (name, model) {
        ("lightgcn", 0) => "layers = 1\ndim = 2\nattention.hidden = 2\ncombination = \"additive\"",
        ("lightgcn", _) => "layers = 1\ndim = 2\nattention.hidden = 2\ncombination = \"dot\"",
        ("mf" | "fpmc", _) => "dim = 2",
        ("gru4rec" | "narm", _) => "dim = 2\nhidden = 2",
        ("sasrec" | "bert4rec" | "fmlp", _) => "dim = 2\ninner = 2\nmax_len = 4",
        _ => "",
    };
    let job = Job {
        split: Arc::new(split),
        model: models::Config::parse(name, settings).expect("the model should exist"),
        objective: objectives::Config::named("softmax").expect("the loss should exist"),
        debias: gcnrec::internals::debias::Config::default(),
        train: train::Config::default().with(|own| own.max_epochs = 1),
        eval: gcnrec::internals::eval::Config::default(),
        seed: Seed(1),
        device: Device::Cpu,
        config_toml: "seed = 1\n".into(),
    };
    let path = folder().join(format!("base-{model}"));
    let prepared = Prepared::of_job(job, Destination::replace(&path)).expect("the small run should pass its checks");
    let finished = prepared.train(&mut Silent, &Stop::default()).expect("the small run should end");
    let best = finished.folder.best();
    let files =
        FILES.map(|name| (name.into(), fs::read(best.join(name)).expect("a checkpoint should have five files")));
    fs::remove_dir_all(&path).expect("what was written should be removable");
    files.into_iter().collect()
}
