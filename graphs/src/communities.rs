//! Community order: nodes of one community stand together, found by label propagation.

use std::ops::Range;

use rayon::prelude::*;

/// After these rounds labels hardly move any more on the graphs it was tried on.
const ROUNDS: usize = 8;

/// The nodes of a bipartite graph by the label of their community, and inside one as they came.
/// Position `p` of the result holds the node that stands there.
///
/// Every node begins with a label of its own. Round by round each user takes the label that most of
/// its items have, then each item that of most of its users; a vote counts one over the root of the
/// voter's degree, so that what everybody knows says little. Ties go to the lower label.
///
/// # Source
/// Raghavan, Albert and Kumara, *Near linear time algorithm to detect community structures in
/// large-scale networks*, Physical Review E, 2007. We differ: the two sides take turns, so that no
/// order of nodes matters, votes are weighted, and the number of rounds is fixed.
pub(crate) fn by_community(row_ptr: &[u32], col_idx: &[u32], n_users: usize) -> Vec<u32> {
    let n_nodes = row_ptr.len() - 1;
    let columns = |node: usize| &col_idx[row_ptr[node] as usize..row_ptr[node + 1] as usize];
    let votes: Vec<f32> = (0..n_nodes).map(|node| 1.0 / (columns(node).len().max(1) as f32).sqrt()).collect();
    let mut labels: Vec<u32> = (0..n_nodes as u32).collect();
    for _ in 0..ROUNDS {
        for side in [0..n_users, n_users..n_nodes] {
            let taken = elect(side.clone(), &labels, &votes, columns);
            labels[side].copy_from_slice(&taken);
        }
    }
    let mut order: Vec<u32> = (0..n_nodes as u32).collect();
    order.sort_by_key(|&node| labels[node as usize]);
    order
}

/// The label of most votes among the neighbours of each node of one side; a node without neighbours
/// keeps its own.
fn elect<'a>(
    side: Range<usize>,
    labels: &[u32],
    votes: &[f32],
    columns: impl Fn(usize) -> &'a [u32] + Sync,
) -> Vec<u32> {
    // Enough tasks for many threads; each needs a ballot box per label.
    let nodes_per_task = side.len().div_ceil(32).max(1024);
    let ballots = || vec![0.0f32; labels.len()];
    let elect_one = |ballots: &mut Vec<f32>, node: usize| {
        let (mut elected, mut most) = (labels[node], 0.0);
        for &neighbor in columns(node) {
            let label = labels[neighbor as usize];
            let ballot = &mut ballots[label as usize];
            *ballot += votes[neighbor as usize];
            if *ballot > most || (*ballot == most && label < elected) {
                (elected, most) = (label, *ballot);
            }
        }
        for &neighbor in columns(node) {
            ballots[labels[neighbor as usize] as usize] = 0.0;
        }
        elected
    };
    side.into_par_iter().with_min_len(nodes_per_task).map_init(ballots, elect_one).collect()
}
