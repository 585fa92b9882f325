//! Propagation, in its four shapes and three formats.

use gcnrec_kernels::ops::adjacency::Adjacency;
use gcnrec_kernels::ops::half_table::{
    Precision, Table, gather_from_table, propagate_from_rows_to_table, propagate_rows_of_table, propagate_table,
    round_into_table,
};
use gcnrec_kernels::ops::propagate::{
    RowSet, propagate, propagate_add, propagate_from_rows_add, propagate_reference, propagate_rows,
};
use gcnrec_kernels::{Buffer, Device};

use crate::{DIMS, assert_close, assert_same_bits, indices, numbers, on_each, wide};

/// Every awkward row: row 0 is empty, row 1 has one entry, row 2 is a hub with two entries for
/// every node, row 3 has 200, the last is isolated.
struct Graph {
    n: usize,
    row_ptr: Vec<u32>,
    col_idx: Vec<u32>,
    values: Vec<f32>,
}

impl Graph {
    fn awkward(n: usize) -> Graph {
        let (mut row_ptr, mut col_idx) = (vec![0u32], Vec::new());
        for row in 0..n {
            let degree = match row {
                0 => 0,
                1 => 1,
                2 => 2 * n,
                3 => 200,
                _ if row + 1 == n => 0,
                _ => row * 7 % 41,
            };
            col_idx.extend(indices(row as u64 + 11, degree, n - 1));
            row_ptr.push(col_idx.len() as u32);
        }
        let values = numbers(5, col_idx.len()).iter().map(|value| value * 0.1).collect();
        Graph { n, row_ptr, col_idx, values }
    }

    fn upload(&self, device: &Device) -> Adjacency {
        Adjacency::upload(device, self.n, &self.row_ptr, &self.col_idx, &self.values).unwrap()
    }

    fn reference(&self, dim: usize, x: &[f64]) -> Vec<f64> {
        propagate_reference(&self.row_ptr, &self.col_idx, &self.values, dim, x)
    }
}

/// A table that is `rows` at the slots and zero elsewhere.
fn scattered(n: usize, dim: usize, slots: &[u32], rows: &[f64]) -> Vec<f64> {
    let mut table = vec![0.0; n * dim];
    for (slot, &row) in slots.iter().enumerate() {
        table[row as usize * dim..][..dim].copy_from_slice(&rows[slot * dim..][..dim]);
    }
    table
}

fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The hub of 2,400 nodes has 4,800 entries: more than one piece. It adds that many numbers below
/// .1 in f32.
const TOLERANCE: f64 = 2e-5;

#[test]
fn all_four_shapes_of_propagation_agree_with_the_reference_and_from_run_to_run() {
    let graph = Graph::awkward(2400);
    on_each(|device| {
        let a = graph.upload(device);
        let slots: Vec<u32> = (0..2400).filter(|row| row % 3 != 1).collect();
        let mut rows = RowSet::new(device, 2400);
        rows.assign(device, &[1, 5, 2399]).unwrap();
        rows.assign(device, &slots).unwrap();
        for dim in DIMS {
            let what = |shape: &str| format!("{} {shape} dim {dim}", device.name());
            let (x, x_rows, addend) =
                (numbers(1, 2400 * dim), numbers(2, slots.len() * dim), numbers(3, slots.len() * dim));
            let (on_x, on_rows, on_addend) = (device.upload(&x), device.upload(&x_rows), device.upload(&addend));
            let mut y = Buffer::default();
            let ax = graph.reference(dim, &wide(&x));
            let added = scattered(2400, dim, &slots, &wide(&addend));

            let found = assert_same_bits(
                || {
                    let mut y = Buffer::default();
                    propagate(device, &a, dim, &on_x, &mut y).unwrap();
                    device.read(&y)
                },
                &what("all"),
            );
            assert_close(&found, &ax, TOLERANCE, &what("all"));
            propagate_add(device, &a, dim, &on_x, &rows, &on_addend, &mut y).unwrap();
            assert_close(&device.read(&y), &plus(&ax, &added), TOLERANCE, &what("add"));
            propagate_rows(device, &a, dim, &on_x, &rows, &mut y).unwrap();
            let chosen: Vec<f64> = slots.iter().flat_map(|&r| ax[r as usize * dim..][..dim].to_vec()).collect();
            assert_close(&device.read(&y), &chosen, TOLERANCE, &what("rows"));
            propagate_from_rows_add(device, &a, dim, &rows, &on_rows, &on_addend, &mut y).unwrap();
            let from = graph.reference(dim, &scattered(2400, dim, &slots, &wide(&x_rows)));
            assert_close(&device.read(&y), &plus(&from, &added), TOLERANCE, &what("from rows"));
        }
    });
}

