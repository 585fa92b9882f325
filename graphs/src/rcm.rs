//! Start nodes of reverse Cuthill-McKee: at the rim of each component.
//!
//! sprs brings the ordering; its own way of choosing a start looks through all nodes for each
//! component, which is quadratic where many nodes stand alone. This one looks through them once in
//! all.

use sprs::linalg::ordering::{cuthill_mckee_custom, order, start::Strategy};
use sprs::{CsMatViewI, CsStructureViewI};

/// The reverse Cuthill-McKee order of a symmetric pattern: neighbours come to stand close to each
/// other. Position `p` of the result holds the node that stands there.
///
/// # Source
/// George and Liu, *Computer Solution of Large Sparse Positive Definite Systems*, 1981, chapter 4.
pub(crate) fn reverse_cuthill_mckee(row_ptr: &[u32], col_idx: &[u32]) -> Vec<u32> {
    let n_nodes = row_ptr.len() - 1;
    let values = vec![(); col_idx.len()];
    let pattern: CsStructureViewI<'_, u32> = CsMatViewI::new((n_nodes, n_nodes), row_ptr, col_idx, &values);
    let ordering = cuthill_mckee_custom(pattern, Rim::of(row_ptr), order::Reversed::new());
    ordering.perm.vec()
}

/// Chooses a node far from the rest of its component, starting the search at the node of lowest
/// degree.
struct Rim {
    /// All nodes, degrees rising.
    by_degree: Vec<u32>,
    /// Nodes before this place in `by_degree` are known to be visited.
    next: usize,
    /// The last search that saw each node.
    seen_in: Vec<u32>,
    search: u32,
    queue: Vec<u32>,
}

impl Rim {
    fn of(row_ptr: &[u32]) -> Self {
        let n_nodes = row_ptr.len() - 1;
        let mut by_degree: Vec<u32> = (0..n_nodes as u32).collect();
        by_degree.sort_by_key(|&node| row_ptr[node as usize + 1] - row_ptr[node as usize]);
        Self { by_degree, next: 0, seen_in: vec![0; n_nodes], search: 0, queue: Vec::new() }
    }

    /// The distance of the farthest nodes from `root`, and among them the one of lowest degree.
    fn farthest(&mut self, root: u32, degrees: &[usize], pattern: &CsStructureViewI<'_, u32>) -> (usize, u32) {
        self.search += 1;
        self.queue.clear();
        self.queue.push(root);
        self.seen_in[root as usize] = self.search;
        let (mut depth, mut level) = (0, 0..1);
        loop {
            for at in level.clone() {
                let entries = pattern.indptr().outer_inds_sz(self.queue[at] as usize);
                for &neighbor in &pattern.indices()[entries] {
                    if self.seen_in[neighbor as usize] != self.search {
                        self.seen_in[neighbor as usize] = self.search;
                        self.queue.push(neighbor);
                    }
                }
            }
            if self.queue.len() == level.end {
                let last = self.queue[level].iter().min_by_key(|&&node| (degrees[node as usize], node));
                return (depth, *last.expect("a level should hold at least one node"));
            }
            (depth, level) = (depth + 1, level.end..self.queue.len());
        }
    }
}

impl Strategy<(), u32, u32> for Rim {
    fn find_start_vertex(&mut self, visited: &[bool], degrees: &[usize], pattern: &CsStructureViewI<'_, u32>) -> usize {
        while visited[self.by_degree[self.next] as usize] {
            self.next += 1;
        }
        let mut root = self.by_degree[self.next];
        let (mut depth, mut candidate) = self.farthest(root, degrees, pattern);
        loop {
            let (deeper, beyond) = self.farthest(candidate, degrees, pattern);
            root = if deeper > depth { candidate } else { break };
            (depth, candidate) = (deeper, beyond);
        }
        root as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_walked_from_end_to_end() {
        // The path 2 - 0 - 3 - 1 and the lone node 4, which has the lowest degree: it comes first,
        // reversed last.
        let row_ptr = [0, 2, 3, 4, 6, 6];
        let col_idx = [2, 3, 3, 0, 0, 1];
        let order = reverse_cuthill_mckee(&row_ptr, &col_idx);
        assert_eq!(order[4], 4);
        assert!(order[..4] == [2, 0, 3, 1] || order[..4] == [1, 3, 0, 2], "{order:?}");
    }

    #[test]
    fn a_start_moves_from_the_middle_to_the_rim() {
        // Two triangles 0-1-2 and 4-5-6 on a path 2 - 3 - 4: node 3 has the lowest degree among
        // equals 0, 1, 3, 5, 6 only by number; from node 0 the farthest is 5 or 6 at distance 4,
        // and nothing is farther.
        let edges = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5), (4, 6), (5, 6)];
        let mut rows = vec![Vec::new(); 7];
        for (a, b) in edges {
            rows[a as usize].push(b);
            rows[b as usize].push(a);
        }
        let mut row_ptr = vec![0u32];
        let mut col_idx: Vec<u32> = Vec::new();
        for row in &mut rows {
            row.sort_unstable();
            col_idx.extend(row.iter());
            row_ptr.push(col_idx.len() as u32);
        }
        let order = reverse_cuthill_mckee(&row_ptr, &col_idx);
        let place = |node| order.iter().position(|&o| o == node).unwrap();
        // 3 is the only way between the triangles, so it stands in the middle.
        assert_eq!(place(3), 3);
        assert_eq!(edges.iter().map(|&(a, b)| place(a).abs_diff(place(b))).max(), Some(2));
    }
}
