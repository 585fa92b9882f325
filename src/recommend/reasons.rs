//! Reasons: which items of a history carry a score.

use super::{Ranking, Request, finite};
use crate::error::Result;
use gcnrec_graphs::ItemId;

/// Why an item has its score: what each item of the history adds to it. Made by
/// [`Request::reasons`].
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// # let prepared = Run::prepare(&sources, Destination::new(&place.path().join("run")))?;
/// # let recommender = prepared.train(&mut Silent, &Stop::default())?.recommender()?;
/// let request = recommender.request().user("user-0001");
/// let (item, score) = request.top()?.remove(0);
/// let reasons: gcnrec::Reasons = request.reasons(&item, 2)?;
/// for (met, share) in &reasons.shares {
///     println!("{share:.3} of {score:.3} because of {met}");
/// }
/// assert_eq!(reasons.score, score);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Reasons {
    /// The item's score. All shares add up to it, those that were not asked for included.
    pub score: f32,
    /// Items of the history and what they add, the largest first; without those that add nothing.
    /// A share below zero speaks against the item.
    pub shares: Ranking,
}

impl Request<'_> {
    /// The `n` items of the history that add most to the score of `item`. Only who asks is read of
    /// the request: the item may be one that the request would not answer.
    ///
    /// The shares are exact, for models whose score is a sum over the history: `ease`, `item_knn`,
    /// `rp3beta`, `gf_cf`. Without the strongest item the score is lower by its share.
    ///
    /// # Errors
    /// [`crate::RecError::Unsupported`] for any other model; [`crate::RecError::UnknownId`] for an
    /// item that the model does not know; those of [`Request::top`].
    pub fn reasons(&self, item: &str, n: usize) -> Result<Reasons> {
        let asked = self.asked()?;
        let recommender = self.recommender;
        let item = recommender.items.find(item, "check its name in the training data")?;
        let query = asked.query();
        let mut shares = recommender.scorer.shares(&query, ItemId(item))?;
        let top = recommender.scorer.top_k_among(&[query], &[&[item]], 1)?;
        finite(shares.iter().map(|(_, share)| share).chain(&top.scores))?;
        shares.retain(|(_, share)| *share != 0.0);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let shares = shares.into_iter().take(n).map(|(met, share)| (recommender.items.key(met.0), share)).collect();
        Ok(Reasons { score: top.scores[0], shares })
    }
}
