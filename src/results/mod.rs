//! Where a run's files live, and how all files are written; nothing else knows the names in a run's
//! folder.

pub mod answers;
pub mod atomic;
pub mod began;
pub mod checkpoint;
pub mod folder;
pub mod markdown;
pub mod predictions;
pub mod protobuf;
pub mod runfiles;
pub mod shell;
pub mod tables;
pub mod tensorboard;

pub use folder::{RunFolder, find_named_run, find_run, list_runs};

/// Whether results of experiment `name` are for trying only: kept from git and from the report.
pub fn is_scratch(name: &str) -> bool {
    name == "smoke" || name.ends_with("-quick")
}
