//! Layers of configuration: preset, run file, environment, `--set` and flags become one
//! configuration whose every value has an origin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Value;

use super::choice::{Choice, Family};
use super::entry::{Entry, insert};
use super::losses::{Losses, losses_of, trained_on_one};
use super::run::Config;
use super::{check, flags, paths, presets, run_file};
use crate::error::{RecError, Result};
use crate::files::{SETTINGS_LIMIT, read_small_file};
use crate::{debias, models, objectives, train};

/// The variable that names a folder where data files are searched; it is no key.
const DATA_FOLDER: &str = "GCNREC_DATA";

/// Where values come from. Nothing is read from the process: the caller passes its environment and
/// its current folder.
///
/// ```
/// use gcnrec::{Sources, resolve};
///
/// let set = vec!["model=ease".into(), "model.ease.l2=300".into()];
/// let resolved = resolve(&Sources { set, ..Sources::default() })?;
/// assert_eq!(resolved.config.model.name(), "ease");
/// assert_eq!(resolved.origins.of("model.ease.l2"), "--set model.ease.l2=300");
/// // A typing error is refused, with the nearest key that exists.
/// let set = vec!["train.patiense=3".into()];
/// let error = resolve(&Sources { set, ..Sources::default() }).unwrap_err();
/// assert!(error.to_string().ends_with("did you mean \"patience\"?"));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A name of [`PRESETS`](super::PRESETS).
    pub preset: Option<String>,
    /// A run file.
    pub run_file: Option<PathBuf>,
    /// Variables with their names. Those that do not start with `GCNREC_` are ignored.
    pub environment: Vec<(String, String)>,
    /// Texts such as `train.patience=3`.
    pub set: Vec<String>,
    /// The flags that were given.
    pub flags: Vec<flags::Flag>,
    /// What relative paths given by flags, `--set` and the environment refer to; empty for the
    /// process's own current folder.
    pub folder: PathBuf,
}

impl Sources {
    /// The folder that `GCNREC_DATA` names.
    pub fn data_folder(&self) -> Option<&Path> {
        let variable = self.environment.iter().find(|(name, text)| name == DATA_FOLDER && !text.is_empty());
        variable.map(|(_, text)| Path::new(text))
    }
}

/// Which value was written where, by dotted key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Where a key was set: its own origin, or that of the first key below it; empty for a default.
    pub fn of(&self, key: &str) -> &str {
        let below = format!("{key}.");
        let found = self.0.get(key).or_else(|| self.0.iter().find(|(k, _)| k.starts_with(&below)).map(|(_, o)| o));
        found.map_or("", String::as_str)
    }

    /// Adds the origin to an error that has a key but no origin; `key` is for errors without a key.
    pub fn explain(&self, key: &str, mut error: RecError) -> RecError {
        match &mut error {
            RecError::Config { key, origin, .. } if origin.is_empty() => *origin = self.of(key).into(),
            RecError::Unknown { origin, .. } if origin.is_empty() => *origin = self.of(key).into(),
            _ => {}
        }
        error
    }
}

/// A complete configuration.
///
/// ```
/// use gcnrec::{Sources, resolve};
///
/// let set = vec!["train.patience=3".into()];
/// let resolved = resolve(&Sources { set, ..Sources::default() })?;
/// assert_eq!(resolved.config.train.patience, 3);
/// assert!(resolved.origins.of("train.patience").contains("--set"));
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The values, checked.
    pub config: Config,
    /// Where they were written.
    pub origins: Origins,
    /// What was written without effect, one sentence each, for the user to read.
    pub notes: Vec<String>,
    /// Paths as they were written, by key, where their files were found in the data folder.
    pub(super) in_data_folder: BTreeMap<String, String>,
}

impl Resolved {
    /// Of a complete configuration.
    pub(crate) fn of(config: Config) -> Resolved {
        let (origins, notes, in_data_folder) = Default::default();
        Resolved { config, origins, notes, in_data_folder }
    }
}

/// A source of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Preset,
    RunFile,
    Environment,
    Set,
    Flags,
}

/// The values of one source, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) kind: Kind,
    pub(super) entries: Vec<Entry>,
}

/// Merges all layers, checks every part, and makes the paths of the data absolute.
///
/// # Errors
/// [`RecError::Config`] and [`RecError::Unknown`] with the origin of the value; [`RecError::Usage`]
/// for flags that do not fit; [`RecError::Missing`] and [`RecError::Io`] for a run file that cannot
/// be read.
pub fn resolve(sources: &Sources) -> Result<Resolved> {
    let Some(file) = &sources.run_file else { return resolve_text(sources, None) };
    let bytes = read_small_file(file, SETTINGS_LIMIT)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        RecError::range(
            "encoding",
            format!("a byte that is not UTF-8 at offset {}", error.utf8_error().valid_up_to()),
            "a TOML file in UTF-8",
        )
        .with_origin(file.display().to_string())
    })?;
    resolve_text(sources, Some((&text, file)))
}

