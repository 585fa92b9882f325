//! The work of a graph on a GPU: which units sum which rows, so that a row of many edges does not
//! hold up the others.

use crate::{Buffer, Device};

/// Rows with more edges get a cube of their own.
const SHORT: usize = 64;
/// Most edges that one cube sums.
const PIECE: usize = 4096;

/// Which units sum which rows: made once for a graph.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// `(target, first edge, last edge + 1)` of each cube's work; targets from `n_rows` on are
    /// places among the partial sums.
    pub(crate) long: Buffer<u32>,
    /// Rows with few edges, those of about as many edges next to each other.
    pub(crate) short: Buffer<u32>,
    /// `(row, first, last + 1)` partial sums of each row that was cut.
    pub(crate) cut: Buffer<u32>,
    pub(crate) n_partials: usize,
}

/// The same on the host.
#[derive(Debug, Default, PartialEq)]
struct Work {
    long: Vec<u32>,
    short: Vec<u32>,
    cut: Vec<u32>,
    n_partials: usize,
}

impl Work {
    fn new(row_ptr: &[u32]) -> Work {
        let n_rows = row_ptr.len() - 1;
        let mut work = Work::default();
        for (row, ends) in row_ptr.windows(2).enumerate() {
            let (start, end) = (ends[0] as usize, ends[1] as usize);
            match end - start {
                0..=SHORT => work.short.push(row as u32),
                edges if edges <= PIECE => work.long.extend([row as u32, ends[0], ends[1]]),
                edges => {
                    let (first, pieces) = (work.n_partials, edges.div_ceil(PIECE));
                    for piece in 0..pieces {
                        let from = start + piece * PIECE;
                        let target = n_rows + first + piece;
                        work.long.extend([target as u32, from as u32, (from + PIECE).min(end) as u32]);
                    }
                    work.n_partials += pieces;
                    work.cut.extend([row as u32, first as u32, work.n_partials as u32]);
                }
            }
        }
        // Units that run in step have about the same number of edges; within a class the order of
        // rows keeps neighbours close.
        let class = |&row: &u32| (row_ptr[row as usize + 1] - row_ptr[row as usize]).next_power_of_two();
        work.short.sort_by_key(|row| std::cmp::Reverse(class(row)));
        work
    }
}

impl Plan {
    /// The work of a graph on a GPU; nothing for the CPU.
    pub(crate) fn new(device: &Device, row_ptr: &[u32]) -> Option<Plan> {
        let Device::Gpu(_) = device else { return None };
        let Work { long, short, cut, n_partials } = Work::new(row_ptr);
        Some(Plan { long: device.upload(&long), short: device.upload(&short), cut: device.upload(&cut), n_partials })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_length_and_a_hub_is_cut() {
        // Rows of 0, 64, 65, 8193 and 3 edges: the hub needs three pieces of at most 4096.
        let work = Work::new(&[0, 0, 64, 129, 8322, 8325]);
        assert_eq!(work.short, [1, 4, 0]);
        assert_eq!(work.long, [2, 64, 129, 5, 129, 4225, 6, 4225, 8321, 7, 8321, 8322]);
        assert_eq!((work.cut, work.n_partials), (vec![3, 0, 3], 3));
    }
}
