//! One of several kinds with its settings: a model, a loss, a debiasing method. A kind is a struct
//! of settings that implements the family's trait; the family lists its rows.
//!
//! ```text
//! [model.ease]        family "model", row "ease", settings of linear::ease::Config
//! l2 = 300
//! ```

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::{Key, Kinds, Range, Setting, Takes};
use crate::error::{RecError, Result};

/// What every struct of settings can do behind a trait object. Implemented for all of them.
pub trait Settings: Any + fmt::Debug + erased_serde::Serialize + Send + Sync {
    /// True for equal settings of the same type.
    fn is_equal(&self, other: &dyn Any) -> bool;

    /// The settings as a value whose type can be asked for.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + fmt::Debug + Serialize + PartialEq + Send + Sync> Settings for T {
    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A row of a family: a kind by name. Made by `row!`.
#[derive(Debug)]
pub struct Row<K: ?Sized + 'static> {
    /// The name in files and flags.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// The kind with its default settings.
    pub default: fn() -> Arc<K>,
    /// The kind with settings that are read.
    pub read: fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Arc<K>, erased_serde::Error>,
}

/// `row!(dyn Trait, Type, "name", "what it is, in one line")`.
macro_rules! row {
    ($family:ty, $type:ty, $name:literal, $about:literal) => {
        $crate::settings::Row::<$family> {
            name: $name,
            about: $about,
            keys: <$type>::KEYS,
            default: || std::sync::Arc::new(<$type>::default()),
            read: |settings| Ok(std::sync::Arc::new(erased_serde::deserialize::<$type>(settings)?)),
        }
    };
}
pub(crate) use row;

/// A family of kinds: implemented by the trait object of its kinds (`dyn Model`).
pub trait Family: Settings + 'static {
    /// The noun: `model`, `loss`, `debiasing method`.
    const WHAT: &'static str;

    /// Every kind, in the order in which lists name them.
    fn rows() -> &'static [&'static Row<Self>];

    /// The kind that is taken where none is named: the first one, unless the family says otherwise.
    fn default_row() -> &'static Row<Self> {
        Self::rows()[0]
    }

    /// The row of this kind.
    fn row(&self) -> &'static Row<Self>;

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first one.
    fn validate(&self) -> Result<()>;
}

/// One kind with its settings, cheap to clone: `[model.NAME]` and the table's keys in a file.
pub struct Chosen<K: ?Sized>(Arc<K>);

impl<K: ?Sized + Family> Chosen<K> {
    /// Of settings that are behind their family's trait already.
    pub fn new(kind: Arc<K>) -> Self {
        Chosen(kind)
    }

    /// The names of all kinds.
    pub fn names() -> Vec<&'static str> {
        K::rows().iter().map(|row| row.name).collect()
    }

    /// A kind by name with its defaults.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that no row has.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Chosen((row_of::<K>(name)?.default)()))
    }

    /// A kind by name with settings in TOML, as they stand in its table: `dim = 16`.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that no row has, [`RecError::Config`] for settings that it
    /// does not take. Ranges are not checked.
    pub fn parse(name: &str, settings: &str) -> Result<Self> {
        // A problem of TOML has lines: words, then a drawing of the place or nothing.
        let refuse = |error: &dyn fmt::Display| {
            let text = error.to_string();
            let is_drawn =
                |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
            let words = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_drawn(line));
            let problem = words.collect::<Vec<_>>().join(", ");
            RecError::range(format!("{}.{name}", K::WHAT), problem, "settings of its table in TOML")
        };
        let row = row_of::<K>(name)?;
        let table: toml::Table = settings.parse().map_err(|error| refuse(&error))?;
        let mut settings = <dyn erased_serde::Deserializer<'_>>::erase(table);
        (row.read)(&mut settings).map(Chosen).map_err(|error| refuse(&error))
    }

    /// The name of the kind.
    pub fn name(&self) -> &'static str {
        self.0.row().name
    }

    /// The settings, where they are of this type.
    pub fn settings<T: 'static>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }
}

fn row_of<K: ?Sized + Family>(name: &str) -> Result<&'static Row<K>> {
    K::rows()
        .iter()
        .copied()
        .find(|row| row.name == name)
        .ok_or_else(|| RecError::unknown(K::WHAT, name, K::rows().iter().map(|row| row.name)))
}

impl<K: ?Sized> Deref for Chosen<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.0
    }
}

impl<K: ?Sized> Clone for Chosen<K> {
    fn clone(&self) -> Self {
        Chosen(self.0.clone())
    }
}

impl<K: ?Sized + Family> Default for Chosen<K> {
    fn default() -> Self {
        Chosen((K::default_row().default)())
    }
}

impl<K: ?Sized + fmt::Debug> fmt::Debug for Chosen<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: ?Sized + Family> PartialEq for Chosen<K> {
    fn eq(&self, other: &Self) -> bool {
        // Two names may share a type of settings.
        self.name() == other.name() && self.0.is_equal(other.0.as_any())
    }
}

impl<K: ?Sized + Family> Serialize for Chosen<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Erased<'a, K: ?Sized>(&'a K);
        impl<K: ?Sized + Family> Serialize for Erased<'_, K> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                erased_serde::serialize(self.0, serializer)
            }
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name(), &Erased(&*self.0))?;
        map.end()
    }
}

impl<'de, K: ?Sized + Family> Deserialize<'de> for Chosen<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneEntry<K: ?Sized>(std::marker::PhantomData<K>);
        impl<'de, K: ?Sized + Family> Visitor<'de> for OneEntry<K> {
            type Value = Chosen<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a table with one {}", K::WHAT)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Chosen<K>, A::Error> {
                let Some(name) = map.next_key::<String>()? else {
                    return Err(de::Error::custom(format!("no {}", K::WHAT)));
                };
                let row = row_of::<K>(&name).map_err(de::Error::custom)?;
                let chosen = map.next_value_seed(SettingsOf(row))?;
                match map.next_key::<String>()? {
                    None => Ok(Chosen(chosen)),
                    Some(second) => Err(de::Error::custom(format!("a second {}, {second}", K::WHAT))),
                }
            }
        }
        deserializer.deserialize_map(OneEntry(std::marker::PhantomData))
    }
}

/// Reads the settings of a row.
struct SettingsOf<K: ?Sized + 'static>(&'static Row<K>);

impl<'de, K: ?Sized> DeserializeSeed<'de> for SettingsOf<K> {
    type Value = Arc<K>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<K>, D::Error> {
        let mut erased = <dyn erased_serde::Deserializer<'_>>::erase(deserializer);
        (self.0.read)(&mut erased).map_err(de::Error::custom)
    }
}

impl<K: ?Sized + Family> Setting for Chosen<K> {
    const TAKES: Takes = Takes::Kind(|| Kinds {
        what: K::WHAT,
        rows: K::rows().iter().map(|row| (row.name, row.about, row.keys)).collect(),
    });

    fn check(&self, _key: &str, _range: Option<&Range>) -> Result<()> {
        self.validate()
    }
}
