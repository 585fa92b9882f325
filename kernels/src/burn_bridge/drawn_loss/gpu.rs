//! Losses against drawn rows on a GPU: scores by products in tiles, then 16 units per position.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its arrays and sizes one by one")]

use cubecl::prelude::*;

use super::{DrawnKind, DrawnLoss};
use crate::Buffer;
use crate::burn_bridge::gpu::{Made, Passes, Rows, empty, indices, sum_of_rows};
use crate::gpu::cubes::{LANES, ROWS, copy_kernel, cubes_for_rows, lane_dot, lane_max, lane_sum, sigmoid, softplus};
use crate::gpu::tile::{Lying, deep_product, product};
use crate::gpu::{Gpu, UNITS, cubes_for, launch};

const SOFTMAX: u8 = 0;
const PAIRWISE_MAX: u8 = 1;
const LOGISTIC: u8 = 2;
const PAIRWISE: u8 = 3;

/// Below every score that counts (one that is not a number counts): its exponential is 0.
const RULED_OUT: f32 = -1e30;

impl DrawnKind {
    /// What a kernel takes of it: which one, and its number.
    fn parts(self) -> (u8, f32) {
        match self {
            DrawnKind::Softmax => (SOFTMAX, 0.0),
            DrawnKind::PairwiseMax { penalty } => (PAIRWISE_MAX, penalty),
            DrawnKind::Logistic { weight } => (LOGISTIC, weight),
            DrawnKind::Pairwise => (PAIRWISE, 0.0),
        }
    }
}

/// What the backward pass needs: how each loss changes with its scores.
#[derive(Debug)]
pub struct Kept {
    /// With those of the drawn rows, `[n, against]`.
    drawn: Buffer<f32>,
    /// With that of its target, `[n]`.
    target: Buffer<f32>,
}

