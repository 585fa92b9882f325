//! Losses of a target against drawn rows of a table:
//! `loss_i = f(h_i . e_t + b_t, h_i . e_j + b_j for the drawn j)`, `t` being position `i`'s target.
//!
//! Drawn rows are shared by all positions, or each position has one of its own; one that is the
//! position's target does not count. The forward pass keeps how each loss changes with each of its
//! scores; beside that both passes are products of matrices. The functions `f` are in
//! `drawn_loss/kinds.rs`.

use std::sync::Arc;

use burn_tensor::Tensor;
use rayon::prelude::*;

use super::gather::Gather;
use super::op::{Matrix, Op, OpBackend, Output, ROWS_PER_TASK, apply};
use super::row_dots::dot;
use crate::tile::{Left, Panels, ROW_BLOCK, Store, product};

#[cfg(feature = "gpu")]
mod gpu;
mod kinds;
#[cfg(test)]
mod tests;

pub use kinds::DrawnKind;
use kinds::{Position, loss_and_slopes};

/// The rows of a table that positions are held against.
#[derive(Debug, Clone, Default)]
pub struct Drawn {
    /// The row of each position's target.
    pub targets: Vec<u32>,
    /// The drawn rows: for all positions, or one for each.
    pub rows: Vec<u32>,
    /// True where each position has a drawn row of its own.
    pub one_each: bool,
    /// The logarithm of what a drawn row stands for at each position, for softmax losses.
    pub of_positions: Vec<f32>,
    /// The same for each drawn row: both are added to its score.
    pub of_rows: Vec<f32>,
}

impl Drawn {
    /// How many drawn rows a position is held against.
    fn against(&self) -> usize {
        if self.one_each { 1 } else { self.rows.len() }
    }

    /// Those of the position `at`.
    fn of(&self, at: usize) -> &[u32] {
        if self.one_each { &self.rows[at..=at] } else { &self.rows }
    }

    /// Reads the rows of targets, then drawn ones.
    fn read(&self) -> Gather {
        Gather::of(self.targets.iter().chain(&self.rows).copied().collect())
    }
}

#[derive(Debug, Clone)]
struct DrawnLoss {
    kind: DrawnKind,
    drawn: Arc<Drawn>,
}

/// How each loss changes with its scores.
#[derive(Debug, Clone)]
struct Slopes {
    /// With those of the drawn rows, `[n, against]`.
    drawn: Vec<f32>,
    /// With that of its target, `[n]`.
    target: Vec<f32>,
}

/// `to += factor * from`.
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

impl DrawnLoss {
    /// Fills the scores of some positions, `[hidden.len() / dim, against]`.
    fn score(&self, first: usize, hidden: &[f32], rows: Matrix<'_>, panels: &Panels, scores: &mut [f32]) {
        let (dim, against) = (rows.columns, self.drawn.against());
        if self.drawn.one_each {
            let own = rows.values[first * dim..].chunks_exact(dim);
            for (score, (h, row)) in scores.iter_mut().zip(hidden.chunks_exact(dim).zip(own)) {
                *score += dot(h, row);
            }
        } else {
            let left = Left::rows(hidden, hidden.len() / dim, dim);
            product(left, panels.all(), ROW_BLOCK, Store::Add, scores, against);
        }
    }