/// As [`resolve`], with the text of the run file given.
///
/// # Errors
/// As [`resolve`].
pub(super) fn resolve_text(sources: &Sources, run_file: Option<(&str, &Path)>) -> Result<Resolved> {
    let mut notes = Vec::new();
    let mut layers = read_layers(sources, run_file)?;
    let (models, methods) = (Family::model(), Family::debias());
    let model = models.choose(&layers).unwrap_or_else(|| Choice::default_of(models::Config::default().name()));
    models.keep(&mut layers, &model, &mut notes)?;
    let loss = choose_loss(&mut layers, &model, &mut notes)?;
    if losses_of(&model.name) == Losses::None {
        notes.extend(layers.iter().flat_map(|layer| unread_training(layer, &model)));
    }
    let method = methods.choose(&layers).unwrap_or_else(|| Choice::default_of(debias::Config::default().name()));
    methods.keep(&mut layers, &method, &mut notes)?;
    let mut settings = flags::settings(&sources.flags, &model, loss.as_ref(), &mut notes)?;
    for entry in &mut settings {
        check::check(entry)?;
        paths::locate(entry, &sources.folder, sources.data_folder());
    }
    let flags = layers.last_mut().expect("the flags should always be the last layer");
    flags.entries.extend(settings);

    drop_replaced_sources(&mut layers);
    let mut merged: BTreeMap<Vec<String>, Entry> = BTreeMap::new();
    for layer in layers {
        merged.extend(layer.entries.into_iter().map(|entry| (entry.path.clone(), entry)));
    }
    let chosen = [(models, Some(&model)), (Family::loss(), loss.as_ref()), (methods, Some(&method))];
    let written = |entry: &Entry| Some((entry.key(), entry.in_data_folder.clone()?));
    let in_data_folder = merged.values().filter_map(written).collect();
    let (mut config, origins) = build(merged, &chosen)?;
    if loss.is_none() {
        config.objective = None;
    }
    config.check_parts().map_err(|(key, error)| origins.explain(key, error))?;
    Ok(Resolved { config, origins, notes, in_data_folder })
}

/// Another source of data in a higher layer makes what lower layers say about theirs void. `--set`
/// and the flags stand on one command line: there neither hides the other, so that what contradicts
/// itself is refused.
fn drop_replaced_sources(layers: &mut [Layer]) {
    for rank in 1..layers.len() {
        let (lower, higher) = layers.split_at_mut(rank);
        let higher = &higher[0];
        for layer in lower.iter_mut().filter(|layer| (layer.kind, higher.kind) != (Kind::Set, Kind::Flags)) {
            layer
                .entries
                .retain(|entry| !higher.entries.iter().any(|source| paths::replaces_source(source, &entry.path)));
        }
    }
}

/// The layers from the lowest to the highest. The last one holds only the flags that choose a model
/// or a loss.
fn read_layers(sources: &Sources, run_file: Option<(&str, &Path)>) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    if let Some(name) = &sources.preset {
        let mut entries = run_file::entries(presets::text(name)?, Path::new(name))?;
        entries.iter_mut().for_each(|entry| entry.origin = format!("preset {name}"));
        layers.push(Layer { kind: Kind::Preset, entries });
    }
    if let Some((text, file)) = run_file {
        let mut entries = run_file::entries(text, file)?;
        let base = file.parent().unwrap_or(Path::new(""));
        entries.iter_mut().for_each(|entry| paths::locate(entry, base, sources.data_folder()));
        layers.push(Layer { kind: Kind::RunFile, entries });
    }
    layers.push(Layer { kind: Kind::Environment, entries: from_environment(&sources.environment)? });
    layers.push(Layer {
        kind: Kind::Set,
        entries: sources.set.iter().map(|text| from_set(text)).collect::<Result<_>>()?,
    });
    for layer in layers.iter_mut().filter(|layer| matches!(layer.kind, Kind::Environment | Kind::Set)) {
        layer.entries.iter_mut().for_each(|entry| paths::locate(entry, &sources.folder, sources.data_folder()));
    }
    let choices = flags::choices(&sources.flags);
    choices.iter().try_for_each(check::check)?;
    layers.push(Layer { kind: Kind::Flags, entries: choices });
    Ok(layers)
}

