use super::*;

#[test]
fn epochs_that_do_not_ascend_are_refused_with_their_line() {
    let lines = |places: &[(&str, u64)]| -> Vec<Value> {
        places.iter().map(|(stage, epoch)| json!({"stage": stage, "epoch": epoch})).collect()
    };
    check_order(&[]).unwrap();
    check_order(&lines(&[("layers", 1), ("layers", 2), ("train", 1), ("train", 2), ("refit", 1)])).unwrap();
    for (places, line) in [
        (&[("train", 2)][..], 1),
        (&[("train", 1), ("train", 2), ("train", 2)], 3),
        (&[("train", 1), ("train", 3)], 2),
        (&[("train", 1), ("refit", 1), ("train", 2)], 3),
        (&[("train", 1), ("refit", 2)], 2),
    ] {
        let problem = check_order(&lines(places)).unwrap_err();
        assert!(problem.starts_with(&format!("line {line} is epoch ")), "{problem}");
    }
}
