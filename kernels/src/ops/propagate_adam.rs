//! The last step backwards and Adam in one pass: a row of the gradient moves its parameters while
//! it is still in the first cache. The two ops one after the other are its definition, and what a
//! GPU does.

use std::cell::RefCell;
use std::ops::Range;

use super::adam::{AdamConfig, Factors, adam_body};
use super::adjacency::Adjacency;
use super::half_table::Table;
use super::propagate::cpu::{Addend, Edges, PLACES_AHEAD};
use super::row_set::RowSet;
#[cfg(feature = "gpu")]
use super::{adam::adam_step, half_table::propagate_table, propagate::propagate_add};
use crate::dispatch;
use crate::error::{Result, expect_dim, expect_len};
use crate::parallel::{SharedRows, for_each_block};
use crate::row_sum::{add_terms, by_width, prefetch_distance, width};
use crate::simd::fused;
use crate::stored::Stored;
use crate::{Buffer, Device};

/// What Adam moves, and its moments: `[n_rows, dim]` each.
#[derive(Debug)]
pub struct Moving<'a> {
    /// The mean of gradients.
    pub m: &'a mut Buffer<f32>,
    /// The mean of squared gradients.
    pub v: &'a mut Buffer<f32>,
    /// What moves.
    pub parameters: &'a mut Buffer<f32>,
    /// Scratch of a GPU, where the gradient is written.
    pub gradient: &'a mut Buffer<f32>,
}

/// One step of Adam along `g = A x + scatter(rows, addend)`, which a processor never writes: the
/// same bits as [`propagate_add`](super::propagate::propagate_add) and
/// [`adam_step`](super::adam::adam_step) one after the other.
///
/// # Shapes
/// - `x`: `[n_cols, dim]`; `rows`: S out of `n_rows`; `addend`: `[S, dim]`; `moving`:
///   `[n_rows, dim]` each; `step`: t, counted from 1
///
/// # Errors
/// [`KernelError::Shape`](crate::KernelError::Shape) when a size does not fit,
/// [`KernelError::Argument`](crate::KernelError::Argument) for what `adam_step` refuses.
///
/// # Source
/// He et al., *LightGCN*, SIGIR 2020, eq. 7, transposed; Kingma and Ba, *Adam*, ICLR 2015,
/// algorithm 1.
pub fn propagate_adam(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Buffer<f32>,
    (rows, addend): (&RowSet, &Buffer<f32>),
    (config, step): (&AdamConfig, u64),
    moving: Moving<'_>,
) -> Result<()> {
    check(a, dim, x.len(), (rows, addend), &moving)?;
    let factors = Factors::new(config, step)?;
    match device {
        Device::Cpu => move_rows(a, dim, x.host(), Addend::of(rows, addend), factors, moving),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {
            let Moving { m, v, parameters, gradient } = moving;
            propagate_add(device, a, dim, x, rows, addend, gradient)?;
            adam_step(device, config, step, gradient, m, v, parameters)?;
        }
    }
    Ok(())
}

/// [`propagate_adam`] from a table in any format.
///
/// # Errors
/// As there.
pub fn propagate_adam_table(
    device: &Device,
    a: &Adjacency,
    dim: usize,
    x: &Table,
    (rows, addend): (&RowSet, &Buffer<f32>),
    (config, step): (&AdamConfig, u64),
    moving: Moving<'_>,
) -> Result<()> {
    check(a, dim, x.len(), (rows, addend), &moving)?;
    let factors = Factors::new(config, step)?;
    match device {
        Device::Cpu => {
            let addend = Addend::of(rows, addend);
            match x {
                Table::F32(x) => move_rows(a, dim, x.host(), addend, factors, moving),
                Table::F16(x) => move_rows(a, dim, x.host(), addend, factors, moving),
                Table::Bf16(x) => move_rows(a, dim, x.host(), addend, factors, moving),
            }
        }
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => {
            let Moving { m, v, parameters, gradient } = moving;
            let mut table = Table::F32(std::mem::take(gradient));
            propagate_table(device, a, dim, x, Some((rows, addend)), &mut table)?;
            let Table::F32(written) = table else { unreachable!("a table never changes its format") };
            *gradient = written;
            adam_step(device, config, step, gradient, m, v, parameters)?;
        }
    }
    Ok(())
}

