//! Dense products in blocks whose summation order is part of the contract.
//!
//! Every output number is a sum of depth blocks, added in order, and a block is one chain of
//! multiply-adds from its first to its last term. Neither the instruction set's tile shape nor the
//! number of threads enters, so AVX-512 and AVX2 give the same bits. A library product picks its
//! blocks by the size of the caches it finds, which would tie the last bits to the machine.

use crate::simd::{self, Isa, mul_add};

/// Terms in a block of a sum over embedding columns.
pub(crate) const COLUMN_BLOCK: usize = 16;
/// Terms in a block of a sum over rows (of a tile, a chunk or a weight matrix).
pub(crate) const ROW_BLOCK: usize = 256;

/// One cache line of numbers, so that no vector load straddles two.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

const ZERO: Line = Line([0.0; 16]);
const LINES: usize = 2;
const PANEL: usize = 16 * LINES;

/// The right factor of a product, `[depth, width]`, cut into panels of 32 columns and padded with
/// zeros.
#[derive(Debug, Clone, Default)]
pub(crate) struct Panels {
    lines: Vec<Line>,
    depth: usize,
    width: usize,
}

impl Panels {
    fn reshape(&mut self, depth: usize, width: usize) {
        (self.depth, self.width) = (depth, width);
        let needed = width.div_ceil(PANEL) * depth * LINES;
        if self.lines.len() < needed {
            self.lines.resize(needed, ZERO);
        }
    }

    /// Packs a row-major `[depth, width]` matrix.
    pub(crate) fn pack_rows(&mut self, values: &[f32], depth: usize, width: usize) {
        assert_eq!(values.len(), depth * width, "a packed matrix should have depth * width values");
        self.reshape(depth, width);
        for panel in 0..width.div_ceil(PANEL) {
            let columns = (panel * PANEL)..width.min((panel + 1) * PANEL);
            for row in 0..depth {
                let from = &values[row * width + columns.start..row * width + columns.end];
                let at = (panel * depth + row) * LINES;
                fill(&mut self.lines[at..at + LINES], from);
            }
        }
    }

    /// Packs the transpose of a row-major `[width, depth]` matrix.
    pub(crate) fn pack_columns(&mut self, values: &[f32], depth: usize, width: usize) {
        assert_eq!(values.len(), depth * width, "a packed matrix should have depth * width values");
        self.reshape(depth, width);
        for group in 0..width.div_ceil(PANEL) * LINES {
            let (panel, line, first) = (group / LINES, group % LINES, group * 16);
            let held = width.saturating_sub(first).min(16);
            let columns: [&[f32]; 16] = std::array::from_fn(|lane| {
                if lane < held { &values[(first + lane) * depth..(first + lane + 1) * depth] } else { &[] }
            });
            let lines = &mut self.lines[panel * depth * LINES..(panel + 1) * depth * LINES];
            for (row, pair) in lines.as_chunks_mut::<LINES>().0.iter_mut().enumerate() {
                for (value, column) in pair[line].0.iter_mut().zip(&columns[..held]) {
                    *value = column[row];
                }
                pair[line].0[held..].fill(0.0);
            }
        }
    }
}

impl Panels {
    /// The whole factor.
    pub(crate) fn all(&self) -> Right<'_> {
        self.part(0, self.depth)
    }

    /// Its rows `from..from + depth`.
    pub(crate) fn part(&self, from: usize, depth: usize) -> Right<'_> {
        Right { panels: self, from, depth }
    }
}

fn fill(lines: &mut [Line], from: &[f32]) {
    for (line, part) in lines.iter_mut().zip((0..LINES).map(|line| from.get(line * 16..).unwrap_or(&[]))) {
        let held = part.len().min(16);
        line.0[..held].copy_from_slice(&part[..held]);
        line.0[held..].fill(0.0);
    }
}

/// The left factor: element `(row, depth)` is `values[row * row_stride + depth * depth_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) row_stride: usize,
    pub(crate) depth_stride: usize,
}

impl<'a> Left<'a> {
    /// A row-major `[rows, depth]` matrix.
    pub(crate) fn rows(values: &'a [f32], rows: usize, depth: usize) -> Self {
        Left { values, rows, row_stride: depth, depth_stride: 1 }
    }

    /// The transpose of a matrix whose rows are `stride` apart, its first `rows` columns.
    pub(crate) fn transposed(values: &'a [f32], rows: usize, stride: usize) -> Self {
        Left { values, rows, row_stride: 1, depth_stride: stride }
    }
}

/// Some rows of a right factor.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    panels: &'a Panels,
    from: usize,
    depth: usize,
}

