//! A table of settings and a family of two kinds, as models and losses are made.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::*;
use crate::error::Result;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Taste {
    Sweet,
    VerySour,
}

name_setting!(Taste, "taste");

settings! {
    /// `[fruit.citrus]`.
    pub(crate) struct Citrus {
        /// Slices of
        /// one fruit.
        slices: usize = 8, in between(1.0, 20.0), flag "--slices";
        /// How it tastes.
        taste: Taste = Taste::VerySour;
        /// Its weight.
        weight: Option<f32> = None, or "that of the tree", takes format!("{} or more", "a gram"), in above(0.0);
        /// Its peel.
        peel: Peel = Peel::default();
    }
}

settings! {
    /// `[fruit.citrus.peel]`.
    pub(crate) struct Peel {
        /// Thickness.
        millimetres: f32 = 0.1, in from_to_below(0.0, 5.0);
    }
}

settings! {
    /// `[fruit.berry]`: there is nothing to set.
    pub(crate) struct Berry {}
}

trait Fruit: Settings {
    fn its_row(&self) -> &'static Row<dyn Fruit>;
    fn ranges(&self) -> Result<()>;
}

static CITRUS: Row<dyn Fruit> = row!(dyn Fruit, Citrus, "citrus", "Has slices");
static BERRY: Row<dyn Fruit> = row!(dyn Fruit, Berry, "berry", "Has none");

impl Fruit for Citrus {
    fn its_row(&self) -> &'static Row<dyn Fruit> {
        &CITRUS
    }

    fn ranges(&self) -> Result<()> {
        self.check_ranges("fruit.citrus")
    }
}

impl Fruit for Berry {
    fn its_row(&self) -> &'static Row<dyn Fruit> {
        &BERRY
    }

    fn ranges(&self) -> Result<()> {
        self.check_ranges("fruit.berry")
    }
}

impl Family for dyn Fruit {
    const WHAT: &'static str = "fruit";

    fn rows() -> &'static [&'static Row<Self>] {
        static ROWS: &[&Row<dyn Fruit>] = &[&CITRUS, &BERRY];
        ROWS
    }

    fn row(&self) -> &'static Row<Self> {
        self.its_row()
    }

    fn validate(&self) -> Result<()> {
        self.ranges()
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plate {
    fruit: Chosen<dyn Fruit>,
}

#[test]
fn rows_hold_what_the_table_says() {
    let [slices, taste, weight, peel] = Citrus::KEYS else { panic!("four keys: {:?}", Citrus::KEYS) };
    assert_eq!((slices.name, slices.about()), ("slices", "Slices of one fruit.".into()));
    assert_eq!((slices.flag, slices.range), (Some("--slices"), Some(between(1.0, 20.0))));
    assert_eq!((slices.default)().as_deref(), Some("8"));
    assert_eq!((taste.default)().as_deref(), Some("\"very_sour\""));
    let Takes::Name { what: "taste", names } = taste.takes else { panic!("{:?}", taste.takes) };
    assert_eq!(names(), ["sweet", "very_sour"]);
    assert_eq!(((weight.default)(), weight.unset), (None, "that of the tree"));
    assert_eq!((weight.words.map(|words| words()), slices.words), (Some("a gram or more".into()), None));
    let Takes::Table([millimetres]) = peel.takes else { panic!("{:?}", peel.takes) };
    assert_eq!((millimetres.default)().as_deref(), Some("0.1"), "as short as it was written");
    assert!(Berry::KEYS.is_empty());
}

#[test]
fn values_outside_their_ranges_are_refused_by_their_dotted_key() {
    let message = |citrus: Citrus| citrus.check_ranges("fruit.citrus").unwrap_err().to_string();
    assert!(Citrus::default().check_ranges("fruit.citrus").is_ok());
    let found = message(Citrus::default().with(|own| own.slices = 0));
    assert_eq!(found, "fruit.citrus.slices: found 0, expected a whole number from 1 to 20");
    let found = message(Citrus { peel: Peel { millimetres: 5.5 }, ..Citrus::default() });
    assert_eq!(found, "fruit.citrus.peel.millimetres: found 5.5, expected a number from 0 to below 5");
    let found = message(Citrus { weight: Some(f32::NAN), ..Citrus::default() });
    assert_eq!(found, "fruit.citrus.weight: found NaN, expected a number above 0");
}

#[test]
fn what_is_not_the_default_is_told_by_key() {
    assert!(Citrus::default().changed().is_empty() && Berry::default().changed().is_empty());
    assert_eq!(Citrus::default().with(|own| own.peel.millimetres = 1.0).changed(), ["peel"]);
}

#[test]
fn a_chosen_kind_is_written_and_read_as_a_table_with_its_name() {
    let citrus = Citrus { slices: 3, ..Citrus::default() };
    let plate = Plate { fruit: Chosen::new(Arc::new(citrus)) };
    let text = toml::to_string(&plate).unwrap();
    assert!(text.contains("[fruit.citrus]\nslices = 3\n") && text.contains("millimetres = 0.1\n"), "{text}");
    assert_eq!(toml::from_str::<Plate>(&text).unwrap(), plate);
    assert_eq!(plate.fruit.settings::<Citrus>().unwrap().slices, 3);
    assert!(plate.fruit.settings::<Berry>().is_none());
    let berry: Plate = toml::from_str("fruit.berry = {}").unwrap();
    assert_eq!((berry.fruit.name(), berry.fruit == plate.fruit), ("berry", false));
    let wrong = |text: &str| toml::from_str::<Plate>(text).unwrap_err().message().to_string();
    assert_eq!(wrong("fruit.bery = {}"), "unknown fruit \"bery\"; did you mean \"berry\"?");
    assert!(
        wrong("[fruit.citrus]\nslice = 3").contains("unknown field `slice`"),
        "{}",
        wrong("[fruit.citrus]\nslice = 3")
    );
    assert!(wrong("fruit.berry = {}\nfruit.citrus = {}").contains("a second fruit"));
}

#[test]
fn a_kind_is_found_by_name_with_defaults_or_with_settings() {
    assert_eq!(Chosen::<dyn Fruit>::names(), ["citrus", "berry"]);
    assert_eq!(Chosen::<dyn Fruit>::default().name(), "citrus");
    let parsed = Chosen::<dyn Fruit>::parse("citrus", "slices = 5").unwrap();
    assert_eq!(parsed.settings::<Citrus>().unwrap().slices, 5);
    let error = Chosen::<dyn Fruit>::parse("citrus", "slices = true").unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(Chosen::<dyn Fruit>::named("apple").is_err());
}

#[test]
fn settings_that_a_kind_does_not_take_are_refused_in_one_line() {
    let refused = |text: &str| Chosen::<dyn Fruit>::parse("citrus", text).unwrap_err().to_string();
    let of = |problem: &str| format!("fruit.citrus: found {problem}, expected settings of its table in TOML");
    let unknown = "unknown field `slice`, expected one of `slices`, `taste`, `weight`, `peel`";
    assert_eq!(refused("slice = 3"), of(unknown));
    assert_eq!(refused("slices = true"), of("invalid type: boolean `true`, expected usize, in `slices`"));
    let unknown = "unknown variant `bitter`, expected `sweet` or `very_sour`, in `taste`";
    assert_eq!(refused("taste = \"bitter\""), of(unknown));
    let unfinished = refused("slices = 3\ntaste");
    assert!(unfinished.starts_with("fruit.citrus: found TOML parse error at line 2, column 6, "), "{unfinished}");
    assert!(!unfinished.contains(['|', '\n']) && !unfinished.contains(", ,"), "{unfinished}");
}
