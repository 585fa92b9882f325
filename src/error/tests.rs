use super::*;

#[test]
fn an_input_error_is_one_line_with_place_finding_and_expectation() {
    let place = Place::column(Path::new("ratings.csv"), 1042, 3, "rating");
    let error = RecError::input(place, "\"five\"", "a number");
    let line = "ratings.csv:1042: column 3 (rating): found \"five\", expected a number";
    assert_eq!((error.to_string().as_str(), error.exit_code()), (line, 3));
    assert_eq!(error.with_todo("write 5").to_string(), format!("{line}; write 5"));
}

#[test]
fn control_characters_of_the_input_never_break_the_line() {
    let place = Place::line(Path::new("a\nb.csv"), 1);
    let error = RecError::input(place, "the columns user\r, it\tem\0", "others");
    assert_eq!(error.to_string(), "a\\nb.csv:1: found the columns user\\r, it\\tem\\u{0}, expected others");
}

#[test]
fn a_message_quotes_no_more_than_a_person_reads() {
    let error = RecError::input(Place::line(Path::new("a.csv"), 1), "x".repeat(5000), "a number");
    let line = error.to_string();
    assert!(line.len() < 700 && line.contains("… (4400 more characters), expected a number"), "{line}");
}

#[test]
fn a_close_name_is_suggested_and_a_far_one_is_listed() {
    let unknown = |name: &str| RecError::unknown("model", name, ["lightgcn", "ease"]);
    assert_eq!(unknown("lightgnc").to_string(), "unknown model \"lightgnc\"; did you mean \"lightgcn\"?");
    assert_eq!(unknown("LightGCN").to_string(), "unknown model \"LightGCN\"; did you mean \"lightgcn\"?");
    assert_eq!(unknown("transformer").to_string(), "unknown model \"transformer\"; known: lightgcn, ease");
    let placed = unknown("lightgnc").with_origin("run.toml:2").to_string();
    assert_eq!(placed, "run.toml:2: unknown model \"lightgnc\"; did you mean \"lightgcn\"?");
}
