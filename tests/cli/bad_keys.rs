//! Every key of the configuration with a value that it does not take. A key that is added without a row here fails the test.

use std::collections::BTreeSet;

use super::case::{Case, judge_all};
use super::keys;

/// Key, value out of its range or of the wrong kind, and what the message must say was expected.
const OUT_OF_RANGE: &[(&str, &str, &str)] = &[
    ("seed", "-1", "a whole number of 0 or more"),
    ("device", "cuda:x", "cuda:N"),
    ("threads", "1025", "a whole number from 1 to 1024, or 0 for all"),
    ("data.format", "xml", "unknown format \"xml\""),
    ("data.min_rating", "nan", "a finite number"),
    ("data.min_user_interactions", "-1", "a whole number of 0 or more"),
    ("data.min_item_interactions", "many", "a whole number of 0 or more"),
    ("data.duplicates", "keep", "unknown way to treat duplicates \"keep\""),
    ("data.valid_rows", "first", "unknown choice of validation rows \"first\""),
    ("data.recent_days", "0", "a number above 0"),
    ("data.recent_fraction", "1.5", "a number above 0, up to 1"),
    ("data.half_life_days", "-1", "a number above 0"),
    ("data.split", "random", "unknown split \"random\""),
    ("data.ratios", "[0,1,1]", "three numbers from 0 to 1e9, the first above 0"),
    ("data.group_by", "item", "unknown value \"item\""),
    ("data.order", "newest", "unknown value \"newest\""),
    ("data.hold_out", "all", "unknown value \"all\""),
    ("data.valid_fraction", "1", "a number from 0 to below 1"),
    ("data.uniform_ratios", "[0,1,1]", "three numbers from 0 to 1e9, the first above 0"),
    ("data.feedback", "both", "unknown kind of feedback \"both\""),
    ("data.demo.n_users", "9", "a number from 10 to 1000000"),
    ("data.demo.n_items", "100001", "a number from 50 to 100000"),
    ("data.demo.n_communities", "0", "a number from 1 to 50"),
    ("data.demo.interactions_per_user", "121", "a number from 5 to 120"),
    ("data.demo.exposure_bias", "-0.1", "a number from 0 to 4"),
    ("data.demo.uniform_users", "1.5", "a number from 0 to 1"),
    ("data.demo.uniform_per_user", "51", "a number from 0 to 50"),
    ("model.lightgcn.layers", "9", "a whole number from 0 to 8"),
    ("model.lightgcn.dim", "4097", "a whole number from 1 to 4096"),
    ("model.lightgcn.combination", "sum", "unknown layer combination \"sum\""),
    ("model.lightgcn.init_std", "0", "a number above 0"),
    ("model.lightgcn.edge_dropout", "1", "a number from 0 to below 1"),
    ("model.lightgcn.storage", "f8", "unknown storage \"f8\""),
    ("model.lightgcn.biases", "true", "layers = 0"),
    ("model.lightgcn.decay_biases", "2", "true or false"),
    ("model.lightgcn.norm_power", "2.5", "a number from -2 to 2"),
    ("model.lightgcn.attention.hidden", "1025", "a whole number from 1 to 1024"),
    ("model.lightgcn.attention.temperature", "0", "a number above 0"),
    ("model.lightgcn.attention.bound", "-1", "a number of 0 or more"),
    ("model.lightgcn.attention.learning_rate", "inf", "a number above 0"),
    ("model.lightgcn.attention.fit", "test", "unknown way to fit \"test\""),
    ("model.lightgcn.attention.held_out_fraction", "0.5", "a number above 0 and below 0.5"),
    ("model.mf.dim", "0", "a whole number from 1 to 4096"),
    ("model.mf.biases", "1", "true or false"),
    ("model.mf.decay_biases", "2", "true or false"),
    ("model.mf.init_std", "-1", "a number above 0"),
    ("model.mf.norm_power", "nan", "a number from -2 to 2"),
    ("model.ease.l2", "0", "a number above 0"),
    ("model.ease.max_items", "0", "a whole number above 0"),
    ("model.item_knn.neighbours", "0", "a whole number from 1 to 100000"),
    ("model.item_knn.shrink", "-1", "a number of 0 or more"),
    ("model.gf_cf.factors", "4097", "a whole number from 0 to 4096"),
    ("model.gf_cf.weight", "nan", "a number from 0 to 100"),
    ("model.rp3beta.alpha", "5", "a number from 0 to 4"),
    ("model.rp3beta.beta", "-0.5", "a number from 0 to 4"),
    ("model.rp3beta.neighbours", "100001", "a whole number from 1 to 100000"),
    ("model.markov.smoothing", "inf", "a number of 0 or more"),
    ("model.markov.window", "0", "a whole number from 1 to 1000"),
    ("model.fpmc.dim", "0", "a whole number from 1 to 4096"),
    ("model.fpmc.loss", "mse", "unknown value \"mse\""),
    ("model.gru4rec.dim", "0", "a whole number from 1 to 4096"),
    ("model.gru4rec.hidden", "4097", "a whole number from 1 to 4096"),
    ("model.gru4rec.layers", "0", "a whole number from 1 to 8"),
    ("model.gru4rec.dropout", "1", "a number of at least 0 and below 1"),
    ("model.gru4rec.item_dropout", "-0.1", "a number of at least 0 and below 1"),
    ("model.gru4rec.max_len", "0", "a whole number from 1 to 10000"),
    ("model.gru4rec.windows", "some", "unknown"),
    ("model.narm.dim", "0", "a whole number from 1 to 4096"),
    ("model.narm.hidden", "0", "a whole number from 1 to 4096"),
    ("model.narm.layers", "9", "a whole number from 1 to 8"),
    ("model.narm.dropout", "1", "a number of at least 0 and below 1"),
    ("model.narm.context_dropout", "1.5", "a number of at least 0 and below 1"),
    ("model.narm.normalised", "1", "true or false"),
    ("model.narm.max_len", "10001", "a whole number from 1 to 10000"),
    ("model.narm.windows", "some", "unknown"),
    ("model.sasrec.dim", "0", "a whole number from 1 to 4096"),
    ("model.sasrec.inner", "0", "a whole number from 1 to 16384"),
    ("model.sasrec.layers", "33", "a whole number from 1 to 32"),
    ("model.sasrec.heads", "3", "a divisor of dim, 64"),
    ("model.sasrec.dropout", "1", "a number of at least 0 and below 1"),
    ("model.sasrec.attention_dropout", "-0.1", "a number of at least 0 and below 1"),
    ("model.sasrec.norm_epsilon", "0", "a number above 0"),
    ("model.sasrec.init_std", "inf", "a number above 0"),
    ("model.sasrec.max_len", "0", "a whole number from 1 to 10000"),
    ("model.sasrec.activation", "step", "unknown"),
    ("model.sasrec.windows", "some", "unknown"),
    ("model.fusion.members", "[]", "a list of two members or more"),
    ("objective.bpr.l2", "-1", "a number from 0 to 1000000"),
    ("objective.bpr.n_negatives", "0", "a number from 1 to 1000"),
    ("objective.bpr.negatives", "hard", "unknown negative sampler \"hard\""),
    ("objective.bpr.alpha", "5", "a number from 0 to 4"),
    ("objective.ssm.tau", "0", "a number from 0.01 to 10"),
    ("objective.ssm.l2", "nan", "a number from 0 to 1000000"),
    ("objective.softmax.tau", "11", "a number from 0.01 to 10"),
    ("objective.softmax.l2", "-1", "a number from 0 to 1000000"),
    ("objective.bsl.tau", "-0.1", "a number from 0.01 to 10"),
    ("objective.bsl.t2", "0", "to 10"),
    ("objective.bsl.candidates", "some", "unknown set of candidates \"some\""),
    ("objective.bsl.l2", "-1", "a number from 0 to 1000000"),
    ("objective.mse.l2", "-1", "a number from 0 to 1000000"),
    ("objective.mse.n_negatives", "1001", "a number from 0 to 1000"),
    ("objective.mse.negatives", "hard", "unknown negative sampler \"hard\""),
    ("objective.mse.alpha", "-1", "a number from 0 to 4"),
    ("objective.logistic.l2", "-1", "a number from 0 to 1000000"),
    ("objective.logistic.n_negatives", "-1", "a whole number of 0 or more"),
    ("objective.logistic.negatives", "0", "negatives"),
    ("objective.logistic.alpha", "inf", "a number from 0 to 4"),
    ("debias.combine.weight", "-1", "a number from 0 to 1000"),
    ("debias.ips.propensity", "bayes", "unknown propensity \"bayes\""),
    ("debias.ips.clip", "0", "a number from 0.000000001 to 1"),
    ("debias.ips.alpha", "5", "a number from 0 to 4"),
    ("debias.snips.propensity", "bayes", "unknown propensity \"bayes\""),
    ("debias.snips.clip", "2", "a number from 0.000000001 to 1"),
    ("debias.snips.alpha", "-1", "a number from 0 to 4"),
    ("debias.autodebias.imputation", "-1", "a number from 0 to 1000000"),
    ("debias.autodebias.frozen_epochs", "-1", "a whole number of 0 or more"),
    ("debias.autodebias.every", "0", "a number from 1 to 1000000"),
    ("debias.autodebias.look_ahead", "2", "true or false"),
    ("debias.autodebias.uniform_loss", "auc", "unknown loss of the uniform log \"auc\""),
    ("debias.autodebias.positions", "2", "true or false"),
    ("debias.autodebias.weight_rate", "-1", "a number from 0 to 1000"),
    ("debias.autodebias.weight_decay", "-1", "a number from 0 to 1000"),
    ("debias.autodebias.imputation_rate", "nan", "a number from 0 to 1000"),
    ("debias.autodebias.imputation_decay", "-1", "a number from 0 to 1000"),
    ("debias.autodebias.value_rate", "1001", "a number from 0 to 1000"),
    ("debias.autodebias.value_decay", "-1", "a number from 0 to 1000"),
    ("debias.reweight.uniform_loss", "auc", "unknown loss of the uniform log \"auc\""),
    ("train.optimizer", "adagrad", "unknown optimizer \"adagrad\""),
    ("train.reduction", "max", "unknown reduction \"max\""),
    ("train.validate_from", "-1", "a whole number of 0 or more"),
    ("train.block", "[64,0]", "two whole numbers above 0"),
    ("train.learning_rate", "0", "a number above 0"),
    ("train.batch_size", "0", "a whole number above 0"),
    ("train.max_epochs", "0", "a whole number above 0"),
    ("train.validate_every", "0", "a whole number above 0"),
    ("train.patience", "0", "a whole number above 0"),
    ("train.metric", "ndcg@0", "a metric and a cut-off from 1 to 10000"),
    ("train.sampling", "items", "unknown sampling \"items\""),
    ("train.refit", "maybe", "true or false"),
    ("train.checkpoint_seconds", "-1", "a number of 0 or more"),
    ("train.checkpoint_every_steps", "0.5", "a whole number of 0 or more"),
    ("eval.candidates", "uni0", "uniN, popN with N from 1 to 100000"),
    ("eval.tail_ratio", "0", "a number above 0"),
    ("eval.k", "10001", "one or more whole numbers from 1 to 10000"),
    ("eval.metrics", "[]", "one or more names of metrics"),
    ("eval.exclude_seen", "2", "true or false"),
];

