//! Cases of propagation: every width, every kind of row, the four shapes against one another.

use super::*;
use crate::simd::tests::on_both_widths;
use crate::testing::{DIMS, assert_close, awkward_square, bits, numbers, same_bits_of, wide};

const CPU: Device = Device::Cpu;
const NODES: usize = 701;

type Csr = (Vec<u32>, Vec<u32>, Vec<f32>);

fn upload(n: usize) -> (Adjacency, Csr) {
    let csr = awkward_square(n);
    (Adjacency::upload(&CPU, n, &csr.0, &csr.1, &csr.2).unwrap(), csr)
}

/// Rows 0 and 2 are the empty row and the hub, the last is isolated.
fn batch() -> RowSet {
    let mut rows = RowSet::new(&CPU, NODES);
    let list: Vec<u32> =
        (0..NODES as u32).filter(|row| row % 3 == 0 || *row == 2 || *row as usize == NODES - 1).collect();
    rows.assign(&CPU, &list).unwrap();
    rows
}

fn scatter(rows: &RowSet, dim: usize, x_rows: &[f32]) -> Vec<f32> {
    let mut x = vec![0.0; rows.n_rows() * dim];
    for (slot, &row) in rows.rows().iter().enumerate() {
        x[row as usize * dim..][..dim].copy_from_slice(&x_rows[slot * dim..][..dim]);
    }
    x
}

#[test]
fn a_hop_is_the_weighted_sum_of_the_neighbours() {
    // A = [[0, 2], [0, 0], [3, -1]], x = [[1, 10], [5, 7]]: rows 2*(5,7); nothing; 3*(1,10) -
    // (5,7).
    let a = Adjacency::upload(&CPU, 2, &[0, 1, 1, 3], &[1, 0, 1], &[2.0, 3.0, -1.0]).unwrap();
    let mut y = Buffer::default();
    propagate(&CPU, &a, 2, &CPU.upload(&[1.0, 10.0, 5.0, 7.0]), &mut y).unwrap();
    assert_eq!(CPU.read(&y), [10.0, 14.0, 0.0, 0.0, -2.0, 23.0]);
}

#[test]
fn every_width_and_every_kind_of_row_agrees_with_the_reference_on_any_number_of_threads() {
    let (a, csr) = upload(NODES);
    for dim in DIMS {
        let x = numbers(dim as u64, NODES * dim);
        let expected = propagate_reference(&csr.0, &csr.1, &csr.2, dim, &wide(&x));
        let x = CPU.upload(&x);
        let found = same_bits_of(|| {
            let mut y = CPU.upload(&[f32::NAN; 3]);
            propagate(&CPU, &a, dim, &x, &mut y).unwrap();
            CPU.read(&y)
        });
        // The hub adds 1402 products below 1 in f32: 1402 roundings of sums of about 20, each
        // within 2^-24 * 32.
        assert_close(&format!("dim {dim}"), &found, &expected, 1e-4, 1e-4);
        assert!(found[..dim].iter().chain(&found[(NODES - 1) * dim..]).all(|&value| value == 0.0));
    }
}

#[test]
fn a_column_has_the_same_bits_whatever_the_width_around_it() {
    let (a, _) = upload(NODES);
    let narrow = numbers(9, NODES);
    let mut one = Buffer::default();
    propagate(&CPU, &a, 1, &CPU.upload(&narrow), &mut one).unwrap();
    for dim in [7, 16, 64, 65, 128, 144] {
        let repeated: Vec<f32> = narrow.iter().flat_map(|&value| std::iter::repeat_n(value, dim)).collect();
        let mut y = Buffer::default();
        propagate(&CPU, &a, dim, &CPU.upload(&repeated), &mut y).unwrap();
        let expected: Vec<f32> = CPU.read(&one).iter().flat_map(|&value| std::iter::repeat_n(value, dim)).collect();
        assert_eq!(bits(&CPU.read(&y)), bits(&expected), "dim {dim}");
    }
}

#[test]
fn the_four_shapes_agree_to_the_bit() {
    let (a, _) = upload(NODES);
    let rows = batch();
    for dim in DIMS {
        let x_rows = numbers(3, rows.len() * dim);
        let addend = CPU.upload(&numbers(4, rows.len() * dim));
        let x = CPU.upload(&scatter(&rows, dim, &x_rows));
        let mut plain = Buffer::default();
        propagate(&CPU, &a, dim, &x, &mut plain).unwrap();
        let plain = CPU.read(&plain);
        let scattered = scatter(&rows, dim, addend.host());
        let with_addend: Vec<f32> = plain.iter().zip(&scattered).map(|(plain, add)| plain + add).collect();

        let added = same_bits_of(|| {
            let mut y = Buffer::default();
            propagate_add(&CPU, &a, dim, &x, &rows, &addend, &mut y).unwrap();
            CPU.read(&y)
        });
        assert_eq!(bits(&added), bits(&with_addend), "propagate_add, dim {dim}");

        let chosen = same_bits_of(|| {
            let mut y = Buffer::default();
            propagate_rows(&CPU, &a, dim, &x, &rows, &mut y).unwrap();
            CPU.read(&y)
        });
        let expected: Vec<f32> =
            rows.rows().iter().flat_map(|&row| plain[row as usize * dim..][..dim].iter().copied()).collect();
        assert_eq!(bits(&chosen), bits(&expected), "propagate_rows, dim {dim}");

        let x_rows = CPU.upload(&x_rows);
        let from_rows = same_bits_of(|| {
            let mut y = Buffer::default();
            propagate_from_rows_add(&CPU, &a, dim, &rows, &x_rows, &addend, &mut y).unwrap();
            CPU.read(&y)
        });
        assert_eq!(bits(&from_rows), bits(&with_addend), "propagate_from_rows_add, dim {dim}");
    }
}

