//! A service opens a run that the library made and answers every kind of question from several
//! threads at once.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use gcnrec::{Ranking, RecError};
use service::{Question, Service, train_demo};
use tempfile::TempDir;

/// A run of LightGCN with attention over the layers, made once.
fn run() -> PathBuf {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            "data.demo.n_users=60",
            "data.demo.n_items=80",
            "data.demo.interactions_per_user=10",
            "model.lightgcn.dim=8",
            "model.lightgcn.combination=additive",
            "train.max_epochs=3",
            "train.validate_every=1",
        ];
        let finished = train_demo(&folder.path().join("run"), &settings).unwrap();
        assert!(finished.report.metrics["test"]["ndcg@20"].is_finite());
        folder
    });
    folder.path().join("run")
}

fn assert_ranking(ranking: &Ranking, k: usize, without: &[&str]) {
    assert_eq!(ranking.len(), k);
    assert!(ranking.windows(2).all(|pair| pair[0].1 >= pair[1].1), "best first: {ranking:?}");
    assert!(ranking.iter().all(|(item, score)| score.is_finite() && !without.contains(&item.as_str())), "{ranking:?}");
}

#[test]
fn the_folder_of_a_run_that_the_library_made_is_whole() {
    for name in ["config.toml", "metrics.jsonl", "report.json", "report.html", "best/manifest.json", "last/manifest.json"] {
        assert!(run().join(name).is_file(), "{name}");
    }
}

#[test]
fn all_four_kinds_of_questions_are_answered() {
    let service = Service::open(&run()).unwrap();
    let (users, items) = (service.users(), service.items());
    assert_eq!((users.len(), items.len()), (60, 80));
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let history = [items[3].as_str(), items[4].as_str()];

    assert_ranking(&service.answer(Question::User(names[0]), 5).unwrap()[0], 5, &[]);
    assert_ranking(&service.answer(Question::History(&history), 5).unwrap()[0], 5, &history);
    assert_ranking(&service.answer(Question::Item(&items[7]), 5).unwrap()[0], 5, &[&items[7]]);
    let many = service.answer(Question::Users(&names), 5).unwrap();
    assert_eq!(many.len(), 60);
    for (user, ranking) in names.iter().zip(&many) {
        assert_eq!(&service.answer(Question::User(user), 5).unwrap()[0], ranking, "{user}: alone as among others");
    }
}

#[test]
fn threads_that_share_a_model_get_the_answers_of_one_thread() {
    let service = Service::open(&run()).unwrap();
    let ask = |service: &Service, thread: usize| -> Vec<Ranking> {
        let (users, items) = (service.users(), service.items());
        let mut answers = Vec::new();
        for step in 0..40 {
            let (user, item) = (&users[(thread * 7 + step) % users.len()], &items[(thread * 5 + step) % items.len()]);
            let pair = [user.as_str(), users[step].as_str()];
            for question in
                [Question::User(user), Question::History(&[item]), Question::Item(item), Question::Users(&pair)]
            {
                answers.extend(service.answer(question, 7).unwrap());
            }
        }
        answers
    };
    let alone: Vec<Vec<Ranking>> = (0..8).map(|thread| ask(&service, thread)).collect();
    let together: Vec<Vec<Ranking>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let service = service.clone();
                scope.spawn(move || ask(&service, number))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn what_it_cannot_answer_is_an_error_with_fields_not_a_panic() {
    let service = Service::open(&run()).unwrap();
    let error = service.answer(Question::User("nobody"), 3).unwrap_err();
    assert!(matches!(&error, RecError::UnknownId { what: "user", key, .. } if key == "nobody"), "{error}");
    assert_eq!(error.exit_code(), 3);
    let error = service.answer(Question::History(&["nothing"]), 3).unwrap_err();
    assert!(matches!(&error, RecError::UnknownId { what: "item", .. }), "{error}");
    assert!(matches!(Service::open(&run().join("nowhere")), Err(RecError::Missing { .. })));
    assert!(service.answer(Question::User(&service.users()[0]), 0).unwrap()[0].is_empty());
}
