//! Checkpoints, which are written whole or not at all, and the run folder around them.
//!
//! A checkpoint is a folder:
//!
//! | file | content |
//! | --- | --- |
//! | `model.safetensors` | the tensors of the state, F32 and U32; the `safetensors` package of Python reads it |
//! | `ids.json` | names of users and items in the order of their dense ids, and titles |
//! | `seen.safetensors` | `ptr` and `items`: what each user has seen (only when there is something to mask) |
//! | `config.toml` | the resolved configuration |
//! | `manifest.json` | format version, model, facts, length and SHA-256 of every other file, and a SHA-256 of itself |
//!
//! [`save`] writes `NAME.tmp`, syncs every file and the folder, then rotates `NAME` to `NAME.old`
//! and `NAME.tmp` to `NAME`. [`load`] checks every byte against the manifest before it believes any
//! of it, and takes `NAME.old` when `NAME` is absent or damaged.

mod contents;
#[cfg(test)]
mod damage_tests;
mod disk;
pub(crate) mod failpoint;
mod frozen;
mod lock;
mod manifest;
mod run_folder;
mod store;
mod tensors;

pub use contents::{Contents, HOLDS, RECOVERED_FROM};
pub(crate) use contents::{EXCLUDE_SEEN, Ids};
pub use disk::write_whole;
pub(crate) use frozen::{check_folder, load_frozen};
pub(crate) use lock::FolderLock;
pub(crate) use lock::LOCK;
pub use run_folder::RunFolder;
pub use store::{exists, load, save};
