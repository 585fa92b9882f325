//! `gcnrec inspect`: what a data file or a run folder holds.

use std::path::{Path, PathBuf};

use gcnrec::internals::checkpoint;
use gcnrec::internals::checkpoint::Contents;
use gcnrec::internals::files::{LINES_LIMIT, read_small_text};
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{
    DegreeBucket, Destination, Flag, LayerWeights, Log, Part, Place, RecError, Result, Sources, Split, Tensor,
};
use gcnrec_graphs::{DegreeStats, GraphStats, Interactions, ItemId, UserId};
use gcnrec_kernels::Device;
use serde_json::Value;

use super::flags::{KeyFlags, READING};
use super::output::{OutputArgs, one_line, say};
use super::settings;

/// Show statistics of a data file, or what a run folder or a checkpoint holds
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec inspect ratings.csv                  users, items, density, degrees, components
  gcnrec inspect log.csv --user-column who --item-column what
  gcnrec inspect configs/ml-100k.toml         the same for the data of a run file, part by part
  gcnrec inspect runs/lightgcn-1              checkpoint, training graph, learned layer weights")]
pub(super) struct Args {
    /// A data file, a run file, the folder of a run, or a checkpoint folder
    #[arg(value_name = "DATA-or-RUN")]
    what: PathBuf,
    #[command(flatten)]
    reading: KeyFlags<READING>,
    /// Set any key of the configuration, as in --set data.min_user_interactions=5
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Facts in the order in which they are printed.
struct Facts(Table);

impl Facts {
    fn new() -> Self {
        Facts(Table::new(["section", "fact", "value"]))
    }

