//! Contents of a checkpoint, with the rules that they obey before they are written and after they
//! are read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use gcnrec_kernels::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{RecError, Result};
use crate::models::state::{State, Tensor};
use crate::models::{Nodes, Scorer, load_scorer};

/// The fact that [`super::load`] adds when it had to take the older checkpoint: which folder, and
/// why. Never written to disk.
pub const RECOVERED_FROM: &str = "recovered_from";

/// The fact that tells whether the state is a frozen model (`"scorer"`) or a model in training
/// (`"learner"`).
pub const HOLDS: &str = "holds";

/// The fact that tells whether seen items are masked when serving. Without it they are.
pub(crate) const EXCLUDE_SEEN: &str = "exclude_seen";

/// Everything in a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// The registry's name of the model.
    pub model: String,
    /// The parameters and what else the model needs.
    pub state: State,
    /// Names of users and items.
    pub ids: Ids,
    /// What each user has interacted with (training and validation part): user `u` has
    /// `items[ptr[u]..ptr[u + 1]]`, oldest first where the data has an order. Masked when serving,
    /// and the history of known users for models that read one.
    pub seen: Option<(Vec<u32>, Vec<u32>)>,
    /// The resolved configuration.
    pub config_toml: String,
    /// Epoch, seed, fingerprint of the data, arithmetic and the like. None may be null and no list
    /// may hold null: that is what JSON makes of NaN.
    pub facts: BTreeMap<String, Value>,
}

/// Names by dense id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// Names of users; position is the dense id.
    pub users: Vec<String>,
    /// Names of items; position is the dense id.
    pub items: Vec<String>,
    /// Titles of items for people; empty, or one per item.
    pub titles: Vec<String>,
}

impl Contents {
    /// Refuses contents that contradict themselves. `path` is where they come from or go to.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] with the first contradiction.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        self.contradiction().map_or(Ok(()), |problem| {
            Err(RecError::checkpoint(path, problem, "its files do not belong together; train again"))
        })
    }

    /// Refuses what was read with a number that is not finite. What is written may have one: the
    /// moments of a training that is about to end for it.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] naming the first one.
    pub(super) fn check_numbers(&self, path: &Path) -> Result<()> {
        for (name, tensor) in &self.state.tensors {
            let Tensor::F32 { values, .. } = tensor else { continue };
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let problem = format!("tensor \"{name}\" holds {} at {at}, which no model learns", values[at]);
                return Err(RecError::checkpoint(path, problem, "train again, with a lower learning rate"));
            }
        }
        Ok(())
    }

    /// The frozen model, after a check of its state against the names around it.
    ///
    /// # Errors
    /// Those of [`load_scorer`].
    pub fn scorer(&self, device: &Device) -> Result<Box<dyn Scorer>> {
        let nodes = Nodes { n_users: self.ids.users.len(), n_items: self.ids.items.len() };
        load_scorer(device, &self.model, &self.state, nodes)
    }

    fn contradiction(&self) -> Option<String> {
        if self.model.is_empty() {
            return Some("the model has no name".into());
        }
        duplicate("user", &self.ids.users)
            .or_else(|| duplicate("item", &self.ids.items))
            .or_else(|| self.titles_contradiction())
            .or_else(|| self.seen_contradiction())
            .or_else(|| self.state.tensors.iter().find_map(|(name, tensor)| tensor_contradiction(name, tensor)))
            .or_else(|| self.facts.iter().find_map(|(name, value)| not_a_number(name, value)))
            .or_else(|| {
                // A model may store the absence of an optional part as null; a list of numbers has
                // no such excuse.
                self.state.facts.iter().find_map(|(name, value)| not_a_number(name, value).filter(|_| !value.is_null()))
            })
    }

    fn titles_contradiction(&self) -> Option<String> {
        let (n_titles, n_items) = (self.ids.titles.len(), self.ids.items.len());
        (n_titles != 0 && n_titles != n_items).then(|| format!("there are {n_titles} titles for {n_items} items"))
    }

    fn seen_contradiction(&self) -> Option<String> {
        let (ptr, items) = self.seen.as_ref()?;
        let (n_users, n_items) = (self.ids.users.len(), self.ids.items.len());
        if ptr.len() != n_users + 1 {
            return Some(format!("the seen items have {} offsets, {n_users} users need {}", ptr.len(), n_users + 1));
        }
        if ptr[0] != 0 || ptr[n_users] as usize != items.len() || ptr.windows(2).any(|pair| pair[0] > pair[1]) {
            return Some(format!("the offsets of the seen items do not rise from 0 to {}", items.len()));
        }
        let foreign = items.iter().find(|&&item| item as usize >= n_items)?;
        Some(format!("a user has seen item {foreign}, there are {n_items} items"))
    }
}

fn duplicate(what: &str, keys: &[String]) -> Option<String> {
    if u32::try_from(keys.len()).is_err() {
        return Some(format!("there are {} {what}s, at most {} fit", keys.len(), u32::MAX));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().find(|key| !seen.insert(key.as_str())).map(|key| format!("{what} {key:?} is listed twice"))
}

fn tensor_contradiction(name: &str, tensor: &Tensor) -> Option<String> {
    let (shape, n) = match tensor {
        Tensor::F32 { shape, values } => (shape, values.len()),
        Tensor::U32 { shape, values } => (shape, values.len()),
    };
    if name == "__metadata__" {
        return Some("a tensor is called __metadata__, which safetensors keeps for itself".into());
    }
    let product = shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
    (product != Some(n)).then(|| format!("tensor \"{name}\" has shape {shape:?} and {n} values"))
}

/// JSON writes NaN as null. A fact that is null, or a list with null in it, held a number that was
/// none; a null field of an object is an option that was not taken.
fn not_a_number(name: &str, value: &Value) -> Option<String> {
    (value.is_null() || null_in_list(value))
        .then(|| format!("the fact \"{name}\" is or holds null, which NaN turns into"))
}

fn null_in_list(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| value.is_null() || null_in_list(value)),
        Value::Object(map) => map.values().any(null_in_list),
        _ => false,
    }
}
