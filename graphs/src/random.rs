//! Random streams: a function of (seed, purpose, epoch, index), never "the next number of a shared
//! generator".
//!
//! Each stream is ChaCha8 keyed by the seed and the purpose; the epoch and the index choose the
//! stream number. Whoever needs the numbers of epoch 7, batch 31 can have them without having drawn
//! any others: that is what makes a resumed run equal to an uninterrupted one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

/// The seed of a run.
///
/// ```
/// use gcnrec_graphs::{Purpose, Seed};
///
/// // The numbers of epoch 7, batch 31, without having drawn any others.
/// let (first, again) = (Seed(1).stream(Purpose::Batch, 7, 31), Seed(1).stream(Purpose::Batch, 7, 31));
/// assert_eq!(first, again);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

/// What the numbers are for. Two purposes never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Splits of the data.
    Split = 1,
    /// Initial weights.
    Init = 2,
    /// Which examples a batch holds.
    Batch = 3,
    /// Sampled negatives.
    Negative = 4,
    /// Dropped edges.
    EdgeDropout = 5,
    /// The built-in demo world.
    World = 6,
    /// Dropout masks of neural layers.
    Dropout = 7,
    /// Examples of the uniform log that a look-ahead takes.
    MetaBatch = 9,
    /// Everything a test or an analysis draws.
    Analysis = 8,
}

impl Seed {
    /// The stream for a purpose at (epoch, index).
    pub fn stream(self, purpose: Purpose, epoch: u64, index: u64) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&self.0.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&epoch.to_le_bytes());
        key[24..].copy_from_slice(&index.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_is_a_function_of_its_four_coordinates() {
        let draw = |seed, purpose, epoch, index| Seed(seed).stream(purpose, epoch, index).next_u64();
        let first = draw(2020, Purpose::Batch, 3, 5);
        assert_eq!(first, draw(2020, Purpose::Batch, 3, 5));
        for other in [
            draw(2021, Purpose::Batch, 3, 5),
            draw(2020, Purpose::Negative, 3, 5),
            draw(2020, Purpose::Batch, 4, 5),
            draw(2020, Purpose::Batch, 3, 6),
        ] {
            assert_ne!(first, other);
        }
    }
}
