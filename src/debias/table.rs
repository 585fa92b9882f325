//! Tables of learned example weights: means by label, popularity of the item and position, and the
//! imputed values.

use std::io::Write;
use std::path::Path;

use gcnrec_graphs::Interactions;
use serde::Serialize;

use crate::data::{IdMap, Split};
use crate::error::{RecError, Result};

/// The feature of rows that hold an imputed value and no weight.
pub(crate) const IMPUTED: &str = "imputed value";
/// Groups of items by popularity.
const N_GROUPS: usize = 5;
/// Positions above this stand together.
const MOST_POSITIONS: usize = 30;

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WeightRow {
    /// `all`, `label`, `item popularity`, `position` or `imputed value`.
    pub feature: &'static str,
    /// The value of the feature: `+1`, `3-7 pairs`, `0`, `unobserved`.
    pub group: String,
    /// Number of pairs; 0 for imputed values.
    pub n: usize,
    /// The mean weight of the pairs, or the imputed value.
    pub value: f64,
}

/// Weights by feature. `weights` and `labels` are those of the training edges; `imputed` are the
/// values of -1, of unobserved pairs and of +1.
pub(crate) fn weight_table(
    split: &Split,
    pairs: &Interactions,
    labels: Option<&[f32]>,
    weights: &[f32],
    imputed: Option<[f64; 3]>,
) -> Vec<WeightRow> {
    let mut rows = vec![group("all", "all".into(), weights, |_| true)];
    if let Some(labels) = labels {
        rows.push(group("label", "-1".into(), weights, |edge| labels[edge] < 0.0));
        rows.push(group("label", "+1".into(), weights, |edge| labels[edge] > 0.0));
    }
    let counts = pairs.item_counts();
    let mut by_edge: Vec<u32> = pairs.item_ids().iter().map(|&item| counts[item as usize]).collect();
    let edge_counts = by_edge.clone();
    by_edge.sort_unstable();
    let mut low = 0;
    for part in 1..=N_GROUPS {
        let Some(&high) = by_edge.get((by_edge.len() * part / N_GROUPS).saturating_sub(1)) else { break };
        if high > low {
            let name = format!("{} to {high} pairs", low + 1);
            rows.push(group("item popularity", name, weights, |edge| (low + 1..=high).contains(&edge_counts[edge])));
            low = high;
        }
    }
    rows.extend(by_position(split, pairs, weights));
    if let Some(imputed) = imputed {
        let names = ["observed -1", "unobserved", "observed +1"];
        rows.extend(
            names
                .iter()
                .zip(imputed)
                .filter(|(name, _)| labels.is_some() || **name != names[0])
                .map(|(name, value)| WeightRow { feature: IMPUTED, group: name.to_string(), n: 0, value }),
        );
    }
    rows.retain(|row| row.n > 0 || row.feature == IMPUTED);
    rows
}

fn group(feature: &'static str, name: String, weights: &[f32], is_in: impl Fn(usize) -> bool) -> WeightRow {
    let chosen: Vec<f64> =
        (0..weights.len()).filter(|&edge| is_in(edge)).map(|edge| f64::from(weights[edge])).collect();
    let value = chosen.iter().sum::<f64>() / chosen.len().max(1) as f64;
    WeightRow { feature, group: name, n: chosen.len(), value }
}

/// Where the time column holds positions: few distinct small numbers.
fn by_position(split: &Split, pairs: &Interactions, weights: &[f32]) -> Vec<WeightRow> {
    let times = &split.train.times;
    let last = times.iter().copied().max().unwrap_or(i64::MAX);
    if times.iter().any(|&time| time < 0) || last >= MOST_POSITIONS as i64 {
        return Vec::new();
    }
    let mut positions = vec![None; pairs.n_edges()];
    for ((user, item), &time) in split.train.pairs().zip(times) {
        if let Some(edge) = pairs.edge(user, item) {
            positions[edge] = Some(time);
        }
    }
    (0..=last).map(|at| group("position", at.to_string(), weights, |edge| positions[edge] == Some(at))).collect()
}

/// Writes the weight of every training pair, for another trainer: `user,item,label,weight` with a
/// header.
///
/// # Errors
/// [`RecError::Io`].
pub(crate) fn export(
    path: &Path,
    users: &IdMap,
    items: &IdMap,
    pairs: &Interactions,
    labels: Option<&[f32]>,
    weights: &[f32],
) -> Result<()> {
    let mut text = String::from("user,item,label,weight\n");
    for (edge, (user, item)) in pairs.pairs().enumerate() {
        let label = labels.map_or(1.0, |labels| labels[edge]);
        let (user, item) = (quoted(users.key(user.0)), quoted(items.key(item.0)));
        text.push_str(&format!("{user},{item},{label},{}\n", weights[edge]));
    }
    let refuse = |source| RecError::Io { path: path.to_path_buf(), doing: "write", source };
    std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(refuse)
}

/// A field of delimited text.
fn quoted(key: &str) -> String {
    if key.contains([',', '"', '\n', '\r']) { format!("\"{}\"", key.replace('"', "\"\"")) } else { key.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Log;
    use gcnrec_graphs::{ItemId, UserId};

    fn world() -> (Split, Interactions) {
        let train = Log { users: vec![0, 1, 1], items: vec![0, 0, 1], times: vec![0, 1, 0], ..Log::default() };
        let split = Split {
            users: ["a", "b,c"].into_iter().collect(),
            items: ["x", "y"].into_iter().collect(),
            train,
            ..Split::default()
        };
        let pairs = [(0, 0), (1, 0), (1, 1)].map(|(u, i)| (UserId(u), ItemId(i)));
        (split, Interactions::from_pairs(2, 2, pairs).unwrap())
    }

    /// Item 1 has one pair (weight 4), item 0 two (weights 1 and 2); position 0 holds the weights 1
    /// and 4.
    #[test]
    fn weights_are_shown_by_label_popularity_and_position() {
        let (split, pairs) = world();
        let labels = [1.0, -1.0, 1.0];
        let rows = weight_table(&split, &pairs, Some(&labels), &[1.0, 2.0, 4.0], Some([-0.5, -0.25, 0.5]));
        let shown: Vec<(&str, &str, usize, f64)> =
            rows.iter().map(|row| (row.feature, row.group.as_str(), row.n, row.value)).collect();
        let expected = [
            ("all", "all", 3, 7.0 / 3.0),
            ("label", "-1", 1, 2.0),
            ("label", "+1", 2, 2.5),
            ("item popularity", "1 to 2 pairs", 3, 7.0 / 3.0),
            ("position", "0", 2, 2.5),
            ("position", "1", 1, 2.0),
            ("imputed value", "observed -1", 0, -0.5),
            ("imputed value", "unobserved", 0, -0.25),
            ("imputed value", "observed +1", 0, 0.5),
        ];
        for row in expected {
            assert!(shown.contains(&row) || row.0 == "item popularity", "{row:?} is not in {shown:?}");
        }
    }

    #[test]
    fn exported_weights_are_delimited_text_with_names() {
        let (split, pairs) = world();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.csv");
        export(&path, &split.users, &split.items, &pairs, None, &[1.0, 0.5, 2.0]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "user,item,label,weight\na,x,1,1\n\"b,c\",x,1,0.5\n\"b,c\",y,1,2\n");
    }
}
