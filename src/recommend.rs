//! The recommender of a checkpoint: answers by name for users that it knows, for histories of users
//! that it has never seen, and for items.

mod answer;
mod live;
mod names;
mod pairs;
mod popularity;
mod reasons;
mod request;
mod vectors;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use gcnrec_graphs::ItemId;
use gcnrec_kernels::Device;
use serde_json::Value;

use crate::checkpoint::{self, Contents, EXCLUDE_SEEN, Ids, RECOVERED_FROM};
use crate::error::{RecError, Result};
use crate::models::Scorer;
pub use live::Live;
use names::Names;
pub use reasons::Reasons;
pub use request::Request;

/// Items by name with their scores, best first.
///
/// ```
/// let ranking: gcnrec::Ranking = vec![("Alien".into(), 3.2), ("Brazil".into(), 2.9)];
/// let names: Vec<&str> = ranking.iter().map(|(item, _)| item.as_str()).collect();
/// assert_eq!(names, ["Alien", "Brazil"]);
/// ```
pub type Ranking = Vec<(String, f32)>;

/// A trained model with the names of its users and items. Immutable; threads share one.
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// # let prepared = Run::prepare(&sources, Destination::new(&folder))?;
/// # prepared.train(&mut Silent, &Stop::default())?;
/// let recommender = gcnrec::Recommender::open(&folder)?;
/// for (item, score) in recommender.for_user("user-0001", 3)? {
///     println!("{item}\t{score:.4}");
/// }
/// // Somebody who was not in training, by a history; never what is in it already.
/// let history = recommender.items()[0].as_str();
/// assert!(recommender.for_history(&[history], 3)?.iter().all(|(item, _)| item != history));
/// // Many users at once, in parallel; the answers stand in the order of the users.
/// // Somebody whom the model does not know does not keep the others from theirs.
/// let answers = recommender.top_k(&["user-0001", "nobody", "user-0002"], 3);
/// assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok());
/// # Ok(())
/// # }
/// ```
pub struct Recommender {
    scorer: Box<dyn Scorer>,
    users: Names,
    items: Names,
    titles: Vec<String>,
    /// User `u` has `history[ptr[u]..ptr[u + 1]]`, oldest first.
    ptr: Vec<u32>,
    history: Vec<ItemId>,
    popularity: OnceLock<popularity::Popularity>,
    seen_excluded: bool,
    config_toml: String,
    facts: BTreeMap<String, Value>,
}

impl Recommender {
    /// Opens a run folder or a checkpoint folder.
    ///
    /// Of a run, `best` is taken. Only where there is no `best` at all, `last` is, and only when it
    /// holds a frozen model: the state of a training in progress answers no query. A damaged `best`
    /// is never passed over in favour of `last`; an older `best` may stand in for it, and then
    /// [`Recommender::recovered_from`] says so.
    ///
    /// # Errors
    /// [`RecError::Missing`] when there is no checkpoint; [`RecError::Input`] for a file, and for a
    /// training in progress; [`RecError::Checkpoint`] when the checkpoint is damaged, foreign or
    /// newer than this program; those of [`Contents::scorer`].
    pub fn open(run: impl AsRef<Path>) -> Result<Recommender> {
        let (folder, contents) = checkpoint::load_frozen(run.as_ref())?;
        let scorer = contents.scorer(&Device::Cpu).map_err(|error| match error {
            RecError::Checkpoint { problem, todo, .. } => RecError::checkpoint(&folder, problem, todo),
            other => other,
        })?;
        Recommender::from_contents(contents, scorer)
    }

    /// Puts a scorer and the names around it together; `contents.state` is not looked at.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the scorer answers over another number of items than there are
    /// names.
    pub fn from_contents(contents: Contents, scorer: Box<dyn Scorer>) -> Result<Recommender> {
        let Contents { model, ids: Ids { users, items, titles }, seen, config_toml, facts, .. } = contents;
        if scorer.n_items() != items.len() {
            return Err(RecError::checkpoint(
                "checkpoint",
                format!("the {model} model ranks {} items, there are {} names", scorer.n_items(), items.len()),
                "its files do not belong together; train again",
            ));
        }
        let (ptr, history) = seen.unwrap_or_else(|| (vec![0; users.len() + 1], Vec::new()));
        Ok(Recommender {
            scorer,
            users: Names::new("user", users),
            items: Names::new("item", items),
            titles,
            ptr,
            history: history.into_iter().map(ItemId).collect(),
            popularity: OnceLock::new(),
            seen_excluded: facts.get(EXCLUDE_SEEN).and_then(Value::as_bool).unwrap_or(true),
            config_toml,
            facts,
        })
    }