    fn forward(&self, hidden: Matrix<'_>, table: Matrix<'_>, bias: Option<&[f32]>) -> Output<Slopes> {
        let drawn = &*self.drawn;
        let (n, dim, against) = (hidden.rows, hidden.columns, drawn.against());
        let bias = |row: u32| bias.map_or(0.0, |bias| bias[row as usize]);
        let rows = Gather::of(drawn.rows.clone()).forward([table]).values;
        let rows = Matrix { values: &rows, rows: drawn.rows.len(), columns: dim };
        let mut panels = Panels::default();
        if !drawn.one_each {
            panels.pack_columns(rows.values, dim, rows.rows);
        }
        let (mut values, mut slopes) = (vec![0.0; n], Slopes { drawn: vec![0.0; n * against], target: vec![0.0; n] });
        let of_drawn = slopes.drawn.par_chunks_mut(ROWS_PER_TASK * against);
        let of_targets = slopes.target.par_chunks_mut(ROWS_PER_TASK);
        let tasks = values.par_chunks_mut(ROWS_PER_TASK).zip(of_drawn.zip(of_targets)).enumerate();
        tasks.for_each_init(Vec::new, |scratch, (task, (values, (of_drawn, of_targets)))| {
            let first = task * ROWS_PER_TASK;
            let hidden = &hidden.values[first * dim..][..values.len() * dim];
            for (at, scores) in (first..).zip(of_drawn.chunks_exact_mut(against)) {
                scores.iter_mut().zip(drawn.of(at)).for_each(|(score, &row)| *score = bias(row));
            }
            self.score(first, hidden, rows, &panels, of_drawn);
            let positions = hidden.chunks_exact(dim).zip(of_drawn.chunks_exact_mut(against));
            for (place, (h, of_drawn)) in positions.enumerate() {
                let (at, target) = (first + place, drawn.targets[first + place]);
                let position = Position {
                    score: dot(h, &table.values[target as usize * dim..][..dim]) + bias(target),
                    target,
                    rows: drawn.of(at),
                    of_position: drawn.of_positions.get(at).copied().unwrap_or(0.0),
                    of_rows: &drawn.of_rows,
                };
                (values[place], of_targets[place]) = loss_and_slopes(self.kind, position, of_drawn, scratch);
            }
        });
        Output { values, columns: 1, saved: slopes }
    }