fn check(
    a: &Adjacency,
    dim: usize,
    x_len: usize,
    (rows, addend): (&RowSet, &Buffer<f32>),
    moving: &Moving<'_>,
) -> Result<()> {
    const OP: &str = "propagate_adam";
    expect_dim(OP, dim)?;
    expect_len(OP, "x", x_len, a.n_cols() * dim)?;
    expect_len(OP, "rows.slot_of", rows.n_rows(), a.n_rows())?;
    expect_len(OP, "addend", addend.len(), rows.len() * dim)?;
    for (name, buffer) in [("m", &moving.m), ("v", &moving.v), ("parameters", &moving.parameters)] {
        expect_len(OP, name, buffer.len(), a.n_rows() * dim)?;
    }
    Ok(())
}

fn move_rows<X: Stored>(a: &Adjacency, dim: usize, x: &[X], addend: Addend<'_>, factors: Factors, moving: Moving<'_>) {
    thread_local! {
        /// A row of the gradient, kept from call to call, so that a training step does not
        /// allocate.
        static GRADIENT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let edges = Edges::of(a);
    let Moving { m, v, parameters, .. } = moving;
    let tables = [m, v, parameters].map(|buffer| SharedRows::of(buffer.host_mut(), dim));
    let step = Step { factors, tables };
    for_each_block(&a.schedule.blocks, &|block| {
        GRADIENT.with_borrow_mut(|gradient| {
            gradient.resize(dim, 0.0);
            move_block(edges, addend, dim, x, block, step, gradient);
        });
    });
}

/// Adam's step of a row: its factors; `m`, `v` and parameters.
#[derive(Clone, Copy)]
struct Step<'a> {
    factors: Factors,
    tables: [SharedRows<'a, f32>; 3],
}

dispatch! {
    fn move_block<X: Stored>(
        edges: Edges<'_>,
        addend: Addend<'_>,
        dim: usize,
        x: &[X],
        block: Range<usize>,
        step: Step<'_>,
        gradient: &mut [f32],
    ) = isa move_block_body
}

#[inline(always)]
fn move_block_body<X: Stored, const ISA: u8>(
    edges: Edges<'_>,
    addend: Addend<'_>,
    dim: usize,
    x: &[X],
    block: Range<usize>,
    step: Step<'_>,
    gradient: &mut [f32],
) {
    by_width!(ISA, dim, move_block_width(edges, addend, dim, x, block, step, gradient));
}

#[inline(always)]
fn move_block_width<X: Stored, const ISA: u8, const N: usize>(
    edges: Edges<'_>,
    addend: Addend<'_>,
    dim: usize,
    x: &[X],
    block: Range<usize>,
    step: Step<'_>,
    gradient: &mut [f32],
) {
    let (dim, distance) = (width::<N>(dim), prefetch_distance(x));
    let (tables, gradient) = (step.tables.map(|table| table.of_width(dim)), &mut gradient[..dim]);
    let rows = &edges.rows[block.clone()];
    for (at, (terms, &row)) in edges.terms(block, distance).zip(rows).enumerate() {
        if let Some(&later) = rows.get(at + PLACES_AHEAD) {
            tables.iter().for_each(|table| table.prefetch(later));
        }
        // SAFETY: the gradient is one row, `by_width` matches N to dim, and columns are below
        // n_cols = x.len() / dim, checked by the callers.
        unsafe {
            add_terms::<X, f32, ISA, N, true>(terms, dim, x, addend.row(row, dim), gradient);
        }
        // SAFETY: the schedule has every row once, and its blocks do not meet.
        let [m, v, parameters] = tables.map(|table| unsafe { table.row(row) });
        // Two branches of a constant: a const argument cannot be computed from another.
        if const { fused(ISA) } {
            adam_body::<true>(step.factors, gradient, m, v, parameters);
        } else {
            adam_body::<false>(step.factors, gradient, m, v, parameters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::adam::adam_step;
    use crate::ops::half_table::{Precision, propagate_table, round_into_table};
    use crate::simd::tests::on_both_widths;
    use crate::testing::{DIMS, awkward_square, bits, numbers, same_bits_of};

    const CPU: Device = Device::Cpu;
    const NODES: usize = 331;

    /// Two steps of either way, from the same start: m, v and parameters after them.
    #[test]
    fn one_pass_has_the_bits_of_the_two_ops() {
        let (row_ptr, col_idx, values) = awkward_square(NODES);
        let backwards: Vec<u32> = (0..NODES as u32).rev().collect();
        let a = Adjacency::upload_in_order(&CPU, NODES, &row_ptr, &col_idx, &values, &backwards).unwrap();
        let mut rows = RowSet::new(&CPU, NODES);
        rows.assign(&CPU, &(0..NODES as u32).filter(|row| row % 3 != 1).collect::<Vec<_>>()).unwrap();
        let config = AdamConfig::default();
        for dim in DIMS {
            let n = NODES * dim;
            let addend = CPU.upload(&numbers(1, rows.len() * dim));
            let start = || [CPU.upload(&numbers(3, n)), CPU.upload(&vec![0.5; n]), CPU.upload(&numbers(4, n))];
            for precision in [Precision::F32, Precision::F16, Precision::Bf16] {
                let mut x = Table::new(precision);
                round_into_table(&CPU, &CPU.upload(&numbers(2, n)), &mut x);
                let steps = |one_pass: bool| {
                    let [mut m, mut v, mut parameters] = start();
                    for step in 1..=2 {
                        if one_pass {
                            let (gradient, parameters) = (&mut Buffer::default(), &mut parameters);
                            let moving = Moving { m: &mut m, v: &mut v, parameters, gradient };
                            let (addend, step) = ((&rows, &addend), (&config, step));
                            propagate_adam_table(&CPU, &a, dim, &x, addend, step, moving).unwrap();
                        } else {
                            let mut gradient = Table::new(Precision::F32);
                            propagate_table(&CPU, &a, dim, &x, Some((&rows, &addend)), &mut gradient).unwrap();
                            let Table::F32(gradient) = gradient else { unreachable!("it was made with 32 bits") };
                            adam_step(&CPU, &config, step, &gradient, &mut m, &mut v, &mut parameters).unwrap();
                        }
                    }
                    [CPU.read(&m), CPU.read(&v), CPU.read(&parameters)].concat()
                };
                let expected = bits(&steps(false));
                assert_eq!(bits(&same_bits_of(|| steps(true))), expected, "{precision:?}, dim {dim}");
                let (wide, narrow) = on_both_widths(|| bits(&steps(true)));
                assert_eq!((&wide, &narrow), (&expected, &expected), "{precision:?}, dim {dim}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let a = Adjacency::upload(&CPU, 2, &[0, 1, 2], &[1, 0], &[1.0, 1.0]).unwrap();
        let (rows, addend) = (RowSet::new(&CPU, 2), CPU.zeros(0));
        let refused = |x: usize, v: usize, step| {
            let [mut m, mut v, mut parameters] = [4, v, 4].map(|n| CPU.zeros(n));
            let (gradient, parameters) = (&mut Buffer::default(), &mut parameters);
            let (x, moving) = (CPU.zeros(x), Moving { m: &mut m, v: &mut v, parameters, gradient });
            let config = AdamConfig::default();
            propagate_adam(&CPU, &a, 2, &x, (&rows, &addend), (&config, step), moving).unwrap_err().to_string()
        };
        assert_eq!(refused(3, 4, 1), "propagate_adam: x has 3 elements, expected 4");
        assert_eq!(refused(4, 5, 1), "propagate_adam: v has 5 elements, expected 4");
        assert_eq!(refused(4, 4, 0), "adam_step: step is 0, expected 1 for the first step");
    }
}
