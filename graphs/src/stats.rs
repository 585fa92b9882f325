//! Graph statistics: sizes, degrees, inequality of popularity, connected components.

use petgraph::unionfind::UnionFind;
use serde::Serialize;

use crate::{BipartiteGraph, Interactions, UNREACHED};

/// How many neighbours the nodes of one side have, nodes without any included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DegreeStats {
    /// The smallest degree.
    pub min: u32,
    /// The middle degree; the mean of the middle two where their number is even.
    pub median: f64,
    /// The mean degree.
    pub mean: f64,
    /// The smallest degree that at least nine nodes in ten do not exceed.
    pub p90: u32,
    /// The largest degree.
    pub max: u32,
    /// How many nodes have no neighbour at all.
    pub n_isolated: usize,
}

impl DegreeStats {
    /// Zeros where there is no node.
    fn of(mut degrees: Vec<u32>) -> Self {
        degrees.sort_unstable();
        let n = degrees.len();
        if n == 0 {
            return Self { min: 0, median: 0.0, mean: 0.0, p90: 0, max: 0, n_isolated: 0 };
        }
        let sum: u64 = degrees.iter().map(|&degree| u64::from(degree)).sum();
        Self {
            min: degrees[0],
            median: (f64::from(degrees[(n - 1) / 2]) + f64::from(degrees[n / 2])) / 2.0,
            mean: sum as f64 / n as f64,
            p90: degrees[(9 * n).div_ceil(10) - 1],
            max: degrees[n - 1],
            n_isolated: degrees.partition_point(|&degree| degree == 0),
        }
    }
}

/// The facts `inspect` prints about a graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphStats {
    /// Users, with or without items.
    pub n_users: usize,
    /// Items, with or without users.
    pub n_items: usize,
    /// Pairs.
    pub n_edges: usize,
    /// The share of all possible pairs that are there; 0 when none is possible.
    pub density: f64,
    /// Items per user.
    pub users: DegreeStats,
    /// Users per item.
    pub items: DegreeStats,
    /// Gini coefficient of the items' popularity: 0 when all are equally popular, near 1 when a few
    /// have everything.
    pub item_gini: f64,
    /// Connected components that hold at least one edge.
    pub n_components: usize,
    /// Nodes in the component with the most edges.
    pub largest_component_nodes: usize,
    /// The share of all edges that lie in it; 0 without edges.
    pub largest_component_edge_share: f64,
    /// The largest number of hops found between two nodes of that component by searching from its
    /// hub and again from a farthest node: the true diameter is at least this, and often equal to
    /// it.
    pub diameter_at_least: u32,
    /// The share of that component's nodes within 1, 2, ... hops of its hub, up to the last one:
    /// how soon propagation reaches everyone.
    pub reach_of_hub: Vec<f64>,
}

impl GraphStats {
    /// Looks at the whole graph once per fact; the heaviest are two breadth-first searches.
    pub fn of(interactions: &Interactions) -> Self {
        let (n_users, n_items, n_edges) = (interactions.n_users(), interactions.n_items(), interactions.n_edges());
        let item_counts = interactions.item_counts();
        let cells = n_users as f64 * n_items as f64;
        let mut stats = Self {
            n_users,
            n_items,
            n_edges,
            density: if cells > 0.0 { n_edges as f64 / cells } else { 0.0 },
            users: DegreeStats::of(interactions.user_counts()),
            item_gini: gini(item_counts.clone()),
            items: DegreeStats::of(item_counts),
            n_components: 0,
            largest_component_nodes: 0,
            largest_component_edge_share: 0.0,
            diameter_at_least: 0,
            reach_of_hub: Vec::new(),
        };
        if n_edges > 0 {
            stats.add_components(interactions);
        }
        stats
    }

    fn add_components(&mut self, interactions: &Interactions) {
        let n_users = self.n_users as u32;
        let mut sets = UnionFind::<u32>::new(self.n_users + self.n_items);
        for (user, item) in interactions.pairs() {
            sets.union(user.0, n_users + item.0);
        }
        let mut edges_of_set = vec![0usize; self.n_users + self.n_items];
        let labels = sets.into_labeling();
        for (user, _) in interactions.pairs() {
            edges_of_set[labels[user.index()] as usize] += 1;
        }
        self.n_components = edges_of_set.iter().filter(|&&n_edges| n_edges > 0).count();
        let largest = first_max(edges_of_set.iter().copied());
        self.largest_component_edge_share = edges_of_set[largest] as f64 / self.n_edges as f64;
        let in_largest = |node: usize| labels[node] as usize == largest;
        self.largest_component_nodes = (0..labels.len()).filter(|&node| in_largest(node)).count();

        let degrees = interactions.user_counts().into_iter().chain(interactions.item_counts());
        let hub = first_max(degrees.enumerate().map(|(node, degree)| if in_largest(node) { degree } else { 0 }));
        self.add_hops(&BipartiteGraph::from_train(interactions), hub as u32);
    }