    fn add(&mut self, section: &str, fact: &str, value: impl ToString) {
        self.0.row([Cell::from(section), fact.into(), value.to_string().into()]);
    }
}

/// Prints facts, one a row.
pub(super) fn run(args: &Args) -> Result<()> {
    let mut facts = Facts::new();
    if args.what.is_dir() {
        if let Some(flag) = args.reading.given()?.first().map(|flag| flag.name).or(args.set.first().map(|_| "--set")) {
            let problem = format!("{flag} says how data are read, and {} is a folder of a run", args.what.display());
            return Err(RecError::usage(problem, format!("drop {flag}, or name a data file")));
        }
        settings::settle_machine()?;
        of_checkpoint(&mut facts, &folder_of(&args.what)?, &args.what.join("last"))?;
        of_report(&mut facts, &args.what.join("report.json"))?;
    } else {
        of_data(&mut facts, args)?;
    }
    args.output.print(&facts.0)
}

/// The checkpoint of a run, or the folder itself when it is one.
fn folder_of(path: &Path) -> Result<PathBuf> {
    let itself = path.join("manifest.json").is_file().then(|| path.to_path_buf());
    let of_run = [path.join("best"), path.join("last")].into_iter().find(|folder| checkpoint::exists(folder));
    itself.or(of_run).ok_or_else(|| {
        RecError::missing(
            "checkpoint in",
            path.display().to_string(),
            "give the folder of a run that was trained, or a data file",
        )
    })
}

fn of_data(facts: &mut Facts, args: &Args) -> Result<()> {
    let is_run_file = args.what.extension().is_some_and(|extension| extension == "toml");
    let name = args
        .what
        .to_str()
        .ok_or_else(|| RecError::usage(format!("the path {} is not UTF-8", args.what.display()), "rename the file"))?;
    let mut flags = Vec::new();
    flags.extend((!is_run_file).then(|| Flag::new("--data", name)));
    flags.extend(args.reading.given()?);
    let sources = Sources {
        run_file: is_run_file.then(|| args.what.clone()),
        environment: settings::environment()?,
        set: args.set.clone(),
        flags,
        ..Sources::default()
    };
    let split = settings::settle(&sources, Destination::default())?.split()?;
    split.files.iter().for_each(|file| say(&one_line(&format!("read {file}"))));
    split.notes.iter().for_each(|note| say(&one_line(&format!("note: {note}"))));
    facts.add("data", "fingerprint", &split.fingerprint);
    if is_run_file {
        let parts =
            [("train", &split.train), ("valid", &split.valid), ("test", &split.test), ("uniform", &split.uniform)];
        parts.iter().for_each(|(name, log)| facts.add("data", &format!("{name} pairs"), log.len()));
        facts.add("data", "test pairs seen before", split.n_overlap);
    }
    of_rows(facts, &split);
    let all = split.joint_interactions(&[Part::Train, Part::Valid, Part::Test])?;
    of_graph(facts, &all);
    Ok(())
}

/// What a person checks first: how ratings are spread, who has one row alone, and whether the
/// columns of users and items may be swapped.
fn of_rows(facts: &mut Facts, split: &Split) {
    let mut rows = Log::default();
    [&split.train, &split.valid, &split.test].into_iter().for_each(|part| rows.append(part));
    if !rows.ratings.is_empty() {
        facts.add("data", "ratings", spread(rows.ratings));
    }
    let mut n_rows = vec![0u32; split.n_users()];
    rows.users.iter().for_each(|&user| n_rows[user as usize] += 1);
    let n_single = n_rows.iter().filter(|&&n| n == 1).count();
    facts.add("data", "users with one row", format!("{n_single} of {}", split.n_users()));
    // People are more than a handful, and each has met a small part of what there is.
    if (1..10).contains(&split.n_users()) && split.n_items() > 100 * split.n_users() {
        say(&format!(
            "note: {} users have met {} items: are the columns swapped? --user-column and --item-column name them",
            split.n_users(),
            split.n_items()
        ));
    }
}

/// How often each rating stands, where they are few; otherwise their quartiles.
fn spread(mut ratings: Vec<f32>) -> String {
    ratings.sort_unstable_by(f32::total_cmp);
    let runs: Vec<&[f32]> = ratings.chunk_by(|a, b| a == b).collect();
    if runs.len() <= 12 {
        return runs.iter().map(|run| format!("{}: {}", run[0], run.len())).collect::<Vec<_>>().join(", ");
    }
    let at = |share: usize| ratings[(ratings.len() - 1) * share / 4];
    format!("min {}, quartiles {}, {}, {}, max {}", at(0), at(1), at(2), at(3), at(4))
}

fn of_graph(facts: &mut Facts, pairs: &Interactions) {
    let stats = GraphStats::of(pairs);
    facts.add("graph", "users", stats.n_users);
    facts.add("graph", "items", stats.n_items);
    facts.add("graph", "pairs", stats.n_edges);
    facts.add("graph", "density", format!("{:.6}", stats.density));
    facts.add("graph", "items per user", degrees(&stats.users));
    facts.add("graph", "users per item", degrees(&stats.items));
    facts.add("graph", "gini of item popularity", format!("{:.4}", stats.item_gini));
    facts.add("graph", "components", stats.n_components);
    let share = 100.0 * stats.largest_component_edge_share;
    facts.add(
        "graph",
        "largest component",
        format!("{} nodes, {share:.2} % of the pairs", stats.largest_component_nodes),
    );
    facts.add("graph", "diameter of it, at least", stats.diameter_at_least);
    let reach: Vec<String> = stats.reach_of_hub.iter().map(|share| format!("{:.1}", 100.0 * share)).collect();
    facts.add("graph", "% of it within 1, 2, … hops of its hub", reach.join(" "));
}

fn degrees(stats: &DegreeStats) -> String {
    format!(
        "min {}, median {}, mean {:.1}, 90 % up to {}, max {}, {} with none",
        stats.min, stats.median, stats.mean, stats.p90, stats.max, stats.n_isolated
    )
}

/// What a checkpoint holds. How far the run is, its newest checkpoint `last` tells where there is
/// one: the best model was written before the end was known.
fn of_checkpoint(facts: &mut Facts, folder: &Path, last: &Path) -> Result<()> {
    let mut contents = checkpoint::load(folder)?;
    if last != folder && checkpoint::exists(last) {
        match checkpoint::load(last) {
            Ok(newest) => contents.facts.extend(newest.facts.into_iter().filter(|(name, _)| name == "progress")),
            Err(error) => facts.add("checkpoint", "last", format!("cannot be read: {error}")),
        }
    }
    facts.add("checkpoint", "folder", folder.display());
    facts.add("checkpoint", "model", &contents.model);
    facts.add("checkpoint", "users", contents.ids.users.len());
    facts.add("checkpoint", "items", contents.ids.items.len());
    facts.add("checkpoint", "items with a title", contents.ids.titles.iter().filter(|title| !title.is_empty()).count());
    // Layer weights have a section of their own.
    let recorded = contents.facts.iter().chain(&contents.state.facts).filter(|(name, _)| *name != "layer_weights");
    for (name, value) in recorded {
        add_value(facts, name, value);
    }
    for (name, tensor) in &contents.state.tensors {
        let (kind, shape) = match tensor {
            Tensor::F32 { shape, .. } => ("f32", shape),
            Tensor::U32 { shape, .. } => ("u32", shape),
        };
        facts.add("tensor", name, format!("{kind} {shape:?}"));
    }
    if let Some(pairs) = seen_pairs(&contents)? {
        of_graph(facts, &pairs);
    }
    let in_training = contents.facts.get(checkpoint::HOLDS).and_then(Value::as_str) == Some("learner");
    if !in_training && let Some(weights) = contents.scorer(&Device::Cpu)?.layer_weights() {
        of_layers(facts, weights);
    }
    Ok(())
}

/// A recorded fact; what is nested gets a row for each value.
fn add_value(facts: &mut Facts, name: &str, value: &Value) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| add_value(facts, &format!("{name}.{key}"), value)),
        Value::String(text) => facts.add("checkpoint", name, text),
        Value::Null => {}
        Value::Number(number) => facts.add("checkpoint", name, short(number)),
        value => facts.add("checkpoint", name, value),
    }
}

/// A number with no more digits than it has: settings of 32 bits are recorded as what they are in
/// 64.
fn short(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() && f64::from(value as f32) == value => (value as f32).to_string(),
        _ => number.to_string(),
    }
}

