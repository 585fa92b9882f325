use super::*;

fn refused(request: Request<'_>) -> String {
    request.top().unwrap_err().to_string()
}

#[test]
fn a_request_answers_from_the_items_that_it_names() {
    let recommender = recommender();
    let ann = || recommender.request().user("ann");
    // d 1, c 4, b 2, a 2, ties to the lower id: c, b, a, d.
    assert_eq!(names(&ann().top().unwrap()), ["c", "b", "a", "d"]);
    assert_eq!(names(&ann().among(["d", "b", "c", "b"]).top().unwrap()), ["c", "b", "d"]);
    assert_eq!(names(&ann().among(["d", "b", "c"]).without(["c"]).k(1).top().unwrap()), ["b"]);
    assert_eq!(names(&ann().without(["c"]).without(["a"]).top().unwrap()), ["b", "d"]);
    assert_eq!(ann().among(["c"]).without(["c"]).top().unwrap(), []);
    assert_eq!(ann().among(Vec::<&str>::new()).top().unwrap(), []);
    assert_eq!(ann().k(0).top().unwrap(), []);
}

#[test]
fn names_are_taken_as_they_stand_in_a_service() {
    let recommender = recommender();
    let owned = vec!["b".to_string(), "d".to_string()];
    let borrowed: &[&str] = &["b", "d"];
    let ann = || recommender.request().user("ann");
    for request in [ann().among(&owned), ann().among(borrowed), ann().among(owned.iter().map(String::as_str))] {
        assert_eq!(names(&request.top().unwrap()), ["b", "d"]);
    }
}

#[test]
fn seen_items_are_kept_or_not_as_the_request_says() {
    let kept = contents(&[(EXCLUDE_SEEN, false.into())]);
    let keeps = Recommender::from_contents(kept, Box::new(Popularity(vec![1.0, 4.0, 2.0, 2.0]))).unwrap();
    for recommender in [&recommender(), &keeps] {
        // zoe saw c and d: c 4.1 (it comes after d), b 2.1 (after c), a 2, d 1.
        let zoe = || recommender.request().user("zoe");
        assert_eq!(names(&zoe().keep_seen().top().unwrap()), ["c", "b", "a", "d"]);
        assert_eq!(names(&zoe().keep_seen().exclude_seen().top().unwrap()), ["b", "a"]);
        assert_eq!(names(&zoe().exclude_seen().among(["a", "c"]).top().unwrap()), ["a"]);
        assert_eq!(names(&recommender.request().history(["b"]).keep_seen().k(2).top().unwrap()), ["c", "a"]);
    }
}

#[test]
fn scores_below_the_lowest_are_left_out_and_one_that_equals_it_stays() {
    let recommender = recommender();
    let ann = |lowest| recommender.request().user("ann").min_score(lowest);
    assert_eq!(names(&ann(2.0).top().unwrap()), ["c", "b", "a"]);
    assert_eq!(ann(4.5).top().unwrap(), []);
    assert_eq!(refused(ann(f32::NAN)), "a lowest score of NaN; pass a number to min_score");
}

#[test]
fn an_unknown_item_of_a_filter_is_named_unless_it_may_be_passed_over() {
    let recommender = recommender();
    let ann = || recommender.request().user("ann");
    let line = refused(ann().among(["d", "x1", "x2"]));
    assert_eq!(line, "item \"x1\" is not in this checkpoint; leave it out of among, or call skip_unknown");
    let line = refused(ann().without(["x2"]));
    assert_eq!(line, "item \"x2\" is not in this checkpoint; leave it out of without, or call skip_unknown");
    let lenient = ann().among(["d", "x1", "a", "c"]).without(["c", "x2"]).skip_unknown();
    assert_eq!(names(&lenient.top().unwrap()), ["a", "d"]);
    assert_eq!(ann().among(["x1"]).skip_unknown().top().unwrap(), [], "nothing that is known is allowed");
    let history = recommender.request().history(["x1", "b"]);
    assert!(refused(history.clone()).contains("item \"x1\""));
    assert_eq!(names(&history.skip_unknown().k(1).top().unwrap()), ["c"]);
    assert!(refused(recommender.request().user("u77").skip_unknown()).starts_with("user \"u77\""));
}

