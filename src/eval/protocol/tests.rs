use super::*;

#[test]
fn the_default_reports_every_metric_at_ten_and_twenty() {
    let names: Vec<String> = Config::default().metrics_at().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 12);
    assert_eq!(names[..4], ["recall@10", "recall@20", "precision@10", "precision@20"]);
}

#[test]
fn what_is_named_twice_is_reported_once_and_cut_offs_rise() {
    let config =
        Config { k: vec![20, 5, 20], metrics: vec!["ndcg".into(), "hit".into(), "ndcg".into()], ..Config::default() };
    let names: Vec<String> = config.metrics_at().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ndcg@5", "ndcg@20", "hit@5", "hit@20"]);
}

#[test]
fn values_out_of_range_are_refused() {
    let message = |config: Config| config.validate().unwrap_err().to_string();
    assert_eq!(
        message(Config { k: vec![10, 0], ..Config::default() }),
        "eval.k: found 0, expected one or more whole numbers from 1 to 10000"
    );
    assert_eq!(
        message(Config { k: vec![], ..Config::default() }),
        "eval.k: found an empty list, expected one or more whole numbers from 1 to 10000"
    );
    assert_eq!(
        message(Config { metrics: vec![], ..Config::default() }),
        "eval.metrics: found an empty list, expected one or more names of metrics"
    );
    assert_eq!(
        message(Config { metrics: vec!["recal".into()], ..Config::default() }),
        "unknown metric \"recal\"; did you mean \"recall\"?"
    );
}

#[test]
fn candidates_read_back_what_they_write_and_full_is_all() {
    let read = |text: &str| toml::from_str::<Config>(&format!("candidates = \"{text}\"")).map(|c| c.candidates);
    for text in ["all", "uni100", "pop99", "pop99(recbole)", "given", "labeled"] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    assert_eq!(read("full").unwrap(), Candidates::All);
    for text in ["uni", "uni0", "uni9(recbole)", "pop(recbole)", "pop100001", "uni-1", "some", ""] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_protocol_is_told_in_one_line() {
    let protocol = Protocol {
        candidates: Candidates::Uniform(99),
        exclude_seen: true,
        selected_on: SelectedOn::Valid,
        refit: true,
        n_eval_users: 7,
    };
    assert_eq!(
        protocol.to_string(),
        "7 users, ranked among 99 uniform draws for each held-out pair, seen items left out, selected on validation, refitted with the \
         validation pairs"
    );
}

#[test]
fn a_closed_form_says_what_it_has_learnt_from() {
    let (candidates, selected_on) = (Candidates::All, SelectedOn::None);
    let protocol = Protocol { candidates, exclude_seen: true, selected_on, refit: true, n_eval_users: 7 };
    let expected =
        "7 users, all items ranked, seen items left out, nothing selected, learnt from training and validation pairs";
    assert_eq!(protocol.to_string(), expected);
}

#[test]
fn a_metric_without_a_cut_off_stands_there_once_and_a_value_metric_not_at_all() {
    let config =
        |names: &[&str]| Config { metrics: names.iter().map(|name| name.to_string()).collect(), ..Config::default() };
    let names: Vec<String> =
        config(&["gauc", "giniindex"]).metrics_at().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["gauc", "giniindex@10", "giniindex@20"]);
    let error = config(&["ndcg", "auc"]).validate().unwrap_err();
    assert!(
        error.to_string().starts_with("eval.metrics: found auc, expected metrics of ranked lists; auc is"),
        "{error}"
    );
    let error = Config { tail_ratio: 0.0, ..Config::default() }.validate().unwrap_err();
    assert_eq!(error.to_string(), "eval.tail_ratio: found 0, expected a number above 0");
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(toml::from_str::<Config>("cutoff = [5]").is_err());
    assert_eq!(toml::from_str::<Config>("k = [5]").unwrap(), Config { k: vec![5], ..Config::default() });
}

#[test]
fn a_protocol_is_written_with_the_words_of_the_report() {
    let protocol = Protocol {
        candidates: Candidates::All,
        exclude_seen: true,
        selected_on: SelectedOn::None,
        refit: false,
        n_eval_users: 456,
    };
    assert_eq!(
        serde_json::to_string(&protocol).unwrap(),
        r#"{"candidates":"all","exclude_seen":true,"selected_on":"none","refit":false,"n_eval_users":456}"#
    );
}
