//! Scoring, masking and selection.

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::top_k::{TopK, score_block, score_block_reference, select_top_k_reference, top_k};

use crate::{assert_close, numbers, on_each, wide};

/// (queries, items, dim, k): less than a tile, more places than items, many groups of items, the
/// widths around a tile.
const SIZES: [(usize, usize, usize, usize); 7] = [
    (1, 1, 1, 1),
    (3, 7, 7, 10),
    (5, 64, 64, 64),
    (65, 130, 64, 5),
    (70, 9000, 63, 20),
    (130, 700, 65, 101),
    (2, 20_000, 1, 3),
];

/// Every third item is excluded, from another one on for each query; query 1 has nothing excluded,
/// query 2 everything.
fn excluded(n_queries: usize, n_items: usize) -> Vec<Vec<u32>> {
    let keep = |query: usize, item: u32| match query {
        1 => false,
        2 => true,
        _ => (item as usize + query).is_multiple_of(3),
    };
    (0..n_queries).map(|query| (0..n_items as u32).filter(|&item| keep(query, item)).collect()).collect()
}

fn ask(device: &Device, dim: usize, queries: &[f32], items: &[f32], excluded: &[Vec<u32>], k: usize) -> TopK {
    let lists: Vec<&[u32]> = excluded.iter().map(Vec::as_slice).collect();
    top_k(device, dim, &device.upload(queries), &device.upload(items), &lists, k).unwrap()
}

/// Small whole numbers: every score is exact in any order of adding, and there are many ties.
#[test]
fn scores_that_are_equal_to_the_bit_give_the_lists_of_the_cpu() {
    let whole = |seed, n: usize| -> Vec<f32> { numbers(seed, n).iter().map(|x| (x * 3.0).round()).collect() };
    on_each(|device| {
        for (n_queries, n_items, dim, k) in SIZES {
            let (queries, items) = (whole(1, n_queries * dim), whole(2, n_items * dim));
            let lists = excluded(n_queries, n_items);
            let found = ask(device, dim, &queries, &items, &lists, k);
            let expected = ask(&Device::Cpu, dim, &queries, &items, &lists, k);
            assert_eq!(found, expected, "{} {n_queries} x {n_items}, dim {dim}, k {k}", device.name());
        }
    });
}

#[test]
fn lists_agree_with_the_reference_up_to_the_rounding_of_scores() {
    on_each(|device| {
        for (n_queries, n_items, dim, k) in SIZES {
            let what = format!("{} {n_queries} x {n_items}, dim {dim}, k {k}", device.name());
            let (queries, items) = (numbers(3, n_queries * dim), numbers(4, n_items * dim));
            let lists = excluded(n_queries, n_items);
            let found = ask(device, dim, &queries, &items, &lists, k);
            let again = ask(device, dim, &queries, &items, &lists, k);
            assert_eq!(found, again, "{what}: a second run gave other lists");
            let mut block = Vec::new();
            score_block(device, dim, &device.upload(&queries), &device.upload(&items), &mut block).unwrap();
            let scores = score_block_reference(dim, &wide(&queries), &wide(&items));
            // Up to 65 products below 1 in one chain.
            assert_close(&block, &scores, 2e-5, &what);
            for query in 0..n_queries {
                let row = &scores[query * n_items..][..n_items];
                let expected = select_top_k_reference(row, &lists[query], k);
                let len = found.len[query] as usize;
                assert_eq!(len, expected.len(), "{what}");
                let (items, best) = (&found.items[query * k..][..len], &found.scores[query * k..][..len]);
                let expected: Vec<f64> = expected.iter().map(|&(_, score)| score).collect();
                assert_close(best, &expected, 2e-5, &what);
                for (&item, &score) in items.iter().zip(best) {
                    assert!(lists[query].binary_search(&item).is_err(), "{what}: {item} is excluded");
                    assert_eq!(score.to_bits(), block[query * n_items + item as usize].to_bits(), "{what}");
                }
                assert!(found.items[query * k..][len..k].iter().all(|&item| item == u32::MAX), "{what}");
            }
        }
    });
}

#[test]
fn a_query_asked_alone_gets_the_bits_it_gets_among_others() {
    on_each(|device| {
        let (dim, n_items) = (63, 900);
        let (queries, items) = (numbers(5, 100 * dim), numbers(6, n_items * dim));
        let together = ask(device, dim, &queries, &items, &vec![Vec::new(); 100], 20);
        for query in [0, 63, 64, 99] {
            let alone = ask(device, dim, &queries[query * dim..][..dim], &items, &[Vec::new()], 20);
            assert_eq!(alone.items, together.items[query * 20..][..20]);
            assert_eq!(alone.scores, together.scores[query * 20..][..20]);
        }
    });
}

#[test]
fn infinite_scores_are_scores_and_what_is_no_number_names_its_query() {
    on_each(|device| {
        let items = [f32::NEG_INFINITY, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -2.0];
        let found = ask(device, 1, &[1.0], &items, &[vec![5]], 9);
        assert_eq!(found.items[..6], [1, 3, 4, 0, 2, u32::MAX]);
        assert_eq!(found.scores[..5], [f32::INFINITY, 0.0, 0.0, f32::NEG_INFINITY, f32::NEG_INFINITY]);
        let mut queries = numbers(7, 80 * 4);
        for query in [66, 41, 70] {
            queries[query * 4 + 1] = f32::NAN;
        }
        let (on_queries, on_items) = (device.upload(&queries), device.upload(&numbers(8, 40)));
        let refused = top_k(device, 4, &on_queries, &on_items, &[&[][..]; 80], 2).unwrap_err();
        assert_eq!(refused.to_string(), "top_k: scores of row 41 are not all numbers");
        let none = top_k(device, 4, &device.upload(&[]), &on_items, &[], 2).unwrap();
        assert_eq!(none.len, [0; 0]);
        assert_eq!(top_k(device, 4, &on_queries, &device.upload(&[]), &[&[][..]; 80], 2).unwrap().len, [0; 80]);
    });
}
