//! Named configurations to start from. A new one is a file in `configs/presets/` and a line in the
//! table here.

use crate::error::{RecError, Result};

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// The names of the presets.
        pub const NAMES: &[&str] = &[$($name),*];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../../configs/presets/", $name, ".toml"))),*];
    };
}

presets! {
    "bert4rec-original",
    "fmlp-original",
    "gowalla-ssm",
    "gru4rec-original",
    "lightgcn-paper",
    "ml-100k-best",
    "sasrec-original",
}

/// The text of a preset, a run file like any other.
///
/// # Errors
/// [`RecError::Unknown`] for a name that is not in [`NAMES`].
pub(super) fn text(name: &str) -> Result<&'static str> {
    let position = NAMES.iter().position(|&known| known == name);
    position
        .map(|position| TEXTS[position])
        .ok_or_else(|| RecError::unknown("preset", name, NAMES.iter()).with_origin("--preset"))
}

#[cfg(test)]
mod tests {
    use super::super::{Sources, resolve};
    use super::*;
    use crate::models::graph::lightgcn;
    use crate::models::sequential::gru4rec::{self, Batches, Optimizer};
    use crate::models::sequential::{Loss, bert4rec, fmlp, sasrec};
    use crate::objectives::Negatives;
    use crate::objectives::bpr::Bpr;
    use crate::train::config::Sampling;

    #[test]
    fn every_preset_is_a_valid_configuration() {
        for name in NAMES {
            resolve(&Sources { preset: Some(name.to_string()), ..Sources::default() }).unwrap();
        }
    }

    #[test]
    fn the_gru4rec_of_its_authors_has_their_settings() {
        let config =
            resolve(&Sources { preset: Some("gru4rec-original".into()), ..Sources::default() }).unwrap().config;
        let model = config.model.settings::<gru4rec::Config>().unwrap();
        assert_eq!((model.batches, model.optimizer), (Batches::SessionsInParallel, Optimizer::Adagrad));
        assert_eq!((model.dim, model.hidden, model.layers, model.dense), (100, 100, 1, false));
        assert_eq!((model.dropout, model.hidden_dropout), (0.1, 0.0));
        assert_eq!((model.loss, model.n_negatives, model.sample_alpha), (Loss::SampledSoftmax, 2048, 0.75));
        assert_eq!((config.train.learning_rate, config.train.batch_size), (Some(0.1), Some(32)));
        assert_eq!(config.train.max_epochs, 10);
    }

    #[test]
    fn sequential_models_have_the_settings_of_their_authors() {
        let preset = |name: &str| resolve(&Sources { preset: Some(name.into()), ..Sources::default() }).unwrap().config;
        let config = preset("sasrec-original");
        let model = config.model.settings::<sasrec::Config>().unwrap();
        assert_eq!((model.dim, model.inner, model.layers, model.heads, model.max_len), (50, 50, 2, 1, 50));
        assert_eq!((model.dropout, model.pre_norm, model.loss), (0.5, true, Loss::Bce));
        assert_eq!((config.train.batch_size, config.train.max_epochs), (Some(128), 201));
        let config = preset("bert4rec-original");
        let model = config.model.settings::<bert4rec::Config>().unwrap();
        assert_eq!((model.dim, model.inner, model.layers, model.heads, model.max_len), (64, 256, 2, 2, 200));
        assert_eq!((model.dropout, model.mask_ratio, model.loss), (0.2, 0.2, Loss::CrossEntropy));
        assert_eq!((config.train.learning_rate, config.train.batch_size), (Some(1e-4), Some(256)));
        let config = preset("fmlp-original");
        let model = config.model.settings::<fmlp::Config>().unwrap();
        assert_eq!((model.dim, model.layers, model.max_len, model.dropout), (64, 2, 50, 0.5));
        assert_eq!((model.loss, config.train.batch_size, config.train.patience), (Loss::Bce, Some(256), 10));
    }

    #[test]
    fn the_lightgcn_of_the_paper_has_its_published_settings() {
        let config = resolve(&Sources { preset: Some("lightgcn-paper".into()), ..Sources::default() }).unwrap().config;
        let model = config.model.settings::<lightgcn::Config>().unwrap();
        assert_eq!((model.layers, model.dim), (3, 64));
        assert_eq!(model.combination, lightgcn::Combination::UNIFORM);
        let bpr = config.objective.as_ref().and_then(|loss| loss.settings::<Bpr>()).unwrap();
        assert_eq!((bpr.l2, bpr.n_negatives, bpr.negatives), (1e-4, 1, Negatives::Uniform));
        assert_eq!((config.train.learning_rate, config.train.batch_size), (Some(1e-3), Some(2048)));
        assert_eq!(config.train.sampling, Sampling::User);
    }

    #[test]
    fn an_unknown_preset_gets_a_suggestion() {
        let error = text("lightgcn_paper").unwrap_err();
        assert_eq!(error.to_string(), "--preset: unknown preset \"lightgcn_paper\"; did you mean \"lightgcn-paper\"?");
        assert_eq!(error.exit_code(), 4);
    }
}