/// What the users had met when the model was trained.
fn seen_pairs(contents: &Contents) -> Result<Option<Interactions>> {
    let Some((ptr, items)) = &contents.seen else { return Ok(None) };
    let of_user = |(user, range): (u32, &[u32])| {
        let items = &items[range[0] as usize..range[1] as usize];
        items.iter().map(move |&item| (UserId(user), ItemId(item)))
    };
    let pairs = (0..).zip(ptr.windows(2)).flat_map(of_user);
    Ok(Some(Interactions::from_pairs(contents.ids.users.len(), contents.ids.items.len(), pairs)?))
}

/// What a finished run learned about its examples. A run that was interrupted has no report yet.
fn of_report(facts: &mut Facts, path: &Path) -> Result<()> {
    let text = match read_small_text(path, LINES_LIMIT) {
        Err(RecError::Missing { .. }) => return Ok(()),
        read => read?,
    };
    let report: Value = serde_json::from_str(&text).map_err(|error| {
        RecError::input(Place::file(path), error.to_string(), "the report of a run")
            .with_todo("train the run again with --force")
    })?;
    for row in report["example_weights"].as_array().into_iter().flatten() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_string();
        let (feature, value) = (text("feature"), row["value"].as_f64().unwrap_or(f64::NAN));
        let fact = if feature == text("group") { feature.clone() } else { format!("{feature}, {}", text("group")) };
        let pairs = row["n"].as_u64().filter(|&n| n > 0).map_or(String::new(), |n| format!(" over {n} pairs"));
        facts.add("example weights", &fact, format!("{value:.4}{pairs}"));
    }
    Ok(())
}

fn of_layers(facts: &mut Facts, weights: &LayerWeights) {
    let shown = |weights: &[f64]| weights.iter().map(|weight| format!("{weight:.3}")).collect::<Vec<_>>().join(" ");
    // Users and items have networks of their own: a mean over both would be that of neither.
    for (side, buckets) in [("users", &weights.users), ("items", &weights.items)] {
        if !buckets.is_empty() {
            facts.add("layer weights", &format!("mean of {side}"), shown(&mean_of(buckets)));
        }
    }
    for (side, buckets) in [("users", &weights.users), ("items", &weights.items)] {
        for DegreeBucket { min_degree, max_degree, n, weights } in buckets {
            facts.add("layer weights", &format!("{n} {side} of degree {min_degree}-{max_degree}"), shown(weights));
        }
    }
}

/// The mean over all nodes of the buckets.
fn mean_of(buckets: &[DegreeBucket]) -> Vec<f64> {
    let n: usize = buckets.iter().map(|bucket| bucket.n).sum();
    let width = buckets.first().map_or(0, |bucket| bucket.weights.len());
    let of_layer = |layer: usize| buckets.iter().map(|bucket| bucket.n as f64 * bucket.weights[layer]).sum::<f64>();
    (0..width).map(|layer| of_layer(layer) / n.max(1) as f64).collect()
}

#[cfg(test)]
mod tests {
    use gcnrec::internals::report::Format;

    use super::*;

    #[test]
    fn nested_facts_get_a_row_for_each_value() {
        let mut facts = Facts::new();
        add_value(&mut facts, "progress", &serde_json::json!({"epoch": 3, "best": {"value": 0.5}, "prior": null}));
        add_value(&mut facts, "rate", &serde_json::json!(f64::from(0.01f32)));
        assert_eq!(
            facts.0.render(Format::Csv),
            "section,fact,value\ncheckpoint,progress.epoch,3\ncheckpoint,progress.best.value,0.5\ncheckpoint,rate,0.01\n"
        );
    }

    #[test]
    fn few_ratings_are_counted_and_many_have_quartiles() {
        assert_eq!(spread(vec![5.0, 1.0, 5.0, 4.5]), "1: 1, 4.5: 1, 5: 2");
        // 0 to 20: the places 0, 5, 10, 15 and 20.
        let many = (0u8..21).rev().map(f32::from).collect();
        assert_eq!(spread(many), "min 0, quartiles 5, 10, 15, max 20");
    }

    #[test]
    fn layer_weights_are_listed_by_degree() {
        let bucket = |degree, n, first| DegreeBucket {
            min_degree: degree,
            max_degree: degree,
            n,
            weights: vec![first, 1.0 - first],
        };
        let (users, items) = (vec![bucket(1, 9, 0.75), bucket(4, 3, 0.25)], vec![bucket(2, 5, 0.5)]);
        let mut facts = Facts::new();
        of_layers(&mut facts, &LayerWeights { mean: vec![0.5, 0.5], users, items });
        // (9 x .75 + 3 x .25) / 12 = .625
        assert_eq!(
            facts.0.render(Format::Csv),
            "section,fact,value\n\
             layer weights,mean of users,0.625 0.375\n\
             layer weights,mean of items,0.500 0.500\n\
             layer weights,9 users of degree 1-1,0.750 0.250\n\
             layer weights,3 users of degree 4-4,0.250 0.750\n\
             layer weights,5 items of degree 2-2,0.500 0.500\n"
        );
    }
}
