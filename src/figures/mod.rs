//! Tables to pictures: a `figure.csv` in, the same drawing as SVG and PNG out.
//!
//! The way of a picture: a builder ([`anytime`], [`budgeted`], [`intermediate`], [`degradation`],
//! [`ablation`], [`training`]) reads the CSV that was just written, takes means over seeds and
//! describes [`chart::Chart`]s; [`draw::draw`] lays them out as a list of strokes, areas and texts
//! and paints that one list twice. No clock, no system font and no random number takes part, so
//! equal tables give equal bytes.

pub mod ablation;
pub mod anytime;
mod axis;
pub mod budgeted;
pub mod chart;
pub mod degradation;
pub mod draw;
mod envelope;
pub mod forest;
pub mod guarantee;
mod ink;
pub mod intermediate;
pub mod learning;
mod legend;
mod letters;
mod mark;
pub mod network;
mod paint;
mod panel;
mod paper;
mod relative;
pub mod saving;
mod seeds;
pub mod sheet;
mod stroke;
mod table;
pub mod training;
pub mod trend;

pub use letters::take_missing;
pub use paper::PaperCurve;
