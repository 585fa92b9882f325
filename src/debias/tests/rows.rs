//! The list of methods: names, defaults and ranges.

use crate::debias::Config;

#[test]
fn every_method_has_its_name_and_a_default_within_its_ranges() {
    for name in Config::names() {
        let config = Config::named(name).unwrap();
        assert_eq!(config.name(), name);
        config.validate().unwrap();
    }
    assert!(Config::default().is_none());
    let error = Config::named("autodebais").unwrap_err().to_string();
    assert_eq!(error, "unknown debiasing method \"autodebais\"; did you mean \"autodebias\"?");
}

#[test]
fn values_outside_their_ranges_are_refused_by_name() {
    let refused = |name, settings| {
        let config = Config::parse(name, settings).unwrap();
        config.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refused("autodebias", "every = 0"),
        "debias.autodebias.every: found 0, expected a whole number from 1 to 1000000"
    );
    assert!(refused("snips", "clip = 0").starts_with("debias.snips.clip: found 0"));
    assert!(refused("combine", "weight = nan").starts_with("debias.combine.weight: found NaN"));
}
