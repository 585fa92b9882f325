//! Requests: one question to a recommender, built up word by word.

use gcnrec_graphs::{ItemId, UserId};

use super::answer::{Asked, answer_all};
use super::{Ranking, Recommender};
use crate::error::{RecError, Result};

/// What should come next, for whom, and from which items. Made by [`Recommender::request`],
/// answered by [`Request::top`], or with others by [`Recommender::answer_all`].
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
/// use gcnrec::Recommender;
///
/// let recommender = Recommender::open(&folder)?;
/// let (in_stock, sold_out) = (&recommender.items()[..30], &recommender.items()[3]);
/// // Three items that are in stock and were not shown a minute ago.
/// let request = recommender.request().user("user-0001").k(3).among(in_stock).without([sold_out]);
/// let ranking = request.top()?;
/// assert!(ranking.len() <= 3 && ranking.iter().all(|(item, _)| item != sold_out));
///
/// // Somebody new, by what they met, the newest last.
/// let history = [&recommender.items()[7], &recommender.items()[2]];
/// let for_somebody_new = recommender.request().history(history).min_score(0.01);
/// // Several at once, in parallel; each has an answer or an error of its own.
/// let answers = Recommender::answer_all(&[request, for_somebody_new]);
/// assert_eq!(answers[0].as_ref().unwrap(), &ranking);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a request asks nothing until `top` is called"]
pub struct Request<'a> {
    pub(super) recommender: &'a Recommender,
    user: Option<&'a str>,
    history: Option<Vec<&'a str>>,
    k: usize,
    among: Option<Vec<&'a str>>,
    without: Vec<&'a str>,
    excludes_seen: bool,
    skips_unknown: bool,
    min_score: Option<f32>,
    popularity_penalty: f32,
}

impl Recommender {
    /// A question about what should come next: say for whom, by [`Request::user`] or
    /// [`Request::history`], and what else matters.
    pub fn request(&self) -> Request<'_> {
        Request {
            recommender: self,
            user: None,
            history: None,
            k: 10,
            among: None,
            without: Vec::new(),
            excludes_seen: self.seen_excluded,
            skips_unknown: false,
            min_score: None,
            popularity_penalty: 0.0,
        }
    }

    /// [`Request::top`] for many requests, in parallel: the same lists to the bit, in the order of
    /// the requests. Each has an answer or an error of its own, from the recommender that it was
    /// made by.
    pub fn answer_all(requests: &[Request<'_>]) -> Vec<Result<Ranking>> {
        answer_all(requests)
    }
}

impl<'a> Request<'a> {
    /// For a user of the training data.
    pub fn user(mut self, user: &'a str) -> Self {
        self.user = Some(user);
        self
    }

