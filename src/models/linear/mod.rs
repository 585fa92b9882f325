//! Models with a closed form: nothing to train step by step, so they are fitted in one call. Baselines that any learned model has to beat.

pub mod ease;
pub mod popularity;
mod user_items;

pub use ease::Ease;
pub use popularity::Popularity;
