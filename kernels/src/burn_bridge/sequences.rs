//! Sequences without padding: they follow one another in the rows of a matrix.

use std::sync::Arc;

/// Where each sequence lies in the rows of a matrix: sequence `s` has the rows
/// `starts[s]..starts[s + 1]`.
#[derive(Debug, Clone)]
pub struct Sequences(Arc<Vec<u32>>);

impl Sequences {
    /// Sequences from their starts and the end of the last one: rising, the first being 0.
    pub fn new(starts: Vec<u32>) -> Self {
        assert!(starts.first() == Some(&0) && starts.is_sorted(), "starts of sequences should rise from 0");
        Sequences(Arc::new(starts))
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    /// True when there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of rows of all sequences.
    pub fn n_rows(&self) -> usize {
        self.0[self.len()] as usize
    }

    /// Number of pairs of positions of one sequence: the sum of their squared lengths.
    pub(super) fn n_pairs(&self) -> usize {
        self.ranges().map(|range| range.len() * range.len()).sum()
    }

    /// The rows of each sequence, one after the other.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.0.windows(2).map(|ends| ends[0] as usize..ends[1] as usize)
    }
}
