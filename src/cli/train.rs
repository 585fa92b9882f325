//! `gcnrec train`: from data to a run folder.

mod args;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gcnrec::checkpoint::RunFolder;
use gcnrec::config::{self, Config, Resolved};
use gcnrec::data::{self, Split};
use gcnrec::debias;
use gcnrec::train::{self, Job, RunStore, Stop};
use gcnrec::{RecError, Result};
use gcnrec_graphs::Seed;

pub(super) use args::Args;

use super::output::{print, say};
use super::progress::Progress;
use super::run_report::RunReport;
use super::{devices, interrupt, recommend, run_report, settings};

/// Trains, judges, writes the run folder, and prints what a person wants to know first.
pub(super) fn run(args: &Args) -> Result<()> {
    config::check_run_flags(args.run.resume, args.run.force)?;
    if args.run.resume && args.run.out.is_none() {
        return Err(RecError::Usage {
            problem: "--resume does not say which run".into(),
            todo: "add --out with the folder of the run".into(),
        });
    }
    if let Some(out) = &args.run.out {
        RunFolder::check(out, args.run.force, args.run.resume)?;
    }
    let mut resolved = settings::settle(&args.sources()?)?;
    let config = &resolved.config;
    config::check_files(&config.data, settings::data_folder().as_deref())?;
    let device = devices::open(config)?;
    if device.name() != "cpu" {
        say(&format!("training on {} ({}); frozen models are judged on the cpu", device.name(), device.arithmetic()));
    }
    let started = Instant::now();
    let split = Arc::new(data::load(&config.data, Seed(config.seed))?);
    let load_s = started.elapsed().as_secs_f64();
    say(&data_line(&split));
    resolved.settle(split.n_users(), split.n_items());
    if split.labelled {
        resolved.settle_labels();
    }
    let config = &resolved.config;
    let config_toml = match (args.run.resume, &args.run.out) {
        (true, Some(out)) if out.join("config.toml").is_file() => resumed_config(out, &resolved)?,
        _ => config.to_toml()?,
    };

    // Whatever can be refused is refused before the first file is written. A run that has begun goes on as it is.
    if !args.run.resume {
        resolved.check_unread()?;
    }
    let job = job(config, split, device, config_toml)?;
    job.check()?;
    let folder = RunFolder::create(&args.folder(config)?, args.run.force, args.run.resume)?;
    folder.write_config(&job.config_toml)?;
    let stop = Stop::default();
    interrupt::listen(&stop)?;
    let mut store = RunStore::new(folder.clone(), &job)?;
    let mut progress = Progress::new();
    let outcome = train::run(&job, &mut store, args.run.resume, &mut progress, &stop);
    progress.finish();
    let outcome = outcome?;
    let report = run_report::report(&RunReport { job: &job, outcome: &outcome, load_s, folder: &folder })?;
    if let Some(learned) = &outcome.example_weights {
        let (labels, path) = (learned.labels.as_ref().map(|l| l.as_slice()), folder.weights());
        let (users, items) = (&job.split.users, &job.split.items);
        debias::export(&path, users, items, &learned.pairs, labels, &learned.weights)?;
    }
    folder.write_report(&report.to_json(), &report.to_html())?;
    report.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    if args.output.for_people() {
        print(&format!("{}\n", outcome.protocol))?;
    }
    args.output.print(&report.metrics_table())?;
    if args.output.for_people() {
        if let Some(share) = report.evaluation_share {
            print(&format!("\nevaluation took {:.0} % of training time\n", 100.0 * share))?;
        }
        print(&format!("\n{}\nrun: {}\n", samples(&job, folder.path())?, folder.path().display()))?;
    }
    Ok(())
}

/// The configuration as a job of the trainer, with the text that its checkpoints keep.
pub(super) fn job(
    config: &Config,
    split: Arc<Split>,
    device: gcnrec_kernels::Device,
    config_toml: String,
) -> Result<Job> {
    Ok(Job { config_toml, ..config.job(split, device)? })
}

/// The text that the run began with, after a check that nothing which matters was changed.
fn resumed_config(out: &Path, resolved: &Resolved) -> Result<String> {
    let stored = Config::from_toml(&RunFolder::open(out)?.read_config()?, &out.join("config.toml"))?;
    // Results do not depend on the number of threads.
    let changed = |(key, ..): &(String, String, String)| key != "threads";
    match stored.differences(&resolved.config)?.into_iter().find(changed) {
        None => stored.to_toml(),
        Some((key, before, now)) => Err(RecError::Config {
            origin: resolved.origins.of(&key).into(),
            key,
            found: now,
            expected: format!("{before}, as the run in {} began", out.display()),
            todo: "resume it as it began, or start again with --force".into(),
        }),
    }
}

fn data_line(split: &Split) -> String {
    let parts = [("train", &split.train), ("valid", &split.valid), ("test", &split.test), ("uniform", &split.uniform)];
    let counts: Vec<String> = parts
        .iter()
        .filter(|(name, log)| *name != "uniform" || !log.is_empty())
        .map(|(name, log)| format!("{} {name}", log.len()))
        .collect();
    format!("data: {} users, {} items; pairs: {}", split.n_users(), split.n_items(), counts.join(", "))
}

/// What the run would show to one of its users: somebody with a usual number of items.
fn samples(job: &Job, run: &Path) -> Result<String> {
    let pairs = job.split.train_interactions()?;
    let mut users: Vec<(u32, u32)> =
        (0..).zip(pairs.user_counts()).filter(|(_, n)| *n > 0).map(|(u, n)| (n, u)).collect();
    users.sort_unstable();
    let Some(&(_, user)) = users.get(users.len() / 2) else { return Ok(String::new()) };
    let recommender = recommend::open(run)?;
    let name = job.split.users.key(user);
    let title = |item: &str| recommender.title(item).map_or_else(|| item.to_string(), String::from);
    let recent = job.split.histories(&[data::Part::Train]).swap_remove(user as usize);
    let liked: Vec<String> = recent.iter().rev().take(3).map(|item| title(job.split.items.key(item.0))).collect();
    let table = recommend::table_of(&recommender, &recommender.for_user(name, 3)?);
    let table = table.render(gcnrec::report::Format::Table);
    Ok(format!("user {name} lately had {}; recommended:\n{table}", liked.join(", ")))
}
