//! Cases of propagation over stored tables: they agree with the f32 ops on rounded numbers, and
//! with the reference within the format's rounding.

use super::super::propagate::{propagate, propagate_from_rows_add, propagate_reference, propagate_rows};
use super::*;
use crate::simd::tests::on_both_widths;
use crate::testing::{DIMS, assert_close, awkward_square, bits, numbers, same_bits_of, wide};

const CPU: Device = Device::Cpu;
const NODES: usize = 331;
const FORMATS: [(Precision, f64); 3] = [(Precision::F32, 0.0), (Precision::F16, 4.9e-4), (Precision::Bf16, 3.95e-3)];

fn graph() -> Adjacency {
    let (row_ptr, col_idx, values) = awkward_square(NODES);
    Adjacency::upload(&CPU, NODES, &row_ptr, &col_idx, &values).unwrap()
}

fn batch() -> RowSet {
    let mut rows = RowSet::new(&CPU, NODES);
    let list: Vec<u32> = (0..NODES as u32).filter(|row| row % 3 == 0 || *row == 2).collect();
    rows.assign(&CPU, &list).unwrap();
    rows
}

fn stored(precision: Precision, x: &[f32]) -> Table {
    let mut table = Table::new(precision);
    round_into_table(&CPU, &CPU.upload(x), &mut table);
    table
}

/// All numbers of a table, exactly.
fn read(table: &Table) -> Vec<f32> {
    each_format!(table, buffer => {
        let mut values = vec![0.0; buffer.len()];
        widen_all(buffer.host(), &mut values);
        values
    })
}

#[test]
fn a_hop_over_a_table_is_the_f32_hop_over_its_rounded_numbers_rounded_once() {
    let (a, rows) = (graph(), batch());
    for dim in DIMS {
        let x = numbers(dim as u64, NODES * dim);
        let addend = CPU.upload(&numbers(4, rows.len() * dim));
        for (precision, _) in FORMATS {
            let table = stored(precision, &x);
            let exact = CPU.upload(&read(&table));
            let mut plain = Buffer::default();
            propagate(&CPU, &a, dim, &exact, &mut plain).unwrap();
            let found = same_bits_of(|| {
                let mut y = Table::new(precision);
                propagate_table(&CPU, &a, dim, &table, None, &mut y).unwrap();
                read(&y)
            });
            assert_eq!(bits(&found), bits(&read(&stored(precision, plain.host()))), "{precision:?}, dim {dim}");

            let mut chosen = Buffer::default();
            propagate_rows(&CPU, &a, dim, &exact, &rows, &mut chosen).unwrap();
            let mut y = Buffer::default();
            propagate_rows_of_table(&CPU, &a, dim, &table, &rows, &mut y).unwrap();
            assert_eq!(bits(y.host()), bits(chosen.host()), "rows, {precision:?}, dim {dim}");

            let mut from_rows = Buffer::default();
            propagate_from_rows_add(&CPU, &a, dim, &rows, &addend, &addend, &mut from_rows).unwrap();
            let found = same_bits_of(|| {
                let mut y = Table::new(precision);
                propagate_from_rows_to_table(&CPU, &a, dim, &rows, &addend, &addend, &mut y).unwrap();
                read(&y)
            });
            assert_eq!(bits(&found), bits(&read(&stored(precision, from_rows.host()))), "back, {precision:?}");

            // The addend comes before the rounding, and a target of 32 bits keeps the sum as it is.
            let mut y = Table::new(Precision::F32);
            propagate_table(&CPU, &a, dim, &table, Some((&rows, &addend)), &mut y).unwrap();
            let mut expected = plain.host().to_vec();
            for (slot, &row) in rows.rows().iter().enumerate() {
                for k in 0..dim {
                    expected[row as usize * dim + k] += addend.host()[slot * dim + k];
                }
            }
            assert_eq!(bits(&read(&y)), bits(&expected), "addend, {precision:?}, dim {dim}");
        }
    }
}

