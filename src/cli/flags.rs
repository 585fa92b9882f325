//! Flags that set keys, from the library's table of flags: all of them for `train`, those that name
//! files of the data for commands that judge a run again, those on reading for `inspect`.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, value_parser};
use gcnrec::internals::config::{FLAGS, FlagRow};
use gcnrec::internals::settings::Takes;
use gcnrec::{Flag, RecError, Result};
use toml::Value;

/// All flags.
pub(super) const ALL: u8 = 0;
/// Those alone that name files of the data and columns in them.
pub(super) const FILES: u8 = 1;
/// Those alone that say how one file is read.
pub(super) const READING: u8 = 2;

/// The flags of the table [`FLAGS`], as they were given: [`ALL`], [`FILES`] or [`READING`].
#[derive(Debug)]
pub(super) struct KeyFlags<const WHICH: u8>(ArgMatches);

impl<const WHICH: u8> clap::Args for KeyFlags<WHICH> {
    fn augment_args(command: Command) -> Command {
        command.args(Self::rows().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const WHICH: u8> FromArgMatches for KeyFlags<WHICH> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(KeyFlags(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

/// The flag without its dashes, which is its id in the parser.
fn id(flag: &'static str) -> &'static str {
    flag.trim_start_matches('-')
}

fn argument(row: &'static FlagRow) -> Arg {
    let flag = Arg::new(id(row.name)).long(id(row.name)).help(row.help()).help_heading(row.heading);
    let flag = flag.conflicts_with_all(row.excludes.iter().map(|other| id(other)));
    let number = |flag: Arg, parser: ValueParser| flag.value_parser(parser).allow_negative_numbers(true);
    let flag = match row.takes() {
        Takes::Switch => return flag.action(ArgAction::SetTrue),
        Takes::Whole => number(flag, value_parser!(u64).into()),
        Takes::Real => number(flag, value_parser!(f64).into()),
        Takes::List(_) => number(flag, value_parser!(u64).into()).value_delimiter(',').action(ArgAction::Append),
        _ => flag,
    };
    let flag = flag.value_name(row.value);
    match row.alone {
        Some(value) => flag.num_args(0..=1).require_equals(true).default_missing_value(value),
        None => flag,
    }
}

impl<const WHICH: u8> KeyFlags<WHICH> {
    fn rows() -> impl Iterator<Item = &'static FlagRow> {
        FLAGS.iter().filter(|row| match WHICH {
            FILES => row.is_of_data_file(),
            READING => row.is_of_reading(),
            _ => true,
        })
    }

    /// The flags that were given, in the order of the table.
    pub(super) fn given(&self) -> Result<Vec<Flag>> {
        let value_of = |row: &'static FlagRow| Ok(self.value_of(row)?.map(|value| Flag { name: row.name, value }));
        Self::rows().filter_map(|row| value_of(row).transpose()).collect()
    }

    fn value_of(&self, row: &'static FlagRow) -> Result<Option<Value>> {
        let (id, takes) = (id(row.name), row.takes());
        let whole = |number: &u64| i64::try_from(*number).map(Value::Integer).map_err(|_| too_large(row, *number));
        Ok(match takes {
            Takes::Switch => self.0.get_flag(id).then_some(Value::Boolean(true)),
            Takes::Whole => self.0.get_one::<u64>(id).map(whole).transpose()?,
            Takes::Real => self.0.get_one::<f64>(id).map(|number| Value::Float(*number)),
            Takes::List(_) => match self.0.get_many::<u64>(id) {
                Some(numbers) => Some(Value::Array(numbers.map(whole).collect::<Result<_>>()?)),
                None => None,
            },
            // On the command line the words of a name may be joined by dashes.
            Takes::Name { .. } => self.0.get_one::<String>(id).map(|name| Value::String(name.replace('-', "_"))),
            _ => self.0.get_one::<String>(id).cloned().map(Value::String),
        })
    }
}

fn too_large(row: &FlagRow, number: u64) -> RecError {
    RecError::range(id(row.name), number, "a whole number from 0 to 2^63 - 1").with_origin(row.name)
}
