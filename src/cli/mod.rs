//! The command line: one file per subcommand. A command turns its arguments into a configuration,
//! calls the library, and prints the result.
//!
//! Results go to stdout, everything else to stderr.

mod compare;
mod completions;
mod devices;
mod evaluate;
mod export;
mod flags;
mod inspect;
pub(crate) mod interrupt;
pub(crate) mod log;
pub(crate) mod output;
mod progress;
mod recommend;
mod runs;
mod settings;
mod similar;
mod sink;
mod train;
pub(crate) mod usage;
mod verify;

use clap::{Parser, Subcommand};
use gcnrec::Result;

/// Train, compare and serve recommenders from implicit feedback.
#[derive(Debug, Parser)]
#[command(name = "gcnrec", version, max_term_width = 110)]
#[command(after_help = "\
Start here (no data needed, the demo world is built in):
  gcnrec train --attn-layers
  gcnrec train --data ratings.csv --model ease
  gcnrec recommend runs/lightgcn-1 --user user-0001

Exit codes: 0 ok, 1 failure, 2 wrong usage, 3 data, 4 configuration, 5 resources or device, 6 damaged checkpoint,
129, 130 and 143 interrupted after a checkpoint was written (go on with --resume)")]
pub(crate) struct Arguments {
    /// Also tell what is read, written and evaluated; twice (-vv): in more detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Args>),
    Evaluate(evaluate::Args),
    Compare(compare::Args),
    Recommend(recommend::Args),
    Similar(similar::Args),
    Export(export::Args),
    Inspect(inspect::Args),
    Runs(runs::Args),
    Verify(verify::Args),
    Devices(devices::Args),
    Completions(completions::Args),
    Man(completions::ManArgs),
}

/// Runs the command that was asked for.
///
/// # Errors
/// Those of the command; the program's exit code is [`gcnrec::RecError::exit_code`].
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Recommend(args) => recommend::run(&args),
        Command::Similar(args) => similar::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Runs(args) => runs::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_of_the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains(&format!("gcnrec {}", command.get_name())), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
