//! Memory estimates: refuse runs that would be killed for memory that the system promised and does
//! not have, and trainings that a GPU has no room for.

use gcnrec_kernels::Device;

use crate::error::{RecError, Result};
use crate::objectives;

mod available;

pub(super) use available::available_bytes;

/// How large a training is.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSize<'a> {
    /// Users.
    pub n_users: usize,
    /// Items.
    pub n_items: usize,
    /// Pairs that are edges of the graph.
    pub n_pairs: usize,
    /// Pairs, users or sequences in a batch; `None` takes the default of the model or the loss.
    pub batch_size: Option<usize>,
    /// Rows of the uniform log that a look-ahead is judged on; 0 for training without one.
    pub n_meta: usize,
    /// The loss, for models that are trained on one.
    pub loss: &'a objectives::Config,
}

/// What a training holds at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// The name of the model.
    pub model: &'static str,
    /// Bytes on the processor.
    pub host: u128,
    /// What they are for, as in `5 users and 9 items`.
    pub host_of: String,
    /// What the user can do about them.
    pub todo: String,
    /// On a GPU; `None` for a model that has no large arrays there.
    pub room: Option<Room>,
}

/// Bytes on a GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct Room {
    /// In the largest array.
    pub largest: u128,
    /// In all arrays.
    pub total: u128,
    /// What they are for.
    pub of: String,
}

impl Memory {
    /// Nothing worth counting.
    pub fn nothing(model: &'static str) -> Memory {
        Memory { model, host: 0, host_of: String::new(), todo: String::new(), room: None }
    }

    /// Tables that grow with users and items, and with the settings at `keys`.
    pub(super) fn of_tables(model: &'static str, host: u128, size: &TrainingSize<'_>, keys: &str) -> Memory {
        Memory {
            host,
            host_of: format!("{} users and {} items", size.n_users, size.n_items),
            todo: format!(
                "lower {keys}, or drop rare users and items (data.min_user_interactions, data.min_item_interactions)"
            ),
            ..Memory::nothing(model)
        }
    }

    /// Refuses what is more than the processor or a GPU has. Where the system does not say how much
    /// that is, nothing is refused.
    ///
    /// # Errors
    /// [`RecError::Resources`] or [`gcnrec_kernels::KernelError::Device`], both with exit code 5,
    /// with what is there and what is needed.
    pub fn check(&self, device: &Device) -> Result<()> {
        if let Some(Room { largest, total, of }) = &self.room {
            device.expect_room(*largest, *total, of)?;
        }
        self.check_host(available_bytes())
    }

    pub(super) fn check_host(&self, available: Option<u64>) -> Result<()> {
        match available {
            Some(available) if self.host > u128::from(available) => {
                let found = format!("{} of memory available", gigabytes(u128::from(available)));
                let expected = format!("{} for {}", gigabytes(self.host), self.host_of);
                Err(RecError::resources(format!("model.{}", self.model), found, expected).with_todo(&self.todo))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes in units of 10^9.
pub(super) fn gigabytes(bytes: u128) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Config;
    use crate::models::sequential::gru4rec;

    fn check(model: &Config, (n_users, n_items): (usize, usize), batch_size: Option<usize>, free: u64) -> Result<()> {
        let loss = objectives::Config::named("softmax").unwrap();
        let size = TrainingSize { n_users, n_items, n_pairs: 0, batch_size, n_meta: 0, loss: &loss };
        model.memory(&size)?.check_host(Some(free))
    }

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_both_numbers() {
        let config = Config::named("lightgcn").unwrap();
        // 12 tables of 10,000,000 x 64 numbers of 4 bytes: 30.72e9.
        let error = check(&config, (4_000_000, 6_000_000), None, 8_000_000_000).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "model.lightgcn: found 8.0 GB of memory available, expected 30.7 GB for 4000000 users and 6000000 items with dim 64 and 3 layers; \
                 lower --dim"
            ),
            "{error}"
        );
        assert_eq!(error.exit_code(), 5);
        assert!(check(&config, (4_000_000, 6_000_000), None, 30_720_000_000).is_ok());
        assert!(Memory { host: 1, ..Memory::nothing("ease") }.check_host(None).is_ok(), "unknown: not refused");
    }

    #[test]
    fn a_distiller_needs_room_for_the_scores_of_all_items_at_every_position() {
        let distilled: Config =
            gru4rec::Config { teacher_weight: 0.5, max_len: 50, ..gru4rec::Config::default() }.into();
        let fits = |batch_size, available| check(&distilled, (10, 40_000), batch_size, available);
        // 8 tables of 2 x 40,000 x 64 numbers and 256 MiB are .43e9 bytes; 128 x 50 positions x
        // 40,000 items x 3 x 4 bytes are 3.07e9.
        assert!(fits(None, 3_510_000_000).is_ok());
        let message = fits(None, 3_500_000_000).unwrap_err().to_string();
        assert!(message.contains("train.batch_size or model.gru4rec.max_len"), "{message}");
        assert!(fits(Some(64), 3_500_000_000).is_ok());
    }

    #[test]
    fn a_model_without_tables_always_fits_and_others_are_named() {
        assert!(check(&Config::named("popularity").unwrap(), (usize::MAX, usize::MAX), None, 0).is_ok());
        for name in ["ease", "item_knn", "rp3beta", "gf_cf", "signed_filter", "chebycf", "bspm", "turbo_cf"] {
            let error = check(&Config::named(name).unwrap(), (1, 1000), None, 0).unwrap_err();
            assert!(error.exit_code() == 5 && error.to_string().starts_with(&format!("model.{name}: ")), "{error}");
        }
        let largest = check(&Config::named("lightgcn").unwrap(), (usize::MAX, usize::MAX), None, u64::MAX);
        assert!(largest.is_err(), "no overflow");
    }
}
