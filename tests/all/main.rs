//! All integration tests in one binary: each would link LibTorch and polars once more.

mod golden;
mod golden_costs;
mod golden_network;
mod golden_thresholds;
mod networks;
mod program;
mod rooms;
mod slurm;
mod sweep;
