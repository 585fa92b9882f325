use super::*;

fn meta_batch(n: u32, sample: Option<usize>) -> MetaBatch {
    let batch = Batch {
        users: (0..n).collect(),
        positives: (0..n).map(|at| 100 + at).collect(),
        negatives: (0..n).map(|at| 200 + at).collect(),
        ..Batch::default()
    };
    MetaBatch { loss: UniformLoss::Bpr, batch, every: 1, look_ahead: true, sample, seed: Seed(7) }
}

#[test]
fn a_sample_holds_different_examples_and_is_another_one_in_another_step() {
    let log = meta_batch(50, Some(20));
    let first = log.draw(1).unwrap();
    assert_eq!(first.len(), 20);
    assert!(first.windows(2).all(|two| two[0] < two[1]) && first[19] < 50);
    assert_eq!(log.draw(1).unwrap(), first, "a step's draw is its own");
    assert_ne!(log.draw(2).unwrap(), first);
    assert_ne!(MetaBatch { seed: Seed(8), ..log.clone() }.draw(1).unwrap(), first);
    let mut chosen = Batch::default();
    examples_at(&log.batch, &[3, 41], &mut chosen);
    assert_eq!((chosen.users, chosen.positives, chosen.negatives), (vec![3, 41], vec![103, 141], vec![203, 241]));
}

#[test]
fn all_examples_are_taken_where_no_fewer_are_asked_for() {
    for sample in [None, Some(20), Some(21)] {
        assert_eq!(meta_batch(20, sample).draw(1), None);
    }
}

/// 2,000 draws of 3 out of 10: each place 600 times, with a standard deviation of sqrt(2000 *
/// .3 * .7) = 20.
#[test]
fn every_example_is_drawn_as_often_as_another() {
    let log = meta_batch(10, Some(3));
    let mut times = [0; 10];
    (0..2000).flat_map(|step| log.draw(step).unwrap()).for_each(|place| times[place] += 1);
    assert!(times.iter().all(|n| (520..680).contains(n)), "{times:?}");
}
