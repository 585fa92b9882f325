//! Slots on a GPU: one unit per row that leaves or comes.

use cubecl::prelude::*;

use super::NO_SLOT;
use crate::Buffer;
use crate::gpu::{Gpu, cubes_for, launch};

#[cube(launch_unchecked)]
fn slots_kernel(rows: &Array<u32>, slot_of: &mut Array<u32>, #[comptime] clear: bool) {
    let at = ABSOLUTE_POS;
    if at < rows.len() {
        let row = rows[at] as usize;
        if comptime!(clear) {
            slot_of[row] = NO_SLOT;
        } else {
            slot_of[row] = at as u32;
        }
    }
}

/// Sets `slot_of[rows[s]]` to `s`, or clears it.
pub(super) fn set_slots(gpu: &Gpu, rows: &Buffer<u32>, slot_of: &mut Buffer<u32>, clear: bool) {
    if rows.is_empty() {
        return;
    }
    // SAFETY: the kernel stays below the number of rows, and `assign` checked that each is inside
    // the table.
    unsafe { launch!(gpu, cubes_for(rows.len()), slots_kernel, rows.argument(), slot_of.argument(), clear) };
}