#[test]
fn wide_and_narrow_vectors_give_the_same_bits() {
    let (a, _) = upload(NODES);
    for dim in [63, 64, 65] {
        let x = CPU.upload(&numbers(1, NODES * dim));
        let (wide, narrow) = on_both_widths(|| {
            let mut y = Buffer::default();
            propagate(&CPU, &a, dim, &x, &mut y).unwrap();
            CPU.read(&y)
        });
        assert_eq!(bits(&wide), bits(&narrow), "dim {dim}");
    }
}

#[test]
fn an_empty_batch_sends_nothing_back() {
    let (a, _) = upload(11);
    let (rows, none) = (RowSet::new(&CPU, 11), Buffer::default());
    let mut y = Buffer::default();
    propagate_from_rows_add(&CPU, &a, 5, &rows, &none, &none, &mut y).unwrap();
    assert_eq!(CPU.read(&y), [0.0; 55]);
    propagate_rows(&CPU, &a, 5, &CPU.zeros(55), &rows, &mut y).unwrap();
    assert!(y.is_empty());
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (a, _) = upload(11);
    let mut rows = RowSet::new(&CPU, 11);
    rows.assign(&CPU, &[3]).unwrap();
    let (x, row, wrong) = (CPU.zeros(22), CPU.zeros(2), CPU.zeros(3));
    let mut y = Buffer::default();
    let refused = |result: Result<()>| result.unwrap_err().to_string();
    assert_eq!(refused(propagate(&CPU, &a, 0, &x, &mut y)), "propagate: dim is 0, expected 1 or more");
    assert_eq!(refused(propagate(&CPU, &a, 2, &wrong, &mut y)), "propagate: x has 3 elements, expected 22");
    assert_eq!(
        refused(propagate_add(&CPU, &a, 2, &x, &rows, &wrong, &mut y)),
        "propagate_add: addend has 3 elements, expected 2"
    );
    assert_eq!(
        refused(propagate_rows(&CPU, &a, 2, &x, &RowSet::new(&CPU, 12), &mut y)),
        "propagate_rows: rows.slot_of has 12 elements, expected 11"
    );
    assert_eq!(
        refused(propagate_from_rows_add(&CPU, &a, 2, &rows, &wrong, &row, &mut y)),
        "propagate_from_rows_add: x_rows has 3 elements, expected 2"
    );
    let oblong = Adjacency::upload(&CPU, 12, &[0; 12], &[], &[]).unwrap();
    assert_eq!(
        refused(propagate_from_rows_add(&CPU, &oblong, 2, &rows, &row, &row, &mut y)),
        "propagate_from_rows_add: a.row_ptr has 12 elements, expected 13"
    );
    assert!(y.is_empty());
}

#[test]
fn the_order_in_which_rows_are_summed_changes_no_bit() {
    let (a, csr) = upload(NODES);
    // 701 is a prime, so steps of 300 meet every row once.
    let order: Vec<u32> = (0..NODES as u32).map(|position| position * 300 % NODES as u32).collect();
    let ordered = Adjacency::upload_in_order(&CPU, NODES, &csr.0, &csr.1, &csr.2, &order).unwrap();
    let rows = batch();
    for dim in DIMS {
        let (x, x_rows) = (CPU.upload(&numbers(1, NODES * dim)), CPU.upload(&numbers(2, rows.len() * dim)));
        let addend = CPU.upload(&numbers(3, rows.len() * dim));
        let all = |a: &Adjacency| {
            let mut y = [(); 4].map(|()| Buffer::default());
            propagate(&CPU, a, dim, &x, &mut y[0]).unwrap();
            propagate_add(&CPU, a, dim, &x, &rows, &addend, &mut y[1]).unwrap();
            propagate_rows(&CPU, a, dim, &x, &rows, &mut y[2]).unwrap();
            propagate_from_rows_add(&CPU, a, dim, &rows, &x_rows, &addend, &mut y[3]).unwrap();
            y.map(|y| CPU.read(&y)).concat()
        };
        let found = same_bits_of(|| all(&ordered));
        assert_eq!(bits(&found), bits(&all(&a)), "dim {dim}");
    }
}
