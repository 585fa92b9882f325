//! Is there room? Asked before anything large is allocated: a system that hands out more memory than it has ends the run later, without a message.

use super::Config;
use crate::error::{RecError, Result};

/// What the system says can be had without swapping, where it says so: `MemAvailable` of Linux, and no more than the limit of the process's group.
pub(super) fn available_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = parse_available(&read("/proc/meminfo")?);
    // "max" stands for no limit, and is no number.
    let group = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(group).min()
}

/// Reads the line `MemAvailable: 123 kB`.
fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes in units of 10^9.
pub(super) fn gigabytes(bytes: u128) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Refuses a model whose tables do not fit into the memory that is available, `batch_size` being what was chosen for a step. Where the system does not
/// say how much that is, nothing is refused.
///
/// # Errors
/// [`RecError::Resources`] with what is there and what is needed.
pub fn check_memory(config: &Config, n_users: usize, n_items: usize, batch_size: Option<usize>) -> Result<()> {
    check(config, (n_users, n_items), batch_size, available_bytes())
}

fn check(
    config: &Config,
    (n_users, n_items): (usize, usize),
    batch_size: Option<usize>,
    available: Option<u64>,
) -> Result<()> {
    if let Config::Fusion(fusion) = config {
        let of_member = |member: &super::fusion::Member| {
            check(&member.model, (n_users, n_items), member.batch_size.or(batch_size), available)
        };
        return fusion.members().iter().try_for_each(of_member);
    }
    if let Config::Ease(ease) = config {
        return super::linear::ease::check_memory(n_items, ease.max_items, available);
    }
    let Some(available) = available else { return Ok(()) };
    let todo = "lower {}, or drop rare users and items (data.min_user_interactions, data.min_item_interactions)";
    let by_keys = |needed: u128, keys: &str| {
        let expected = format!("{} for {n_users} users and {n_items} items", gigabytes(needed));
        refuse(config.name(), needed, available, expected, todo.replace("{}", keys))
    };
    match config {
        Config::ItemKnn(c) => return by_keys(neighbour_bytes(n_items, c.neighbours), "model.item_knn.neighbours"),
        Config::Rp3beta(c) => return by_keys(neighbour_bytes(n_items, c.neighbours), "model.rp3beta.neighbours"),
        Config::Gru4rec(c) => {
            if c.teacher_weight == 0.0 {
                return by_keys(super::sequential::needed_bytes(n_items, c.dim), "model.gru4rec.dim");
            }
            // A teacher has tables of its own, and its scores, their softmax and that in the order of the batch are kept for every position and item.
            let positions = batch_size.unwrap_or(super::sequential::BATCH_SIZE) as u128 * c.max_len as u128;
            let needed = super::sequential::needed_bytes(2 * n_items, c.dim) + 3 * 4 * positions * n_items as u128;
            return by_keys(needed, "train.batch_size or model.gru4rec.max_len");
        }
        Config::Narm(c) => return by_keys(super::sequential::needed_bytes(n_items, c.dim), "model.narm.dim"),
        // A table of users, one of last items, and two of next items.
        Config::Fpmc(c) => {
            return by_keys(super::sequential::needed_bytes(n_users + 3 * n_items, c.dim), "model.fpmc.dim");
        }
        Config::Sasrec(c) => {
            return by_keys(super::sequential::needed_bytes(n_items, c.dim), "model.sasrec.dim");
        }
        Config::Bert4rec(c) => {
            return by_keys(super::sequential::needed_bytes(n_items, c.dim), "model.bert4rec.dim");
        }
        Config::Fmlp(c) => return by_keys(super::sequential::needed_bytes(n_items, c.dim), "model.fmlp.dim"),
        Config::GfCf(c) => return by_keys(c.needed_bytes(n_users, n_items), "model.gf_cf.factors"),
        _ => {}
    }
    let Some(graph) = config.graph() else { return Ok(()) };
    let needed = table_bytes(n_users as u128 + n_items as u128, graph.dim, graph.layers);
    let expected = format!(
        "{} for {n_users} users and {n_items} items with dim {} and {} layers",
        gigabytes(needed),
        graph.dim,
        graph.layers
    );
    refuse(config.name(), needed, available, expected, todo.replace("{}", "--dim or --layers"))
}

