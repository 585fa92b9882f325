//! Vectors by name, for an index in another program: their inner product ranks as the model does.

use gcnrec_graphs::{ItemId, UserId};
use ndarray::{Array2, Axis};

use super::{Recommender, finite};
use crate::error::Result;
use crate::models::Query;

/// Vectors whose inner products give the model's ranking. Nothing is left out of such a ranking:
/// whoever asks an index leaves out what the user already has.
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.extend(["model.mf.dim=8", "train.max_epochs=2"].map(String::from));
/// # let sources = Sources { set, ..Sources::default() };
/// # let prepared = Run::prepare(&sources, Destination::new(&folder))?;
/// # prepared.train(&mut Silent, &Stop::default())?;
/// let recommender = gcnrec::Recommender::open(&folder)?;
/// let items = recommender.item_vectors()?; // in the order of recommender.items()
/// let users = recommender.user_vectors(&["user-0001", "user-0002"])?;
/// let scores = users.dot(&items.t());
/// assert_eq!(scores.dim(), (2, recommender.n_items()));
/// // Somebody new, by what they liked.
/// let history = recommender.items()[0].as_str();
/// assert_eq!(recommender.history_vector(&[history])?.len(), items.ncols());
/// # Ok(())
/// # }
/// ```
impl Recommender {
    /// The vectors of all items, in the order of [`Recommender::items`].
    ///
    /// # Errors
    /// [`crate::RecError::Unsupported`] for a model whose ranking is no inner product.
    pub fn item_vectors(&self) -> Result<Array2<f32>> {
        let vectors = self.scorer.item_vectors()?;
        finite(&vectors)?;
        Ok(vectors)
    }

    /// The vectors of some users, a row for each.
    ///
    /// # Errors
    /// As [`Recommender::item_vectors`]; [`crate::RecError::UnknownId`] for a user that the model
    /// does not know.
    pub fn user_vectors(&self, users: &[&str]) -> Result<Array2<f32>> {
        let query = |user: &&str| {
            let user = self.users.find(user, "pass a history to score a new user")?;
            Ok(Query { user: Some(UserId(user)), history: self.history_of(user) })
        };
        self.query_vectors(&users.iter().map(query).collect::<Result<Vec<_>>>()?)
    }

    /// The vector of somebody with this history, oldest first.
    ///
    /// # Errors
    /// As [`Recommender::item_vectors`]; [`crate::RecError::UnknownId`] naming an item that the
    /// model does not know.
    pub fn history_vector(&self, history: &[&str]) -> Result<Vec<f32>> {
        let find = |item: &&str| self.items.find(item, "leave it out of the history").map(ItemId);
        let history: Vec<ItemId> = history.iter().map(find).collect::<Result<_>>()?;
        let vectors = self.query_vectors(&[Query { user: None, history: &history }])?;
        Ok(vectors.index_axis(Axis(0), 0).to_vec())
    }

    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let vectors = self.scorer.query_vectors(queries)?;
        finite(&vectors)?;
        Ok(vectors)
    }
}
