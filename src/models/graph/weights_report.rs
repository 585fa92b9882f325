//! What the layer attention learned: mean weights over all nodes, and by degree.

use crate::models::{DegreeBucket, LayerWeights};
use crate::objectives::Nodes;

/// Buckets of about equal size.
const N_BUCKETS: usize = 5;

/// Sums up the layer weights of every node: `attention` is `[n_nodes, layers + 1]`. Nodes without
/// interactions do not count.
pub(super) fn summarise(attention: &[f32], degrees: &[u32], nodes: Nodes) -> LayerWeights {
    let n_weights = attention.len() / nodes.len().max(1);
    let all: Vec<u32> = (0..nodes.len() as u32).filter(|&n| degrees[n as usize] > 0).collect();
    let split = all.partition_point(|&n| (n as usize) < nodes.n_users);
    let mean = |nodes: &[u32]| mean_rows(attention, n_weights, nodes);
    let buckets = |nodes: &[u32]| degree_buckets(nodes, degrees, mean);
    LayerWeights { mean: mean(&all), users: buckets(&all[..split]), items: buckets(&all[split..]) }
}

fn mean_rows(rows: &[f32], width: usize, picked: &[u32]) -> Vec<f64> {
    let mut sum = vec![0.0f64; width];
    for &row in picked {
        sum.iter_mut().zip(&rows[row as usize * width..]).for_each(|(s, &x)| *s += f64::from(x));
    }
    sum.iter().map(|s| s / picked.len().max(1) as f64).collect()
}

/// Cuts nodes, ordered by degree, into buckets of about equal size; nodes of one degree stay
/// together.
fn degree_buckets(nodes: &[u32], degrees: &[u32], mean: impl Fn(&[u32]) -> Vec<f64>) -> Vec<DegreeBucket> {
    let degree = |node: u32| degrees[node as usize];
    let mut ordered = nodes.to_vec();
    ordered.sort_by_key(|&node| (degree(node), node));
    let target = ordered.len().div_ceil(N_BUCKETS).max(1);
    let (mut buckets, mut rest) = (Vec::new(), &ordered[..]);
    while let Some(&last) = rest.get(target.min(rest.len()).saturating_sub(1)) {
        let end = rest.partition_point(|&node| degree(node) <= degree(last));
        let (bucket, after) = rest.split_at(end);
        buckets.push(DegreeBucket {
            min_degree: degree(bucket[0]),
            max_degree: degree(last),
            n: bucket.len(),
            weights: mean(bucket),
        });
        rest = after;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_one_degree_share_a_bucket_and_buckets_cover_all() {
        let degrees = [1, 1, 1, 2, 2, 5, 9, 9, 9, 9];
        let nodes: Vec<u32> = (0..10).collect();
        let buckets = degree_buckets(&nodes, &degrees, |b| vec![b.len() as f64]);
        let bounds: Vec<_> = buckets.iter().map(|b| (b.min_degree, b.max_degree, b.n)).collect();
        // target size 2: {1,1,1}, {2,2}, {5, 9,9,9,9}
        assert_eq!(bounds, [(1, 1, 3), (2, 2, 2), (5, 9, 5)]);
        assert!(degree_buckets(&[], &degrees, |_| vec![]).is_empty());
    }
}