/// A rounded number is off by at most half a unit of its last kept bit: 2^-12 of itself (f16), 2^-9
/// (bf16); products sum such errors.
#[test]
fn a_hop_over_a_table_agrees_with_the_reference_within_the_rounding_of_its_format() {
    let (row_ptr, col_idx, values) = awkward_square(NODES);
    let a = graph();
    let x = numbers(7, NODES * 17);
    let expected = propagate_reference(&row_ptr, &col_idx, &values, 17, &wide(&x));
    for (precision, unit) in FORMATS {
        let mut y = Table::new(precision);
        propagate_table(&CPU, &a, 17, &stored(precision, &x), None, &mut y).unwrap();
        // The hub sums 662 products below 1 whose errors add like a random walk of 26 steps; f32
        // itself is right to 1e-4 there.
        assert_close(
            &format!("{precision:?}"),
            &read(&y),
            &expected,
            1e-4 + 26.0 * unit / 2.0,
            1e-4 + 26.0 * unit / 2.0,
        );
    }
}

#[test]
fn wide_and_narrow_vectors_give_the_same_bits() {
    let a = graph();
    for (precision, _) in FORMATS {
        let table = stored(precision, &numbers(1, NODES * 65));
        let (wide, narrow) = on_both_widths(|| {
            let mut y = Table::new(precision);
            propagate_table(&CPU, &a, 65, &table, None, &mut y).unwrap();
            read(&y)
        });
        assert_eq!(bits(&wide), bits(&narrow), "{precision:?}");
    }
}

#[test]
fn rows_of_a_table_are_gathered_exactly() {
    let rows = batch();
    let table = stored(Precision::F16, &numbers(2, NODES * 17));
    let mut y = Buffer::default();
    gather_from_table(&CPU, 17, &table, &rows, &mut y).unwrap();
    let all = read(&table);
    let expected: Vec<f32> = rows.rows().iter().flat_map(|&row| all[row as usize * 17..][..17].to_vec()).collect();
    assert_eq!(y.host(), expected);
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let (a, rows, table) = (graph(), batch(), stored(Precision::F16, &[1.0; 5]));
    let (mut y, mut out) = (Buffer::default(), Table::new(Precision::F16));
    let refused = |result: Result<()>| result.unwrap_err().to_string();
    let message = refused(propagate_table(&CPU, &a, 2, &table, None, &mut out));
    assert_eq!(message, "propagate_table: x has 5 elements, expected 662");
    assert_eq!(
        refused(gather_from_table(&CPU, 2, &table, &rows, &mut y)),
        "gather_from_table: x has 5 elements, expected 662"
    );
    let message = refused(propagate_rows_of_table(&CPU, &a, 2, &table, &rows, &mut y));
    assert_eq!(message, "propagate_rows_of_table: x has 5 elements, expected 662");
    let message = refused(propagate_from_rows_to_table(&CPU, &a, 2, &rows, &y, &y, &mut out));
    assert!(message.starts_with("propagate_from_rows_to_table: x_rows has 0 elements"), "{message}");
    assert!(out.is_empty());
}

#[test]
fn the_order_in_which_rows_are_summed_changes_no_bit_of_a_table() {
    let ((row_ptr, col_idx, values), rows) = (awkward_square(NODES), batch());
    // 331 is a prime, so steps of 100 meet every row once.
    let order: Vec<u32> = (0..NODES as u32).map(|position| position * 100 % NODES as u32).collect();
    let ordered = Adjacency::upload_in_order(&CPU, NODES, &row_ptr, &col_idx, &values, &order).unwrap();
    for dim in DIMS {
        let addend = CPU.upload(&numbers(4, rows.len() * dim));
        for (precision, _) in FORMATS {
            let table = stored(precision, &numbers(1, NODES * dim));
            let all = |a: &Adjacency| {
                let mut y = [(); 2].map(|()| Table::new(precision));
                propagate_table(&CPU, a, dim, &table, Some((&rows, &addend)), &mut y[0]).unwrap();
                propagate_from_rows_to_table(&CPU, a, dim, &rows, &addend, &addend, &mut y[1]).unwrap();
                y.map(|y| read(&y)).concat()
            };
            let found = same_bits_of(|| all(&ordered));
            assert_eq!(bits(&found), bits(&all(&graph())), "{precision:?}, dim {dim}");
        }
    }
}
