//! Polynomial filters of the item-item graph: what GF-CF's relatives share.
//!
//! With `R` the 0/1 matrix of users and items, `D_U` and `D_I` its degrees, and
//! `G = D_I^-b R^T D_U^-2a R D_I^-b` (`a = b = 1/2` is the symmetric normalisation, whose
//! eigenvalues lie between 0 and 1), the scores of a user with row `r` are
//!
//! ```text
//! (x p(G) + r D_I^-e V V^T D_I^(e-s) q(G)) D_I^s,   x = r D_I^-s
//! ```
//!
//! with two polynomials `p` and `q`, and `V` the leading right singular vectors of
//! `D_U^-1/2 R D_I^-1/2` (an ideal low-pass filter; a model without it has no `V`). `G` is never
//! formed: a product with it is two sparse products, and Horner's or Clenshaw's rule takes as many
//! as the degree. Nothing belongs to a user, so a new user's history is answered exactly.
//!
//! Each model is a file with its formula, its settings and its coefficients.

mod product;
mod scorer;

use gcnrec_graphs::Interactions;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::product::Product;
use self::scorer::PolynomialScorer;
use super::item_weights::{ItemUsers, ItemWeights};
use super::spectrum;
use super::user_items::UserItems;
use crate::error::Result;
use crate::models::state::{State, damaged, foreign};
use crate::models::{ClosedForm, Fit, Memory, Model, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::Unread;

/// Users that are filtered side by side: a row of their values fills a cache line, so reading an
/// edge serves all of them.
const WIDTH: usize = 16;

/// What a coefficient belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Basis {
    /// `G^k`.
    Powers,
    /// The Chebyshev polynomial `T_k(I - 2 G)`.
    Chebyshev,
}

/// A filter before it sees data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) basis: Basis,
    /// `p`, from the constant on.
    pub(super) history: Vec<f64>,
    /// `q`, with the weight of the ideal part in it.
    pub(super) ideal: Vec<f64>,
    /// Singular vectors of the ideal part; 0 for none.
    pub(super) factors: usize,
    /// `e`.
    pub(super) ideal_power: f64,
    /// `s`.
    pub(super) degree_power: f64,
    /// `a`.
    pub(super) user_power: f64,
    /// `b`.
    pub(super) item_power: f64,
}

impl Default for Filter {
    /// The symmetric normalisation, no scaling by degrees around it, and no ideal part.
    fn default() -> Self {
        Filter {
            basis: Basis::Powers,
            history: Vec::new(),
            ideal: Vec::new(),
            factors: 0,
            ideal_power: 0.0,
            degree_power: 0.0,
            user_power: 0.5,
            item_power: 0.5,
        }
    }
}

/// Settings that mean a filter.
pub(super) trait Filtering: Model + Serialize + DeserializeOwned {
    fn filter(&self) -> Filter;

    /// True where `G` is a list of weights, which the state holds, and not a product of two sparse
    /// matrices.
    fn lists_weights(&self) -> bool {
        false
    }

    /// The list, where there is one.
    ///
    /// # Errors
    /// [`crate::RecError::Resources`] for too little memory.
    fn weights(&self, train: &Interactions) -> Result<Option<ItemWeights>> {
        let _ = train;
        Ok(None)
    }
}

impl<F: Filtering> ClosedForm for F {
    fn fit(&self, data: &Fit<'_>) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(fit(self, data.train)?))
    }
}

/// The name under which a state holds the settings.
const SETTINGS: &str = "settings";

/// Computes what the filter needs of the data. The same bits for any number of threads.
///
/// # Errors
/// [`crate::RecError::Config`] for a value outside its range, [`crate::RecError::Unsupported`] when
/// the singular vectors cannot be found, and those of [`Filtering::weights`].
fn fit(config: &impl Filtering, train: &Interactions) -> Result<PolynomialScorer> {
    config.validate()?;
    let weights = config.weights(train)?;
    let (name, filter) = (config.row().name, config.filter());
    let users = UserItems::new(train);
    let by_item = ItemUsers::new(train.n_items(), users.rows());
    let matrix = spectrum::Normalized::new(&users, &by_item, train.n_items());
    let vectors = spectrum::leading_vectors(name, &matrix, filter.factors)?;
    let settings = serde_json::to_value(config).expect("settings should be JSON");
    let product = Product::new(users, train.n_items(), weights, &filter);
    Ok(PolynomialScorer::new((name, settings), &filter, product, vectors))
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`crate::RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(super) fn load<C: Filtering>(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let config: C = state.fact(SETTINGS)?;
    config.validate().map_err(|error| foreign(error.to_string()))?;
    let (name, filter) = (config.row().name, config.filter());
    let (found, vectors) = spectrum::load(state, nodes.n_items)?;
    if found > filter.factors {
        return Err(damaged(format!("{found} \"vectors\", expected at most {}", filter.factors)));
    }
    let users = UserItems::load(state, nodes)?;
    let weights = if config.lists_weights() { Some(ItemWeights::load(state, nodes.n_items)?) } else { None };
    let settings = serde_json::to_value(&config).expect("settings should be JSON");
    let product = Product::new(users, nodes.n_items, weights, &filter);
    Ok(Box::new(PolynomialScorer::new((name, settings), &filter, product, vectors)))
}

/// The search for singular vectors, and what every thread needs to filter a block of users.
pub(super) fn memory(config: &impl Filtering, size: &TrainingSize<'_>, keys: &str) -> Memory {
    let (n_users, n_items) = (size.n_users, size.n_items);
    let block = (4 * WIDTH) as u128 * (n_users as u128 + 4 * n_items as u128);
    let search = spectrum::bytes(n_users, n_items, config.filter().factors);
    let host = search.max(block * rayon::current_num_threads() as u128);
    Memory::of_tables(config.row().name, host, size, keys)
}

/// A weight of the ideal part that nothing reads, since it has no vectors.
pub(super) fn unread_weight(at: &str, factors: usize, is_set: bool) -> Vec<Unread> {
    if factors > 0 || !is_set {
        return Vec::new();
    }
    let todo = "set factors above 0, or remove the setting";
    vec![Unread::new(format!("{at}.weight"), "a model without an ideal filter", todo, format!("{at}.factors"))]
}

/// The product of two polynomials, each from the constant on.
pub(super) fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; (a.len() + b.len()).saturating_sub(1)];
    for (i, a) in a.iter().enumerate() {
        b.iter().enumerate().for_each(|(j, b)| product[i + j] += a * b);
    }
    product
}

#[cfg(test)]
pub(super) mod tests;
