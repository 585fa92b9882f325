//! Memory estimate of EASE: two dense item-item matrices.

use crate::error::{RecError, Result};
use crate::models::Memory;
use crate::models::memory::gigabytes;

/// Two matrices of `n_items` x `n_items` 64-bit numbers: the most that fitting holds at once.
///
/// # Errors
/// [`RecError::Resources`] for more items than the limit.
pub(super) fn of(n_items: usize, max_items: usize) -> Result<Memory> {
    let needed = 16 * (n_items as u128).pow(2);
    let todo = "drop rare items (data.min_item_interactions), or use a model with embeddings such as lightgcn";
    if n_items > max_items {
        let found = format!("{n_items} items, which take {} while fitting", gigabytes(needed));
        let expected = format!("at most {max_items} (model.ease.max_items)");
        return Err(RecError::resources("model.ease", found, expected).with_todo(format!("raise the limit, {todo}")));
    }
    let host_of = format!("{n_items} items");
    Ok(Memory { host: needed, host_of, todo: todo.into(), ..Memory::nothing("ease") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_items_are_refused_before_anything_is_allocated() {
        // 16 * 40,000^2 = 25.6e9.
        let error = of(40_000, 30_000).unwrap_err();
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
        let memory = of(20_000, 30_000).unwrap();
        let error = memory.check_host(Some(4_000_000_000)).unwrap_err();
        assert!(
            error.to_string().contains("found 4.0 GB of memory available, expected 6.4 GB for 20000 items"),
            "{error}"
        );
        assert!(memory.check_host(Some(6_400_000_000)).is_ok());
        assert!(memory.check_host(None).is_ok());
    }
}
