//! All integration tests in one binary: each would link LibTorch and polars once more.

mod began;
mod corruption;
mod disk_full;
mod engine;
mod fixtures;
mod foreign;
mod format;
mod fuzz;
mod golden;
mod golden_costs;
mod golden_network;
mod golden_policies;
mod golden_thresholds;
mod gpu_check;
mod guarantee;
mod kills;
mod mutate;
mod networks;
mod newcomer;
mod people;
mod pretend;
mod program;
mod readme;
mod rooms;
mod slurm;
mod sweep;
