use super::*;
use gcnrec_graphs::{BipartiteGraph, Interactions, ItemId, Normalization, NormalizedAdjacency, UserId};
use gcnrec_kernels::ops::adam::adam_step;

const DIM: usize = 17;

/// Three layers over a small graph of 70 nodes.
fn propagation(storage: Storage) -> Propagation {
    let device = Device::Cpu;
    let pairs = (0..40u32).flat_map(|u| (0..5).map(move |k| (UserId(u), ItemId((u * 7 + k * k) % 30))));
    let train = Interactions::from_pairs(40, 30, pairs).unwrap();
    let graph = NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(&train), Normalization::Symmetric).unwrap();
    let a = Adjacency::upload(&device, 70, graph.row_ptr(), graph.col_idx(), graph.values()).unwrap();
    Propagation::new(&device, a, device.upload(&values(70 * DIM, 0.1)), DIM, 3, storage)
}

fn values(n: usize, scale: f32) -> Vec<f32> {
    (0..n).map(|i| scale * (i as f32 * 0.7).sin()).collect()
}

/// The last layer's rows and the base gradient of one pass, K = 3.
fn pass(storage: Storage) -> (Vec<f32>, Vec<f32>) {
    let (device, mut propagation) = (Device::Cpu, propagation(storage));
    propagation.below_last(&device).unwrap();
    let mut rows = RowSet::new(&device, 70);
    rows.assign(&device, &[1, 4, 8, 45, 69]).unwrap();
    let mut hop_rows = vec![Buffer::default(); 4];
    propagation.gather(&device, &rows, &mut hop_rows).unwrap();
    // As small as the gradients of a mean over 2,048 examples: f16 would lose most of their
    // bits.
    let direct = vec![device.upload(&values(5 * DIM, 1e-6)); 4];
    let gradient = propagation.backward(&device, &rows, &direct).unwrap();
    (device.read(&hop_rows[3]), device.read(&gradient))
}

fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    found.iter().zip(expected).fold(0.0f32, |worst, (x, y)| worst.max((x - y).abs())) / largest
}

#[test]
fn a_batch_of_most_nodes_sends_back_the_same_bits_by_a_whole_hop() {
    // 36 of 70 rows: one more than half, so backward takes the hop over zeros.
    let device = Device::Cpu;
    let train = Interactions::from_pairs(40, 30, (0..160u32).map(|i| (UserId(i / 4), ItemId(i * 7 % 30)))).unwrap();
    let graph = NormalizedAdjacency::from_graph(&BipartiteGraph::from_train(&train), Normalization::Symmetric).unwrap();
    let a = Adjacency::upload(&device, 70, graph.row_ptr(), graph.col_idx(), graph.values()).unwrap();
    let mut rows = RowSet::new(&device, 70);
    rows.assign(&device, &(0..36).map(|row| row * 2 - row / 35).collect::<Vec<_>>()).unwrap();
    let direct = [0.3, 0.9].map(|step| {
        let values: Vec<f32> = (0..rows.len() * DIM).map(|i| (i as f32 * step).sin()).collect();
        device.upload(&values)
    });
    let mut expected = Buffer::default();
    propagate_from_rows_add(&device, &a, DIM, &rows, &direct[1], &direct[0], &mut expected).unwrap();
    let base = device.zeros(70 * DIM);
    let mut propagation = Propagation::new(&device, a, base, DIM, 1, Storage::F32);
    let found = propagation.backward(&device, &rows, &direct).unwrap();
    assert_eq!(device.read(&found), device.read(&expected));
}

/// Two steps of either way, K = 3: m, v and the base table after them.
#[test]
fn a_gradient_that_is_never_written_moves_the_base_by_the_same_bits() {
    let (device, config) = (Device::Cpu, AdamConfig::default());
    let mut rows = RowSet::new(&device, 70);
    rows.assign(&device, &[1, 4, 8, 45, 69]).unwrap();
    let values = |step: f32| -> Vec<f32> { (0..5 * DIM).map(|i| (i as f32 * step).sin()).collect() };
    let direct = [0.7, 0.4].map(|step| device.upload(&values(step)));
    // The second stands for the layers above it.
    let all = [0, 1, 1, 1].map(|layer| direct[layer].clone());
    for storage in [Storage::F32, Storage::F16] {
        let steps = |one_pass: bool| {
            let mut propagation = propagation(storage);
            let (mut m, mut v) = (device.zeros(70 * DIM), device.zeros(70 * DIM));
            for step in 1..=2 {
                if one_pass {
                    let moments = (&mut m, &mut v);
                    propagation.backward_adam(&device, &rows, &direct, (&config, step), moments).unwrap();
                } else {
                    let gradient = propagation.backward(&device, &rows, &all).unwrap();
                    let base = &mut propagation.hops[0];
                    adam_step(&device, &config, step, &gradient, &mut m, &mut v, base).unwrap();
                    propagation.recycle(gradient);
                }
            }
            [m, v, propagation.hops.swap_remove(0)].map(|buffer| device.read(&buffer))
        };
        assert!(steps(true) == steps(false), "{storage:?}");
    }
}

/// Rounding to nearest moves a number by at most 2^-11 (f16, 11 significant bits) or 2^-8
/// (bf16, 8) of itself: three roundings forwards, two backwards, where gradients are kept in
/// bf16.
#[test]
fn storage_in_16_bits_moves_layers_and_gradients_by_its_rounding_alone() {
    let exact = pass(Storage::F32);
    for (storage, unit) in [(Storage::F16, 2f32.powi(-11)), (Storage::Bf16, 2f32.powi(-8))] {
        let found = pass(storage);
        let forward = largest_difference(&found.0, &exact.0);
        assert!(forward > 0.0 && forward < 3.0 * unit, "{storage:?}: {forward}");
        let backward = largest_difference(&found.1, &exact.1);
        assert!(backward > 0.0 && backward < 2.0 * 2f32.powi(-8), "{storage:?}: {backward}");
    }
}
