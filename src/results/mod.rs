//! Where a run's and a figure's files live, and how they are written; nothing else knows file
//! names.

pub mod answers;
pub mod atomic;
pub mod began;
pub mod checkpoint;
pub mod folder;
pub mod markdown;
pub mod predictions;
pub mod protobuf;
pub mod runfiles;
pub mod tables;
pub mod tensorboard;

pub use folder::{RunFolder, find_named_run, find_run, list_runs};

/// Whether results of experiment `name` are for trying only: kept from git and from the report.
pub fn is_scratch(name: &str) -> bool {
    name == "smoke" || name.ends_with("-quick")
}