/// The losses, and how they change with the scores: `drawn` holds the products on entry.
#[cube(launch_unchecked)]
fn loss_kernel(
    hidden: &Array<f32>,
    read: &Array<f32>,
    biases: &Array<f32>,
    ids: &Array<u32>,
    of_positions: &Array<f32>,
    of_rows: &Array<f32>,
    losses: &mut Array<f32>,
    drawn: &mut Array<f32>,
    targets: &mut Array<f32>,
    n: u32,
    dim: u32,
    against: u32,
    number: f32,
    #[comptime] kind: u8,
    #[comptime] one_each: bool,
    #[comptime] biased: bool,
    #[comptime] stand: bool,
) {
    let mut shared = SharedMemory::<f32>::new(UNITS as usize);
    let (n, dim, against) = (n as usize, dim as usize, against as usize);
    let row = CUBE_POS * ROWS + UNIT_POS as usize / LANES;
    let lane = UNIT_POS as usize % LANES;
    let inside = row < n;
    let mut s_t = lane_dot(&mut shared, hidden, row * dim, read, row * dim, dim, inside);
    let mut own = f32::new(0.0);
    if comptime!(one_each) {
        own = lane_dot(&mut shared, hidden, row * dim, read, (n + row) * dim, dim, inside);
    }
    let mut id = 0u32;
    if inside {
        id = ids[row];
        if comptime!(biased) {
            s_t += biases[row];
        }
    }
    // The scores as they are, and the largest of those that enter a softmax.
    let mut most = f32::new(RULED_OUT);
    if comptime!(kind == SOFTMAX) {
        most = s_t;
    }
    let mut n_counted = f32::new(0.0);
    if inside {
        let mut j = lane;
        while j < against {
            let mut at = n + j;
            let mut score = drawn[row * against + j];
            if comptime!(one_each) {
                at = n + row;
                score = own;
            }
            if comptime!(biased) {
                score += biases[at];
            }
            if comptime!(kind == SOFTMAX && stand) {
                score += of_positions[row] + of_rows[j];
            }
            if ids[at] == id {
                score = f32::new(RULED_OUT);
            } else {
                n_counted += f32::new(1.0);
            }
            drawn[row * against + j] = score;
            most = f32::max(most, score);
            j += LANES;
        }
    }
    let mut loss = f32::new(0.0);
    let mut slope = f32::new(0.0);
    if comptime!(kind == SOFTMAX) {
        let most = lane_max(&mut shared, most);
        let mut others = f32::new(0.0);
        if inside {
            let mut j = lane;
            while j < against {
                others += f32::exp(drawn[row * against + j] - most);
                j += LANES;
            }
        }
        let others = lane_sum(&mut shared, others);
        let total = others + f32::exp(s_t - most);
        loss = f32::ln(total) + (most - s_t);
        slope = -others / total;
        if inside {
            let mut j = lane;
            while j < against {
                let at = row * against + j;
                drawn[at] = f32::exp(drawn[at] - most) / total;
                j += LANES;
            }
        }
    }
    if comptime!(kind == PAIRWISE_MAX) {
        let most = lane_max(&mut shared, most);
        let some = lane_sum(&mut shared, n_counted) > f32::new(0.0);
        let mut total = f32::new(0.0);
        let mut squares = f32::new(0.0);
        let mut most_won = f32::new(RULED_OUT);
        if inside && some {
            let mut j = lane;
            while j < against {
                let score = drawn[row * against + j];
                if score != f32::new(RULED_OUT) {
                    let share = f32::exp(score - most);
                    total += share;
                    squares += share * (score * score);
                    most_won = f32::max(most_won, score - most - softplus(score - s_t));
                }
                j += LANES;
            }
        }
        let total = lane_sum(&mut shared, total);
        let squares = lane_sum(&mut shared, squares) / total;
        let most_won = lane_max(&mut shared, most_won);
        let mut total_won = f32::new(0.0);
        if inside && some {
            let mut j = lane;
            while j < against {
                let score = drawn[row * against + j];
                if score != f32::new(RULED_OUT) {
                    total_won += f32::exp(score - most - softplus(score - s_t) - most_won);
                }
                j += LANES;
            }
        }
        let total_won = lane_sum(&mut shared, total_won);
        let mut of_target = f32::new(0.0);
        if inside {
            let mut j = lane;
            while j < against {
                let at = row * against + j;
                let score = drawn[at];
                let mut change = f32::new(0.0);
                if score != f32::new(RULED_OUT) {
                    let q = f32::exp(score - most) / total;
                    let r = f32::exp(score - most - softplus(score - s_t) - most_won) / total_won;
                    let lost = sigmoid(score - s_t);
                    let of_square = score * score - squares + f32::new(2.0) * score;
                    change = q - r * (f32::new(1.0) - lost) + number * q * of_square;
                    of_target += r * lost;
                }
                drawn[at] = change;
                j += LANES;
            }
        }
        slope = -lane_sum(&mut shared, of_target);
        if some {
            loss = f32::ln(total) - most_won - f32::ln(total_won) + number * squares;
        }
    }
    if comptime!(kind == LOGISTIC || kind == PAIRWISE) {
        let mut ahead = f32::new(0.0);
        if comptime!(kind == PAIRWISE) {
            ahead = s_t;
        }
        let mut lost = f32::new(0.0);
        let mut change = f32::new(0.0);
        if inside {
            let mut j = lane;
            while j < against {
                let at = row * against + j;
                let score = drawn[at];
                let mut of_score = f32::new(0.0);
                if score != f32::new(RULED_OUT) {
                    of_score = sigmoid(score - ahead);
                    lost += softplus(score - ahead);
                    change += of_score;
                }
                drawn[at] = of_score;
                j += LANES;
            }
        }
        loss = lane_sum(&mut shared, lost);
        slope = -lane_sum(&mut shared, change);
        if comptime!(kind == LOGISTIC) {
            loss += number * softplus(-s_t);
            slope = -number * sigmoid(-s_t);
        }
    }
    if inside && lane == 0 {
        losses[row] = loss;
        targets[row] = slope;
    }
}

