//! TREC files: lists for other tools, and lists of other tools to judge.

use std::fs;
use std::path::Path;

use gcnrec::internals::checkpoint::write_whole;
use gcnrec::internals::eval::Config;
use gcnrec::internals::eval::trec::{Judgement, TrecFiles, evaluate_files};
use gcnrec::internals::train::Job;
use gcnrec::{Evaluator, Scorer};
use gcnrec::{RecError, Result};

use super::{Args, print_metrics};
use crate::cli::output::say;

/// Writes `run.txt` and `qrels.txt` into a folder: lists as long as the largest cut-off of the run.
///
/// # Errors
/// [`RecError::Input`] for names that these files cannot hold, [`RecError::Io`] when the disk
/// refuses; those of the scorer.
pub(super) fn write(folder: &Path, job: &Job, evaluator: &Evaluator, scorer: &dyn Scorer) -> Result<()> {
    let (mut files, run) = (TrecFiles::default(), folder.join("run.txt"));
    let item = |id: &u32| job.split.items.key(*id);
    let k = job.eval.k.iter().copied().max().unwrap_or(0);
    evaluator.lists(scorer, k, |user, items, scores| {
        let list = items.iter().map(item).zip(scores.iter().copied());
        files.add(&run, scorer.model(), job.split.users.key(user.id.0), list, user.relevant.iter().map(item))
    })?;
    fs::create_dir_all(folder).map_err(RecError::write(folder))?;
    let qrels = folder.join("qrels.txt");
    write_whole(&run, files.run.as_bytes())?;
    write_whole(&qrels, files.qrels.as_bytes())?;
    say(&format!("wrote {} and {}", run.display(), qrels.display()));
    Ok(())
}

/// Judges a run file under a qrels file.
///
/// # Errors
/// Those of [`evaluate_files`]; [`RecError::Config`] and [`RecError::Unknown`] for metrics and
/// cut-offs.
pub(super) fn judge(args: &Args, run: &Path, qrels: &Path) -> Result<()> {
    let mut config = Config::default();
    if let Some(metrics) = &args.metrics {
        config.metrics.clone_from(metrics);
    }
    if let Some(ks) = &args.k {
        config.k = ks.iter().map(|&k| k as usize).collect();
    }
    config.validate()?;
    let Judgement { metrics, n_users, highest_grade } = evaluate_files(run, qrels, &config.metrics_at()?)?;
    if highest_grade > 1 {
        say(&format!(
            "{} has grades up to {highest_grade}: ndcg takes them as gains, the others count each above 0 as a hit",
            qrels.display()
        ));
    }
    let names: Vec<String> = metrics.iter().map(|(name, _)| name.to_string()).collect();
    print_metrics(
        args,
        &format!("{n_users} users of {}, lists of {}", qrels.display(), run.display()),
        &names,
        &metrics,
    )
}
