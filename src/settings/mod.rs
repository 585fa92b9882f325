//! Settings of a run file, each fact once: `settings!` makes a struct, its defaults, its rows
//! ([`Key`]) and its range checks from one table.
//!
//! A kind of something (a model, a loss, a debiasing method) is a struct of settings with a trait;
//! [`Chosen`] holds the one that `[model.NAME]` names, and [`Row`] lists it.

mod key;
mod kind;
mod range;
mod unread;

pub(crate) use key::name_setting;
pub use key::{Key, Takes};
pub(crate) use key::{Kinds, Setting, as_toml, names};
pub(crate) use kind::row;
pub(crate) use kind::{Chosen, Family, Row, Settings};
pub(crate) use range::{Range, above, above_up_to, at_least, between, finite, from_to_below, strictly_between};
pub(crate) use unread::Unread;

/// A struct of settings. A field is
///
/// ```text
/// /// One sentence on what it does.
/// name: type = default, or "what an unset key means", takes "words", in range, flag "--flag";
/// ```
///
/// of which `or`, `takes`, `in` and `flag` may be missing. `takes` says what type and range do not
/// (a `String` that holds the name of a column). Made are the struct with serde's derives (unknown
/// keys are refused, missing ones have their defaults), `Default`, `with`, `changed`, the rows
/// `KEYS`, `check_ranges` and [`Setting`], so that a table of settings can stand within another.
macro_rules! settings {
    (
        $(#[$outer:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)*)])*
                $key:ident : $type:ty = $default:expr
                    $(, or $unset:literal)?
                    $(, takes $words:expr)?
                    $(, in $range:expr)?
                    $(, flag $flag:literal)?
            );* $(;)?
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        $vis struct $name {
            $(
                $(#[doc = $doc])+
                ///
                #[doc = concat!(" Default: `", stringify!($default), "`", $(", ", $unset,)? ".")]
                $(#[doc = concat!(" Range: `", stringify!($range), "`.")])?
                $(#[serde($($serde)*)])*
                pub $key: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($key: $default),* }
            }
        }

        impl $name {
            /// These settings with some of them changed: `Config::default().with(|own| own.dim =
            /// 16)`.
            #[allow(dead_code, reason = "for users of the library; within it structs are updated")]
            #[must_use]
            $vis fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
                change(&mut self);
                self
            }

            /// The keys whose values are not the defaults.
            #[allow(dead_code, reason = "not every table has settings that others make void")]
            $vis fn changed(&self) -> Vec<&'static str> {
                let usual = Self::default();
                let mut changed = Vec::new();
                $(
                    if self.$key != usual.$key {
                        changed.push(stringify!($key));
                    }
                )*
                let _ = (&usual, &mut changed);
                changed
            }

            /// One row for each key, in the order of the file.
            $vis const KEYS: &'static [$crate::settings::Key] = &[$(
                $crate::settings::Key {
                    name: stringify!($key),
                    doc: concat!($($doc, "\n"),+),
                    takes: <$type as $crate::settings::Setting>::TAKES,
                    words: $crate::settings::optional!($(|| String::from($words))?),
                    range: $crate::settings::optional!($($range)?),
                    default: || $crate::settings::as_toml(&<$name>::default().$key),
                    unset: $crate::settings::text!($($unset)?),
                    flag: $crate::settings::optional!($($flag)?),
                }
            ),*];

            /// Refuses values outside their ranges. `at` is the dotted key of this table.
            ///
            /// # Errors
            /// [`RecError::Config`](crate::error::RecError::Config) for the first one.
            $vis fn check_ranges(&self, at: &str) -> $crate::error::Result<()> {
                let dot = if at.is_empty() { "" } else { "." };
                $(
                    let range: Option<$crate::settings::Range> = $crate::settings::optional!($($range)?);
                    $crate::settings::Setting::check(
                        &self.$key,
                        &format!("{at}{dot}{}", stringify!($key)),
                        range.as_ref(),
                    )?;
                )*
                let _ = dot;
                Ok(())
            }
        }

        impl $crate::settings::Setting for $name {
            const TAKES: $crate::settings::Takes = $crate::settings::Takes::Table(Self::KEYS);

            fn check(&self, key: &str, _range: Option<&$crate::settings::Range>) -> $crate::error::Result<()> {
                self.check_ranges(key)
            }
        }
    };
}
pub(crate) use settings;

/// `Some` of what is given, `None` of nothing: for [`settings!`].
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}
pub(crate) use optional;

/// The text that is given, or an empty one: for [`settings!`].
macro_rules! text {
    () => {
        ""
    };
    ($value:literal) => {
        $value
    };
}
pub(crate) use text;

#[cfg(test)]
mod tests;