/// The slopes times the weights of their losses: of targets to `d_scores`, of drawn rows to
/// `scaled`.
#[cube(launch_unchecked)]
fn scale_kernel(
    drawn: &Array<f32>,
    targets: &Array<f32>,
    weights: &Array<f32>,
    scaled: &mut Array<f32>,
    d_scores: &mut Array<f32>,
    against: u32,
) {
    let at = ABSOLUTE_POS;
    if at < scaled.len() {
        scaled[at] = drawn[at] * weights[at / against as usize];
    }
    if at < targets.len() {
        d_scores[at] = targets[at] * weights[at];
    }
}

/// Adds to `d_hidden` what comes of the rows that each position has for itself, of `sources` after
/// one another, and writes what it gives to them.
#[cube(launch_unchecked)]
fn own_rows_kernel(
    hidden: &Array<f32>,
    read: &Array<f32>,
    d_scores: &Array<f32>,
    d_hidden: &mut Array<f32>,
    d_read: &mut Array<f32>,
    dim: u32,
    sources: u32,
    #[comptime] fresh: bool,
) {
    let at = ABSOLUTE_POS;
    let len = d_hidden.len();
    if at < len {
        let n = len / dim as usize;
        let row = at / dim as usize;
        let mut sum = f32::new(0.0);
        if comptime!(!fresh) {
            sum = d_hidden[at];
        }
        for source in 0..sources as usize {
            let slope = d_scores[source * n + row];
            sum += slope * read[source * len + at];
            d_read[source * len + at] = slope * hidden[at];
        }
        d_hidden[at] = sum;
    }
}

impl DrawnLoss {
    fn value_on(&self, gpu: &Gpu, hidden: Rows<'_>, table: Rows<'_>, bias: Option<&Buffer<f32>>) -> Made<Kept> {
        let (drawn, (kind, number)) = (&*self.drawn, self.kind.parts());
        let (n, dim, against, read) = (hidden.rows, hidden.columns, drawn.against(), drawn.read());
        let rows = read.forward_on(gpu, [table]).values;
        let biases = bias.map(|values| read.forward_on(gpu, [Rows { values, rows: table.rows, columns: 1 }]).values);
        let ids = indices(gpu, read.index());
        let stand = !drawn.of_rows.is_empty();
        let upload = |values: &[f32]| Buffer::<f32>::from_gpu(gpu.upload(if stand { values } else { &[0.0] }));
        let (of_positions, of_rows) = (upload(&drawn.of_positions), upload(&drawn.of_rows));
        let (losses, target, mut scores) = (empty(gpu, n), empty(gpu, n), empty(gpu, n * against));
        if !drawn.one_each {
            let (left, right) = ((hidden.values, Lying::rows(0, dim)), (&rows, Lying::rows(n * dim, dim)));
            product(gpu, (n, against, dim), left, right, None, &mut scores);
        }
        // SAFETY: the kernel stays below the number of positions and of drawn rows of each; what was
        // read has a row, a number and an index for every target and every drawn row.
        unsafe {
            launch!(
                gpu,
                cubes_for_rows(n),
                loss_kernel,
                hidden.values.argument(),
                rows.argument(),
                biases.as_ref().unwrap_or(&rows).argument(),
                ids.argument(),
                of_positions.argument(),
                of_rows.argument(),
                losses.argument(),
                scores.argument(),
                target.argument(),
                n as u32,
                dim as u32,
                against as u32,
                number,
                kind,
                drawn.one_each,
                biases.is_some(),
                stand
            );
        }
        Made { values: losses, columns: 1, kept: Kept { drawn: scores, target } }
    }

