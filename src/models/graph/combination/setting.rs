//! The setting `combination`: one of the list of layer combinations by name.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{self, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::parts::Sizes;
use super::{KINDS, Kind};
use crate::settings::name_setting;

/// How the layers are combined.
#[derive(Clone, Copy)]
pub struct Combination(pub(super) &'static dyn Kind);

name_setting!(Combination, "layer combination");

impl Combination {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Combination> {
        KINDS.iter().map(|&kind| Combination(kind))
    }

    /// True where the layers' weights are learned.
    pub(crate) fn is_learned(self) -> bool {
        self.0.n_groups() > 0
    }

    /// True where each node has weights of its own.
    pub(crate) fn is_per_node(self) -> bool {
        self.0.n_groups() > 1
    }

    /// What the passes on a GPU hold for each layer's row, in numbers.
    pub(crate) fn numbers_per_row(self, sizes: &Sizes) -> usize {
        self.0.numbers_per_row(sizes)
    }
}

fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| KINDS.iter().map(|kind| kind.name()).collect());
    &NAMES
}

impl PartialEq for Combination {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for Combination {}

impl fmt::Debug for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl Serialize for Combination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// As serde reads an enum without fields, so that errors name the list and [`names`] are found.
impl<'de> Deserialize<'de> for Combination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Combination", names(), OfList)
    }
}

struct OfList;

impl<'de> Visitor<'de> for OfList {
    type Value = Combination;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enum Combination")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Combination, A::Error> {
        let (Named(combination), rest) = data.variant()?;
        rest.unit_variant()?;
        Ok(combination)
    }
}

/// A combination by its bare name.
struct Named(Combination);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("variant identifier")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Named, E> {
                let found = KINDS.iter().find(|kind| kind.name() == name);
                found.map(|&kind| Named(Combination(kind))).ok_or_else(|| E::unknown_variant(name, names()))
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    /// What serde's derive does with `#[serde(rename_all = "snake_case")]`.
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case", rename = "Combination")]
    enum Derived {
        Uniform,
        Global,
        Additive,
        Dot,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Table<T> {
        combination: T,
    }

    /// What is written of what was read, or the error up to the list of names, which may be longer.
    fn outcome(written: Result<String, String>) -> Result<String, String> {
        written.map_err(|error| error.split(", expected one of").next().unwrap_or_default().to_string())
    }

    fn by_json<T: Serialize + de::DeserializeOwned>(text: &str) -> Result<String, String> {
        let read: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(serde_json::to_string(&read).unwrap())
    }

    fn by_toml<T: Serialize + de::DeserializeOwned>(text: &str) -> Result<String, String> {
        let read: Table<T> = toml::from_str(&format!("combination = {text}")).map_err(|error| error.to_string())?;
        Ok(toml::to_string(&read).unwrap())
    }

    #[test]
    fn combinations_are_read_written_and_refused_as_an_enum_is() {
        assert!(names().starts_with(settings::names::<Derived>()));
        assert_eq!(settings::names::<Combination>(), names());
        for text in ["\"uniform\"", "\"dot\"", "\"dott\"", "3", "null", "{\"dot\": 1}", "{\"dot\": null}", "[]"] {
            assert_eq!(outcome(by_json::<Combination>(text)), outcome(by_json::<Derived>(text)), "{text}");
        }
        for text in ["\"additive\"", "\"aditive\"", "3", "[]", "{ dot = 1 }"] {
            assert_eq!(outcome(by_toml::<Combination>(text)), outcome(by_toml::<Derived>(text)), "{text}");
        }
        let listed = names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let error = by_json::<Combination>("\"dott\"").unwrap_err();
        assert_eq!(error, format!("unknown variant `dott`, expected one of {listed} at line 1 column 6"));
    }
}
