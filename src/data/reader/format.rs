//! The setting `data.format`: `auto`, or the name of a reader.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{self, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{READERS, Reader};
use crate::error::{RecError, Result};

/// A format by name, or [`Format::AUTO`]. Each reader's file declares the constant of its format.
///
/// ```
/// use gcnrec::Format;
///
/// assert_eq!(Format::named("csv")?.name(), "csv");
/// assert!(Format::named("xlsx").is_err());
/// assert!(Format::AUTO.reader().is_none());
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Format(Option<&'static dyn Reader>);

/// The name that stands for a look at the file.
const AUTO: &str = "auto";

static NAMES: LazyLock<Vec<&str>> =
    LazyLock::new(|| std::iter::once(AUTO).chain(READERS.iter().map(|reader| reader.name())).collect());

impl Format {
    /// Recognised by the name and the first lines of the file.
    pub const AUTO: Format = Format(None);

    /// The format that a reader reads.
    pub const fn of(reader: &'static dyn Reader) -> Format {
        Format(Some(reader))
    }

    /// Every name that `--format` and `data.format` take.
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// A format by name.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Format::names`].
    pub fn named(name: &str) -> Result<Format> {
        find(name).ok_or_else(|| RecError::unknown("format", name, Format::names()))
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0.map_or(AUTO, Reader::name)
    }

    /// The layout of a file, in one line.
    pub fn about(self) -> &'static str {
        self.0.map_or("Recognised by the name and the first lines of the file.", Reader::about)
    }

    /// The reader of this format; none for [`Format::AUTO`], which stands for one of the others.
    pub fn reader(self) -> Option<&'static dyn Reader> {
        self.0
    }

    /// True when every line is a session of its own, of a user without a name.
    pub fn is_of_sessions(self) -> bool {
        self.0.is_some_and(Reader::is_of_sessions)
    }
}

fn find(name: &str) -> Option<Format> {
    if name == AUTO {
        return Some(Format::AUTO);
    }
    READERS.iter().find(|reader| reader.name() == name).map(|reader| Format::of(*reader))
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", self.name())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// As derived for an enum of names: messages and lists of names do not tell the difference.
impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Format", Format::names(), Name)
    }
}

struct Name;

impl<'de> Visitor<'de> for Name {
    type Value = Format;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a format")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, name: A) -> Result<Format, A::Error> {
        let (format, rest) = name.variant_seed(self)?;
        rest.unit_variant()?;
        Ok(format)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Format, E> {
        find(name).ok_or_else(|| E::unknown_variant(name, Format::names()))
    }
}

impl<'de> de::DeserializeSeed<'de> for Name {
    type Value = Format;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Format, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_name_and_written_as_it() {
        let names = ["auto", "movielens", "lightgcn", "atomic", "csv", "sequence", "pairs", "sessions"];
        assert_eq!(Format::names(), names);
        for name in names {
            let format = Format::named(name).unwrap();
            assert_eq!((format.name(), Format::default() == format), (name, name == "auto"));
            let text = serde_json::to_string(&format).unwrap();
            assert_eq!((text.as_str(), serde_json::from_str(&text).unwrap()), (&*format!("\"{name}\""), format));
            assert!(format.about().ends_with('.'), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_that_there_are() {
        let error = Format::named("cvs").unwrap_err();
        assert_eq!(error.to_string(), "unknown format \"cvs\"; did you mean \"csv\"?");
        let error = serde_json::from_str::<Format>("\"cvs\"").unwrap_err().to_string();
        assert!(error.starts_with("unknown variant `cvs`, expected one of `auto`, `movielens`,"), "{error}");
        assert_eq!(crate::settings::names::<Format>(), Format::names());
    }
}
