//! The inner loop of propagation and of segment sums: one output row as a weighted sum of rows of
//! `x`, in edge order.

use crate::simd::{BLOCK, fused, mul_add, prefetch};
use crate::stored::Stored;

/// Edges between a row's use and its prefetch: far enough to cover a trip to memory, near enough to
/// stay in the first cache, as measured (docs/results.md). A table that stays in the second
/// cache needs none: there the processor's own reordering hides the trip, and asking costs a sixth
/// of a hop.
pub(crate) fn prefetch_distance<E>(x: &[E]) -> usize {
    const SECOND_CACHE: usize = 1 << 20;
    const OF_F32: usize = 16;
    const OF_16_BITS: usize = 48;
    match size_of::<E>() {
        _ if size_of_val(x) <= SECOND_CACHE => usize::MAX,
        4 => OF_F32,
        _ => OF_16_BITS,
    }
}

/// Calls `$body::<_, ISA, N>(arguments)`, where the type is that of the stored numbers (with
/// `ISA to Y` it calls `$body::<_, Y, ISA, N>`), `N` the number of 16-column blocks when `dim` is
/// 16, 32, … 128, and 0 for any other width.
macro_rules! by_width {
    ($isa:ident $(to $y:ident)?, $dim:expr, $body:ident($($arg:expr),* $(,)?)) => {
        match $dim {
            16 => $body::<_, $($y,)? $isa, 1>($($arg),*),
            32 => $body::<_, $($y,)? $isa, 2>($($arg),*),
            48 => $body::<_, $($y,)? $isa, 3>($($arg),*),
            64 => $body::<_, $($y,)? $isa, 4>($($arg),*),
            80 => $body::<_, $($y,)? $isa, 5>($($arg),*),
            96 => $body::<_, $($y,)? $isa, 6>($($arg),*),
            112 => $body::<_, $($y,)? $isa, 7>($($arg),*),
            128 => $body::<_, $($y,)? $isa, 8>($($arg),*),
            _ => $body::<_, $($y,)? $isa, 0>($($arg),*),
        }
    };
}
pub(crate) use by_width;

/// `dim`, as a constant of a function that [`by_width`] calls where it has one.
#[inline(always)]
pub(crate) fn width<const N: usize>(dim: usize) -> usize {
    if N > 0 { N * BLOCK } else { dim }
}

/// Weighted rows to be added: row `columns[e]` of `x` times `values[e]`.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) columns: &'a [u32],
    pub(crate) values: &'a [f32],
    /// `ahead[e]` is the row to prefetch while edge `e` is added; may be shorter than `columns`.
    pub(crate) ahead: &'a [u32],
}

/// `y = sum_e values[e] * x[columns[e]] + addend`, or `y += …` where not `FRESH`. Terms are widened
/// to f32 exactly. A column of `y` is one chain of fused (or plain) multiply-adds in edge order, so
/// its bits depend on neither its position, nor `N`, nor how the terms are cut into calls; it is
/// rounded to the format of `y` once, when all is added.
///
/// # Safety
/// `y` and an addend have `dim` elements, `N` is `dim / 16` or 0, and every column is below
/// `x.len() / dim`.
#[inline(always)]
pub(crate) unsafe fn add_terms<X: Stored, Y: Stored, const ISA: u8, const N: usize, const FRESH: bool>(
    terms: Terms<'_>,
    dim: usize,
    x: &[X],
    addend: Option<&[f32]>,
    y: &mut [Y],
) {
    debug_assert!(y.len() == dim && (N == 0 || N * BLOCK == dim));
    if N > 0 {
        // SAFETY: the window is all of `dim`, and the caller vouches for the columns.
        return unsafe { add_window::<X, Y, ISA, N, FRESH>(terms, N * BLOCK, 0, x, addend, y) };
    }
    const WIDE: usize = 4;
    let mut column = 0;
    while column + WIDE * BLOCK <= dim {
        // SAFETY: the window ends at or before `dim`, and the caller vouches for the columns.
        unsafe { add_window::<X, Y, ISA, WIDE, FRESH>(terms, dim, column, x, addend, y) };
        column += WIDE * BLOCK;
    }
    while column + BLOCK <= dim {
        // SAFETY: as above.
        unsafe { add_window::<X, Y, ISA, 1, FRESH>(terms, dim, column, x, addend, y) };
        column += BLOCK;
    }
    if column < dim {
        // SAFETY: fewer than 16 columns are left, and the caller vouches for the columns.
        unsafe { add_rest::<X, Y, ISA, FRESH>(terms, dim, column, x, addend, y) };
    }
}

/// Runs the same code for each of N blocks, at most 8, written out: an array that is indexed by
/// constants alone stays in registers, and given a loop over 8 blocks the compiler vectorises
/// across the blocks, with gathers.
macro_rules! each_block {
    ($n:expr, $block:ident => $work:expr) => {
        each_block!($n, $block => $work; 0 1 2 3 4 5 6 7)
    };
    ($n:expr, $block:ident => $work:expr; $($index:literal)*) => {
        $(if $index < $n {
            let $block = $index;
            $work;
        })*
    };
}

