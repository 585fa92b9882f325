use super::*;

#[test]
fn a_user_of_many_items_costs_no_more_than_the_neighbours_that_are_kept() {
    // One user has 3,000 items: each has 2,999 neighbours, all alike, so the lowest ids stay.
    let n_items = 3000;
    let pairs = (0..n_items).map(|item| (UserId(0), ItemId(item)));
    let train = Interactions::from_pairs(1, n_items as usize, pairs).unwrap();
    let rows = nearest(&train, 5, |_| 1.0, |_, _, sum| sum);
    let capacity: usize = rows.iter().map(Vec::capacity).sum();
    assert_eq!(capacity, 5 * n_items as usize);
    assert_eq!(rows[2], [0, 1, 3, 4, 5].map(|item| (item, 1.0)));
    assert_eq!(rows[2000], [0, 1, 2, 3, 4].map(|item| (item, 1.0)));
}

#[test]
fn the_largest_weights_stay_and_of_equal_ones_the_lower_ids() {
    let mut found = vec![(7, 1.0), (3, 2.0), (9, 1.0), (1, 1.0), (4, 0.5)];
    assert_eq!(best_of(&mut found.clone(), 3), [(1, 1.0), (3, 2.0), (7, 1.0)]);
    assert_eq!(best_of(&mut found, 9).len(), 5);
}

#[test]
fn columns_become_rows() {
    // Column 0 has rows 1 and 2, column 2 has row 1.
    let columns = vec![vec![(1, 0.5), (2, 0.25)], vec![], vec![(1, 2.0)]];
    let rows = ItemWeights::from_columns(&columns, "model.item_knn").unwrap();
    let expected = ItemWeights::from_rows(&[vec![], vec![(0, 0.5), (2, 2.0)], vec![(0, 0.25)]], "").unwrap();
    assert_eq!(rows, expected);
}
