//! Rows of a table on a GPU: one unit per number, in the backward pass for the rows that anybody
//! read.

use cubecl::prelude::*;

use super::{Gather, NONE};
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, indices, zeros};
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn gather_kernel(table: &Array<f32>, index: &Array<u32>, y: &mut Array<f32>, columns: u32) {
    let at = ABSOLUTE_POS;
    let columns = columns as usize;
    if at < y.len() {
        let row = index[at / columns];
        let mut value = f32::new(0.0);
        if row != NONE {
            value = table[row as usize * columns + at % columns];
        }
        y[at] = value;
    }
}

/// `table[rows[i]] = sum of the gradients of the places from ends[i] to ends[i + 1]`, in their
/// order.
#[cube(launch_unchecked)]
fn places_kernel(
    gradient: &Array<f32>,
    rows: &Array<u32>,
    ends: &Array<u32>,
    places: &Array<u32>,
    table: &mut Array<f32>,
    columns: u32,
) {
    let at = ABSOLUTE_POS;
    let columns = columns as usize;
    if at < rows.len() * columns {
        let (read, column) = (at / columns, at % columns);
        let mut sum = f32::new(0.0);
        for place in ends[read]..ends[read + 1] {
            sum += gradient[places[place as usize] as usize * columns + column];
        }
        let row = rows[read] as usize;
        table[row * columns + column] = sum;
    }
}

impl Passes<1> for Gather {
    type Kept = ();

    fn forward_on(&self, gpu: &Gpu, [table]: [Rows<'_>; 1]) -> Made<()> {
        let columns = table.columns;
        let (index, y) = (indices(gpu, &self.index), empty(gpu, self.index.len() * columns));
        // SAFETY: the kernel stays below the number of results, one row per index; `gather` checked
        // that an index is a row of the table or none.
        unsafe {
            launch!(
                gpu,
                cubes_for(y.len()),
                gather_kernel,
                table.values.argument(),
                index.argument(),
                y.argument(),
                columns as u32
            );
        }
        Made { values: y, columns, kept: () }
    }

    fn backward_on(&self, gpu: &Gpu, [table]: [Rows<'_>; 1], (): &(), gradient: Rows<'_>) -> [Buffer<f32>; 1] {
        let columns = table.columns;
        let mut places: Vec<u32> = (0..self.index.len() as u32).filter(|&at| self.index[at as usize] != NONE).collect();
        places.sort_by_key(|&at| self.index[at as usize]);
        let (mut rows, mut ends) = (Vec::new(), vec![0u32]);
        for of_row in places.chunk_by(|&a, &b| self.index[a as usize] == self.index[b as usize]) {
            rows.push(self.index[of_row[0] as usize]);
            ends.push(ends[rows.len() - 1] + of_row.len() as u32);
        }
        let sums = zeros(gpu, table.rows * columns);
        let n_cubes = cubes_for(rows.len() * columns);
        let [rows, ends, places] = [rows, ends, places].map(|values| indices(gpu, &values));
        // SAFETY: the kernel stays below the rows that were read, which are rows of the table;
        // places are rows of the gradient.
        unsafe {
            launch!(
                gpu,
                n_cubes,
                places_kernel,
                gradient.values.argument(),
                rows.argument(),
                ends.argument(),
                places.argument(),
                sums.argument(),
                columns as u32
            );
        }
        [sums]
    }
}
