//! Warm start of sequential models: item vectors of another run, found by the names of the items.

use std::collections::HashMap;
use std::path::Path;

use gcnrec_graphs::ItemId;

use super::job::Job;
use crate::checkpoint;
use crate::data::IdMap;
use crate::error::{RecError, Result};
use crate::models::sequential::ITEMS;
use crate::models::{Config, StartItems};

/// What the model of a job starts from; nothing where no run is named.
///
/// # Errors
/// [`RecError::Usage`] for a model without a vector for each item; those of
/// [`checkpoint::load_frozen`]; [`RecError::Config`] for a run whose model has no item vectors,
/// vectors of another width, or none of this job's items.
pub(super) fn start_items(job: &Job) -> Result<Option<StartItems>> {
    job.train.init_items_from.as_ref().map(|run| read(run, &job.model, &job.split.items)).transpose()
}

fn read(run: &Path, model: &Config, items: &IdMap) -> Result<StartItems> {
    let dim = model.item_dim().ok_or_else(|| StartItems::nowhere(&format!("the model {}", model.name())))?;
    let (folder, contents) = checkpoint::load_frozen(run)?;
    let refuse = |found: String, expected: &str, todo: &str| {
        RecError::range("train.init_items_from", format!("{}, {found}", run.display()), expected).with_todo(todo)
    };
    let Ok((n_items, width, table)) = contents.state.matrix(ITEMS) else {
        let found = format!("a run of {}", contents.model);
        return Err(refuse(found, "a run whose model has item vectors", "train one, such as lightgcn or mf"));
    };
    if n_items != contents.ids.items.len() {
        return Err(RecError::checkpoint(
            folder,
            format!("it has {n_items} item vectors and {} names of items", contents.ids.items.len()),
            "its files do not belong together; train again",
        ));
    }
    let places: HashMap<&str, usize> = contents.ids.items.iter().map(String::as_str).zip(0..).collect();
    let mut start = StartItems { dim: width, items: Vec::new(), vectors: Vec::new() };
    for (item, name) in (0..).map(ItemId).zip(items.keys()) {
        if let Some(&place) = places.get(name) {
            start.items.push(item);
            start.vectors.extend_from_slice(&table[place * width..(place + 1) * width]);
        }
    }
    start.check(model.name(), dim)?;
    if start.items.is_empty() {
        let found = format!("which has none of the {} items", items.len());
        return Err(refuse(found, "a run with items of the same names", "check that both runs read the same data"));
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Contents, Ids};
    use crate::models::sequential::sasrec;
    use crate::models::state::State;

    fn run_with(names: &[&str], tensor: &str) -> tempfile::TempDir {
        let run = tempfile::tempdir().unwrap();
        let mut state = State::default();
        state.put_f32(tensor, &[names.len(), 2], (0..2 * names.len()).map(|value| value as f32).collect());
        let ids = Ids { items: names.iter().map(|name| name.to_string()).collect(), ..Ids::default() };
        let (model, config_toml, facts) = ("mf".into(), "seed = 1\n".into(), Default::default());
        let contents = Contents { model, state, ids, seen: None, config_toml, facts };
        checkpoint::save(&run.path().join("best"), &contents).unwrap();
        run
    }

    fn sasrec(dim: usize) -> Config {
        sasrec::Config { dim, ..sasrec::Config::default() }.into()
    }

    #[test]
    fn vectors_are_found_by_the_names_of_the_items() {
        let (run, items) = (run_with(&["x", "y", "z"], ITEMS), ["w", "z", "x"].into_iter().collect());
        let start = read(run.path(), &sasrec(2), &items).unwrap();
        let expected = StartItems { dim: 2, items: vec![ItemId(1), ItemId(2)], vectors: vec![4.0, 5.0, 0.0, 1.0] };
        assert_eq!(start, expected);
    }

    #[test]
    fn what_cannot_be_a_start_is_refused_with_its_reason() {
        let items: IdMap = ["w", "z", "x"].into_iter().collect();
        let refused = |run: &Path, model: &Config, items: &IdMap| {
            let error = read(run, model, items).unwrap_err();
            (error.exit_code(), error.to_string())
        };
        let run = run_with(&["x", "y", "z"], ITEMS);
        let (code, message) = refused(run.path(), &Config::default(), &items);
        assert_eq!(code, 2);
        assert!(
            message.starts_with("train.init_items_from does not fit the model lightgcn; it fits models"),
            "{message}"
        );
        let (code, message) = refused(run.path(), &sasrec(4), &items);
        assert_eq!(code, 4);
        assert!(message.starts_with("model.sasrec.dim: found 4, expected 2, the width"), "{message}");
        let (code, message) = refused(run.path(), &sasrec(2), &["a"].into_iter().collect());
        assert_eq!(code, 4);
        assert!(message.contains("which has none of the 1 items, expected a run with items"), "{message}");
        let (code, message) = refused(run_with(&["x"], "weights").path(), &sasrec(2), &items);
        assert_eq!(code, 4);
        assert!(message.contains("a run of mf, expected a run whose model has item vectors"), "{message}");
        let (code, message) = refused(Path::new("nowhere"), &sasrec(2), &items);
        assert_eq!((code, &*message), (3, "run folder nowhere is not there; check the path, or train first"));
    }
}
