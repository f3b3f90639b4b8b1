//! All integration tests in one binary: each would link LibTorch and polars once more.

mod golden_thresholds;
mod networks;
mod people;
mod program;
mod rooms;
mod slurm;
mod sweep;