/// `GCNREC_TRAIN__LEARNING_RATE=0.1` sets `train.learning_rate`.
fn from_environment(variables: &[(String, String)]) -> Result<Vec<Entry>> {
    let mut variables: Vec<_> = variables.iter().filter(|(name, _)| name != DATA_FOLDER).collect();
    variables.sort();
    let entry = |(name, text): &(String, String)| {
        let key = name.strip_prefix("GCNREC_")?.to_lowercase();
        Some(run_file::from_text(key.split("__").map(String::from).collect(), text, name.clone()))
    };
    variables.into_iter().filter_map(entry).collect()
}

/// `train.patience=3`.
fn from_set(text: &str) -> Result<Entry> {
    let usage = |problem: &str| {
        RecError::usage(format!("--set {text}: {problem}"), "write --set key=value, as in --set train.patience=3")
    };
    let (key, value) = text.split_once('=').ok_or_else(|| usage("there is no value"))?;
    let path: Vec<String> = key.trim().split('.').map(|name| name.trim().to_string()).collect();
    if path.iter().any(String::is_empty) {
        return Err(usage("the key has an empty part"));
    }
    run_file::from_text(path, value.trim(), format!("--set {text}"))
}

/// The loss in use, or none for a model that has no loss.
fn choose_loss(layers: &mut [Layer], model: &Choice, notes: &mut Vec<String>) -> Result<Option<Choice>> {
    let losses = Family::loss();
    if losses_of(&model.name) == Losses::OfPairs {
        let loss = losses.choose(layers).unwrap_or_else(|| Choice::default_of(objectives::Config::default().name()));
        losses.keep(layers, &loss, notes)?;
        return Ok(Some(loss));
    }
    let chosen = model.layer.unwrap_or(0);
    for (rank, layer) in layers.iter_mut().enumerate() {
        // `--loss` is refused together with the other flags that do not fit. `--set` stands beside
        // the flag that chose the model, not below it.
        if layer.kind == Kind::Set || (rank >= chosen && layer.kind != Kind::Flags) {
            refuse_loss(&losses, layer, model)?;
        }
        layer.entries.retain(|entry| !losses.holds(entry));
    }
    Ok(None)
}

/// What `--set` and the environment say of steps to a model that takes none.
fn unread_training(layer: &Layer, model: &Choice) -> Vec<String> {
    let is_unread = |entry: &&Entry| matches!(&entry.path[..], [table, key, ..] if table == "train" && !train::Config::is_read_without_steps(key));
    let note = |entry: &Entry| format!("{} has no effect: {} is not trained by steps", entry.origin, model.name);
    match layer.kind {
        Kind::Environment | Kind::Set => layer.entries.iter().filter(is_unread).map(note).collect(),
        Kind::Preset | Kind::RunFile | Kind::Flags => Vec::new(),
    }
}

fn refuse_loss(family: &Family, layer: &Layer, model: &Choice) -> Result<()> {
    let Some(entry) = layer.entries.iter().find(|entry| family.holds(entry)) else { return Ok(()) };
    let shown = model.shown();
    let expected = match losses_of(&model.name) {
        Losses::Own => format!("none beside the model {shown}, which has losses of its own"),
        Losses::OfMembers => format!("none beside the model {shown}, which takes the losses of its members"),
        Losses::OfPairs | Losses::None => format!("no loss: the model is {shown}, computed in closed form"),
    };
    let usual = trained_on_one()[0];
    let todo = format!("remove the loss or choose a model that is trained on one, such as {usual}");
    let found = format!("the loss {}", entry.path[1]);
    Err(RecError::range(entry.key(), found, expected).with_origin(&entry.origin).with_todo(todo))
}

/// Builds the whole from the merged entries.
fn build(merged: BTreeMap<Vec<String>, Entry>, chosen: &[(Family, Option<&Choice>)]) -> Result<(Config, Origins)> {
    let mut table = toml::Table::new();
    let mut origins = BTreeMap::new();
    for (family, choice) in chosen.iter().filter_map(|(family, choice)| Some((family, (*choice)?))) {
        insert(&mut table, &[family.key.into(), choice.name.clone()], Value::Table(toml::Table::new()));
        if !choice.origin.is_empty() {
            origins.insert(format!("{}.{}", family.key, choice.name), choice.origin.clone());
        }
    }
    for (path, entry) in merged {
        origins.insert(entry.key(), entry.origin);
        insert(&mut table, &path, entry.value);
    }
    let origins = Origins(origins);
    // Entries are checked one by one before, so little is refused here, such as numbers that are
    // too large.
    let config = serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
        let key = error.path().to_string();
        let problem = error.inner().message().lines().collect::<Vec<_>>().join(", ");
        let found = key.split('.').try_fold(&Value::Table(table), |value, name| value.get(name)).map(check::show);
        RecError::range(&key, found.unwrap_or_default(), "another value")
            .with_origin(origins.of(&key))
            .with_todo(problem)
    })?;
    Ok((config, origins))
}
