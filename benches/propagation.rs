//! How fast is one hop over Gowalla's graph, in 32 and in 16 bits, against sprs, a plain loop, and the machine's own bandwidth?

mod common;

use common::{
    Contender, adjacency, compare, gowalla, line, numbers, ratio, stream, stream_buffer, threads, title, upload,
};
use gcnrec_kernels::ops::propagate::propagate;
use gcnrec_kernels::ops::table::{Precision, Table, propagate_stored, store};
use gcnrec_kernels::{Buffer, Device};
use sprs::CsMatViewI;

const DIM: usize = 64;
const ROUNDS: usize = 31;
/// A buffer that was read before lies in the caches where it fits, as embeddings do from hop to hop.
const READS: usize = 16;

fn main() {
    let (train, _) = gowalla();
    let graph = adjacency(&train);
    let (n, nnz, device) = (graph.n_nodes(), graph.col_idx().len(), Device::Cpu);
    let x = numbers(1, n * DIM);
    let a = upload(&device, &graph);
    let matrix = CsMatViewI::new((n, n), graph.row_ptr(), graph.col_idx(), graph.values());
    let (x32, buffer) = (device.upload(&x), stream_buffer());
    let dense = ndarray::ArrayView2::from_shape((n, DIM), &x).expect("n rows of 64");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    let tables = [Precision::F16, Precision::Bf16].map(|precision| {
        let mut table = Table::new(precision);
        store(&device, &x32, &mut table);
        (table, Table::new(precision))
    });
    let [(f16, mut y_f16), (bf16, mut y_bf16)] = tables;
    let (mut y, mut y_one) = (Buffer::default(), Buffer::default());
    let mut y_plain = vec![0.0f32; n * DIM];
    let mut y_sprs = ndarray::Array2::<f32>::zeros((n, DIM));
    let all = threads();
    let mut contenders: [Contender<'_>; 7] = [
        ("ours, f32", all, Box::new(|| propagate(&device, &a, DIM, &x32, &mut y).expect("sizes fit"))),
        ("ours, f16", all, Box::new(|| propagate_stored(&device, &a, DIM, &f16, None, &mut y_f16).expect("sizes fit"))),
        (
            "ours, bf16",
            all,
            Box::new(|| propagate_stored(&device, &a, DIM, &bf16, None, &mut y_bf16).expect("sizes fit")),
        ),
        (
            "ours, f32, one thread",
            1,
            Box::new(|| one.install(|| propagate(&device, &a, DIM, &x32, &mut y_one)).expect("sizes fit")),
        ),
        (
            "sprs, one thread",
            1,
            Box::new(|| {
                y_sprs.fill(0.0);
                sprs::prod::csr_mulacc_dense_rowmaj(matrix.view(), dense, y_sprs.view_mut());
            }),
        ),
        (
            "plain loop, one thread",
            1,
            Box::new(|| plain(graph.row_ptr(), graph.col_idx(), graph.values(), &x, &mut y_plain)),
        ),
        (
            "streaming read of 18 MiB, 16 times",
            all,
            Box::new(|| {
                for _ in 0..READS {
                    std::hint::black_box(stream(std::hint::black_box(&buffer)));
                }
            }),
        ),
    ];
    let times = compare(ROUNDS, &mut contenders);
    let (f32_s, stream_s) = (times[0], times[6]);
    let (gathered, flops) = ((nnz * DIM * 4) as f64, (nnz * DIM * 2) as f64);
    let read = (READS * buffer.len() * 4) as f64;
    title(&format!("one hop, {n} nodes, {nnz} non-zeros, dim {DIM}"));
    let floor = gathered / read * stream_s.wall;
    println!(
        "floor by bytes: {:.2} ms ({:.0} MB at {:.1} GB/s)",
        floor * 1e3,
        gathered / 1e6,
        read / stream_s.wall / 1e9
    );
    println!("operations: {:.3} GFLOP, {:.1} GFLOP/s reached by f32", flops / 1e9, flops / f32_s.wall / 1e9);
    let share = |slow: f64, fast: f64| gathered / read * slow / fast;
    let (wall, busy) = (share(stream_s.wall, f32_s.wall), share(stream_s.busy, f32_s.busy));
    println!("ours, f32, gathers at {wall:.2} (busy {busy:.2}) of the rate of a streaming read");
    for ((name, _, _), time) in contenders.iter().zip(&times) {
        line(name, *time, &format!("{} ours in f32", ratio(*time, f32_s)));
    }
    println!("f32 over f16: {}; f32 over bf16: {}", ratio(f32_s, times[1]), ratio(f32_s, times[2]));
}

/// The textbook loops.
fn plain(row_ptr: &[u32], col_idx: &[u32], values: &[f32], x: &[f32], y: &mut [f32]) {
    for (row, y) in y.chunks_exact_mut(DIM).enumerate() {
        y.fill(0.0);
        for edge in row_ptr[row] as usize..row_ptr[row + 1] as usize {
            let source = &x[col_idx[edge] as usize * DIM..][..DIM];
            for (y, x) in y.iter_mut().zip(source) {
                *y += values[edge] * x;
            }
        }
    }
}
