//! Models with a closed form: nothing to train step by step, so they are fitted in one call.
//! Baselines that any learned model has to beat.

pub(crate) mod bspm;
pub(crate) mod chebycf;
pub(crate) mod ease;
pub(crate) mod gf_cf;
pub(crate) mod item_knn;
mod item_weights;
pub(crate) mod markov;
mod polynomial;
pub(crate) mod popularity;
pub(crate) mod rp3beta;
pub(crate) mod signed_filter;
mod spectrum;
pub(crate) mod turbo_cf;
mod user_items;

use super::Model;
use crate::settings::Row;
pub(super) use user_items::check_item;

/// The models of this folder, in the order of lists.
pub(super) const ROWS: &[&Row<dyn Model>] = &[
    &popularity::ROW,
    &item_knn::ROW,
    &ease::ROW,
    &gf_cf::ROW,
    &signed_filter::ROW,
    &chebycf::ROW,
    &bspm::ROW,
    &turbo_cf::ROW,
    &rp3beta::ROW,
    &markov::ROW,
];