#[test]
fn a_request_is_for_somebody_and_for_nobody_else() {
    let recommender = recommender();
    assert_eq!(
        refused(recommender.request().user("ann").history(["a"])),
        "a request with a user and a history; pass one of them: who, or what they met"
    );
    assert_eq!(refused(recommender.request()), "a request for nobody; call user, or history for somebody who is new");
}

#[test]
fn many_requests_of_all_kinds_are_answered_as_one_by_one() {
    let one = recommender();
    let other = Recommender::from_contents(contents(&[]), Box::new(Popularity(vec![9.0, 4.0, 2.0, 3.0]))).unwrap();
    let requests: Vec<Request<'_>> = (0..1000)
        .map(|n| {
            let request = if n % 7 == 0 { &other } else { &one }.request().k(n % 5);
            let request = match n % 3 {
                0 => request.user("ann"),
                1 => request.user("zoe"),
                _ => request.history(["b", "a"]),
            };
            match n % 11 {
                0 => request.among(["a", "c", "d"]),
                1 => request.user("u77"),
                2 => request.without(["c"]).keep_seen(),
                _ => request,
            }
        })
        .collect();
    let text = |answer: Result<Ranking>| answer.map_err(|error| error.to_string());
    let together = Recommender::answer_all(&requests);
    assert_eq!(together.len(), requests.len());
    for (request, answer) in requests.iter().zip(together) {
        assert_eq!(text(answer), text(request.top()));
    }
}

#[test]
fn a_popularity_penalty_moves_popular_items_down() {
    let recommender = recommender();
    let ann = || recommender.request().user("ann");
    // zoe's rows are all there are: d and c have one each, so both are equally popular and keep
    // their scores; b and a have none and come last.
    assert_eq!(ann().popularity_penalty(0.0).top().unwrap(), ann().top().unwrap());
    assert_eq!(names(&ann().popularity_penalty(2.0).top().unwrap()), ["c", "d", "b", "a"]);
    assert_eq!(names(&ann().popularity_penalty(2.0).among(["a", "d"]).k(1).top().unwrap()), ["d"]);
    for lambda in [f32::NAN, -1.0, f32::INFINITY] {
        let line = refused(ann().popularity_penalty(lambda));
        assert_eq!(line, format!("a popularity penalty of {lambda}; pass 0 or more to popularity_penalty"));
    }
    let silent = Contents { seen: None, ..contents(&[]) };
    let silent = Recommender::from_contents(silent, Box::new(Popularity(vec![1.0; 4]))).unwrap();
    let line = refused(silent.request().user("ann").popularity_penalty(1.0));
    assert!(line.contains("no histories to count items in"), "{line}");
}

#[test]
fn scores_of_pairs_are_those_of_the_rankings() {
    let recommender = recommender();
    // zoe saw d and c: d 1, c 4.1, b 2.1, a 2; ann has d 1, c 4.
    let pairs = [("zoe", "b"), ("ann", "c"), ("zoe", "c"), ("u7", "c"), ("ann", "x"), ("zoe", "b"), ("ann", "d")];
    let scores = recommender.scores(&pairs);
    let found: Vec<Option<f32>> = scores.iter().map(|score| score.as_ref().ok().copied()).collect();
    assert_eq!(found, [Some(2.1), Some(4.0), Some(4.1), None, None, Some(2.1), Some(1.0)]);
    assert!(scores[3].as_ref().unwrap_err().to_string().starts_with("user \"u7\" is not in this checkpoint"));
    assert!(scores[4].as_ref().unwrap_err().to_string().starts_with("item \"x\" is not in this checkpoint"));
    assert!(recommender.scores(&[]).is_empty());
}

#[test]
fn a_score_that_overflowed_fails_for_its_own_pair_and_never_is_a_score() {
    let scores = vec![f32::INFINITY, 4.0, f32::NEG_INFINITY, f32::NAN];
    let recommender = Recommender::from_contents(contents(&[]), Box::new(Popularity(scores))).unwrap();
    let scores = recommender.scores(&[("ann", "d"), ("ann", "c"), ("ann", "b"), ("ann", "a")]);
    assert!(scores[0].as_ref().unwrap_err().to_string().contains("diverged"));
    assert_eq!(*scores[1].as_ref().unwrap(), 4.0);
    assert_eq!(*scores[2].as_ref().unwrap(), f32::NEG_INFINITY);
    assert!(scores[3].is_err());
}
