//! All integration tests in one binary: each would link LibTorch and polars once more.

mod fixtures;
mod fuzz;
mod golden_thresholds;
mod mutate;
mod networks;
mod program;
mod rooms;
mod sweep;
