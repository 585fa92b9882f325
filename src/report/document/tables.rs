//! The tables of a report: metrics, weights of examples, layer weights.

use std::collections::BTreeMap;

use super::Report;
use crate::debias::IMPUTED;
use crate::report::table::{Cell, Table};

impl Report {
    /// Metrics as a table: one row per metric, one column per part, validation before test.
    pub fn metrics_table(&self) -> Table {
        let mut parts: Vec<&String> = self.metrics.keys().collect();
        parts.sort_by_key(|part| (["valid", "test"].iter().position(|p| p == part).unwrap_or(2), part.as_str()));
        let mut names: Vec<&String> = self.metrics.values().flat_map(BTreeMap::keys).collect();
        names.sort_by_key(|name| metric_order(name));
        names.dedup();
        let mut table = Table::new(["metric"].into_iter().chain(parts.iter().map(|part| part.as_str())));
        for name in names {
            let value =
                |part: &&String| self.metrics[*part].get(name).map_or(Cell::Empty, |&value| Cell::Real(value, 5));
            table.row([Cell::from(name.as_str())].into_iter().chain(parts.iter().map(value)));
        }
        table
    }

    /// What a debiasing method made of the training pairs, as a table: mean weights by feature.
    /// Nothing without a method.
    pub fn weight_table(&self) -> Option<Table> {
        let mut table = Table::new(["feature", "group", "pairs", "mean weight", "of the mean"]);
        let mut rows = self.example_weights.iter().filter(|row| row.feature != IMPUTED).peekable();
        let all = rows.peek()?.value;
        for row in rows {
            let n = i64::try_from(row.n).map_or(Cell::Empty, Cell::Whole);
            let share = if all == 0.0 { Cell::Empty } else { Cell::Real(row.value / all, 3) };
            table.row([row.feature.into(), row.group.as_str().into(), n, Cell::Real(row.value, 4), share]);
        }
        Some(table)
    }

    /// The values that stand in for labels, by what was observed of a pair. Nothing without
    /// imputation.
    pub fn imputed_table(&self) -> Option<Table> {
        let mut table = Table::new(["pair", "imputed label"]);
        let mut rows = self.example_weights.iter().filter(|row| row.feature == IMPUTED).peekable();
        rows.peek()?;
        rows.for_each(|row| {
            table.row([row.group.as_str().into(), Cell::Real(row.value, 4)]);
        });
        Some(table)
    }

    /// Layer weights as a table: the mean, then users and items by degree. Nothing for models
    /// without layers.
    pub fn layer_table(&self) -> Option<Table> {
        let weights = self.layer_weights.as_ref()?;
        let layers = (0..weights.mean.len()).map(|layer| format!("layer {layer}"));
        let mut table = Table::new(["nodes", "degree", "n"].map(String::from).into_iter().chain(layers));
        let reals = |values: &[f64]| values.iter().map(|&value| Cell::Real(value, 3)).collect::<Vec<_>>();
        table.row([Cell::from("all"), Cell::Empty, Cell::Empty].into_iter().chain(reals(&weights.mean)));
        for (kind, buckets) in [("users", &weights.users), ("items", &weights.items)] {
            for bucket in buckets {
                let degree = if bucket.min_degree == bucket.max_degree {
                    bucket.min_degree.to_string()
                } else {
                    format!("{}-{}", bucket.min_degree, bucket.max_degree)
                };
                let n = i64::try_from(bucket.n).map_or(Cell::Empty, Cell::Whole);
                table.row([kind.into(), degree.into(), n].into_iter().chain(reals(&bucket.weights)));
            }
        }
        Some(table)
    }
}

/// `ndcg@5` before `ndcg@20`, which the order of letters has the other way round.
pub(in crate::report) fn metric_order(name: &str) -> (&str, u64) {
    match name.split_once('@') {
        Some((stem, k)) => (stem, k.parse().unwrap_or(u64::MAX)),
        None => (name, 0),
    }
}
