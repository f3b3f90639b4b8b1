//! A run and what is known of it: its data, training, predictions and weights; the processes that
//! train side by side and what they say to each other.

mod child;
mod classes;
pub mod context;
pub mod costs;
pub mod data;
pub mod device;
pub mod display;
pub mod import;
mod known;
pub mod machine;
pub mod onnx;
mod predictions;
mod protocol;
pub mod provenance;
pub mod sharing;
mod stop;
mod terminal;
pub mod train;
pub mod worker;
pub mod workers;

pub use crate::data::Split;
pub use context::{Places, Saving, Settings, tell};
pub use data::{Data, DataSets, IMPORTED_DOUBT};
pub use known::{Known, OTHER_OR_DAMAGED, State};
pub use protocol::{Event, Task};
pub use stop::{Interrupted, watch_signals};
pub use train::Outcome;
