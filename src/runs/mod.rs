//! A run and what is known of it: its data, training, predictions and weights; the processes that
//! train side by side and what they say to each other.

pub mod context;
pub mod costs;
mod crowd;
pub mod device;
pub mod execute;
pub mod import;
pub mod machine;
pub mod onnx;
pub mod opened;
mod order;
pub mod predictions;
pub mod progress;
pub mod provenance;
pub mod sharing;
mod stop;
pub mod worker;
pub mod workers;

pub use context::{Data, Places, Saving, Settings};
pub use stop::{Interrupted, watch_signals};