    /// The gradients of `hidden`, of the table, and of the score of each row that was read.
    fn backward(
        &self,
        hidden: Matrix<'_>,
        table: Matrix<'_>,
        slopes: &Slopes,
        weights: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let drawn = &*self.drawn;
        let (n, dim, against, read) = (hidden.rows, hidden.columns, drawn.against(), drawn.read());
        let rows = read.forward([table]).values;
        let (targets, rows) = rows.split_at(n * dim);
        let mut panels = Panels::default();
        if !drawn.one_each {
            panels.pack_rows(rows, against, dim);
        }
        let mut d_hidden = vec![0.0; n * dim];
        // What each position gives to its target and to a row of its own; what each chunk of
        // positions gives to the drawn rows that all share, and to their scores behind them.
        let mut d_rows = vec![0.0; read.len() * dim];
        let mut d_scores: Vec<f32> = slopes.target.iter().zip(weights).map(|(slope, weight)| slope * weight).collect();
        let (d_targets, d_drawn) = d_rows.split_at_mut(n * dim);
        let chunk = ROWS_PER_TASK * dim;
        let tasks = d_hidden.par_chunks_mut(chunk).zip(d_targets.par_chunks_mut(chunk)).enumerate();
        let parts: Vec<Vec<f32>> = tasks
            .map_init(Panels::default, |right, (task, (d_hidden, d_targets))| {
                let (first, n) = (task * ROWS_PER_TASK, d_hidden.len() / dim);
                let hidden = &hidden.values[first * dim..][..n * dim];
                let mut scaled = slopes.drawn[first * against..][..n * against].to_vec();
                for (slopes, weight) in scaled.chunks_exact_mut(against).zip(&weights[first..]) {
                    slopes.iter_mut().for_each(|slope| *slope *= weight);
                }
                for (place, (d, h)) in d_targets.chunks_exact_mut(dim).zip(hidden.chunks_exact(dim)).enumerate() {
                    add_scaled(d, d_scores[first + place], h);
                }
                let mut part = Vec::new();
                if drawn.one_each {
                    for (place, d) in d_hidden.chunks_exact_mut(dim).enumerate() {
                        add_scaled(d, scaled[place], &rows[(first + place) * dim..][..dim]);
                    }
                    part = scaled;
                } else {
                    let left = Left::rows(&scaled, n, against);
                    product(left, panels.all(), ROW_BLOCK, Store::Overwrite, d_hidden, dim);
                    right.pack_rows(hidden, n, dim);
                    part.resize(against * (dim + 1), 0.0);
                    let (d_rows, d_scores) = part.split_at_mut(against * dim);
                    let left = Left::transposed(&scaled, against, against);
                    product(left, right.part(0, n), ROW_BLOCK, Store::Overwrite, d_rows, dim);
                    for row in scaled.chunks_exact(against) {
                        d_scores.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
                    }
                }
                for (place, d) in d_hidden.chunks_exact_mut(dim).enumerate() {
                    add_scaled(d, d_scores[first + place], &targets[(first + place) * dim..][..dim]);
                }
                part
            })
            .collect();
        if drawn.one_each {
            d_scores.extend(parts.into_iter().flatten());
            let own = d_drawn.chunks_exact_mut(dim).zip(hidden.values.chunks_exact(dim));
            own.zip(&d_scores[n..]).for_each(|((d, h), &slope)| add_scaled(d, slope, h));
        } else {
            d_scores.resize(n + against, 0.0);
            for part in parts {
                let to = d_drawn.iter_mut().chain(&mut d_scores[n..]);
                to.zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        let rows = Matrix { values: &d_rows, rows: read.len(), columns: dim };
        let [d_table] = read.backward([table], &(), rows);
        (d_hidden, d_table, d_scores)
    }
}

impl Op<2> for DrawnLoss {
    type Saved = Slopes;

    fn forward(&self, [hidden, table]: [Matrix<'_>; 2]) -> Output<Slopes> {
        DrawnLoss::forward(self, hidden, table, None)
    }

    fn backward(&self, [hidden, table]: [Matrix<'_>; 2], slopes: &Slopes, gradient: Matrix<'_>) -> [Vec<f32>; 2] {
        let (d_hidden, d_table, _) = DrawnLoss::backward(self, hidden, table, slopes, gradient.values);
        [d_hidden, d_table]
    }
}

impl Op<3> for DrawnLoss {
    type Saved = Slopes;

    fn forward(&self, [hidden, table, bias]: [Matrix<'_>; 3]) -> Output<Slopes> {
        DrawnLoss::forward(self, hidden, table, Some(bias.values))
    }

    fn backward(&self, [hidden, table, bias]: [Matrix<'_>; 3], slopes: &Slopes, gradient: Matrix<'_>) -> [Vec<f32>; 3] {
        let (d_hidden, d_table, d_scores) = DrawnLoss::backward(self, hidden, table, slopes, gradient.values);
        // As a table of one column.
        let column = |values, rows| Matrix { values, rows, columns: 1 };
        let scores = column(&d_scores, d_scores.len());
        let [d_bias] = self.drawn.read().backward([column(bias.values, bias.columns)], &(), scores);
        [d_hidden, d_table, d_bias]
    }
}

/// The loss of each position.
///
/// # Shapes
/// - `hidden`: `[n, dim]`; `table`: `[n_rows, dim]`; `bias`: `[1, n_rows]`; returns `[n, 1]`
pub fn drawn_loss<B: OpBackend>(
    kind: DrawnKind,
    hidden: Tensor<B, 2>,
    table: Tensor<B, 2>,
    bias: Option<Tensor<B, 2>>,
    drawn: Drawn,
) -> Tensor<B, 2> {
    let ([n, dim], [n_rows, width]) = (hidden.dims(), table.dims());
    assert!(dim == width && drawn.targets.len() == n, "drawn_loss: shapes differ");
    assert!(
        !drawn.rows.is_empty() && (!drawn.one_each || drawn.rows.len() == n),
        "drawn_loss: there should be a drawn row, or one for each position"
    );
    assert!(
        [(&drawn.of_positions, n), (&drawn.of_rows, drawn.rows.len())]
            .iter()
            .all(|(of, n)| of.is_empty() || of.len() == *n),
        "drawn_loss: what drawn rows stand for should be said of all positions and rows, or of none"
    );
    let mut read = drawn.targets.iter().chain(&drawn.rows);
    assert!(read.all(|&row| (row as usize) < n_rows), "drawn_loss: a target should be a row, and a drawn one too");
    let op = DrawnLoss { kind, drawn: Arc::new(drawn) };
    match bias {
        Some(bias) => {
            assert_eq!(bias.dims(), [1, n_rows], "drawn_loss: shapes differ");
            apply(&op, [hidden, table, bias])
        }
        None => apply(&op, [hidden, table]),
    }
}
