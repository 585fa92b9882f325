use super::*;
use crate::testing::{DIMS, assert_close, bits, indices, numbers, same_bits_of, wide};

const CPU: Device = Device::Cpu;

#[test]
fn entries_of_a_segment_keep_their_order() {
    let mut segments = Segments::new();
    segments.assign(&CPU, 4, &[2, 0, 2, 3, 0, 2]).unwrap();
    assert_eq!(segments.ptr.host(), [0, 2, 2, 5, 6]);
    assert_eq!(segments.entries.host(), [1, 4, 0, 2, 5, 3]);
    segments.assign(&CPU, 1, &[0]).unwrap();
    assert_eq!((segments.n_segments(), segments.n_entries(), segments.ptr.host()), (1, 1, &[0, 1][..]));
    segments.assign(&CPU, 0, &[]).unwrap();
    assert_eq!((segments.n_segments(), segments.n_entries()), (0, 0));
}

#[test]
fn a_segment_sums_its_weighted_rows() {
    // Segment 0: 2 * (3, 4) - (1, 2) = (5, 6); segment 1 is empty; segment 2: .5 * (1, 2).
    let mut segments = Segments::new();
    segments.assign(&CPU, 3, &[0, 2, 0]).unwrap();
    let (source, coefficient) = (CPU.upload(&[1, 0, 0]), CPU.upload(&[2.0, 0.5, -1.0]));
    let mut y = Buffer::default();
    segment_weighted_rows(&CPU, 2, &segments, &source, &coefficient, &CPU.upload(&[1.0, 2.0, 3.0, 4.0]), &mut y)
        .unwrap();
    assert_eq!(CPU.read(&y), [5.0, 6.0, 0.0, 0.0, 0.5, 1.0]);
}

#[test]
fn every_width_agrees_with_the_reference_on_any_number_of_threads() {
    let (n_segments, n_entries, n_rows) = (83, 1501, 60);
    // Segment 7 is a hub of more than two chunks; segments past 70 are empty.
    let hub = (0..n_entries).map(|entry| entry % 2 == 0);
    let destination: Vec<u32> =
        indices(1, n_entries, 70).into_iter().zip(hub).map(|(s, hub)| if hub { 7 } else { s }).collect();
    let mut segments = Segments::new();
    segments.assign(&CPU, n_segments, &destination).unwrap();
    let (source, coefficient) = (indices(2, n_entries, n_rows), numbers(3, n_entries));
    let every_entry: Vec<u32> = (0..n_entries as u32).collect();
    for dim in DIMS {
        let (x, x_entries) = (numbers(4, n_rows * dim), numbers(5, n_entries * dim));
        let weighted = same_bits_of(|| {
            let mut y = CPU.upload(&[f32::NAN; 5]);
            let (source, coefficient) = (CPU.upload(&source), CPU.upload(&coefficient));
            segment_weighted_rows(&CPU, dim, &segments, &source, &coefficient, &CPU.upload(&x), &mut y).unwrap();
            CPU.read(&y)
        });
        let expected =
            segment_weighted_rows_reference(dim, n_segments, &destination, &source, &wide(&coefficient), &wide(&x));
        // The hub adds about 760 numbers below 1: 760 roundings of sums of about 16.
        assert_close(&format!("weighted, dim {dim}"), &weighted, &expected, 1e-4, 1e-4);

        let summed = same_bits_of(|| {
            let mut y = Buffer::default();
            segment_sum_rows(&CPU, dim, &segments, &CPU.upload(&x_entries), &mut y).unwrap();
            CPU.read(&y)
        });
        let ones = vec![1.0; n_entries];
        let expected =
            segment_weighted_rows_reference(dim, n_segments, &destination, &every_entry, &ones, &wide(&x_entries));
        assert_close(&format!("sum, dim {dim}"), &summed, &expected, 1e-4, 1e-4);

        // The plain sum in entry order has one right answer to the bit.
        let mut exact = vec![0.0f32; n_segments * dim];
        for (entry, &segment) in destination.iter().enumerate() {
            for k in 0..dim {
                exact[segment as usize * dim + k] += x_entries[entry * dim + k];
            }
        }
        assert_eq!(bits(&summed), bits(&exact), "dim {dim}");
    }
}

#[test]
fn entries_that_do_not_fit_are_refused() {
    let mut segments = Segments::new();
    segments.assign(&CPU, 2, &[0, 1]).unwrap();
    let refused = segments.assign(&CPU, 2, &[0, 2]).unwrap_err();
    assert_eq!(refused.to_string(), "segments: index 2 in destination is outside 0..2");
    assert_eq!(segments.entries.host(), [0, 1]);
    let mut y = Buffer::default();
    let refused = segment_sum_rows(&CPU, 3, &segments, &CPU.zeros(3), &mut y).unwrap_err();
    assert_eq!(refused.to_string(), "segment_sum_rows: x has 3 elements, expected 6");
    let (source, coefficient) = (CPU.upload(&[0, 5]), CPU.zeros(2));
    let refused = segment_weighted_rows(&CPU, 3, &segments, &source, &coefficient, &CPU.zeros(6), &mut y).unwrap_err();
    assert_eq!(refused.to_string(), "segment_weighted_rows: index 5 in source is outside 0..2");
    let refused =
        segment_weighted_rows(&CPU, 3, &segments, &CPU.zeros(2), &CPU.zeros(1), &CPU.zeros(6), &mut y).unwrap_err();
    assert_eq!(refused.to_string(), "segment_weighted_rows: coefficient has 1 elements, expected 2");
}
