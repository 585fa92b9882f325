//! How fast is one hop over Gowalla's graph, in 32 and in 16 bits, against sprs, a plain loop, and
//! the machine's own bandwidth?

mod common;

use common::{Contender, Limits, adjacency, compare, gowalla, line, numbers, ratio, threads, title, upload};
use gcnrec_kernels::ops::half_table::{Precision, Table, propagate_table, round_into_table};
use gcnrec_kernels::ops::propagate::propagate;
use gcnrec_kernels::{Buffer, Device};
use sprs::CsMatViewI;

const DIM: usize = 64;
const ROUNDS: usize = 31;
/// A contender's turn: hops one after the other, each over what the one before wrote, as layers
/// follow each other in training. The contender before it has emptied the caches.
const HOPS: usize = 8;

fn main() {
    let (train, _) = gowalla();
    let graph = adjacency(&train);
    let (n, nnz, device) = (graph.n_nodes(), graph.col_idx().len(), Device::Cpu);
    let x = numbers(1, n * DIM);
    let a = upload(&device, &graph);
    let matrix = CsMatViewI::new((n, n), graph.row_ptr(), graph.col_idx(), graph.values());
    let x32 = device.upload(&x);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    let tables = |precision| {
        let mut table = Table::new(precision);
        round_into_table(&device, &x32, &mut table);
        (table, Table::new(precision))
    };
    let (mut f16, mut bf16) = (tables(Precision::F16), tables(Precision::Bf16));
    let mut ours = (x32.clone(), Buffer::default());
    let mut alone = ours.clone();
    let mut by_sprs =
        (ndarray::Array2::from_shape_vec((n, DIM), x.clone()).expect("n rows of 64"), ndarray::Array2::zeros((n, DIM)));
    let mut by_loop = (x, vec![0.0f32; n * DIM]);
    let all = threads();
    let [stream, multiply] = Limits::contenders();
    let mut contenders: [Contender<'_>; 8] = [
        (
            "ours, f32, one thread",
            1,
            Box::new(|| {
                let hop = |x: &_, y: &mut _| propagate(&device, &a, DIM, x, y).expect("sizes fit");
                one.install(|| hops(&mut alone, hop));
            }),
        ),
        (
            "sprs, one thread",
            1,
            Box::new(|| {
                hops(&mut by_sprs, |x, y| {
                    y.fill(0.0);
                    sprs::prod::csr_mulacc_dense_rowmaj(matrix.view(), x.view(), y.view_mut());
                });
            }),
        ),
        (
            "plain loop, one thread",
            1,
            Box::new(|| hops(&mut by_loop, |x, y| plain(graph.row_ptr(), graph.col_idx(), graph.values(), x, y))),
        ),
        // The first to use all threads after one worked alone.
        stream,
        multiply,
        ("ours, f32", all, Box::new(|| hops(&mut ours, |x, y| propagate(&device, &a, DIM, x, y).expect("sizes fit")))),
        (
            "ours, f16",
            all,
            Box::new(|| hops(&mut f16, |x, y| propagate_table(&device, &a, DIM, x, None, y).expect("sizes fit"))),
        ),
        (
            "ours, bf16",
            all,
            Box::new(|| hops(&mut bf16, |x, y| propagate_table(&device, &a, DIM, x, None, y).expect("sizes fit"))),
        ),
    ];
    let times = compare(ROUNDS, &mut contenders);
    let limits = Limits::of(times[3], times[4]);
    let a_hop = |turn: usize| times[turn].times(1.0 / HOPS as f64);
    let [alone, sprs, plain, f32, f16, bf16] = [0, 1, 2, 5, 6, 7].map(a_hop);
    title(&format!("one hop, {n} nodes, {nnz} non-zeros, dim {DIM}"));
    let gathered = (nnz * DIM * 4) as f64;
    line("ours, f32", f32, "");
    limits.floors(gathered, (nnz * DIM * 2) as f64, f32);
    for (name, time) in [
        ("ours, f16", f16),
        ("ours, bf16", bf16),
        ("ours, f32, one thread", alone),
        ("sprs, one thread", sprs),
        ("plain loop, one thread", plain),
    ] {
        line(name, time, &format!("{} ours in f32", ratio(time, f32)));
    }
    println!("f32 over f16: {}; f32 over bf16: {}", ratio(f32, f16), ratio(f32, bf16));
    println!("sprs over ours, both on one thread: {}", ratio(sprs, alone));
}

/// A turn, back and forth between two matrices.
fn hops<T>((x, y): &mut (T, T), hop: impl Fn(&T, &mut T)) {
    for _ in 0..HOPS {
        hop(x, y);
        std::mem::swap(x, y);
    }
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
