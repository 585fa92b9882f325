//! What a service needs of gcnrec, and nothing else: train once, open the run, share it between
//! threads, answer by name.

use std::path::Path;
use std::sync::Arc;

use gcnrec::{Destination, Finished, Ranking, Recommender, Result, Run, Silent, Sources, Stop};

/// Trains a small model on the built-in demo world and leaves a run folder. The settings are those
/// of `--set` and of run files.
pub fn train_demo(folder: &Path, settings: &[&str]) -> Result<Finished> {
    let set = settings.iter().map(|setting| setting.to_string()).collect();
    let sources = Sources { set, ..Sources::default() };
    Run::prepare(&sources, Destination::new(folder))?.train(&mut Silent, &Stop::default())
}

/// The four kinds of questions.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// What should this user see next?
    User(&'a str),
    /// What should somebody with this history see next?
    History(&'a [&'a str]),
    /// What is like this item?
    Item(&'a str),
    /// What should each of these users see next?
    Users(&'a [&'a str]),
}

/// A service: one model, any number of threads.
#[derive(Clone)]
pub struct Service(Arc<Recommender>);

impl Service {
    /// Opens the model of a run folder.
    pub fn open(run: &Path) -> Result<Service> {
        Ok(Service(Arc::new(Recommender::open(run)?)))
    }

    /// One ranking, or one for each user of [`Question::Users`].
    pub fn answer(&self, question: Question<'_>, k: usize) -> Result<Vec<Ranking>> {
        match question {
            Question::User(user) => Ok(vec![self.0.for_user(user, k)?]),
            Question::History(items) => Ok(vec![self.0.for_history(items, k)?]),
            Question::Item(item) => Ok(vec![self.0.similar_items(item, k)?]),
            Question::Users(users) => self.0.top_k(users, k).into_iter().collect(),
        }
    }

    /// The names of all users.
    pub fn users(&self) -> &[String] {
        self.0.users()
    }

    /// The names of all items.
    pub fn items(&self) -> &[String] {
        self.0.items()
    }
}
