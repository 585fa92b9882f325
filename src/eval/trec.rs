//! TREC files of ranked lists and held-out items: run (`user Q0 item rank score tag`) and qrels
//! (`user 0 item relevance`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use super::metrics::{Metric, MetricAt};
use super::values::Metrics;
use crate::error::{Place, RecError, Result};
use crate::files::{LINES_LIMIT, read_small_file};

/// The fields of a name in these files are separated by blanks, so a name cannot hold one.
fn check_name(path: &Path, what: &str, name: &str) -> Result<()> {
    if !name.is_empty() && !name.contains(char::is_whitespace) {
        return Ok(());
    }
    Err(RecError::input(
        Place::file(path),
        format!("the {what} {name:?}"),
        "names without blanks, which separate the fields of a TREC file",
    )
    .with_todo("use names without blanks in the data"))
}

/// The text of a run file and of a qrels file, while they grow.
#[derive(Debug, Default)]
pub struct TrecFiles {
    /// `user Q0 item rank score tag`, a line for each listed item.
    pub run: String,
    /// `user 0 item 1`, a line for each held-out item.
    pub qrels: String,
}

impl TrecFiles {
    /// Adds a user: the list, best item first, and the held-out items. `path` is where the text
    /// will go, for messages.
    ///
    /// # Errors
    /// [`RecError::Input`] for a name with a blank in it.
    pub fn add<'a>(
        &mut self,
        path: &Path,
        tag: &str,
        user: &str,
        list: impl Iterator<Item = (&'a str, f32)>,
        relevant: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        check_name(path, "user", user)?;
        for (rank, (item, score)) in (1..).zip(list) {
            check_name(path, "item", item)?;
            writeln!(self.run, "{user} Q0 {item} {rank} {score} {tag}").expect("writing to a string should not fail");
        }
        for item in relevant {
            check_name(path, "item", item)?;
            writeln!(self.qrels, "{user} 0 {item} 1").expect("writing to a string should not fail");
        }
        Ok(())
    }
}

/// What a run file is worth under a qrels file.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Means over the users.
    pub metrics: Metrics,
    /// Users with a held-out item.
    pub n_users: usize,
    /// The highest judgement; above 1 where relevance has grades.
    pub highest_grade: i64,
}

/// The metrics of a run file under a qrels file.
///
/// Items are ranked by falling score, ties in the order of the file; a judgement above 0 is a
/// held-out item. Grades above 1 are gains for NDCG, as in trec_eval, and hits for the others.
/// Users of the qrels without a line in the run count with an empty list, users without a held-out
/// item do not count.
///
/// # Errors
/// [`RecError::Missing`], [`RecError::Io`] and [`RecError::Input`] for the files;
/// [`RecError::Config`] for a metric that reads more than hits.
pub fn evaluate_files(run: &Path, qrels: &Path, metrics: &[MetricAt]) -> Result<Judgement> {
    let relevant = read_qrels(qrels)?;
    let lists = read_run(run)?;
    let mut sums = vec![0.0; metrics.len()];
    for (user, grades) in &relevant {
        let empty = Vec::new();
        let list = lists.get(user).unwrap_or(&empty);
        let gain = |(item, _): &(String, f64)| grades.get(item).map_or(0.0, |&grade| grade as f64);
        let gains: Vec<f64> = list.iter().map(gain).collect();
        let mut best: Vec<f64> = grades.values().map(|&grade| grade as f64).collect();
        best.sort_by(|a, b| b.total_cmp(a));
        for (sum, at) in sums.iter_mut().zip(metrics) {
            let Metric::Hits(metric) = at.metric else { return Err(needs_more(*at)) };
            *sum += metric.user_value_of_gains(&gains[..gains.len().min(at.k)], &best, at.k);
        }
    }
    let n = relevant.len();
    Ok(Judgement {
        metrics: metrics.iter().zip(sums).map(|(at, sum)| (at.to_string(), sum / n as f64)).collect(),
        n_users: n,
        highest_grade: relevant.values().flat_map(HashMap::values).copied().max().unwrap_or(0),
    })
}

fn needs_more(at: MetricAt) -> RecError {
    RecError::range("eval.metrics", at, "metrics of hits: recall, precision, ndcg, hit, mrr, map")
        .with_todo("a run file knows neither the catalogue nor the training counts; judge the run folder instead")
}

