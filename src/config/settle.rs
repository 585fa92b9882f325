//! Defaults that depend on other choices and on the data, written out once the data are known:
//! what a run folder's `config.toml` holds.

use super::layers::Resolved;
use crate::{data, eval, objectives};

impl Resolved {
    /// Sets what judges labelled rows where nobody set it: the AUC picks the epoch, and NDCG@5 is
    /// reported beside the metrics of labels.
    pub(crate) fn settle_labels(&mut self) {
        let Resolved { config, origins, .. } = self;
        let unset = |key: &str| origins.of(key).is_empty();
        if unset("train.metric") {
            config.train.metric = "auc".into();
        }
        if unset("eval.metrics") {
            config.eval.metrics = vec!["ndcg".into()];
        }
        if unset("eval.k") {
            config.eval.k = vec![5];
        }
    }

    /// A file of candidates is there to be used, and in sessions items return.
    fn settle_judging(&mut self) {
        let Resolved { config, origins, .. } = self;
        if config.data.candidates.is_some() && origins.of("eval.candidates").is_empty() {
            config.eval.candidates = eval::Candidates::Given;
        }
        if config.data.format.is_of_sessions() && origins.of("eval.exclude_seen").is_empty() {
            config.eval.exclude_seen = false;
        }
    }

    /// Models that read an order keep repeats: what comes back is part of it.
    pub(crate) fn settle_repeats(&mut self) {
        let Resolved { config, origins, .. } = self;
        let data = &mut config.data;
        let has_files = data.path.is_some() || data.train.is_some();
        if has_files && config.model.reads_order() && origins.of("data.duplicates").is_empty() {
            data.duplicates = Some(data::Duplicates::KeepAll);
        }
    }

    /// Ranks what was seen where most of what is held out was: nothing else could be found.
    /// Answers what the user should know of it.
    pub(crate) fn settle_returns(&mut self, split: &data::Split) -> Option<String> {
        let Resolved { config, origins, .. } = self;
        let keeps = config.data.duplicates(config.data.format) == data::Duplicates::KeepAll;
        let most_return = 2 * split.n_overlap > split.test.len();
        let is_open = config.eval.exclude_seen && origins.of("eval.exclude_seen").is_empty();
        if !(keeps && most_return && is_open) || split.labelled {
            return None;
        }
        config.eval.exclude_seen = false;
        Some(format!(
            "{} of {} test rows are items that their user had before: seen items are ranked too \
             (eval.exclude_seen = false)",
            split.n_overlap,
            split.test.len()
        ))
    }

    /// Fills the loss and its temperature (where none was named), the learning rate, the batch size
    /// and the scoring rule; the members of a fusion.
    pub(crate) fn settle(&mut self, n_users: usize, n_items: usize) {
        self.settle_judging();
        let loss_was_named = !self.origins.of("objective").is_empty();
        let unset = |key: &str| self.origins.of(key).is_empty();
        let config = &mut self.config;
        if let Some(objective) = &mut config.objective {
            if let Some(other) = objectives::default_of_many(n_items).filter(|_| !loss_was_named) {
                *objective = other;
            }
            let name = objective.name();
            if let Some(settled) = objective.settled(n_items, &|key| !unset(&format!("objective.{name}.{key}"))) {
                *objective = settled;
            }
        }
        let settled = config.model.settled(config.objective.as_ref(), n_users);
        if let Some(model) = settled.model {
            config.model = model;
        }
        let train = &mut config.train;
        train.learning_rate = train.learning_rate.or(settled.learning_rate);
        train.batch_size = train.batch_size.or(settled.batch_size);
        if let Some(every) = settled.validate_every.filter(|_| unset("train.validate_every")) {
            train.validate_every = every;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::config::layers::{Sources, resolve_text};
    use crate::objectives::Softmax;

    fn settled(text: &str, n_users: usize, n_items: usize) -> Config {
        let mut resolved = resolve_text(&Sources::default(), Some((text, Path::new("run.toml")))).unwrap();
        resolved.settle(n_users, n_items);
        resolved.config
    }

    #[test]
    fn the_loss_decides_the_step_and_the_catalogue_decides_the_loss() {
        let small = settled("", 943, 1682);
        assert_eq!(small.objective.as_ref().unwrap().name(), "softmax");
        assert_eq!((small.train.learning_rate, small.train.batch_size), (Some(1e-2), Some(118)));
        assert_eq!(small.model.graph().unwrap().norm_power, Some(0.0));
        let large = settled("", 943, 200_001);
        assert_eq!(large.objective.as_ref().unwrap().name(), "ssm");
        assert_eq!((large.train.learning_rate, large.train.batch_size), (Some(1e-3), Some(2048)));
        assert_eq!(settled("[objective.softmax]", 943, 200_001).objective.unwrap().name(), "softmax");
    }

    #[test]
    fn factors_without_layers_are_judged_less_often() {
        let every = |text: &str| settled(text, 943, 1682).train.validate_every;
        assert_eq!((every("[model.mf]"), every("[model.lightgcn]")), (10, 5));
        assert_eq!(every("[model.mf]\n[train]\nvalidate_every = 5"), 5);
        assert_eq!(every("[model.mf]\n[objective.bpr]"), 5);
    }

    #[test]
    fn more_items_are_told_apart_at_a_lower_temperature() {
        let tau = |text: &str, n_items| match settled(text, 943, n_items).objective {
            Some(loss) => loss.settings::<Softmax>().unwrap().tau,
            None => panic!("no loss"),
        };
        assert_eq!((tau("", 10_000), tau("", 10_001)), (0.25, 0.1));
        assert_eq!(tau("[objective.softmax]\nl2 = 1e-4", 10_001), 0.1);
        assert_eq!(tau("[objective.softmax]\ntau = 0.25", 10_001), 0.25);
    }

    #[test]
    fn what_the_user_wrote_stays_and_settling_twice_changes_nothing() {
        let once =
            settled("[train]\nlearning_rate = 0.5\nbatch_size = 7\n[model.lightgcn]\nnorm_power = 0.25", 943, 1682);
        assert_eq!((once.train.learning_rate, once.train.batch_size), (Some(0.5), Some(7)));
        assert_eq!(once.model.graph().unwrap().norm_power, Some(0.25));
        assert_eq!(settled(&once.to_toml().unwrap(), 943, 1682), once);
    }
}
