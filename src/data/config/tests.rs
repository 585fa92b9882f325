use super::*;

fn message(config: Config) -> String {
    config.validate().unwrap_err().to_string()
}

#[test]
fn the_default_is_the_demo_world_and_in_range() {
    assert!(Config::default().validate().is_ok());
    assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
}

#[test]
fn every_key_survives_a_run_file_and_an_unknown_one_is_refused() {
    let config: Config = toml::from_str(
        "path = \"a.csv\"\nformat = \"csv\"\nsplit = \"leave_one_out\"\nhold_out = \"test_only\"\norder = \"random\"\nduplicates = \"refuse\"",
    )
    .unwrap();
    assert_eq!((config.split, config.hold_out), (Rule::LeaveOneOut, HoldOut::TestOnly));
    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    assert!(toml::from_str::<Config>("pth = \"a.csv\"").is_err());
}

#[test]
fn values_outside_their_range_are_refused_by_name() {
    assert!(message(Config { valid_fraction: 1.0, ..Config::default() }).starts_with("data.valid_fraction: found 1"));
    assert!(message(Config { valid_fraction: f64::NAN, ..Config::default() }).starts_with("data.valid_fraction"));
    assert!(message(Config { ratios: [0.0, 0.5, 0.5], ..Config::default() }).starts_with("data.ratios"));
    assert!(message(Config { min_rating: Some(f32::NAN), ..Config::default() }).starts_with("data.min_rating"));
    assert!(message(Config { recent_days: Some(0.0), ..Config::default() }).starts_with("data.recent_days"));
    assert!(message(Config { recent_fraction: Some(1.5), ..Config::default() }).starts_with("data.recent_fraction"));
    assert!(message(Config { half_life_days: Some(f64::NAN), ..Config::default() }).starts_with("data.half_life_days"));
}

#[test]
fn files_that_contradict_each_other_are_a_usage_error() {
    let file = || Some(PathBuf::from("f"));
    for config in [
        Config { path: file(), train: file(), ..Config::default() },
        Config { path: file(), test: file(), ..Config::default() },
        Config { test: file(), ..Config::default() },
        Config { uniform: file(), ..Config::default() },
        Config { train: file(), min_user_interactions: 5, ..Config::default() },
        Config { candidates: file(), ..Config::default() },
        Config { user_column: Some("a".into()), item_column: Some("a".into()), ..Config::default() },
        Config { split: Rule::Time, order: Some(Order::Random), ..Config::default() },
        Config { recent_days: Some(7.0), recent_fraction: Some(0.5), ..Config::default() },
    ] {
        assert_eq!(config.validate().unwrap_err().exit_code(), 2, "{config:?}");
    }
}
