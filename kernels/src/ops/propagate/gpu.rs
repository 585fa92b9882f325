//! Propagation on a GPU. Rows are read as vectors; the columns of a row are shared by some units
//! (lanes), the edges of a long row by several such groups (slots) of one cube, which join their
//! sums in shared memory. A hub is cut into pieces for several cubes (the adjacency plans them),
//! whose sums a second kernel adds. Every sum has one order, whatever the device does meanwhile.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use crate::Buffer;
use crate::element::Element;
use crate::gpu::cubes::vector_width;
use crate::gpu::{Gpu, UNITS, cubes_for, launch};
use crate::ops::adjacency::Adjacency;
use crate::ops::row_set::{NO_SLOT, RowSet};

/// Most units that share the columns of a row.
const MOST_LANES: usize = 32;

/// How the units of a cube share a row of vectors.
#[derive(Debug, Clone, Copy)]
struct Sharing {
    width: usize,
    vecs: usize,
    lanes: usize,
    slots: usize,
    /// Groups of lanes that a row needs, one cube after the other.
    tiles: usize,
}

impl Sharing {
    fn new(dim: usize) -> Sharing {
        let width = vector_width(dim);
        let vecs = dim / width;
        let lanes = vecs.next_power_of_two().min(MOST_LANES);
        Sharing { width, vecs, lanes, slots: UNITS as usize / lanes, tiles: vecs.div_ceil(lanes) }
    }
}

/// The sum over every `step`-th edge from `start` to `end` of one vector of columns.
#[cube]
fn sum_edges<X: Float, N: Size>(
    col_idx: &Array<u32>,
    values: &Array<f32>,
    slot_of: &Array<u32>,
    x: &Array<Vector<X, N>>,
    start: u32,
    end: u32,
    column: usize,
    #[comptime] step: usize,
    #[comptime] vecs: usize,
    #[comptime] sparse: bool,
) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(f32::new(0.0));
    let mut edge = start;
    while edge < end {
        let neighbour = col_idx[edge as usize];
        let value = values[edge as usize];
        if comptime!(sparse) {
            let slot = slot_of[neighbour as usize];
            if slot != NO_SLOT {
                sum += Vector::<f32, N>::cast_from(x[slot as usize * vecs + column]) * Vector::new(value);
            }
        } else {
            sum += Vector::<f32, N>::cast_from(x[neighbour as usize * vecs + column]) * Vector::new(value);
        }
        edge += step as u32;
    }
    sum
}

/// Joins the sums of the slots, halves onto each other; slot 0 gets the whole. All units of the
/// cube must take part.
#[cube]
fn join_slots<N: Size>(
    shared: &mut SharedMemory<Vector<f32, N>>,
    value: Vector<f32, N>,
    #[comptime] lanes: usize,
) -> Vector<f32, N> {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    let steps = comptime!((UNITS as usize / lanes).ilog2());
    #[unroll]
    for step in 0..steps {
        let half = comptime!(UNITS as usize >> (step + 1));
        if unit < half {
            let other = shared[unit + half];
            let own = shared[unit];
            shared[unit] = own + other;
        }
        sync_cube();
    }
    shared[unit]
}

#[cube(launch_unchecked)]
fn hop_kernel<X: Float, Y: Float, N: Size>(
    row_ptr: &Array<u32>,
    col_idx: &Array<u32>,
    values: &Array<f32>,
    long: &Array<u32>,
    short: &Array<u32>,
    slot_of: &Array<u32>,
    x: &Array<Vector<X, N>>,
    addend: &Array<Vector<f32, N>>,
    y: &mut Array<Vector<Y, N>>,
    partials: &mut Array<Vector<f32, N>>,
    n_rows: u32,
    n_long: u32,
    #[comptime] vecs: usize,
    #[comptime] lanes: usize,
    #[comptime] tiles: usize,
    #[comptime] add: bool,
    #[comptime] sparse: bool,
) {
    let slots = comptime!(UNITS as usize / lanes);
    let task = CUBE_POS / tiles;
    let column = CUBE_POS % tiles * lanes + UNIT_POS as usize % lanes;
    let slot = UNIT_POS as usize / lanes;
    let inside = column < vecs;
    let n_long = n_long as usize;
    // The row that this unit writes, if it writes one.
    let mut row = NO_SLOT.runtime();
    let mut sum = Vector::<f32, N>::new(f32::new(0.0));
    if task < n_long {
        let mut shared = SharedMemory::<Vector<f32, N>>::new(UNITS as usize);
        if inside {
            let start = long[task * 3 + 1] + slot as u32;
            sum =
                sum_edges::<X, N>(col_idx, values, slot_of, x, start, long[task * 3 + 2], column, slots, vecs, sparse);
        }
        sum = join_slots::<N>(&mut shared, sum, lanes);
        let target = long[task * 3];
        if slot == 0 && inside {
            if target < n_rows {
                row = target;
            } else {
                partials[(target - n_rows) as usize * vecs + column] = sum;
            }
        }
    } else {
        let place = (task - n_long) * slots + slot;
        if place < short.len() && inside {
            row = short[place];
            let (start, end) = (row_ptr[row as usize], row_ptr[row as usize + 1]);
            sum = sum_edges::<X, N>(col_idx, values, slot_of, x, start, end, column, 1usize, vecs, sparse);
        }
    }
    if row != NO_SLOT {
        if comptime!(add) {
            let place = slot_of[row as usize];
            if place != NO_SLOT {
                sum += addend[place as usize * vecs + column];
            }
        }
        y[row as usize * vecs + column] = Vector::cast_from(sum);
    }
}