/// What happens to the output's old contents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Overwrite,
    Add,
}

/// `out = left . right` or `out += left . right`, in blocks of `block` terms.
///
/// `out` has `left.rows` rows, `out_stride` apart, of which the first `right.width` columns are
/// written.
pub(crate) fn product(
    left: Left<'_>,
    right: Right<'_>,
    block: usize,
    store: Store,
    out: &mut [f32],
    out_stride: usize,
) {
    product_on(simd::isa(), left, right, block, store, out, out_stride);
}

/// [`product`] with the given instruction set, which must be the one that [`simd::isa`] answers or
/// a lesser one.
fn product_on(
    isa: Isa,
    left: Left<'_>,
    right: Right<'_>,
    block: usize,
    store: Store,
    out: &mut [f32],
    out_stride: usize,
) {
    let Right { panels: right, from, depth } = right;
    if left.rows == 0 || right.width == 0 {
        return;
    }
    assert!(from + depth <= right.depth, "a product's depth should lie inside its right factor");
    assert!(out_stride >= right.width && out.len() >= (left.rows - 1) * out_stride + right.width);
    if depth == 0 {
        if store == Store::Overwrite {
            out.chunks_mut(out_stride).take(left.rows).for_each(|row| row[..right.width].fill(0.0));
        }
        return;
    }
    let last = (left.rows - 1) * left.row_stride + (depth - 1) * left.depth_stride;
    assert!(last < left.values.len(), "a product's left factor should hold its last element");
    let width = right.width;
    let (columns, rows_at_once) = match isa {
        Isa::Avx512 => (32, 8),
        Isa::Avx2 | Isa::Portable => (16, 4),
    };
    for column in (0..width).step_by(columns) {
        let (panel, line) = (column / PANEL, column % PANEL / 16);
        let at = (panel * right.depth + from) * LINES;
        let lines = &right.lines[at..at + depth * LINES];
        let used = columns.min(width - column);
        let mut row = 0;
        while row < left.rows {
            let rows = match left.rows - row {
                remaining if remaining >= rows_at_once => rows_at_once,
                remaining => 1 << remaining.ilog2(),
            };
            let values = &left.values[row * left.row_stride..];
            let to = &mut out[row * out_stride + column..];
            let mut sums = [[ZERO; LINES]; 8];
            let lane = line * 16;
            if store == Store::Add {
                for (row, sums) in sums[..rows].iter_mut().enumerate() {
                    copy(&to[row * out_stride..row * out_stride + used], &mut flat_mut(sums)[lane..lane + used]);
                }
            }
            Tile { left: Left { values, rows, ..left }, lines, line, block }.run(isa, &mut sums);
            for (row, sums) in sums[..rows].iter_mut().enumerate() {
                copy(&flat_mut(sums)[lane..lane + used], &mut to[row * out_stride..row * out_stride + used]);
            }
            row += rows;
        }
    }
}

fn flat_mut(lines: &mut [Line; LINES]) -> &mut [f32] {
    // SAFETY: two lines are `repr(C)` over 16 numbers each without padding: 32 numbers in a row.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<f32>(), PANEL) }
}

/// `to = from`, with the usual length spelt out so that it becomes a few vector moves.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match (<&[f32; PANEL]>::try_from(from), <&mut [f32; PANEL]>::try_from(&mut *to)) {
        (Ok(from), Ok(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}

/// One output tile: `left.rows` rows (1, 2, 4 or 8) by 32 columns, or by the 16 of one line.
struct Tile<'a> {
    left: Left<'a>,
    lines: &'a [Line],
    line: usize,
    block: usize,
}

