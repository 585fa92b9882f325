//! The tape as a whole.

use burn_tensor::{Tensor, TensorData};

use super::{Autodiff, Flex, gather, linear};
use crate::testing::numbers;

type Tape = Autodiff<Flex>;

/// The gradient of a table that is read twice, with layers of other weights between: by itself the
/// second time.
fn gradient_of_a_table_that_is_read_twice() -> Vec<u32> {
    let leaf = |seed, rows: usize, columns: usize| {
        let data = TensorData::new(numbers(seed, rows * columns), [rows, columns]);
        Tensor::<Tape, 2>::from_data(data, &Default::default()).require_grad()
    };
    let table = leaf(1, 13, 6);
    let layers: Vec<_> = (0..4).map(|layer| (leaf(2 + 2 * layer, 6, 6), leaf(3 + 2 * layer, 1, 6))).collect();
    let rows = |first: u32| (0..40u32).map(move |row| Some((first + row * 7) % 13));
    let mut x = gather(table.clone(), rows(0));
    for (weight, bias) in &layers {
        x = linear(x, weight.clone(), bias.clone());
    }
    // A chain of ops, each of which has nothing but the table above it.
    let mut y = gather(table.clone(), rows(3));
    for shift in 0..4 {
        y = gather(y, (0..40u32).map(|row| Some((row + shift) % 40)));
    }
    let gradients = (x * y).sum().backward();
    let gradient = table.grad(&gradients).expect("the table is read").into_data();
    gradient.into_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Burn keeps the tapes of all threads in one place, and a backward pass of any thread clears away
/// what nobody seems to hold.
#[test]
fn other_threads_take_nothing_from_a_tape() {
    let expected = gradient_of_a_table_that_is_read_twice();
    let differing: usize = std::thread::scope(|scope| {
        let rounds = || (0..400).filter(|_| gradient_of_a_table_that_is_read_twice() != expected).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(rounds)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(differing, 0, "of 1600 gradients");
}

/// Columns 2 to 4 of 7, read backwards: the other columns have no gradient, and what two readers
/// give to one matrix is added.
#[test]
fn an_op_reads_some_columns_of_a_matrix_and_passes_their_gradient() {
    let data = TensorData::new((0..21u8).map(f32::from).collect::<Vec<_>>(), [3, 7]);
    let x = Tensor::<Tape, 2>::from_data(data, &Default::default()).require_grad();
    let part = x.clone().narrow(1, 2, 3);
    let read = gather(part.clone(), [Some(2), Some(0)]);
    let values = |of: Tensor<Flex, 2>| of.into_data().into_vec::<f32>().unwrap();
    assert_eq!(values(read.clone().inner()), [16.0, 17.0, 18.0, 2.0, 3.0, 4.0]);
    // The gradient of one side of a joined matrix is some of its columns too.
    let joined = gather(Tensor::cat(vec![read, gather(part, [Some(1), Some(2)])], 1), [Some(0), Some(1)]);
    let factors = TensorData::new((1..=12u8).map(f32::from).collect::<Vec<_>>(), [2, 6]);
    let gradients = (joined * Tensor::from_data(factors, &Default::default())).sum().backward();
    let rows = values(x.grad(&gradients).unwrap());
    // Row 0 is read second by the first reader, row 1 first by the second, row 2 by both.
    assert_eq!(rows[..7], [0.0, 0.0, 7.0, 8.0, 9.0, 0.0, 0.0]);
    assert_eq!((&rows[9..12], &rows[16..19]), (&[4.0, 5.0, 6.0][..], &[11.0, 13.0, 15.0][..]));
}
