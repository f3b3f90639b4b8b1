//! Many runs: one manifest that this machine, a scheduler or a shell loop can carry out.

mod asked;
mod estimate;
mod manifest;
mod plan;
mod run;
mod scripts;
mod slurm;
mod status;

pub use asked::Slurm;
pub use manifest::{Line, manifest_text, read_manifest};
pub use plan::manifest;
pub use run::run_sweep;
pub use slurm::submit;
pub use status::{Status, describe_status, status_of, status_of_all};