#[cube(launch_unchecked)]
fn cut_kernel<Y: Float, N: Size>(
    cut: &Array<u32>,
    slot_of: &Array<u32>,
    addend: &Array<Vector<f32, N>>,
    y: &mut Array<Vector<Y, N>>,
    partials: &Array<Vector<f32, N>>,
    #[comptime] vecs: usize,
    #[comptime] add: bool,
) {
    let place = ABSOLUTE_POS / vecs;
    let column = ABSOLUTE_POS % vecs;
    if place * 3 < cut.len() {
        let row = cut[place * 3] as usize;
        let mut sum = Vector::<f32, N>::new(f32::new(0.0));
        for partial in cut[place * 3 + 1]..cut[place * 3 + 2] {
            sum += partials[partial as usize * vecs + column];
        }
        if comptime!(add) {
            let slot = slot_of[row];
            if slot != NO_SLOT {
                sum += addend[slot as usize * vecs + column];
            }
        }
        y[row * vecs + column] = Vector::cast_from(sum);
    }
}

#[cube(launch_unchecked)]
fn chosen_kernel<X: Float, N: Size>(
    row_ptr: &Array<u32>,
    col_idx: &Array<u32>,
    values: &Array<f32>,
    rows: &Array<u32>,
    x: &Array<Vector<X, N>>,
    y: &mut Array<Vector<f32, N>>,
    #[comptime] vecs: usize,
    #[comptime] lanes: usize,
    #[comptime] tiles: usize,
) {
    let slots = comptime!(UNITS as usize / lanes);
    let mut shared = SharedMemory::<Vector<f32, N>>::new(UNITS as usize);
    let place = CUBE_POS / tiles;
    let column = CUBE_POS % tiles * lanes + UNIT_POS as usize % lanes;
    let slot = UNIT_POS as usize / lanes;
    let inside = column < vecs && place < rows.len();
    let mut sum = Vector::<f32, N>::new(f32::new(0.0));
    if inside {
        let row = rows[place] as usize;
        let start = row_ptr[row] + slot as u32;
        sum = sum_edges::<X, N>(col_idx, values, rows, x, start, row_ptr[row + 1], column, slots, vecs, false);
    }
    sum = join_slots::<N>(&mut shared, sum, lanes);
    if inside && slot == 0 {
        y[place * vecs + column] = sum;
    }
}

/// All rows: `y = A x`, `+ scatter(rows, addend)` where there is one; where `sparse`, `x` has the
/// slots of those rows.
pub(in crate::ops) fn hop<X: Float, Y: Float, TX: Element, TY: Element>(
    gpu: &Gpu,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<TX>,
    addend: Option<(&RowSet, &Buffer<f32>)>,
    sparse: bool,
    y: &mut Buffer<TY>,
) {
    let plan = a.plan.as_ref().expect("an adjacency should have a plan on the device that it was uploaded to");
    let Sharing { width, vecs, lanes, slots, tiles } = Sharing::new(dim);
    let (n_long, n_short) = (plan.long.len() / 3, plan.short.len());
    let partials = Buffer::<f32>::from_gpu(gpu.empty::<f32>((plan.n_partials * dim).max(width)));
    let add = addend.is_some();
    let (slot_of, addend) = addend.map_or((&a.col_idx, &partials), |(rows, addend)| (&rows.slot_of, addend));
    // SAFETY: `Adjacency` keeps its edges and columns legal, and the plan was made of it: targets
    // are rows, or places among the partial sums. The callers checked that `x` has a row for each
    // column (or slot), `y` one for each row, and the addend one for each slot; `RowSet` keeps
    // slots below their number. Without rows, `slot_of` is not read; without an addend, neither is
    // `addend`.
    unsafe {
        launch!(
            gpu,
            (n_long + n_short.div_ceil(slots)) * tiles,
            hop_kernel::<X, Y>,
            width,
            a.row_ptr.argument(),
            a.col_idx.argument(),
            a.values.argument(),
            plan.long.argument(),
            plan.short.argument(),
            slot_of.argument(),
            x.vectors(width),
            addend.vectors(width),
            y.vectors(width),
            partials.vectors(width),
            a.n_rows() as u32,
            n_long as u32,
            vecs,
            lanes,
            tiles,
            add,
            sparse
        );
        launch!(
            gpu,
            cubes_for(plan.cut.len() / 3 * vecs),
            cut_kernel::<Y>,
            width,
            plan.cut.argument(),
            slot_of.argument(),
            addend.vectors(width),
            y.vectors(width),
            partials.vectors(width),
            vecs,
            add
        );
    }
}

/// Some rows: `y[s] = (A x)[rows[s]]`.
pub(in crate::ops) fn chosen<X: Float, TX: Element>(
    gpu: &Gpu,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<TX>,
    rows: &RowSet,
    y: &mut Buffer<f32>,
) {
    let Sharing { width, vecs, lanes, tiles, .. } = Sharing::new(dim);
    if rows.is_empty() {
        return;
    }
    // SAFETY: as in `hop`; the set's rows are rows of the adjacency, as the callers checked, and
    // `y` has a row for each.
    unsafe {
        launch!(
            gpu,
            rows.len() * tiles,
            chosen_kernel::<X>,
            width,
            a.row_ptr.argument(),
            a.col_idx.argument(),
            a.values.argument(),
            rows.rows.argument(),
            x.vectors(width),
            y.vectors(width),
            vecs,
            lanes,
            tiles
        );
    }
}
