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

    #[test]
    fn combinations_are_read_written_and_refused_as_an_enum_is() {
        assert_eq!(settings::names::<Combination>(), settings::names::<Derived>());
        for text in ["\"uniform\"", "\"dot\"", "\"dott\"", "3", "null", "{\"dot\": 1}", "{\"dot\": null}", "[]"] {
            let (found, derived) = (serde_json::from_str::<Combination>(text), serde_json::from_str::<Derived>(text));
            let written = |value: Result<String, _>| value.expect("a name should be JSON");
            let found = found.map(|own| written(serde_json::to_string(&own))).map_err(|error| error.to_string());
            let derived = derived.map(|own| written(serde_json::to_string(&own))).map_err(|error| error.to_string());
            assert_eq!(found, derived, "{text}");
        }
        #[derive(Debug, Serialize, Deserialize)]
        struct Table<T> {
            combination: T,
        }
        for text in
            ["\"additive\"", "\"aditive\"", "3", "[]", "{ dot = 1 }"].map(|value| format!("combination = {value}"))
        {
            let written = |value: Result<String, _>| value.expect("a table should be TOML");
            let found = toml::from_str::<Table<Combination>>(&text).map(|own| written(toml::to_string(&own)));
            let derived = toml::from_str::<Table<Derived>>(&text).map(|own| written(toml::to_string(&own)));
            assert_eq!(found.map_err(|e| e.to_string()), derived.map_err(|e| e.to_string()), "{text}");
        }
    }
}
