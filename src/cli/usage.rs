//! Usage errors: a mistake on the command line in one line like every other error; help and version
//! as the parser prints them.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::Arguments;
use super::output::{self, say};

/// What the parser of numbers says, and what it means.
const PLAIN: [(&str, &str); 5] = [
    ("invalid digit found in string", "not a whole number of 0 or more"),
    ("cannot parse integer from empty string", "not a whole number of 0 or more"),
    ("number too large to fit in target type", "the number is too large"),
    ("invalid float literal", "not a number"),
    ("cannot parse float from empty string", "not a number"),
];

/// Prints the parser's answer and gives the exit code: 0 for help and version, 2 for a mistake.
pub(crate) fn answer(answer: &clap::Error) -> u8 {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Nobody can be told when help cannot be printed.
            let _ = answer.print();
        }
        _ => {
            let asked = std::env::args().nth(1).unwrap_or_default();
            say(&output::one_line(&one_line(&answer.render().to_string(), &asked)));
        }
    }
    u8::try_from(answer.exit_code()).unwrap_or(1)
}

/// Puts the parser's paragraphs (the mistake, tips, usage, where to find help) into one line.
/// `asked` is the first word of the command line.
fn one_line(text: &str, asked: &str) -> String {
    let mut line = String::new();
    for paragraph in text.split("\n\n") {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        match words.first() {
            None | Some(&"For" | &"Usage:") => {}
            Some(&"error:") => line = words.join(" "),
            Some(_) => {
                line += "; ";
                line += words.join(" ").trim_start_matches("tip: ");
            }
        }
    }
    for (theirs, ours) in PLAIN {
        line = line.replace(theirs, ours);
    }
    match Arguments::command().find_subcommand(asked) {
        Some(command) => format!("{line}; see gcnrec {} --help", command.get_name()),
        None => format!("{line}; see gcnrec --help"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn message(words: &[&str]) -> String {
        let error = Arguments::try_parse_from(["gcnrec"].iter().chain(words)).unwrap_err();
        one_line(&error.render().to_string(), words[0])
    }

    #[test]
    fn a_mistake_on_the_command_line_is_one_line_with_what_to_do() {
        assert_eq!(
            message(&["train", "--layer", "3"]),
            "error: unexpected argument '--layer' found; a similar argument exists: '--layers'; see gcnrec train --help"
        );
        assert_eq!(
            message(&["similar", "run"]),
            "error: the following required arguments were not provided: --item <ID>; see gcnrec similar --help"
        );
        assert_eq!(
            message(&["train", "--seed", "-1"]),
            "error: invalid value '-1' for '--seed <N>': not a whole number of 0 or more; see gcnrec train --help"
        );
        let value = message(&["devices", "--output", "xml"]);
        assert!(value.starts_with("error: invalid value 'xml' for '--output <FORMAT>'"), "{value}");
        assert!(value.contains("table, json, csv") && !value.contains('\n'), "{value}");
    }
}