impl Tile<'_> {
    /// Adds the products to `sums`. `isa` must be one that [`simd::isa`] answers, or a lesser one.
    fn run(&self, isa: Isa, sums: &mut [[Line; LINES]; 8]) {
        let terms = self.lines.len() / LINES;
        let last = (self.left.rows - 1) * self.left.row_stride + (terms - 1) * self.left.depth_stride;
        assert!(last < self.left.values.len(), "a tile's left factor should hold its last element");
        match isa {
            // SAFETY: the processor has AVX-512 F, and `values` holds the largest index that the
            // tile reads.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe {
                match self.left.rows {
                    8 => self.avx512::<8>(sums),
                    4 => self.avx512::<4>(sums),
                    2 => self.avx512::<2>(sums),
                    _ => self.avx512::<1>(sums),
                }
            },
            // SAFETY: the processor has AVX2 and FMA, and `values` holds the largest index that the
            // tile reads.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe {
                match self.left.rows {
                    4 => self.avx2::<4>(sums),
                    2 => self.avx2::<2>(sums),
                    _ => self.avx2::<1>(sums),
                }
            },
            _ => self.portable(sums),
        }
    }

    /// The blocks of lines, each with the place of its first term.
    fn blocks(&self) -> impl Iterator<Item = (usize, &[[Line; LINES]])> {
        self.lines.as_chunks::<LINES>().0.chunks(self.block).enumerate().map(|(at, pairs)| (at * self.block, pairs))
    }

    /// # Safety
    /// The processor must have AVX-512 F, and `left.values` the element of the tile's last row and
    /// last term.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const ROWS: usize>(&self, sums: &mut [[Line; LINES]; 8]) {
        use std::arch::x86_64::{
            _mm512_add_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_ps,
        };
        let (row_stride, depth_stride) = (self.left.row_stride, self.left.depth_stride);
        for (start, pairs) in self.blocks() {
            let mut block = [[_mm512_setzero_ps(); LINES]; ROWS];
            for (term, pair) in (start..).zip(pairs) {
                // SAFETY: a line is 16 numbers, aligned to their size.
                let b = unsafe { [_mm512_load_ps(pair[0].0.as_ptr()), _mm512_load_ps(pair[1].0.as_ptr())] };
                for (row, sum) in block.iter_mut().enumerate() {
                    // SAFETY: at most the index that the caller vouches for.
                    let a = _mm512_set1_ps(unsafe {
                        *self.left.values.get_unchecked(row * row_stride + term * depth_stride)
                    });
                    sum[0] = _mm512_fmadd_ps(a, b[0], sum[0]);
                    sum[1] = _mm512_fmadd_ps(a, b[1], sum[1]);
                }
            }
            for (lines, block) in sums.iter_mut().zip(block) {
                for (line, sum) in lines.iter_mut().zip(block) {
                    // SAFETY: a line is 16 numbers, aligned to their size.
                    unsafe {
                        _mm512_store_ps(line.0.as_mut_ptr(), _mm512_add_ps(_mm512_load_ps(line.0.as_ptr()), sum))
                    };
                }
            }
        }
    }

    /// # Safety
    /// The processor must have AVX2 and FMA, and `left.values` the element of the tile's last row
    /// and last term.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const ROWS: usize>(&self, sums: &mut [[Line; LINES]; 8]) {
        use std::arch::x86_64::{
            _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_load_ps, _mm256_setzero_ps, _mm256_store_ps,
        };
        let (row_stride, depth_stride) = (self.left.row_stride, self.left.depth_stride);
        for (start, pairs) in self.blocks() {
            let mut block = [[_mm256_setzero_ps(); 2]; ROWS];
            for (term, pair) in (start..).zip(pairs) {
                let (low, high) = pair[self.line].0.split_at(8);
                // SAFETY: a line is two times 8 numbers, aligned to 64 bytes.
                let b = unsafe { [_mm256_load_ps(low.as_ptr()), _mm256_load_ps(high.as_ptr())] };
                for (row, sum) in block.iter_mut().enumerate() {
                    // SAFETY: at most the index that the caller vouches for.
                    let a = _mm256_broadcast_ss(unsafe {
                        self.left.values.get_unchecked(row * row_stride + term * depth_stride)
                    });
                    sum[0] = _mm256_fmadd_ps(a, b[0], sum[0]);
                    sum[1] = _mm256_fmadd_ps(a, b[1], sum[1]);
                }
            }
            for (lines, block) in sums.iter_mut().zip(block) {
                for (half, sum) in lines[self.line].0.as_chunks_mut::<8>().0.iter_mut().zip(block) {
                    // SAFETY: half a line is 8 numbers, aligned to their size.
                    unsafe { _mm256_store_ps(half.as_mut_ptr(), _mm256_add_ps(_mm256_load_ps(half.as_ptr()), sum)) };
                }
            }
        }
    }

    fn portable(&self, sums: &mut [[Line; LINES]; 8]) {
        for (start, pairs) in self.blocks() {
            for (row, lines) in sums[..self.left.rows].iter_mut().enumerate() {
                let mut block = ZERO;
                for (term, pair) in (start..).zip(pairs) {
                    let a = self.left.values[row * self.left.row_stride + term * self.left.depth_stride];
                    for (sum, b) in block.0.iter_mut().zip(&pair[self.line].0) {
                        *sum = mul_add::<{ cfg!(target_arch = "aarch64") }>(a, *b, *sum);
                    }
                }
                lines[self.line].0.iter_mut().zip(block.0).for_each(|(sum, block)| *sum += block);
            }
        }
    }
}

#[cfg(test)]
mod tests;