/// Keys that name files: any text is in range, and what is wrong with a file is in `bad_files.rs`.
const FILES: [&str; 7] =
    ["data.path", "data.train", "data.valid", "data.test", "data.uniform", "data.candidates", "data.items"];
/// Keys that name columns: whether a column is there is seen when the file is read.
const COLUMNS: [&str; 6] = [
    "data.user_column",
    "data.item_column",
    "data.rating_column",
    "data.uniform_rating_column",
    "data.time_column",
    "data.title_column",
];

#[test]
fn every_key_refuses_what_is_out_of_its_range_and_says_what_it_takes() {
    let cases: Vec<Case> = OUT_OF_RANGE
        .iter()
        .map(|(key, value, expected)| {
            let set = format!("--set {key}={value}");
            Case::new(key, &format!("train {set}")).refused(4, &[&set, expected])
        })
        .collect();
    judge_all(&cases, None);
}

#[test]
fn no_key_is_forgotten() {
    let ours: BTreeSet<String> =
        OUT_OF_RANGE.iter().map(|(key, ..)| *key).chain(FILES).chain(COLUMNS).map(String::from).collect();
    let forgotten: Vec<String> = keys::all().difference(&ours).cloned().collect();
    assert!(forgotten.is_empty(), "no row for {}", forgotten.join(", "));
    let gone: Vec<String> = ours.difference(&keys::all()).cloned().collect();
    assert!(gone.is_empty(), "no longer a key: {}", gone.join(", "));
}