fn refuse(model: &str, needed: u128, available: u64, expected: String, todo: String) -> Result<()> {
    if needed <= u128::from(available) {
        return Ok(());
    }
    let found = format!("{} of memory available", gigabytes(u128::from(available)));
    Err(RecError::Resources { what: format!("model.{model}"), found, expected, todo })
}

/// Rows of neighbours (8 bytes each), once while they are found and once in the model. An item cannot have more than there are items.
fn neighbour_bytes(n_items: usize, n_neighbours: usize) -> u128 {
    16 * n_items as u128 * n_neighbours.min(n_items) as u128
}

/// The tables of 32-bit numbers, `[n_nodes, dim]` each, that live at the same time: base embeddings and their two moments, the layers above, the
/// gradient on its way down (2), the frozen model, and the copies that a checkpoint writes (3). Batches come on top and are small beside them.
fn table_bytes(n_nodes: u128, dim: usize, layers: usize) -> u128 {
    let n_tables = 3 + layers + 2 + 1 + 3;
    4 * n_nodes * dim as u128 * n_tables as u128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::sequential::gru4rec;

    #[test]
    fn the_available_memory_is_read_in_kilobytes() {
        assert_eq!(parse_available("MemTotal:  9 kB\nMemAvailable:    2048 kB\nSwap: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(parse_available("MemTotal:  9 kB\n"), None);
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_both_numbers() {
        let config = Config::named("lightgcn").unwrap();
        // 12 tables of 10,000,000 x 64 numbers of 4 bytes: 30.72e9.
        let error = check(&config, (4_000_000, 6_000_000), None, Some(8_000_000_000)).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "model.lightgcn: found 8.0 GB of memory available, expected 30.7 GB for 4000000 users and 6000000 items with dim 64 and 3 layers; \
                 lower --dim"
            ),
            "{error}"
        );
        assert_eq!(error.exit_code(), 5);
        assert!(check(&config, (4_000_000, 6_000_000), None, Some(30_720_000_000)).is_ok());
        assert!(check(&config, (4_000_000, 6_000_000), None, None).is_ok(), "unknown: not refused");
    }

    #[test]
    fn a_teacher_needs_room_for_the_scores_of_all_items_at_every_position() {
        let taught = gru4rec::Config { teacher_weight: 0.5, max_len: 50, ..gru4rec::Config::default() };
        let fits =
            |batch_size, available| check(&Config::Gru4rec(taught.clone()), (10, 40_000), batch_size, Some(available));
        // 8 tables of 2 x 40,000 x 64 numbers and 256 MiB are .43e9 bytes; 128 x 50 positions x 40,000 items x 3 x 4 bytes are 3.07e9.
        assert!(fits(None, 3_510_000_000).is_ok());
        let message = fits(None, 3_500_000_000).unwrap_err().to_string();
        assert!(message.contains("train.batch_size or model.gru4rec.max_len"), "{message}");
        assert!(fits(Some(64), 3_500_000_000).is_ok());
    }

    #[test]
    fn a_model_without_tables_always_fits_and_ease_asks_for_its_matrices() {
        assert!(check(&Config::named("popularity").unwrap(), (usize::MAX, usize::MAX), None, Some(0)).is_ok());
        for name in ["ease", "item_knn", "rp3beta", "gf_cf"] {
            let error = check(&Config::named(name).unwrap(), (1, 1000), None, Some(0)).unwrap_err();
            assert!(error.exit_code() == 5 && error.to_string().starts_with(&format!("model.{name}: ")), "{error}");
        }
        assert!(
            check(&Config::named("lightgcn").unwrap(), (usize::MAX, usize::MAX), None, Some(u64::MAX)).is_err(),
            "no overflow"
        );
    }
}
