//! Which loss a model is trained on: `[objective]`, a setting of its own, those of its members,
//! none.

use crate::models::{self, Procedure};

/// Where the loss of a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Losses {
    /// In `[objective]`: it is trained by steps on pairs.
    OfPairs,
    /// In its own table: it is trained by steps on sequences.
    Own,
    /// With its members.
    OfMembers,
    /// Nowhere: it is computed in closed form and reads no steps of `[train]`.
    None,
}

/// Where the loss of a model stands.
pub(super) fn losses_of(model: &str) -> Losses {
    let model = models::Config::named(model).expect("the model should be known: choices are checked");
    match model.procedure() {
        Procedure::Graph(_) => Losses::OfPairs,
        Procedure::Sequential(_) => Losses::Own,
        Procedure::Fusion(_) => Losses::OfMembers,
        Procedure::ClosedForm(_) => Losses::None,
    }
}

/// The models that are trained on the loss in `[objective]`.
pub(super) fn trained_on_one() -> Vec<&'static str> {
    models::Config::names().into_iter().filter(|model| losses_of(model) == Losses::OfPairs).collect()
}
