//! Graph traversal: petgraph's traversals on [`BipartiteGraph`], and distances in hops.
//!
//! Nodes are numbered as in the adjacency: users first, item `i` is node `n_users + i`.
//! Implementing petgraph's traits on our storage saves a copy of the graph in petgraph's own, which
//! costs more than the graph itself.

use petgraph::graph::UnGraph;
use petgraph::visit::{Bfs, GraphBase, IntoNeighbors, NodeCount, NodeIndexable, Visitable};

use crate::BipartiteGraph;

/// The distance of a node that cannot be reached.
pub const UNREACHED: u32 = u32::MAX;

/// Petgraph's set of visited nodes (a bit set), named through the graph type that uses it.
pub type VisitedNodes = <UnGraph<(), ()> as Visitable>::Map;

/// The neighbours of one node.
#[derive(Debug, Clone)]
pub struct Neighbors<'a> {
    ids: std::slice::Iter<'a, u32>,
    /// Turns ids of the other side into nodes.
    first_node: u32,
}

impl Iterator for Neighbors<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.ids.next().map(|&id| id + self.first_node)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ids.size_hint()
    }
}

impl GraphBase for BipartiteGraph {
    type NodeId = u32;
    type EdgeId = (u32, u32);
}

impl<'a> IntoNeighbors for &'a BipartiteGraph {
    type Neighbors = Neighbors<'a>;

    fn neighbors(self, node: u32) -> Neighbors<'a> {
        let n_users = self.n_users() as u32;
        let (matrix, row, first_node) =
            if node < n_users { (self.by_user(), node, n_users) } else { (self.by_item(), node - n_users, 0) };
        let entries = matrix.indptr().outer_inds_sz(row as usize);
        Neighbors { ids: matrix.indices()[entries].iter(), first_node }
    }
}

impl Visitable for BipartiteGraph {
    type Map = VisitedNodes;

    fn visit_map(&self) -> VisitedNodes {
        VisitedNodes::with_capacity(self.n_nodes())
    }

    fn reset_map(&self, map: &mut VisitedNodes) {
        map.clear();
        map.grow(self.n_nodes());
    }
}

impl NodeIndexable for BipartiteGraph {
    fn node_bound(&self) -> usize {
        self.n_nodes()
    }

    fn to_index(&self, node: u32) -> usize {
        node as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        index as u32
    }
}

impl NodeCount for BipartiteGraph {
    fn node_count(&self) -> usize {
        self.n_nodes()
    }
}

impl BipartiteGraph {
    /// The number of hops from a node to every node, [`UNREACHED`] where there is no way:
    /// `[n_nodes]`.
    pub fn hops_from(&self, start: u32) -> Vec<u32> {
        let mut hops = vec![UNREACHED; self.n_nodes()];
        hops[start as usize] = 0;
        let mut walk = Bfs::new(self, start);
        while let Some(node) = walk.next(self) {
            // Nodes come in order of distance, so whoever touches a neighbour first is on a
            // shortest way to it.
            let one_more = hops[node as usize] + 1;
            for neighbor in self.neighbors(node) {
                let known = &mut hops[neighbor as usize];
                if *known == UNREACHED {
                    *known = one_more;
                }
            }
        }
        hops
    }
}

#[cfg(test)]
mod tests {
    use petgraph::algo::dijkstra;
    use petgraph::graph::NodeIndex;
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};

    #[test]
    fn a_path_counts_its_steps() {
        // u0 - i1 - u2 - i0; u1 alone. Nodes: u0 0, u1 1, u2 2, i0 3, i1 4.
        let graph = BipartiteGraph::from_train(&world(3, 2, &[(0, 1), (2, 1), (2, 0)]));
        assert_eq!(graph.hops_from(0), [0, UNREACHED, 2, 3, 1]);
        assert_eq!(graph.hops_from(4), [1, UNREACHED, 1, 2, 0]);
    }

    proptest! {
        #[test]
        fn hops_agree_with_petgraph_on_its_own_graph(train in any_world(), start in 0usize..36) {
            let graph = BipartiteGraph::from_train(&train);
            let start = (start % graph.n_nodes()) as u32;
            let edges = train.pairs().map(|(user, item)| (user.0, item.0 + train.n_users() as u32));
            let mut plain = UnGraph::<(), ()>::from_edges(edges);
            while plain.node_count() < graph.n_nodes() {
                plain.add_node(());
            }
            let distances = dijkstra(&plain, NodeIndex::new(start as usize), None, |_| 1u32);
            for (node, &hops) in graph.hops_from(start).iter().enumerate() {
                let expected = distances.get(&NodeIndex::new(node)).copied().unwrap_or(UNREACHED);
                prop_assert_eq!(hops, expected);
            }
        }
    }
}
