//! Cases of scoring and selection.

use super::*;
use crate::testing::{DIMS, assert_close, bits, numbers, same_bits_of, wide};

const CPU: Device = Device::Cpu;

fn selected(scores: &[f32], excluded: &[u32], k: usize) -> (Vec<u32>, Vec<f32>) {
    let (mut items, mut best) = (vec![9; 3], vec![9.0; 3]);
    select_top_k(scores, excluded, k, &mut items, &mut best).unwrap();
    (items, best)
}

#[test]
fn the_best_scores_come_first_and_ties_go_to_the_lower_id() {
    let scores = [1.0, 3.0, -0.0, 3.0, 0.0, -2.0, 1.0];
    assert_eq!(selected(&scores, &[], 3), (vec![1, 3, 0], vec![3.0, 3.0, 1.0]));
    assert_eq!(selected(&scores, &[], 5).0, [1, 3, 0, 6, 2]);
    assert_eq!(selected(&scores, &[1, 2], 4).0, [3, 0, 6, 4]);
    assert_eq!(selected(&scores, &[], 0), (vec![], vec![]));
    assert_eq!(selected(&scores, &[0, 1, 2, 3, 4, 6, 77], 4), (vec![5], vec![-2.0]));
}

#[test]
fn infinite_scores_are_scores() {
    let scores = [f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    assert_eq!(selected(&scores, &[], 3).0, [1, 3, 0]);
    assert_eq!(selected(&scores, &[1, 3], 5).0, [0, 2]);
}

#[test]
fn a_selection_agrees_with_sorting_everything() {
    for seed in 0..20 {
        // Few different values, so that there are many ties.
        let scores: Vec<f32> = numbers(seed, 333).iter().map(|value| (value * 20.0).round()).collect();
        let excluded: Vec<u32> = (0..333).filter(|item| (item * 7 + seed as u32).is_multiple_of(5)).collect();
        for k in [1, 2, 10, 100, 300, 1000] {
            let expected =
                select_top_k_reference(&wide(&scores).iter().map(|s| s + 0.0).collect::<Vec<_>>(), &excluded, k);
            let (items, best) = selected(&scores, &excluded, k);
            assert_eq!(items, expected.iter().map(|&(item, _)| item).collect::<Vec<_>>(), "seed {seed}, k {k}");
            assert_close("scores", &best, &expected.iter().map(|&(_, score)| score).collect::<Vec<_>>(), 0.0, 0.0);
        }
    }
}

#[test]
fn scores_agree_with_the_reference_on_any_number_of_threads() {
    for dim in DIMS {
        for (n_queries, n_items) in [(1, 1), (3, 7), (49, 257), (100, 530)] {
            let (queries, items) = (numbers(1, n_queries * dim), numbers(2, n_items * dim));
            let expected = score_block_reference(dim, &wide(&queries), &wide(&items));
            let (queries, items) = (CPU.upload(&queries), CPU.upload(&items));
            let found = same_bits_of(|| {
                let mut out = vec![f32::NAN; 2];
                score_block(&CPU, dim, &queries, &items, &mut out).unwrap();
                out
            });
            // Up to 144 products below 1 in one chain: sums of about 5, 144 roundings.
            assert_close(&format!("dim {dim}, {n_queries} x {n_items}"), &found, &expected, 2e-5, 2e-5);
        }
    }
}

#[test]
fn a_batch_gives_the_same_bits_as_its_queries_one_by_one() {
    for dim in DIMS {
        for n_items in [1, 2, 5, 8, 9, 17, 256, 257, 263, 530] {
            let n_queries = 53;
            let (queries, items) = (numbers(3, n_queries * dim), CPU.upload(&numbers(4, n_items * dim)));
            let mut together = Vec::new();
            score_block(&CPU, dim, &CPU.upload(&queries), &items, &mut together).unwrap();
            let mut best = top_k(&CPU, dim, &CPU.upload(&queries), &items, &vec![&[][..]; n_queries], 10).unwrap();
            let mut alone = Vec::new();
            for query in 0..n_queries {
                let one = CPU.upload(&queries[query * dim..][..dim]);
                score_block(&CPU, dim, &one, &items, &mut alone).unwrap();
                let row = &together[query * n_items..][..n_items];
                assert_eq!(bits(&alone), bits(row), "dim {dim}, {n_items} items, query {query}");
                let one = top_k(&CPU, dim, &one, &items, &[&[]], 10).unwrap();
                assert_eq!(one.items, best.items[query * 10..][..10]);
                assert_eq!(bits(&one.scores), bits(&best.scores[query * 10..][..10]));
                let (items, scores) = selected(row, &[], 10);
                let len = best.len[query] as usize;
                assert_eq!((items, bits(&scores)), (one.items[..len].to_vec(), bits(&one.scores[..len])));
            }
            best.len.dedup();
            assert_eq!(best.len, [n_items.min(10) as u32]);
        }
    }
}

#[test]
fn excluded_items_never_come_back_and_the_rest_of_a_row_says_so() {
    // Scores of query (1): 0, 1, 2, 3; of query (-1): 0, -1, -2, -3.
    let items = CPU.upload(&[0.0, 1.0, 2.0, 3.0]);
    let best = top_k(&CPU, 1, &CPU.upload(&[1.0, -1.0]), &items, &[&[1, 3], &[]], 3).unwrap();
    assert_eq!(best.len, [2, 3]);
    assert_eq!(best.items, [2, 0, u32::MAX, 0, 1, 2]);
    assert_eq!(best.scores, [2.0, 0.0, f32::NEG_INFINITY, 0.0, -1.0, -2.0]);
}

#[test]
fn the_same_items_win_on_any_number_of_threads() {
    let (dim, n_queries, n_items) = (17, 101, 1500);
    let (queries, items) = (CPU.upload(&numbers(5, n_queries * dim)), CPU.upload(&numbers(6, n_items * dim)));
    let lists: Vec<Vec<u32>> = (0..n_queries as u32)
        .map(|query| (0..n_items as u32).filter(|item| (item + query).is_multiple_of(3)).collect())
        .collect();
    let excluded: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
    same_bits_of(|| {
        let best = top_k(&CPU, dim, &queries, &items, &excluded, 20).unwrap();
        for (row, list) in best.items.chunks_exact(20).zip(&lists) {
            assert!(row.iter().all(|item| !list.contains(item)));
        }
        best.items.iter().map(|&item| item as f32).chain(best.scores).collect()
    });
}

#[test]
fn a_score_that_is_not_a_number_names_its_query() {
    let mut queries = numbers(7, 80 * 4);
    for query in [66, 41, 70] {
        queries[query * 4 + 1] = f32::NAN;
    }
    let refused = top_k(&CPU, 4, &CPU.upload(&queries), &CPU.upload(&numbers(8, 40)), &[&[][..]; 80], 2).unwrap_err();
    assert_eq!(refused, KernelError::NotANumber { op: "top_k", argument: "scores", row: 41 });
    // Late and hopeless against a full list, it is still found.
    let mut scores = vec![5.0; 40];
    scores[39] = f32::NAN;
    let refused = select_top_k(&scores, &[], 1, &mut vec![], &mut vec![]).unwrap_err();
    assert_eq!(refused.to_string(), "select_top_k: scores of row 0 are not all numbers");
}

#[test]
fn nothing_asked_is_nothing_found() {
    let (none, row) = (Buffer::default(), CPU.upload(&[1.0, 2.0]));
    let mut out = vec![1.0];
    score_block(&CPU, 2, &none, &row, &mut out).unwrap();
    assert!(out.is_empty());
    score_block(&CPU, 2, &row, &none, &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(top_k(&CPU, 2, &none, &row, &[], 3).unwrap().len, [0; 0]);
    let best = top_k(&CPU, 2, &row, &none, &[&[]], 2).unwrap();
    assert_eq!((best.len, best.items), (vec![0], vec![u32::MAX; 2]));
    assert_eq!(top_k(&CPU, 2, &row, &row, &[&[]], 0).unwrap().len, [0]);
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let (row, odd) = (CPU.upload(&[1.0, 2.0]), CPU.zeros(3));
    let refused = |excluded: &[&[u32]], items| top_k(&CPU, 2, &row, items, excluded, 1).unwrap_err().to_string();
    assert_eq!(refused(&[], &row), "top_k: excluded has 0 elements, expected 1");
    assert_eq!(refused(&[&[2, 1]], &row), "top_k: excluded of query 0 does not ascend");
    assert_eq!(refused(&[&[]], &odd), "top_k: items has 3 elements, expected 2");
    let refused = score_block(&CPU, 2, &odd, &row, &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "score_block: queries has 3 elements, expected 2");
}

#[test]
fn the_best_candidates_are_the_best_items_where_all_others_are_excluded() {
    let (n_queries, n_items) = (101, 797);
    for dim in [1, 7, 64] {
        // Few different values, so that there are many ties.
        let coarse = |seed, n: usize| numbers(seed, n).iter().map(|x| (x * 3.0).round()).collect::<Vec<f32>>();
        let (queries, items) = (CPU.upload(&coarse(1, n_queries * dim)), CPU.upload(&coarse(2, n_items * dim)));
        // From no candidate to every second item, across the borders of tiles.
        let is_candidate = |query: u32, item: u32| query > 0 && (item * 7 + query).is_multiple_of(2 + query % 97);
        let lists = |of_candidates: bool| -> Vec<Vec<u32>> {
            let list = |query| (0..n_items as u32).filter(|&item| is_candidate(query, item) == of_candidates).collect();
            (0..n_queries as u32).map(list).collect()
        };
        let (candidates, others) = (lists(true), lists(false));
        let (candidates, others): (Vec<&[u32]>, Vec<&[u32]>) =
            (candidates.iter().map(|list| &list[..]).collect(), others.iter().map(|list| &list[..]).collect());
        let mut scores = Vec::new();
        score_block(&CPU, dim, &queries, &items, &mut scores).unwrap();
        for k in [0, 1, 10, 500] {
            let expected = top_k(&CPU, dim, &queries, &items, &others, k).unwrap();
            let among = || top_k_among(&CPU, dim, &queries, &items, &candidates, k).unwrap();
            let found = among();
            assert_eq!((&found.items, &found.len), (&expected.items, &expected.len), "dim {dim}, k {k}");
            assert_eq!(bits(&same_bits_of(|| among().scores)), bits(&expected.scores), "dim {dim}, k {k}");
            let (mut ids, mut best) = (Vec::new(), Vec::new());
            for (query, list) in candidates.iter().enumerate() {
                select_among(&scores[query * n_items..][..n_items], list, k, &mut ids, &mut best).unwrap();
                assert_eq!(ids, found.items[query * k..][..found.len[query] as usize], "dim {dim}, k {k}");
            }
        }
    }
}

#[test]
fn candidates_must_ascend_exist_and_have_a_score() {
    let (queries, items) = (CPU.upload(&[1.0, f32::NAN]), CPU.upload(&[1.0, 2.0, 3.0]));
    let among = |lists: &[&[u32]]| top_k_among(&CPU, 1, &queries, &items, lists, 2).unwrap_err();
    assert!(matches!(among(&[&[]]), KernelError::Shape { found: 1, expected: 2, .. }));
    assert!(matches!(among(&[&[2, 1], &[]]), KernelError::Argument { argument: "candidates", .. }));
    assert!(matches!(among(&[&[3], &[]]), KernelError::Index { index: 3, bound: 3, .. }));
    assert!(matches!(among(&[&[0], &[2]]), KernelError::NotANumber { row: 1, .. }));
    let none_asked = top_k_among(&CPU, 1, &queries, &items, &[&[0, 2], &[]], 2).unwrap();
    assert_eq!((none_asked.items, none_asked.len), (vec![2, 0, u32::MAX, u32::MAX], vec![2, 0]));
}