    /// The `k` best items for a user of the training data, without those that the user already has
    /// (unless the run was configured to keep them). Fewer than `k` when there are not so many.
    ///
    /// # Errors
    /// [`RecError::UnknownId`] for a user that the model does not know.
    pub fn for_user(&self, user: &str, k: usize) -> Result<Ranking> {
        self.request().user(user).k(k).top()
    }

    /// The `k` best items for somebody with this history, oldest first. The items of the history
    /// are not recommended again (unless the run was configured to keep them).
    ///
    /// # Errors
    /// [`RecError::UnknownId`] naming an item that the model does not know;
    /// [`RecError::Unsupported`] for a model that cannot use a history.
    pub fn for_history(&self, history: &[&str], k: usize) -> Result<Ranking> {
        self.request().history(history).k(k).top()
    }

    /// The `k` items most like this one, best first, without the item itself.
    ///
    /// # Errors
    /// [`RecError::UnknownId`] for an unknown item; [`RecError::Unsupported`] for a model that has
    /// no notion of similar items.
    pub fn similar_items(&self, item: &str, k: usize) -> Result<Ranking> {
        let item = self.items.find(item, "check its name in the training data")?;
        let similar = self.scorer.similar_items(ItemId(item), k.min(self.n_items()))?;
        finite(similar.iter().map(|(_, score)| score))?;
        Ok(similar.into_iter().map(|(item, score)| (self.items.key(item.0), score)).collect())
    }

    /// [`Recommender::for_user`] for many users, in parallel; the order of the answers is that of
    /// the users. Each has an answer or an error of its own: that of a user whom the model does not
    /// know, or cannot answer, is no obstacle to the others.
    pub fn top_k(&self, users: &[&str], k: usize) -> Vec<Result<Ranking>> {
        let requests: Vec<Request<'_>> = users.iter().map(|user| self.request().user(user).k(k)).collect();
        Recommender::answer_all(&requests)
    }

    /// Number of users that the model was trained on.
    pub fn n_users(&self) -> usize {
        self.users.keys.len()
    }

    /// Number of items that are ranked.
    pub fn n_items(&self) -> usize {
        self.items.keys.len()
    }

    /// Names of all users, in the order of their dense ids.
    pub fn users(&self) -> &[String] {
        &self.users.keys
    }

    /// Names of all items, in the order of their dense ids.
    pub fn items(&self) -> &[String] {
        &self.items.keys
    }

    /// The title of an item, where the data has one.
    pub fn title(&self, item: &str) -> Option<&str> {
        let item = self.items.position(item)?;
        self.titles.get(item as usize).map(String::as_str).filter(|title| !title.is_empty())
    }

    /// The registry's name of the model.
    pub fn model(&self) -> &str {
        self.scorer.model()
    }

    /// The model itself, for evaluation.
    pub fn scorer(&self) -> &dyn Scorer {
        &*self.scorer
    }

    /// The resolved configuration of the run.
    pub fn config_toml(&self) -> &str {
        &self.config_toml
    }

    /// What the checkpoint says about its run: epoch, seed, fingerprint and the like.
    pub fn facts(&self) -> &BTreeMap<String, Value> {
        &self.facts
    }

    /// Which older checkpoint was opened, and why, where the newest was damaged.
    pub fn recovered_from(&self) -> Option<&str> {
        self.facts.get(RECOVERED_FROM).and_then(Value::as_str)
    }

    fn history_of(&self, user: u32) -> &[ItemId] {
        &self.history[self.ptr[user as usize] as usize..self.ptr[user as usize + 1] as usize]
    }
}

/// Refuses to answer with scores that are no numbers or have overflowed. Minus infinity is a legal
/// "never".
fn finite<'a>(scores: impl IntoIterator<Item = &'a f32>) -> Result<()> {
    match scores.into_iter().find(|score| score.is_nan() || **score == f32::INFINITY) {
        None => Ok(()),
        Some(score) => Err(RecError::NotFinite {
            what: "score",
            value: f64::from(*score),
            place: "an answer".into(),
            todo: "the model has diverged; train it again with a lower learning rate".into(),
        }),
    }
}

#[cfg(test)]
mod tests;
