use approx::assert_relative_eq;
use proptest::prelude::*;

use super::*;
use crate::worlds::{any_world, world};

fn normalized(n_users: usize, n_items: usize, pairs: &[(u32, u32)], by: Normalization) -> NormalizedAdjacency {
    let graph = BipartiteGraph::from_train(&world(n_users, n_items, pairs));
    NormalizedAdjacency::from_graph(&graph, by).unwrap()
}

/// `A x` in double precision.
fn product(a: &NormalizedAdjacency, x: &[f64]) -> Vec<f64> {
    (0..a.n_nodes())
        .map(|node| {
            let (cols, values) = a.row(node);
            cols.iter().zip(values).map(|(&col, &value)| f64::from(value) * x[col as usize]).sum()
        })
        .collect()
}

#[test]
fn a_path_has_the_values_worked_out_by_hand() {
    // u0 - i0 - u1 - i1, degrees 1, 2, 2, 1: 1/sqrt(1*2), 1/sqrt(2*2), 1/sqrt(2*1). u2 stands
    // alone.
    let a = normalized(3, 2, &[(0, 0), (1, 0), (1, 1)], Normalization::Symmetric);
    assert_eq!(a.row_ptr(), [0, 1, 3, 3, 5, 6]);
    assert_eq!(a.col_idx(), [3, 3, 4, 0, 1, 1]);
    let half = std::f32::consts::FRAC_1_SQRT_2;
    for (found, expected) in a.values().iter().zip([half, 0.5, half, half, 0.5, half]) {
        assert_relative_eq!(*found, expected, max_relative = 1e-7);
    }
    assert_eq!(a.mirrors(), [3, 4, 5]);
    assert_eq!((a.get(2, 3), a.get(0, 4)), (None, None));
}

#[test]
fn a_star_has_the_values_worked_out_by_hand() {
    // One user with three items: degrees 3 and 1, 1, 1.
    let star = |by| normalized(1, 3, &[(0, 0), (0, 1), (0, 2)], by);
    let third = 1.0f32 / 3.0;
    let root = 1.0 / 3.0f32.sqrt();
    let expect = |a: NormalizedAdjacency, user: f32, item: f32| {
        for (found, expected) in a.values().iter().zip([user, user, user, item, item, item]) {
            assert_relative_eq!(*found, expected, max_relative = 1e-6);
        }
    };
    expect(star(Normalization::Symmetric), root, root);
    expect(star(Normalization::Row), third, 1.0);
    expect(star(Normalization::Column), 1.0, third);
    // The user's row: 3^-.6 * 1; the items' rows: 1 * 3^.1.
    let plus = Normalization::Powers { alpha: 0.6, beta: -0.1 };
    expect(star(plus), 0.517_281_9, 1.116_123_2);
    expect(star(plus).transpose(), 1.116_123_2, 0.517_281_9);
}

#[test]
fn weights_count_as_degrees() {
    // u0-i0 weight 3, u0-i1 weight 1: degrees 4, 3, 1; 3/sqrt(12), 1/sqrt(4).
    let graph = BipartiteGraph::from_weighted(&world(1, 2, &[(0, 0), (0, 1)]), vec![3.0, 1.0]).unwrap();
    let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
    assert_relative_eq!(a.get(0, 1).unwrap(), 0.866_025_4, max_relative = 1e-6);
    assert_relative_eq!(a.get(2, 0).unwrap(), 0.5, max_relative = 1e-6);
}

#[test]
fn powers_that_are_not_numbers_or_too_large_are_refused() {
    let graph = BipartiteGraph::from_train(&world(1, 2, &[(0, 0), (0, 1)]));
    let by = |alpha, beta| NormalizedAdjacency::from_graph(&graph, Normalization::Powers { alpha, beta });
    assert_eq!(by(0.5, f64::INFINITY), Err(GraphError::Power { name: "beta", value: f64::INFINITY }));
    // 2^1000 is beyond f32.
    assert!(matches!(by(-1000.0, 0.0), Err(GraphError::Overflow { row: 0, col: 1, .. })));
}

#[test]
fn new_values_need_one_per_entry() {
    let a = normalized(1, 2, &[(0, 0), (0, 1)], Normalization::Symmetric);
    assert!(matches!(a.with_values(vec![1.0; 3]), Err(GraphError::Length { found: 3, expected: 4, .. })));
    assert!(!a.with_values(vec![1.0, 1.0, 1.0, 2.0]).unwrap().is_symmetric());
}

proptest! {
    /// Tolerance: values carry a rounding of 2^-24 each, and all terms of a row are positive.
    #[test]
    fn roots_of_degrees_are_an_eigenvector_of_value_one(train in any_world()) {
        let graph = BipartiteGraph::from_train(&train);
        let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
        let roots: Vec<f64> =
            graph.user_degrees().into_iter().chain(graph.item_degrees()).map(f64::sqrt).collect();
        for (found, expected) in product(&a, &roots).iter().zip(&roots) {
            prop_assert!((found - expected).abs() <= 1e-7 * expected, "{found} {expected}");
        }
    }

    #[test]
    fn symmetric_values_are_equal_to_the_bit_in_both_directions(train in any_world()) {
        let graph = BipartiteGraph::from_train(&train);
        let powers = Normalization::Powers { alpha: 0.3, beta: 0.3 };
        for by in [Normalization::Symmetric, powers] {
            let a = NormalizedAdjacency::from_graph(&graph, by).unwrap();
            prop_assert!(a.is_symmetric());
            for (edge, mirror) in a.mirrors().into_iter().enumerate() {
                prop_assert_eq!(a.values()[edge], a.values()[mirror as usize]);
            }
        }
    }

    /// Power iteration: the growth of the length approaches the largest |eigenvalue| from
    /// below.
    #[test]
    fn no_eigenvalue_is_above_one(train in any_world()) {
        let graph = BipartiteGraph::from_train(&train);
        let a = NormalizedAdjacency::from_graph(&graph, Normalization::Symmetric).unwrap();
        let mut x: Vec<f64> = (0..a.n_nodes()).map(|node| 1.0 + (node % 5) as f64).collect();
        for _ in 0..60 {
            let y = product(&a, &x);
            let length = |v: &[f64]| v.iter().map(|e| e * e).sum::<f64>().sqrt();
            let growth = length(&y) / length(&x);
            prop_assert!(growth <= 1.0 + 1e-7, "{growth}");
            if growth == 0.0 {
                break;
            }
            x = y;
        }
    }

    #[test]
    fn a_transpose_has_rows_and_columns_swapped(train in any_world()) {
        let graph = BipartiteGraph::from_train(&train);
        let a = NormalizedAdjacency::from_graph(&graph, Normalization::Row).unwrap();
        let swapped = a.transpose();
        for row in 0..a.n_nodes() {
            for col in 0..a.n_nodes() {
                prop_assert_eq!(a.get(row, col), swapped.get(col, row));
            }
        }
        prop_assert_eq!(&swapped, &NormalizedAdjacency::from_graph(&graph, Normalization::Column).unwrap());
        prop_assert_eq!(swapped.transpose(), a);
    }
}