    fn add_hops(&mut self, graph: &BipartiteGraph, hub: u32) {
        let from_hub = reached(graph.hops_from(hub));
        let farthest = first_max(from_hub.iter().map(|hops| hops.map_or(0, |hops| hops + 1)));
        let depth = from_hub[farthest].expect("the farthest node should have been reached");
        let mut nodes_at = vec![0usize; depth as usize + 1];
        for hops in from_hub.into_iter().flatten() {
            nodes_at[hops as usize] += 1;
        }
        let mut within = nodes_at[0];
        for &nodes in &nodes_at[1..] {
            within += nodes;
            self.reach_of_hub.push(within as f64 / self.largest_component_nodes as f64);
        }
        let from_rim = reached(graph.hops_from(farthest as u32));
        self.diameter_at_least = from_rim.into_iter().flatten().max().unwrap_or(0);
    }
}

fn reached(hops: Vec<u32>) -> Vec<Option<u32>> {
    hops.into_iter().map(|hops| (hops != UNREACHED).then_some(hops)).collect()
}

/// The position of the largest value; the first of equals.
fn first_max<T: Ord>(values: impl Iterator<Item = T>) -> usize {
    let largest = values.enumerate().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
    largest.expect("there should be at least one value").0
}

/// Gini coefficient: `2 sum_r r x_r / (n sum x) - (n + 1) / n` over the counts in rising order, `r`
/// from 1. 0 without any count.
fn gini(mut counts: Vec<u32>) -> f64 {
    counts.sort_unstable();
    let n = counts.len() as f64;
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    if total == 0 {
        return 0.0;
    }
    let ranked: f64 = counts.iter().enumerate().map(|(at, &count)| (at + 1) as f64 * f64::from(count)).sum();
    2.0 * ranked / (n * total as f64) - (n + 1.0) / n
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    use super::*;
    use crate::worlds::{any_world, world};

    #[test]
    fn degrees_are_summed_up_by_hand() {
        // Sorted: 0 1 2 3 10. Median 2, mean 16/5; nine tenths of five is 4.5, so the fifth value.
        let stats = DegreeStats::of(vec![3, 0, 10, 1, 2]);
        let expected = DegreeStats { min: 0, median: 2.0, mean: 3.2, p90: 10, max: 10, n_isolated: 1 };
        assert_eq!(stats, expected);
        // Ten values: the ninth covers nine tenths; the median lies between the fifth and the
        // sixth.
        let stats = DegreeStats::of((1..=10).collect());
        assert_eq!((stats.p90, stats.median), (9, 5.5));
        assert_eq!(DegreeStats::of(vec![]).max, 0);
    }

    #[test]
    fn equal_popularity_has_gini_zero_and_one_winner_nearly_one() {
        assert_eq!(gini(vec![3, 3, 3, 3]), 0.0);
        // 2 * (4 * 4) / (4 * 4) - 5/4 = .75
        assert_eq!(gini(vec![0, 4, 0, 0]), 0.75);
        // 2 * (1*1 + 2*2 + 3*3) / (3 * 6) - 4/3 = 28/18 - 24/18
        assert_relative_eq!(gini(vec![3, 1, 2]), 2.0 / 9.0, max_relative = 1e-12);
        assert_eq!(gini(vec![0, 0]), 0.0);
    }

    #[test]
    fn components_and_hops_of_two_pieces_are_counted_by_hand() {
        // Piece 1, the path u0 - i0 - u1 - i1 - u2: 5 nodes, 4 edges. Piece 2: u3 - i2. Alone: u4,
        // i3, i4.
        let train = world(5, 5, &[(0, 0), (1, 0), (1, 1), (2, 1), (3, 2)]);
        let stats = GraphStats::of(&train);
        assert_eq!((stats.n_components, stats.largest_component_nodes), (2, 5));
        assert_eq!(stats.largest_component_edge_share, 0.8);
        assert_eq!((stats.users.n_isolated, stats.items.n_isolated), (1, 2));
        assert_eq!(stats.density, 0.2);
        // Hub u1 (degree 2, lowest number): 2 neighbours, then the two ends. From an end to the
        // other: 4 hops.
        assert_eq!(stats.reach_of_hub, [0.6, 1.0]);
        assert_eq!(stats.diameter_at_least, 4);
    }

    #[test]
    fn a_graph_without_edges_has_no_component() {
        let stats = GraphStats::of(&world(2, 3, &[]));
        assert_eq!((stats.n_components, stats.largest_component_edge_share), (0, 0.0));
        assert_eq!((stats.density, stats.item_gini, stats.users.n_isolated), (0.0, 0.0, 2));
        assert_eq!(GraphStats::of(&world(0, 0, &[])).density, 0.0);
    }

    proptest! {
        #[test]
        fn searching_every_node_finds_the_same_components(train in any_world()) {
            let stats = GraphStats::of(&train);
            let graph = BipartiteGraph::from_train(&train);
            let all: Vec<Vec<Option<u32>>> =
                (0..graph.n_nodes() as u32).map(|node| reached(graph.hops_from(node))).collect();
            // A component is counted at its lowest node; alone means reaching one node.
            let roots = all.iter().enumerate().filter(|(node, hops)| {
                hops.iter().position(Option::is_some) == Some(*node) && hops.iter().flatten().count() > 1
            });
            prop_assert_eq!(stats.n_components, roots.count());
            let longest = all.iter().flatten().flatten().copied().max().unwrap_or(0);
            prop_assert!(stats.diameter_at_least <= longest);
            if train.n_edges() > 0 {
                prop_assert_eq!(stats.reach_of_hub.last(), Some(&1.0));
                prop_assert!((0.0..1.0).contains(&(stats.item_gini + 1e-12)));
            }
        }
    }
}
