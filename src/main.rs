//! The `gcnrec` program: reads the command line, runs one command, prints errors, sets the exit
//! code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return ExitCode::from(cli::usage::answer(&answer)),
    };
    cli::log::listen(arguments.verbose);
    match cli::interrupt::outlive_file_limits().and_then(|()| cli::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough of it, as `gcnrec recommend … | head` does.
        Err(error) if cli::output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            cli::output::say(&cli::output::one_line(&format!("error: {error}")));
            ExitCode::from(error.exit_code())
        }
    }
}
