use super::*;

/// User `u` has the items `100 u`, `100 u + 1`, ..
fn histories(lengths: &[u32]) -> Arc<Vec<Vec<ItemId>>> {
    let history = |(user, &n): (usize, &u32)| (0..n).map(|i| ItemId(100 * user as u32 + i)).collect();
    Arc::new(lengths.iter().enumerate().map(history).collect())
}

const LENGTHS: [u32; 7] = [11, 0, 1, 2, 30, 4, 5];

fn sampler(examples: Examples, windows: Windows) -> SequenceSampler {
    SequenceSampler::new(histories(&LENGTHS), 700, examples, (windows, 4), 3, Seed(5))
}

fn epoch(sampler: &mut SequenceSampler, epoch: u64) -> Vec<SequenceBatch> {
    let n_batches = sampler.n_batches();
    let draw = |step| {
        let mut batch = SequenceBatch::default();
        sampler.batch(epoch, step, &mut batch);
        batch
    };
    (0..n_batches).map(draw).collect()
}

fn sequences(batch: &SequenceBatch) -> Vec<Vec<u32>> {
    let one = |ends: &[u32]| batch.items[ends[0] as usize..ends[1] as usize].to_vec();
    batch.starts.windows(2).map(one).collect()
}

#[test]
fn every_item_that_follows_another_is_predicted_once_an_epoch_from_the_one_before_it() {
    let mut sampler = sampler(Examples::Positions, Windows::All);
    let mut cuts: Vec<u32> = Vec::new();
    for number in 0..4 {
        let mut predicted: Vec<u32> = Vec::new();
        for batch in epoch(&mut sampler, number) {
            assert_eq!(batch.rows, (0..batch.items.len() as u32).collect::<Vec<_>>());
            assert!(batch.items.iter().zip(&batch.targets).all(|(item, target)| item + 1 == *target));
            let lengths: Vec<usize> = sequences(&batch).iter().map(Vec::len).collect();
            assert!(lengths.is_sorted_by(|a, b| a >= b) && lengths.iter().all(|&n| (1..=4).contains(&n)));
            predicted.extend(&batch.targets);
            cuts.extend(sequences(&batch).iter().map(|items| items[0]));
        }
        predicted.sort_unstable();
        let all = |(user, &n): (usize, &u32)| (1..n).map(move |i| 100 * user as u32 + i).collect::<Vec<_>>();
        assert_eq!(predicted, LENGTHS.iter().enumerate().flat_map(all).collect::<Vec<_>>());
    }
    cuts.sort_unstable();
    cuts.dedup();
    assert!(cuts.iter().filter(|&&item| item / 100 == 4).count() > 8, "windows are cut anew: {cuts:?}");
}

#[test]
fn a_random_cut_leaves_the_beginning_of_a_window() {
    let mut sampler = sampler(Examples::Cuts, Windows::Last);
    let mut lengths = Vec::new();
    for number in 0..40 {
        for batch in epoch(&mut sampler, number) {
            assert!(batch.items.iter().zip(&batch.targets).all(|(item, target)| item + 1 == *target));
            let of_user_4 = sequences(&batch).into_iter().filter(|items| items[0] / 100 == 4);
            lengths.extend(of_user_4.map(|items| (items[0], items.len())));
        }
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [(425, 1), (425, 2), (425, 3), (425, 4)]);
}

#[test]
fn the_last_window_ends_with_the_last_item() {
    let mut sampler = sampler(Examples::Positions, Windows::Last);
    let mut found: Vec<Vec<u32>> = epoch(&mut sampler, 0).iter().flat_map(sequences).collect();
    found.sort();
    let expected =
        [vec![6, 7, 8, 9], vec![300], vec![425, 426, 427, 428], vec![500, 501, 502], vec![600, 601, 602, 603]];
    assert_eq!(found, expected);
}

#[test]
fn every_prefix_predicts_the_item_after_it() {
    let mut sampler = sampler(Examples::Prefixes, Windows::All);
    let mut found: Vec<(Vec<u32>, u32)> = Vec::new();
    for batch in epoch(&mut sampler, 0) {
        assert!(batch.rows.iter().zip(&batch.starts[1..]).all(|(row, end)| row + 1 == *end));
        found.extend(sequences(&batch).into_iter().zip(batch.targets.clone()));
    }
    assert_eq!(found.len(), 10 + 1 + 29 + 3 + 4);
    assert!(found.contains(&(vec![0], 1)) && found.contains(&(vec![6, 7, 8, 9], 10)));
    assert!(found.iter().all(|(items, target)| items.last() == Some(&(target - 1))));
}

#[test]
fn masks_hide_the_share_that_was_asked_for_and_at_least_one_of_each_window() {
    let long = SequenceSampler::new(
        histories(&[90; 50]),
        5000,
        Examples::Masked { ratio: 0.2, last_ratio: 0.0 },
        (Windows::All, 100),
        50,
        Seed(5),
    );
    let mut sampler = long;
    let batch = &epoch(&mut sampler, 0)[0];
    // 4,500 items at .2: 900, standard deviation 27.
    assert!((792..=1008).contains(&batch.rows.len()), "{}", batch.rows.len());
    for (&row, &target) in batch.rows.iter().zip(&batch.targets) {
        assert_eq!(batch.items[row as usize], 5000);
        let user = batch.starts.partition_point(|&start| start <= row) - 1;
        assert_eq!(target / 100, batch.users[user]);
    }
    let mut last = sampler_of_last();
    for batch in epoch(&mut last, 0) {
        assert_eq!(batch.rows, batch.starts[1..].iter().map(|end| end - 1).collect::<Vec<_>>());
    }
}

fn sampler_of_last() -> SequenceSampler {
    sampler(Examples::Masked { ratio: 0.2, last_ratio: 1.0 }, Windows::All)
}

#[test]
fn a_batch_is_a_function_of_seed_epoch_and_step() {
    for examples in
        [Examples::Positions, Examples::Cuts, Examples::Prefixes, Examples::Masked { ratio: 0.3, last_ratio: 0.5 }]
    {
        let all = epoch(&mut sampler(examples, Windows::All), 2);
        for step in (0..all.len()).rev() {
            let mut alone = SequenceBatch::default();
            sampler(examples, Windows::All).batch(2, step, &mut alone);
            assert_eq!(alone, all[step]);
        }
        assert_ne!(epoch(&mut sampler(examples, Windows::All), 3), all);
    }
}
