//! Spellings of names: papers and other programs write `LightGCN`, `BPR`, `NDCG@10`. Case, dashes,
//! blanks and underscores make no other name.

use toml::Value;

use super::entry::Entry;
use super::run::Config;
use super::tree;
use crate::settings::Takes;

/// Names that papers and RecBole give to what has another name here: noun, theirs without dashes and
/// in lower case, ours. Only where both mean the same.
const ALIASES: [(&str, &str, &str); 8] = [
    ("model", "pop", "popularity"),
    ("model", "mostpop", "popularity"),
    ("model", "matrixfactorization", "mf"),
    ("model", "easer", "ease"),
    ("model", "fmlprec", "fmlp"),
    ("loss", "bprloss", "bpr"),
    ("loss", "sampledsoftmax", "ssm"),
    ("loss", "bce", "logistic"),
];

/// Keys whose texts are names of metrics, of devices: never in capitals here.
const IN_LOWER_CASE: [&str; 3] = ["train.metric", "eval.metrics", "device"];

/// Gives the names in an entry the spelling of this program. A name that is meant for none of ours
/// stays as it was written.
pub(super) fn spell(entry: &mut Entry) {
    if let [family, name, ..] = &mut entry.path[..]
        && let Some(row) = Config::KEYS.iter().find(|row| row.name == *family)
        && let Takes::Kind(kinds) = row.takes
    {
        respell(kinds().what, name, &row.takes.names());
    }
    let key = entry.key();
    match tree::row(&key).map(|row| row.takes) {
        Some(Takes::Name { what, names }) => {
            if let Value::String(name) = &mut entry.value {
                respell(what, name, names());
            }
        }
        Some(_) if IN_LOWER_CASE.contains(&&*key) => lower(&mut entry.value),
        _ => {}
    }
}

fn respell(what: &str, name: &mut String, known: &[&str]) {
    if known.contains(&name.as_str()) {
        return;
    }
    let written = squeezed(name);
    let alias = ALIASES.iter().find(|(noun, theirs, _)| *noun == what && *theirs == written).map(|(.., ours)| *ours);
    let same = known.iter().copied().find(|ours| squeezed(ours) == written);
    if let Some(ours) = same.or(alias.filter(|ours| known.contains(ours))) {
        *name = ours.into();
    }
}

/// A name without what differs between spellings.
fn squeezed(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).flat_map(char::to_lowercase).collect()
}

fn lower(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.to_lowercase(),
        Value::Array(values) => values.iter_mut().for_each(lower),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flag, Sources, resolve};

    fn config(set: &[&str], flags: Vec<Flag>) -> Config {
        let set = set.iter().map(|text| text.to_string()).collect();
        resolve(&Sources { set, flags, ..Sources::default() }).unwrap().config
    }

    #[test]
    fn names_of_papers_and_of_recbole_are_understood() {
        for (written, ours) in [
            ("LightGCN", "lightgcn"),
            ("SASRec", "sasrec"),
            ("GRU4Rec", "gru4rec"),
            ("BERT4Rec", "bert4rec"),
            ("FMLP-Rec", "fmlp"),
            ("ItemKNN", "item_knn"),
            ("GF-CF", "gf_cf"),
            ("Pop", "popularity"),
            ("EASE", "ease"),
        ] {
            assert_eq!(config(&[], vec![Flag::new("--model", written)]).model.name(), ours);
            assert_eq!(config(&[&format!("model={written}")], Vec::new()).model.name(), ours);
        }
        let loss = |name: &str| config(&[], vec![Flag::new("--loss", name)]).objective.unwrap().name();
        assert_eq!((loss("BPR"), loss("BPRLoss"), loss("Softmax"), loss("SSM")), ("bpr", "bpr", "softmax", "ssm"));
        let judged = config(&["eval.metrics=Recall,NDCG,GiniIndex", "train.metric=NDCG@10", "device=CPU"], Vec::new());
        assert_eq!(judged.eval.metrics, ["recall", "ndcg", "giniindex"]);
        assert_eq!((&*judged.train.metric, &*judged.device), ("ndcg@10", "cpu"));
        assert_eq!(config(&["model.LightGCN.combination=Dot"], Vec::new()).model.name(), "lightgcn");
    }

    #[test]
    fn no_two_names_of_a_list_are_one_when_they_are_squeezed_and_every_alias_leads_somewhere() {
        let kinds = Config::KEYS.iter().map(|row| row.takes.names());
        let names = tree::keys().iter().map(|(_, row)| row.takes.names());
        for list in kinds.chain(names) {
            let mut squeezed: Vec<String> = list.iter().map(|name| squeezed(name)).collect();
            squeezed.sort();
            squeezed.dedup();
            assert_eq!(squeezed.len(), list.len(), "{list:?}");
        }
        for (what, theirs, ours) in ALIASES {
            let key = if what == "loss" { "objective" } else { what };
            let known = Config::KEYS.iter().find(|row| row.name == key).unwrap().takes.names();
            assert!(known.contains(&ours) && !known.contains(&theirs), "{theirs}");
        }
    }

    #[test]
    fn a_gpu_is_asked_for_by_its_kind() {
        let set = vec!["device=GPU".into()];
        let error = resolve(&Sources { set, ..Sources::default() }).unwrap_err().to_string();
        assert!(error.contains("found \"gpu\", expected cuda or vulkan"), "{error}");
    }
}