    /// The gradients of `hidden`, of the table, and of the score of each row that was read.
    fn gradients_on(
        &self,
        gpu: &Gpu,
        hidden: Rows<'_>,
        table: Rows<'_>,
        kept: &Kept,
        weights: &Buffer<f32>,
    ) -> [Buffer<f32>; 3] {
        let drawn = &*self.drawn;
        let (n, dim, against, read) = (hidden.rows, hidden.columns, drawn.against(), drawn.read());
        let rows = read.forward_on(gpu, [table]).values;
        let (scaled, mut d_hidden) = (empty(gpu, n * against), empty(gpu, n * dim));
        let (d_scores, mut d_read) = (empty(gpu, read.len()), empty(gpu, read.len() * dim));
        // SAFETY: the kernel stays below the number of slopes; a position has `against` of drawn
        // rows, one of its target and one weight, and `d_scores` holds a number for each target.
        unsafe {
            launch!(
                gpu,
                cubes_for(n * against),
                scale_kernel,
                kept.drawn.argument(),
                kept.target.argument(),
                weights.argument(),
                scaled.argument(),
                d_scores.argument(),
                against as u32
            );
        }
        if !drawn.one_each {
            let (left, right) = ((&scaled, Lying::rows(0, against)), (&rows, Lying::columns(n * dim, dim)));
            product(gpu, (n, dim, against), left, right, None, &mut d_hidden);
            let (left, right) = ((&scaled, Lying::columns(0, against)), (hidden.values, Lying::columns(0, dim)));
            deep_product(gpu, (against, dim, n), left, right, &mut Buffer::default(), (&mut d_read, n * dim));
        }
        let of_drawn = if drawn.one_each { scaled } else { sum_of_rows(gpu, &scaled, n, against) };
        // SAFETY: `of_drawn` has a number for each drawn row, whose places in `d_scores` come after
        // those of the targets. The second kernel stays below the numbers of `hidden`; one source is
        // the targets, the second the drawn rows where there is one for each position.
        unsafe {
            let (to, len) = (n as u32, of_drawn.len());
            launch!(gpu, cubes_for(len), copy_kernel, of_drawn.argument(), d_scores.argument(), 0u32, to, len as u32);
            launch!(
                gpu,
                cubes_for(n * dim),
                own_rows_kernel,
                hidden.values.argument(),
                rows.argument(),
                d_scores.argument(),
                d_hidden.argument(),
                d_read.argument(),
                dim as u32,
                if drawn.one_each { 2u32 } else { 1u32 },
                drawn.one_each
            );
        }
        let [d_table] = read.backward_on(gpu, [table], &(), Rows { values: &d_read, rows: read.len(), columns: dim });
        [d_hidden, d_table, d_scores]
    }
}

impl Passes<2> for DrawnLoss {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [hidden, table]: [Rows<'_>; 2]) -> Made<Kept> {
        self.value_on(gpu, hidden, table, None)
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [hidden, table]: [Rows<'_>; 2],
        kept: &Kept,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 2] {
        let [d_hidden, d_table, _] = self.gradients_on(gpu, hidden, table, kept, gradient.values);
        [d_hidden, d_table]
    }
}

impl Passes<3> for DrawnLoss {
    type Kept = Kept;

    fn forward_on(&self, gpu: &Gpu, [hidden, table, bias]: [Rows<'_>; 3]) -> Made<Kept> {
        self.value_on(gpu, hidden, table, Some(bias.values))
    }

    fn backward_on(
        &self,
        gpu: &Gpu,
        [hidden, table, bias]: [Rows<'_>; 3],
        kept: &Kept,
        gradient: Rows<'_>,
    ) -> [Buffer<f32>; 3] {
        let [d_hidden, d_table, d_scores] = self.gradients_on(gpu, hidden, table, kept, gradient.values);
        // As a table of one column.
        let column = |values, rows| Rows { values, rows, columns: 1 };
        let (read, scores) = (self.drawn.read(), column(&d_scores, d_scores.len()));
        let [d_bias] = read.backward_on(gpu, [column(bias.values, bias.columns)], &(), scores);
        [d_hidden, d_table, d_bias]
    }
}
