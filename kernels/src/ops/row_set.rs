//! The rows a batch touches, numbered by slots: slot `s` stands for row `rows[s]`.

use crate::error::{Result, expect_indices};
use crate::{Buffer, Device, KernelError};

#[cfg(feature = "gpu")]
mod gpu;

/// What `slot_of` says about a row outside the set.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// A set of rows out of `n_rows`, and for every row its slot or none.
#[derive(Debug, Clone)]
pub struct RowSet {
    // Invariant, kept by `assign`: rows ascends strictly below slot_of.len(); slot_of[rows[s]] = s,
    // everything else is NO_SLOT.
    pub(crate) rows: Buffer<u32>,
    pub(crate) slot_of: Buffer<u32>,
    host: Vec<u32>,
}

impl RowSet {
    /// The empty set of rows out of `n_rows`.
    pub fn new(device: &Device, n_rows: usize) -> RowSet {
        RowSet { rows: device.upload(&[]), slot_of: device.upload(&vec![NO_SLOT; n_rows]), host: Vec::new() }
    }

    /// Replaces the set. Costs the rows that leave and the rows that come, whatever the number of
    /// rows they are taken from.
    ///
    /// # Errors
    /// [`KernelError::Argument`] when `rows` does not ascend strictly, [`KernelError::Index`] when
    /// one is outside the matrix; the old set stays.
    pub fn assign(&mut self, device: &Device, rows: &[u32]) -> Result<()> {
        const OP: &str = "row_set";
        if let Some(slot) = rows.windows(2).position(|pair| pair[0] >= pair[1]) {
            let problem = format!("must ascend strictly, but {} follows {}", rows[slot + 1], rows[slot]);
            return Err(KernelError::Argument { op: OP, argument: "rows", problem });
        }
        expect_indices(OP, "rows", rows, self.n_rows())?;
        match device {
            Device::Cpu => {
                let slot_of = self.slot_of.host_mut();
                for &row in &self.host {
                    slot_of[row as usize] = NO_SLOT;
                }
                for (slot, &row) in rows.iter().enumerate() {
                    slot_of[row as usize] = slot as u32;
                }
                device.write(&mut self.rows, rows);
            }
            #[cfg(feature = "gpu")]
            Device::Gpu(gpu) => {
                gpu::set_slots(gpu, &self.rows, &mut self.slot_of, true);
                device.write(&mut self.rows, rows);
                gpu::set_slots(gpu, &self.rows, &mut self.slot_of, false);
            }
        }
        self.host.clear();
        self.host.extend_from_slice(rows);
        Ok(())
    }

    /// Number of rows in the set: S.
    pub fn len(&self) -> usize {
        self.host.len()
    }

    /// True when the set has no rows.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// The rows in slot order, on the host.
    pub fn rows(&self) -> &[u32] {
        &self.host
    }

    /// Number of rows the set is taken from.
    pub fn n_rows(&self) -> usize {
        self.slot_of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_knows_its_slot_and_forgets_the_last_batch() {
        let mut set = RowSet::new(&Device::Cpu, 5);
        set.assign(&Device::Cpu, &[0, 2, 3]).unwrap();
        set.assign(&Device::Cpu, &[1, 3]).unwrap();
        assert_eq!(set.slot_of.host(), [NO_SLOT, 0, NO_SLOT, 1, NO_SLOT]);
        assert_eq!((set.rows(), set.len(), set.is_empty()), (&[1, 3][..], 2, false));
        set.assign(&Device::Cpu, &[]).unwrap();
        assert!(set.is_empty() && set.slot_of.host().iter().all(|&slot| slot == NO_SLOT));
    }

    #[test]
    fn a_bad_set_is_refused_and_the_old_one_stays() {
        let mut set = RowSet::new(&Device::Cpu, 5);
        set.assign(&Device::Cpu, &[4]).unwrap();
        let message = |set: &mut RowSet, rows: &[u32]| set.assign(&Device::Cpu, rows).unwrap_err().to_string();
        assert_eq!(message(&mut set, &[1, 1]), "row_set: rows must ascend strictly, but 1 follows 1");
        assert_eq!(message(&mut set, &[3, 0]), "row_set: rows must ascend strictly, but 0 follows 3");
        assert_eq!(message(&mut set, &[3, 5]), "row_set: index 5 in rows is outside 0..5");
        assert_eq!((set.rows(), set.slot_of.host()[4]), (&[4][..], 0));
    }
}
