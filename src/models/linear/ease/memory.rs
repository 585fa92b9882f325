//! Is there room for two dense matrices? Asked before they are allocated: a system that hands out more memory than it has ends the run later, without a
//! message.

use crate::error::{RecError, Result};
use crate::models::memory::gigabytes;

/// Two matrices of `n_items` x `n_items` 64-bit numbers: the most that fitting holds at once.
fn needed_bytes(n_items: usize) -> u128 {
    16 * (n_items as u128).pow(2)
}

/// Refuses more items than the limit, or than fit into the memory that is available (unknown: not checked).
///
/// # Errors
/// [`RecError::Resources`] with what is there and what is needed.
pub(in crate::models) fn check(n_items: usize, max_items: usize, available: Option<u64>) -> Result<()> {
    let needed = needed_bytes(n_items);
    let refuse = |found: String, expected: String, todo: &str| {
        Err(RecError::Resources {
            what: "model.ease".into(),
            found,
            expected,
            todo: format!("{todo} (data.min_item_interactions), or use a model with embeddings such as lightgcn"),
        })
    };
    if n_items > max_items {
        let found = format!("{n_items} items, which take {} while fitting", gigabytes(needed));
        return refuse(
            found,
            format!("at most {max_items} (model.ease.max_items)"),
            "raise the limit, drop rare items",
        );
    }
    match available {
        Some(available) if needed > u128::from(available) => refuse(
            format!("{} of memory available", gigabytes(u128::from(available))),
            format!("{} for {n_items} items", gigabytes(needed)),
            "drop rare items",
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_items_are_refused_before_anything_is_allocated() {
        // 16 * 40,000^2 = 25.6e9.
        let error = check(40_000, 30_000, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "model.ease: found 40000 items, which take 25.6 GB while fitting, expected at most 30000 (model.ease.max_items); raise the limit, \
             drop rare items (data.min_item_interactions), or use a model with embeddings such as lightgcn"
        );
        assert_eq!(error.exit_code(), 5);
    }

    #[test]
    fn too_little_memory_is_refused_with_both_numbers() {
        // 16 * 20,000^2 = 6.4e9.
        let error = check(20_000, 30_000, Some(4_000_000_000)).unwrap_err();
        assert!(
            error.to_string().contains("found 4.0 GB of memory available, expected 6.4 GB for 20000 items"),
            "{error}"
        );
        assert!(check(20_000, 30_000, Some(6_400_000_000)).is_ok());
        assert!(check(20_000, 30_000, None).is_ok());
    }
}
