//! What the numbers say: pure functions over plain predictions and costs.
//!
//! Nothing here reads a file, builds a network or draws: predictions are computed once and
//! analysed ever after.

pub mod answers;
pub mod anytime;
pub mod budgeted;
pub mod claims;
pub mod combine;
pub mod curve;
pub mod exits;
pub mod figure;
pub mod guarantee;
pub mod judge;
pub mod named;
pub mod optimise;
pub mod paper;
pub mod policy;
pub mod predictions;
pub mod probabilities;
pub mod relative;
pub mod statistics;
pub mod summary;
pub mod temperature;
pub mod thresholds;

pub use predictions::Predictions;
