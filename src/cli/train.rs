//! `gcnrec train`: trains a model, judges it and writes a run folder.

mod args;

use gcnrec::{Finished, Loaded, Part, RecError, Report, Result, Split, Stop};

pub(super) use args::Args;

use super::output::{one_line, print, say};
use super::progress::Progress;
use super::{interrupt, recommend, settings};

/// Trains, judges, writes the run folder, and prints what a person wants to know first.
pub(super) fn run(args: &Args) -> Result<()> {
    args.run.check()?;
    if args.run.resume && args.run.out.is_none() {
        return Err(RecError::usage("--resume does not say which run", "add --out with the folder of the run"));
    }
    let stop = Stop::default();
    interrupt::listen(&stop)?;
    if args.run.obey_stdin {
        interrupt::obey_stdin(&stop)?;
    }
    let loaded = settings::settle(&args.sources()?, args.destination())?.load()?;
    say_loaded(&loaded);
    let prepared = loaded.prepare()?.with_command(command_line());
    let mut progress = Progress::new();
    let finished = prepared.train(&mut progress, &stop);
    progress.finish();
    show(args, &finished?)
}

/// The command line of this process, as a shell takes it.
fn command_line() -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
    let quoted = |word: String| match !word.is_empty() && word.chars().all(is_plain) {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let words = std::env::args_os().skip(1).map(|word| quoted(word.to_string_lossy().into_owned()));
    std::iter::once("gcnrec".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Says where the run computes and what its data are.
fn say_loaded(loaded: &Loaded) {
    if let Some(note) = loaded.note() {
        say(&format!("note: {note}"));
    }
    let device = loaded.device();
    if device.name() != "cpu" {
        say(&format!("training on {} ({}); frozen models are judged on the cpu", device.name(), device.arithmetic()));
    }
    let data = &loaded.config().data;
    let is_demo = data.path.is_none() && data.train.is_none();
    loaded.split().files.iter().for_each(|facts| say(&one_line(&format!("read {facts}"))));
    say(&data_line(loaded.split(), is_demo));
}

fn show(args: &Args, finished: &Finished) -> Result<()> {
    let Finished { report, outcome, folder, .. } = finished;
    report.warnings.iter().for_each(|warning| say(&format!("warning: {warning}")));
    if args.output.for_people() {
        print(&format!("{}\n", outcome.protocol))?;
    }
    args.output.print(&report.metrics_table())?;
    if args.output.for_people() {
        if let Some(share) = report.evaluation_share {
            print(&format!("\nevaluation took {:.0} % of training time\n", 100.0 * share))?;
        }
        print(&format!("\n{}\n{}\nrun: {}\n", samples(finished)?, kept(report), folder.path().display()))?;
    } else {
        // A program reads the table alone; whoever looks on wants to know where the run is.
        say(&format!("{}\nrun: {}", kept(report), folder.path().display()));
    }
    Ok(())
}

/// Which model is in the run folder, and what it took.
fn kept(report: &Report) -> String {
    let epochs = match report.epochs_run {
        0 => "computed at once".to_string(),
        n => format!("epoch {} of {n} kept", report.best_epoch),
    };
    let Report { model, device, timing, .. } = report;
    format!("model: {model}, {epochs}, {:.1} s of training on {device}; report.html shows it", timing.train_s)
}

/// What was read. Without a file it is the demo world, which nobody should take for their own data.
fn data_line(split: &Split, is_demo: bool) -> String {
    let parts = [("train", &split.train), ("valid", &split.valid), ("test", &split.test), ("uniform", &split.uniform)];
    let counts: Vec<String> = parts
        .iter()
        .filter(|(name, log)| *name != "uniform" || !log.is_empty())
        .map(|(name, log)| format!("{} {name}", log.len()))
        .collect();
    let whose = if is_demo { "the built-in demo world: " } else { "" };
    format!("data: {whose}{} users, {} items; pairs: {}", split.n_users(), split.n_items(), counts.join(", "))
}

/// What the run would show to one of its users: somebody with a usual number of items.
fn samples(finished: &Finished) -> Result<String> {
    let job = &finished.job;
    let pairs = job.split.train_interactions()?;
    let mut users: Vec<(u32, u32)> =
        (0..).zip(pairs.user_counts()).filter(|(_, n)| *n > 0).map(|(u, n)| (n, u)).collect();
    users.sort_unstable();
    let Some(&(_, user)) = users.get(users.len() / 2) else { return Ok(String::new()) };
    let recommender = recommend::open(finished.folder.path())?;
    let name = job.split.users.key(user);
    let title = |item: &str| recommender.title(item).map_or_else(|| item.to_string(), String::from);
    let recent = job.split.histories(&[Part::Train]).swap_remove(user as usize);
    let liked: Vec<String> = recent.iter().rev().take(3).map(|item| title(job.split.items.key(item.0))).collect();
    let table = recommend::table_of(&recommender, &recommender.for_user(name, 3)?);
    let table = table.render(gcnrec::internals::report::Format::Table);
    // Names and titles come from files: what would drive a terminal is spelt out.
    let said = one_line(&format!("user {name} lately had {}; recommended:", liked.join(", ")));
    Ok(format!("{said}\n{table}"))
}
