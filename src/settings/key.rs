//! Keys as rows: what each key of a run file takes, its default, its range, its flag, one line of
//! documentation. Help, the table of keys, checks and error texts read them.

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::Range;
use crate::error::{RecError, Result};

/// A row: a key of a table of settings.
#[derive(Debug)]
pub struct Key {
    /// The key within its table.
    pub name: &'static str,
    /// The documentation as written, line by line; see [`Key::about`].
    pub doc: &'static str,
    /// What the key takes.
    pub takes: Takes,
    /// What it takes in words, where type and range do not say it.
    pub words: Option<fn() -> String>,
    /// Where its number must lie.
    pub range: Option<Range>,
    /// The default as TOML; nothing for a key that is not set by default.
    pub default: fn() -> Option<String>,
    /// What happens where the key is not set, for keys without a default.
    pub unset: &'static str,
    /// The flag that sets it, with its dashes.
    pub flag: Option<&'static str>,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A whole number of 0 or more.
    Whole,
    /// A number.
    Real,
    /// True or false.
    Switch,
    /// Text.
    Text,
    /// The path of a file or folder.
    Path,
    /// One of some names; `what` is their noun in `unknown NOUN "…"`.
    Name {
        /// The noun.
        what: &'static str,
        /// The names.
        names: fn() -> &'static [&'static str],
    },
    /// A list of any length.
    List(&'static Takes),
    /// So many in a list.
    Array(&'static Takes, usize),
    /// A table with keys of its own.
    Table(&'static [Key]),
    /// A table with the name of a kind, which has keys of its own: `[model.NAME]`.
    Kind(fn() -> Kinds),
    /// Text of a certain form.
    Form {
        /// The form in words.
        words: &'static str,
        /// True for a text that has it.
        fits: fn(&str) -> bool,
    },
}

/// The kinds that one can be chosen of, each with its keys.
#[derive(Debug, Clone)]
pub struct Kinds {
    /// The noun: `model`, `loss`, `debiasing method`.
    pub what: &'static str,
    /// Name, one line of documentation, and keys of every kind.
    pub rows: Vec<(&'static str, &'static str, &'static [Key])>,
}

impl Takes {
    /// The names that can be written; none where the key takes something else.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Takes::Name { names, .. } => names().to_vec(),
            Takes::Kind(kinds) => kinds().rows.iter().map(|(name, ..)| *name).collect(),
            _ => Vec::new(),
        }
    }
}

impl Key {
    /// The documentation in one line, without the sentence on default and range.
    pub fn about(&self) -> String {
        self.doc.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A type that a setting can have.
pub(crate) trait Setting: Serialize + DeserializeOwned {
    /// What a run file may write.
    const TAKES: Takes;

    /// Refuses a value outside its range, or a table with such a value in it.
    ///
    /// # Errors
    /// [`RecError::Config`] with `key`, the value and the range.
    fn check(&self, key: &str, range: Option<&Range>) -> Result<()> {
        let _ = (key, range);
        Ok(())
    }
}

macro_rules! numbers {
    ($($type:ty, $takes:expr, $is_whole:literal, $contains:expr);* $(;)?) => {$(
        impl Setting for $type {
            const TAKES: Takes = $takes;

            fn check(&self, key: &str, range: Option<&Range>) -> Result<()> {
                let contains: fn(&Range, $type) -> bool = $contains;
                match range.filter(|range| !contains(range, *self)) {
                    None => Ok(()),
                    Some(range) => Err(RecError::range(key, self, range.expected($is_whole))),
                }
            }
        }
    )*};
}

numbers! {
    usize, Takes::Whole, true, |range, n| range.contains(n as f64);
    u64, Takes::Whole, true, |range, n| range.contains(n as f64);
    u32, Takes::Whole, true, |range, n| range.contains(f64::from(n));
    f64, Takes::Real, false, |range, x| range.contains(x);
    f32, Takes::Real, false, |range, x| range.contains_f32(x);
}

macro_rules! plain {
    ($($type:ty, $takes:expr);* $(;)?) => {$(
        impl Setting for $type {
            const TAKES: Takes = $takes;
        }
    )*};
}

plain! {
    bool, Takes::Switch;
    String, Takes::Text;
    std::path::PathBuf, Takes::Path;
}

impl<T: Setting> Setting for Option<T> {
    const TAKES: Takes = T::TAKES;

    fn check(&self, key: &str, range: Option<&Range>) -> Result<()> {
        self.as_ref().map_or(Ok(()), |value| value.check(key, range))
    }
}

impl<T: Setting> Setting for Vec<T> {
    const TAKES: Takes = Takes::List(&T::TAKES);

    fn check(&self, key: &str, range: Option<&Range>) -> Result<()> {
        self.iter().try_for_each(|value| value.check(key, range))
    }
}

impl<T: Setting + Copy, const N: usize> Setting for [T; N]
where
    [T; N]: Serialize + DeserializeOwned,
{
    const TAKES: Takes = Takes::Array(&T::TAKES, N);

    fn check(&self, key: &str, range: Option<&Range>) -> Result<()> {
        self.iter().try_for_each(|value| value.check(key, range))
    }
}

/// Makes an enum of names (unit variants, `snake_case` in files) a setting.
macro_rules! name_setting {
    ($type:ty, $what:literal) => {
        impl $crate::settings::Setting for $type {
            const TAKES: $crate::settings::Takes =
                $crate::settings::Takes::Name { what: $what, names: $crate::settings::names::<$type> };
        }
    };
}
pub(crate) use name_setting;

/// The names of an enum's variants, as serde writes them; none for a type that is no enum.
pub(crate) fn names<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The recorder answers with an error always: no value is made.
    let _ = T::deserialize(Recorder(&mut names));
    names
}

/// Notes the names that a type asks for, and gives nothing.
struct Recorder<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Recorder<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only the names are asked for"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A default as a run file writes it; nothing for a value that is not set.
pub(crate) fn as_toml(value: &impl Serialize) -> Option<String> {
    let mut text = String::new();
    value.serialize(toml::ser::ValueSerializer::new(&mut text)).ok()?;
    Some(text)
}
