//! Tables on a GPU: f16 and bf16 are what the device itself computes with.

use cubecl::prelude::*;

use super::Table;
use crate::Buffer;
use crate::element::Element;
use crate::gpu::cubes::vector_width;
use crate::gpu::{Gpu, cubes_for, launch};
use crate::ops::propagate::gpu::{chosen, hop};
use crate::ops::propagate::{Adjacency, RowSet};

#[cube(launch_unchecked)]
fn convert_kernel<X: Float, Y: Float>(x: &Array<X>, y: &mut Array<Y>) {
    let at = ABSOLUTE_POS;
    if at < y.len() {
        y[at] = Y::cast_from(x[at]);
    }
}

#[cube(launch_unchecked)]
fn gather_kernel<X: Float, N: Size>(
    x: &Array<Vector<X, N>>,
    rows: &Array<u32>,
    y: &mut Array<Vector<f32, N>>,
    vecs: u32,
) {
    let at = ABSOLUTE_POS;
    let vecs = vecs as usize;
    if at < rows.len() * vecs {
        y[at] = Vector::cast_from(x[rows[at / vecs] as usize * vecs + at % vecs]);
    }
}

/// Runs the same code on the buffer of a table, with `$F` the device's name of its format.
macro_rules! by_format {
    ($table:expr, $buffer:ident: $F:ident => $work:expr) => {
        match $table {
            Table::F32($buffer) => {
                type $F = f32;
                $work
            }
            Table::F16($buffer) => {
                type $F = half::f16;
                $work
            }
            Table::Bf16($buffer) => {
                type $F = half::bf16;
                $work
            }
        }
    };
}

fn convert<X: Float, Y: Float, TX: Element, TY: Element>(gpu: &Gpu, x: &Buffer<TX>, y: &mut Buffer<TY>) {
    // SAFETY: the kernel stays below the length of `y`, which the caller made that of `x`.
    unsafe { launch!(gpu, cubes_for(y.len()), convert_kernel::<X, Y>, x.argument(), y.argument()) };
}

fn gather_as<X: Float, TX: Element>(gpu: &Gpu, dim: usize, x: &Buffer<TX>, rows: &RowSet, y: &mut Buffer<f32>) {
    if rows.is_empty() {
        return;
    }
    let width = vector_width(dim);
    // SAFETY: the kernel stays below the number of vectors of `y`, one row per row of the set, and
    // those are rows of `x`, as the caller checked.
    unsafe {
        launch!(
            gpu,
            cubes_for(y.len() / width),
            gather_kernel::<X>,
            width,
            x.vectors(width),
            rows.rows.argument(),
            y.vectors(width),
            (dim / width) as u32
        );
    }
}

pub(super) fn round_into_table(gpu: &Gpu, x: &Buffer<f32>, y: &mut Table) {
    by_format!(y, y: Y => convert::<f32, Y, _, _>(gpu, x, y));
}

pub(super) fn gather(gpu: &Gpu, dim: usize, x: &Table, rows: &RowSet, y: &mut Buffer<f32>) {
    by_format!(x, x: X => gather_as::<X, _>(gpu, dim, x, rows, y));
}

pub(super) fn propagate(
    gpu: &Gpu,
    a: &Adjacency,
    dim: usize,
    x: &Table,
    addend: Option<(&RowSet, &Buffer<f32>)>,
    y: &mut Table,
) {
    by_format!(x, x: X => by_format!(y, y: Y => hop::<X, Y, _, _>(gpu, a, dim, x, addend, false, y)));
}

pub(super) fn propagate_rows(gpu: &Gpu, a: &Adjacency, dim: usize, x: &Table, rows: &RowSet, y: &mut Buffer<f32>) {
    by_format!(x, x: X => chosen::<X, _>(gpu, a, dim, x, rows, y));
}

pub(super) fn propagate_from_rows(
    gpu: &Gpu,
    a: &Adjacency,
    dim: usize,
    rows: &RowSet,
    x_rows: &Buffer<f32>,
    addend: &Buffer<f32>,
    y: &mut Table,
) {
    by_format!(y, y: Y => hop::<f32, Y, _, _>(gpu, a, dim, x_rows, Some((rows, addend)), true, y));
}
