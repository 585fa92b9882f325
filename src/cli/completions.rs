//! `gcnrec completions` and `gcnrec man`: completions for shells and manual pages, both made from
//! the declaration of the command line.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use gcnrec::{RecError, Result};

use super::Arguments;
use super::output::{print, say};

/// Print a script that teaches a shell to complete commands, flags and values
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec completions bash > ~/.local/share/bash-completion/completions/gcnrec
  gcnrec completions zsh > ~/.zfunc/_gcnrec                              with ~/.zfunc in fpath
  gcnrec completions fish > ~/.config/fish/completions/gcnrec.fish")]
pub(super) struct Args {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one for every command into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec man | man -l -
  gcnrec man train | man -l -
  gcnrec man --out ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// The command; without one the page of the program
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write the pages of the program and of all commands into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// Prints the script of a shell.
pub(super) fn run(args: &Args) -> Result<()> {
    print(&script(args.shell))
}

/// Prints a page, or writes all of them.
pub(super) fn man(args: &ManArgs) -> Result<()> {
    let Some(folder) = &args.out else {
        return print(&page(args.command.as_deref())?);
    };
    fs::create_dir_all(folder).map_err(|source| RecError::Io { path: folder.clone(), doing: "create", source })?;
    let program = Arguments::command();
    let commands = program.get_subcommands().map(|command| Some(command.get_name()));
    let mut n_pages = 0;
    for command in [None].into_iter().chain(commands) {
        let name = command.map_or("gcnrec.1".into(), |command| format!("gcnrec-{command}.1"));
        let path = folder.join(name);
        fs::write(&path, page(command)?).map_err(RecError::write(&path))?;
        n_pages += 1;
    }
    say(&format!("{n_pages} pages are in {}", folder.display()));
    Ok(())
}

fn script(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "gcnrec", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The page of the program or of one of its commands.
///
/// # Errors
/// [`RecError::Unknown`] for a command that there is not.
fn page(command: Option<&str>) -> Result<String> {
    let mut program = Arguments::command();
    // To tell the commands their full names.
    program.build();
    let described = match command {
        None => program,
        Some(name) => {
            let known = program.get_subcommands().map(|command| command.get_name().to_string());
            let unknown = || RecError::unknown("command", name, known.collect::<Vec<_>>());
            let found = program.get_subcommands().find(|command| command.get_name() == name);
            // A page is named as the file that it is found in.
            found.ok_or_else(unknown)?.clone().display_name(format!("gcnrec-{name}"))
        }
    };
    let mut text = Vec::new();
    Man::new(described).render(&mut text).expect("writing to memory should not fail");
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_script_of_every_shell_knows_the_commands_and_their_flags() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for word in ["recommend", "attn-layers"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_name_its_flags_and_its_examples() {
        assert!(page(None).unwrap().contains(".TH gcnrec 1"));
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let text = page(Some(name)).unwrap();
            assert!(text.contains(&format!(".TH gcnrec-{name} 1")), "{name}: {}", &text[..200]);
            assert!(text.contains("Examples:"), "{name}");
        }
        let error = page(Some("trian")).unwrap_err();
        assert!(error.to_string().contains("did you mean \"train\"?"), "{error}");
    }
}
