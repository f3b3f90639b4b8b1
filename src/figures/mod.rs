//! Tables to pictures: a `figure.csv` in, the same drawing as SVG and PNG out.
//!
//! The way of a picture: a builder (a file each) reads the CSV that was just written, takes means
//! over seeds (`seeds`) and describes panels of curves (`chart`), which are laid out and
//! painted. No clock, no system font and no random number takes part, so equal tables give equal
//! bytes.

pub mod anytime;
pub mod budgeted;
mod chart;
pub mod forest;
pub mod guarantee;
mod joined;
pub mod learning;
pub mod network;
mod paper;
pub mod positional;
pub mod saving;
mod seeds;
pub mod sheet;
pub mod training;
pub mod trend;

pub use chart::take_missing;
pub use paper::PaperCurve;
