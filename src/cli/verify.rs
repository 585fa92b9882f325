//! `gcnrec verify`: a finished run, repeated and compared bit for bit.

use std::path::PathBuf;

use gcnrec::internals::run::repeat;
use gcnrec::{Result, Stop};

use super::flags::{FILES, KeyFlags};
use super::output::print;
use super::progress::Progress;
use super::{interrupt, settings};

/// Repeat a run and say whether it comes out the same, bit for bit
///
/// The data are read and hashed again, the training is run again from the recorded configuration,
/// and every epoch's loss and validation metrics, the final weights and the test metrics are
/// compared. Nothing is written. Exit code 0: identical; 1: different, and the first difference is
/// named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec verify runs/lightgcn-1
  gcnrec verify runs/lightgcn-1 --steps 100     only the epochs within the first 100 steps, at least one
  gcnrec verify runs/lightgcn-1 --data here.csv the same data, which lie elsewhere now")]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Repeat only the first N training steps, to the end of their epoch
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    #[command(flatten)]
    files: KeyFlags<FILES>,
}

/// Prints one line that begins with `identical`, or fails with the first difference.
pub(super) fn run(args: &Args) -> Result<()> {
    let recorded = settings::of_run(&args.run, args.files.given()?)?;
    let (stop, mut progress) = (Stop::default(), Progress::new());
    interrupt::listen(&stop)?;
    let verdict = repeat(recorded, &args.run, args.steps, &mut progress, &stop);
    progress.finish();
    let verdict = verdict?;
    let n = verdict.n_epochs;
    print(&match (verdict.complete, n) {
        (true, 0) => "identical: the data, the final weights and the test metrics\n".into(),
        (true, n) => format!("identical: the data, {n} epochs, the final weights and the test metrics\n"),
        (false, n) => format!("identical as far as it was repeated: the data and {n} epochs\n"),
    })
}