/// 70,000 rows of one cube each need a second line of cubes: an axis ends at 65,535.
#[test]
fn more_rows_than_an_axis_of_the_grid_holds_are_all_propagated() {
    let n = 70_000;
    let row_ptr: Vec<u32> = (0..=n as u32).collect();
    let col_idx: Vec<u32> = (0..n as u32).rev().collect();
    let x = numbers(1, n);
    let expected: Vec<f64> = x.iter().rev().map(|&x| 0.5 * f64::from(x)).collect();
    on_each(|device| {
        let a = Adjacency::upload(device, n, &row_ptr, &col_idx, &vec![0.5; n]).unwrap();
        let mut rows = RowSet::new(device, n);
        rows.assign(device, &(0..n as u32).collect::<Vec<_>>()).unwrap();
        let mut y = Buffer::default();
        propagate_rows(device, &a, 1, &device.upload(&x), &rows, &mut y).unwrap();
        assert_close(&device.read(&y), &expected, 1e-7, device.name().as_str());
    });
}

/// Rounding to nearest moves a number by at most 2^-11 (f16) or 2^-8 (bf16) of itself: once on the
/// way in, once on the way out.
#[test]
fn tables_in_16_bits_agree_up_to_their_rounding() {
    let graph = Graph::awkward(300);
    on_each(|device| {
        for (precision, unit) in
            [(Precision::F32, 1e-6), (Precision::F16, 2f64.powi(-11)), (Precision::Bf16, 2f64.powi(-8))]
        {
            if let Err(error) = device.expect_precision(precision) {
                println!("skipped: {error}");
                continue;
            }
            for dim in DIMS {
                let what = format!("{} {precision:?} dim {dim}", device.name());
                let a = graph.upload(device);
                let slots: Vec<u32> = (0..300).step_by(2).collect();
                let mut rows = RowSet::new(device, 300);
                rows.assign(device, &slots).unwrap();
                let (x, addend) = (numbers(1, 300 * dim), numbers(2, slots.len() * dim));
                let (mut table, mut above, mut y) = (Table::new(precision), Table::new(precision), Buffer::default());
                round_into_table(device, &device.upload(&x), &mut table);
                gather_from_table(device, dim, &table, &rows, &mut y).unwrap();
                let kept: Vec<f64> = slots.iter().flat_map(|&r| wide(&x[r as usize * dim..][..dim])).collect();
                assert_close(&device.read(&y), &kept, unit, &what);

                let on_addend = device.upload(&addend);
                propagate_table(device, &a, dim, &table, Some((&rows, &on_addend)), &mut above).unwrap();
                gather_from_table(device, dim, &above, &rows, &mut y).unwrap();
                let added = scattered(300, dim, &slots, &wide(&addend));
                let expected = plus(&graph.reference(dim, &wide(&x)), &added);
                let chosen: Vec<f64> =
                    slots.iter().flat_map(|&r| expected[r as usize * dim..][..dim].to_vec()).collect();
                // Sums of up to 600 numbers below .1, each rounded by itself.
                assert_close(&device.read(&y), &chosen, 8.0 * unit, &what);
                propagate_rows_of_table(device, &a, dim, &table, &rows, &mut y).unwrap();
                let ax = graph.reference(dim, &wide(&x));
                let chosen: Vec<f64> = slots.iter().flat_map(|&r| ax[r as usize * dim..][..dim].to_vec()).collect();
                assert_close(&device.read(&y), &chosen, 8.0 * unit, &what);
                propagate_from_rows_to_table(device, &a, dim, &rows, &on_addend, &on_addend, &mut above).unwrap();
                gather_from_table(device, dim, &above, &rows, &mut y).unwrap();
                let from = plus(&graph.reference(dim, &added), &added);
                let chosen: Vec<f64> = slots.iter().flat_map(|&r| from[r as usize * dim..][..dim].to_vec()).collect();
                assert_close(&device.read(&y), &chosen, 8.0 * unit, &what);
            }
        }
    });
}
