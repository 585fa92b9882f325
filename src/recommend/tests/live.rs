use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::models::linear::popularity;

/// A run whose best item is `best`: two users like it, and one user likes what comes after it.
fn save_run(folder: &Path, best: u32) {
    let pairs = [(0, best), (1, best), (1, (best + 1) % 4)].map(|(user, item)| (UserId(user), ItemId(item)));
    let train = gcnrec_graphs::Interactions::from_pairs(2, 4, pairs).unwrap();
    let state = popularity::fit(&train).state();
    let saved = Contents { state, ..contents(&[(HOLDS, "scorer".into())]) };
    checkpoint::save(&folder.join("best"), &saved).unwrap();
}

fn damage(folder: &Path) {
    std::fs::write(folder.join("best/model.safetensors"), "nothing of the kind").unwrap();
}

fn best(recommender: &Recommender) -> String {
    recommender.request().user("ann").k(1).top().unwrap().remove(0).0
}

#[test]
fn a_run_that_was_trained_again_answers_after_a_reload_and_a_damaged_one_is_refused() {
    let base = tempfile::tempdir().unwrap();
    save_run(base.path(), 1);
    let live = Live::open(base.path()).unwrap();
    let held = live.get();
    save_run(base.path(), 2);
    assert_eq!(best(&live.get()), "c", "the disk alone changes nothing");
    live.reload().unwrap();
    assert_eq!((best(&live.get()), best(&held)), ("b".to_string(), "c".to_string()));
    damage(base.path());
    let error = live.reload().unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error}");
    assert_eq!(best(&live.get()), "b");
    assert_eq!(live.switch(base.path().join("nothing")).unwrap_err().exit_code(), 3);
    assert_eq!(best(&live.get()), "b");
}

/// Four threads ask while two models and a damaged one are swapped in 200 times: every answer is
/// one of the two models', whole.
#[test]
fn requests_that_run_while_models_are_swapped_are_answered_by_one_of_them() {
    let base = tempfile::tempdir().unwrap();
    let [one, other, damaged] = ["one", "other", "damaged"].map(|name| base.path().join(name));
    for (folder, best) in [(&one, 0), (&other, 2), (&damaged, 1)] {
        save_run(folder, best);
    }
    damage(&damaged);
    let ask = |model: &Recommender| model.request().user("ann").top().unwrap();
    let expected = [&one, &other].map(|folder| ask(&Recommender::open(folder).unwrap()));
    assert_ne!(expected[0], expected[1]);
    let live = Live::open(&one).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = || {
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                let model = live.get();
                let answer = ask(&model);
                if !expected.contains(&answer) || ask(&model) != answer {
                    return None;
                }
                n += 1;
            }
            Some(n)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(asking)).collect();
        let mut are_right = true;
        for swap in 0..200 {
            let swapped = live.switch([&one, &damaged, &other][swap % 3]);
            are_right &= swapped.is_ok() == (swap % 3 != 1);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(are_right);
        for thread in threads {
            assert!(thread.join().unwrap().expect("every answer should be that of one model") > 0);
        }
    });
}
