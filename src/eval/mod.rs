//! What the numbers say: pure functions over plain predictions and costs.

pub mod predictions;

pub use predictions::Predictions;