    /// For somebody with this history, oldest first, whoever they are. A request has a user or a
    /// history: one with both is refused, since a model could follow one of them only.
    pub fn history<S: AsRef<str> + ?Sized + 'a>(mut self, items: impl IntoIterator<Item = &'a S>) -> Self {
        self.history = Some(items.into_iter().map(AsRef::as_ref).collect());
        self
    }

    /// How many items to answer, 10 unless told. The answer is shorter where there are not so many.
    pub fn k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Nothing but these items: those in stock, say, or of one shelf. The last call counts.
    pub fn among<S: AsRef<str> + ?Sized + 'a>(mut self, items: impl IntoIterator<Item = &'a S>) -> Self {
        self.among = Some(items.into_iter().map(AsRef::as_ref).collect());
        self
    }

    /// None of these items; further calls add to them.
    pub fn without<S: AsRef<str> + ?Sized + 'a>(mut self, items: impl IntoIterator<Item = &'a S>) -> Self {
        self.without.extend(items.into_iter().map(AsRef::as_ref));
        self
    }

    /// Items that the user already has, or that the history holds, may be answered. The run's
    /// `eval.exclude_seen` decides where neither this nor [`Request::exclude_seen`] is called.
    pub fn keep_seen(mut self) -> Self {
        self.excludes_seen = false;
        self
    }

    /// Items that the user already has, or that the history holds, are not answered.
    pub fn exclude_seen(mut self) -> Self {
        self.excludes_seen = true;
        self
    }

    /// Nothing with a lower score than this. Scores of different models have different units.
    pub fn min_score(mut self, score: f32) -> Self {
        self.min_score = Some(score);
        self
    }

    /// Popular items lose and rare items gain: `score - lambda d z`. `z` is how popular an item is
    /// (the logarithm of 1 + its rows in the histories, in standard scores over the items), `d` the
    /// deviation of the scores over all items, so `lambda = 1` makes popularity count as much as
    /// the model, whatever unit its scores have. The changed scores are ranked, answered and
    /// compared with [`Request::min_score`]. Items without a row stay after all others.
    pub fn popularity_penalty(mut self, lambda: f32) -> Self {
        self.popularity_penalty = lambda;
        self
    }

    /// Items of the history, of [`Request::among`] and of [`Request::without`] that the model does
    /// not know are passed over. Without this the first of them is an error: a wrong kind of id
    /// would leave every filter empty and nobody would know.
    pub fn skip_unknown(mut self) -> Self {
        self.skips_unknown = true;
        self
    }

    /// The best items, best first, ties in the order of [`Recommender::items`].
    ///
    /// # Errors
    /// [`RecError::UnknownId`] naming a user or an item that the model does not know;
    /// [`RecError::Usage`] for a request with both a user and a history, with neither, or with a
    /// number that is none; [`RecError::Unsupported`] for a model that cannot use a history.
    pub fn top(&self) -> Result<Ranking> {
        answer_all(std::slice::from_ref(self)).pop().expect("one request should have one answer")
    }

    /// The request by numbers.
    pub(super) fn asked(&self) -> Result<Asked<'a>> {
        self.check_numbers()?;
        let (user, history) = self.who()?;
        let items = |of: &[&str], todo: &str| self.items(of, todo);
        let mut excluded = items(&self.without, "leave it out of without, or call skip_unknown")?;
        if self.excludes_seen {
            excluded.extend(history.iter().map(|item| item.0));
        }
        sort(&mut excluded);
        let among = match &self.among {
            None => None,
            Some(among) => {
                let mut among = items(among, "leave it out of among, or call skip_unknown")?;
                among.retain(|item| excluded.binary_search(item).is_err());
                sort(&mut among);
                Some(among)
            }
        };
        let k = self.k.min(self.recommender.n_items());
        let (recommender, min_score) = (self.recommender, self.min_score);
        let penalty = match self.popularity_penalty {
            0.0 => None,
            lambda => Some((lambda, recommender.popularity()?)),
        };
        Ok(Asked { recommender, user, history, excluded, among, k, min_score, penalty })
    }

    fn check_numbers(&self) -> Result<()> {
        let lambda = self.popularity_penalty;
        if let Some(score) = self.min_score.filter(|score| score.is_nan()) {
            return Err(RecError::usage(format!("a lowest score of {score}"), "pass a number to min_score"));
        }
        if !lambda.is_finite() || lambda < 0.0 {
            let problem = format!("a popularity penalty of {lambda}");
            return Err(RecError::usage(problem, "pass 0 or more to popularity_penalty"));
        }
        Ok(())
    }

    /// Who asks: the user and what they have met.
    fn who(&self) -> Result<(Option<UserId>, std::borrow::Cow<'a, [ItemId]>)> {
        match (self.user, &self.history) {
            (Some(user), None) => {
                let user = self.recommender.users.find(user, "pass a history to score a new user")?;
                Ok((Some(UserId(user)), self.recommender.history_of(user).into()))
            }
            (None, Some(history)) => {
                let history = self.items(history, "leave it out of the history")?;
                Ok((None, history.into_iter().map(ItemId).collect()))
            }
            (Some(_), Some(_)) => {
                Err(RecError::usage("a request with a user and a history", "pass one of them: who, or what they met"))
            }
            (None, None) => {
                Err(RecError::usage("a request for nobody", "call user, or history for somebody who is new"))
            }
        }
    }

    fn items(&self, names: &[&str], todo: &str) -> Result<Vec<u32>> {
        let names = names.iter();
        match self.skips_unknown {
            true => Ok(names.filter_map(|name| self.recommender.items.position(name)).collect()),
            false => names.map(|name| self.recommender.items.find(name, todo)).collect(),
        }
    }
}

fn sort(items: &mut Vec<u32>) {
    items.sort_unstable();
    items.dedup();
}