/// The lines of a file, as fields with their line number.
fn lines(path: &Path, text: &str, n_fields: usize, fields: &str) -> Result<Vec<(u64, Vec<String>)>> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let row: Vec<String> = line.split_whitespace().map(String::from).collect();
        if row.is_empty() {
            continue;
        }
        if row.len() != n_fields {
            return Err(RecError::input(
                Place::line(path, number),
                format!("{} fields", row.len()),
                format!("{n_fields}: {fields}"),
            ));
        }
        rows.push((number, row));
    }
    Ok(rows)
}

fn read_text(path: &Path) -> Result<String> {
    let mut bytes = read_small_file(path, LINES_LIMIT)?;
    // A byte-order mark would become part of the first user's name.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        RecError::input(
            Place::file(path),
            format!("a byte that is not UTF-8 at offset {}", error.utf8_error().valid_up_to()),
            "UTF-8 text",
        )
    })
}

fn number<T: std::str::FromStr>(path: &Path, line: u64, column: (usize, &'static str), text: &str) -> Result<T> {
    text.parse()
        .map_err(|_| RecError::input(Place::column(path, line, column.0, column.1), format!("{text:?}"), "a number"))
}

/// The held-out items of every user who has one, with their grades.
fn read_qrels(path: &Path) -> Result<BTreeMap<String, HashMap<String, i64>>> {
    let mut judged: BTreeMap<String, HashMap<String, i64>> = BTreeMap::new();
    for (line, row) in lines(path, &read_text(path)?, 4, "user 0 item relevance")? {
        let relevance: i64 = number(path, line, (4, "relevance"), &row[3])?;
        let items = judged.entry(row[0].clone()).or_default();
        // Whatever it is judged to be: of two judgements nobody knows which is meant.
        if items.insert(row[2].clone(), relevance).is_some() {
            return Err(twice(path, line, &row));
        }
    }
    judged.values_mut().for_each(|items| items.retain(|_, relevance| *relevance > 0));
    judged.retain(|_, items| !items.is_empty());
    if judged.is_empty() {
        return Err(RecError::input(Place::file(path), "no judgement above 0", "at least one held-out item")
            .with_todo("a line is: user 0 item 1"));
    }
    Ok(judged)
}

/// The list of every user, best item first.
fn read_run(path: &Path) -> Result<HashMap<String, Vec<(String, f64)>>> {
    let mut lists: HashMap<String, Vec<(String, f64)>> = HashMap::new();
    let mut listed: HashSet<(String, String)> = HashSet::new();
    for (line, row) in lines(path, &read_text(path)?, 6, "user Q0 item rank score tag")? {
        let score: f64 = number(path, line, (5, "score"), &row[4])?;
        if score.is_nan() {
            return Err(RecError::input(
                Place::column(path, line, 5, "score"),
                format!("{:?}", row[4]),
                "a number that has a rank",
            ));
        }
        if !listed.insert((row[0].clone(), row[2].clone())) {
            return Err(twice(path, line, &row));
        }
        lists.entry(row[0].clone()).or_default().push((row[2].clone(), score));
    }
    // A stable sort keeps the order of the file among equal scores.
    lists.values_mut().for_each(|list| list.sort_by(|a, b| b.1.partial_cmp(&a.1).expect("no score should be NaN")));
    Ok(lists)
}

fn twice(path: &Path, line: u64, row: &[String]) -> RecError {
    RecError::input(
        Place::line(path, line),
        format!("item {:?} of user {:?} a second time", row[2], row[0]),
        "each item of a user once",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(run: &str, qrels: &str, names: &[&str]) -> Result<Judgement> {
        let place = tempfile::tempdir().unwrap();
        let (run_file, qrels_file) = (place.path().join("run.txt"), place.path().join("qrels.txt"));
        std::fs::write(&run_file, run).unwrap();
        std::fs::write(&qrels_file, qrels).unwrap();
        let metrics: Vec<MetricAt> = names.iter().map(|name| name.parse().unwrap()).collect();
        evaluate_files(&run_file, &qrels_file, &metrics)
    }

    #[test]
    fn a_run_is_ranked_by_score_and_users_without_a_line_find_nothing() {
        // User a: by score y, x (tied with z, first in the file), z; held out x. User b has no
        // line. User c holds nothing out.
        let run = "a Q0 x 1 0.5 t\na Q0 y 2 0.9 t\n\na Q0 z 3 0.5 t\nc Q0 x 1 1 t\n";
        let found = metrics(run, "a 0 x 1\na 0 q 0\nb 0 y 2\nc 0 x 0\n", &["mrr@10", "recall@1", "hit@2"]).unwrap();
        assert_eq!((found.n_users, found.highest_grade), (2, 2));
        assert_eq!(found.metrics.iter().map(|(_, value)| value).collect::<Vec<_>>(), [0.25, 0.0, 0.5]);
    }

    #[test]
    fn what_is_written_reads_back_with_the_same_numbers() {
        let mut files = TrecFiles::default();
        let list = [("x", 0.1f32), ("y", -1e-9)];
        files.add(Path::new("run.txt"), "ease", "a", list.into_iter(), ["y", "z"].into_iter()).unwrap();
        assert_eq!(files.run, "a Q0 x 1 0.1 ease\na Q0 y 2 -0.000000001 ease\n");
        let found = metrics(&files.run, &files.qrels, &["recall@2", "mrr@2"]).unwrap().metrics;
        assert_eq!((found.get("recall@2"), found.get("mrr@2")), (Some(0.5), Some(0.5)));
        let error = files.add(Path::new("run.txt"), "ease", "a b", [].into_iter(), [].into_iter()).unwrap_err();
        assert!(
            error.to_string().starts_with("run.txt: found the user \"a b\", expected names without blanks"),
            "{error}"
        );
    }

    #[test]
    fn grades_are_gains_for_ndcg_and_hits_for_the_others() {
        let run = "a Q0 x 1 0.9 t\na Q0 y 2 0.5 t\n";
        let found = metrics(run, "a 0 x 1\na 0 y 3\na 0 z -1\n", &["ndcg@10", "recall@10"]).unwrap();
        // trec_eval's ndcg_cut_10: (1 + 3/log2(3)) / (3 + 1/log2(3)) = .7967.
        assert!((found.metrics.get("ndcg@10").unwrap() - 0.796_708).abs() < 1e-6, "{found:?}");
        assert_eq!((found.metrics.get("recall@10"), found.highest_grade), (Some(1.0), 3));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let (run, qrels) = ("\u{feff}a Q0 x 1 0.9 t\n", "\u{feff}a 0 x 1\n");
        assert_eq!(metrics(run, qrels, &["hit@1"]).unwrap().metrics.get("hit@1"), Some(1.0));
    }

    #[test]
    fn two_judgements_of_one_item_are_refused_in_either_order() {
        for qrels in ["a 0 x 0\na 0 x 1\n", "a 0 x 1\na 0 x 0\n"] {
            let error = metrics("a Q0 x 1 0.5 t\n", qrels, &["mrr@1"]).unwrap_err().to_string();
            assert!(error.contains("qrels.txt:2: found item \"x\" of user \"a\" a second time"), "{error}");
        }
    }

    #[test]
    fn a_line_that_is_no_judgement_is_refused_by_number() {
        let message = |run: &str, qrels: &str, name: &str| metrics(run, qrels, &[name]).unwrap_err().to_string();
        let good = ("a Q0 x 1 0.5 t\n", "a 0 x 1\n");
        assert!(
            message("a Q0 x 1 0.5\n", good.1, "mrr@1")
                .ends_with("run.txt:1: found 5 fields, expected 6: user Q0 item rank score tag")
        );
        assert!(
            message("\na Q0 x 1 high t\n", good.1, "mrr@1").contains("run.txt:2: column 5 (score): found \"high\"")
        );
        assert!(message("a Q0 x 1 nan t\n", good.1, "mrr@1").contains("column 5 (score): found \"nan\""));
        assert!(
            message("a Q0 x 1 1 t\na Q0 x 2 0 t\n", good.1, "mrr@1")
                .contains("run.txt:2: found item \"x\" of user \"a\" a second time")
        );
        assert!(message(good.0, "a 0 x\n", "mrr@1").contains("qrels.txt:1: found 3 fields"));
        assert!(message(good.0, "a 0 x yes\n", "mrr@1").contains("column 4 (relevance): found \"yes\""));
        assert!(message(good.0, "a 0 x 0\n", "mrr@1").contains("qrels.txt: found no judgement above 0"));
        assert!(message(good.0, good.1, "gauc").contains("expected metrics of hits"));
    }
}