/// The columns `column..column + 16 N` of [`add_terms`], held in registers over all terms.
///
/// # Safety
/// `column + 16 N <= dim`, `y` and an addend have `dim` elements, every column is below
/// `x.len() / dim`.
#[inline(always)]
unsafe fn add_window<X: Stored, Y: Stored, const ISA: u8, const N: usize, const FRESH: bool>(
    terms: Terms<'_>,
    dim: usize,
    column: usize,
    x: &[X],
    addend: Option<&[f32]>,
    y: &mut [Y],
) {
    const { assert!(N <= 8, "each_block should write out every block") };
    let mut sums = [[0.0f32; BLOCK]; N];
    let window = column..column + N * BLOCK;
    let y: &mut [[Y; BLOCK]; N] =
        y[window.clone()].as_chunks_mut().0.try_into().expect("a window should have N blocks");
    if !FRESH {
        each_block!(N, block => sums[block] = Y::widen::<ISA>(&y[block]));
    }
    let near = terms.ahead.len().min(terms.columns.len());
    let (ahead_columns, last_columns) = terms.columns.split_at(near);
    let (ahead_values, last_values) = terms.values.split_at(near);
    // Two loops: asking at each edge whether there is anything to fetch costs as much as the fetch.
    for ((&row, &value), &ahead) in ahead_columns.iter().zip(ahead_values).zip(terms.ahead) {
        prefetch(x, ahead as usize * dim + column, N * BLOCK);
        // SAFETY: row < x.len() / dim and column + 16 N <= dim.
        unsafe { add_row::<X, ISA, N>(value, x, row as usize * dim + column, &mut sums) };
    }
    for (&row, &value) in last_columns.iter().zip(last_values) {
        // SAFETY: as above.
        unsafe { add_row::<X, ISA, N>(value, x, row as usize * dim + column, &mut sums) };
    }
    if let Some(addend) = addend {
        let addend: &[[f32; BLOCK]; N] =
            addend[window].as_chunks().0.try_into().expect("a window should have N blocks");
        each_block!(N, block => sums[block].iter_mut().zip(&addend[block]).for_each(|(sum, add)| *sum += add));
    }
    each_block!(N, block => Y::narrow::<ISA>(&sums[block], &mut y[block]));
}

/// Adds 16 N numbers from `start` on, times `value`.
///
/// # Safety
/// They lie inside `x`.
#[inline(always)]
unsafe fn add_row<X: Stored, const ISA: u8, const N: usize>(
    value: f32,
    x: &[X],
    start: usize,
    sums: &mut [[f32; BLOCK]; N],
) {
    debug_assert!(start + N * BLOCK <= x.len());
    // SAFETY: the caller vouches for the range; an array needs no more than its element's
    // alignment.
    let source = unsafe { &*x.as_ptr().add(start).cast::<[[X; BLOCK]; N]>() };
    each_block!(N, block => add_block::<X, ISA>(value, &source[block], &mut sums[block]));
}

/// The last, fewer than 16, columns of [`add_terms`].
///
/// # Safety
/// As for [`add_window`], with `dim - column < 16`.
#[inline(always)]
unsafe fn add_rest<X: Stored, Y: Stored, const ISA: u8, const FRESH: bool>(
    terms: Terms<'_>,
    dim: usize,
    column: usize,
    x: &[X],
    addend: Option<&[f32]>,
    y: &mut [Y],
) {
    let mut sums = [0.0f32; BLOCK];
    let y = &mut y[column..dim];
    let width = y.len();
    if !FRESH {
        for (sum, y) in sums.iter_mut().zip(&*y) {
            *sum = y.to_f32();
        }
    }
    for (edge, (&row, &value)) in terms.columns.iter().zip(terms.values).enumerate() {
        if let Some(&ahead) = terms.ahead.get(edge) {
            prefetch(x, ahead as usize * dim + column, width);
        }
        let start = row as usize * dim + column;
        debug_assert!(start + width <= x.len());
        if start + BLOCK <= x.len() {
            // SAFETY: just checked. The lanes past `width` read the next row and are never stored.
            let source = unsafe { &*x.as_ptr().add(start).cast::<[X; BLOCK]>() };
            add_block::<X, ISA>(value, source, &mut sums);
        } else {
            let mut source = [X::default(); BLOCK];
            source[..width].copy_from_slice(&x[start..start + width]);
            add_block::<X, ISA>(value, &source, &mut sums);
        }
    }
    if let Some(addend) = addend {
        for (sum, add) in sums.iter_mut().zip(&addend[column..dim]) {
            *sum += add;
        }
    }
    for (y, &sum) in y.iter_mut().zip(&sums) {
        *y = Y::from_f32(sum);
    }
}

#[inline(always)]
fn add_block<X: Stored, const ISA: u8>(value: f32, source: &[X; BLOCK], sums: &mut [f32; BLOCK]) {
    let source = X::widen::<ISA>(source);
    for k in 0..BLOCK {
        // Two branches of a constant: a const argument cannot be computed from another.
        sums[k] = if const { fused(ISA) } {
            mul_add::<true>(value, source[k], sums[k])
        } else {
            mul_add::<false>(value, source[k], sums[k])
        };
    }
}
