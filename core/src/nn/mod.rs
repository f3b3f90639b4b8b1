//! A network is a directed graph of layers with marked exits, and an exit costs what its
//! ancestors cost.
//!
//! [`Builder`] makes a [`Network`], a value without tensors: it can be counted, checked and drawn.
//! [`Weights`] are its tensors, and [`Pass`] runs it, exit by exit, computing only what the next
//! exit still needs (the paper's lazy evaluation, section 4). The room `engine` does
//! the same for inference alone, in its own loops.

mod builder;
mod dropout;
mod forward;
mod graph;
mod init;
mod norm;
mod schedule;
mod weights;

pub use builder::{Builder, Conv, Feature};
pub use forward::{Pass, Precision};
pub use graph::{Exit, FeatureMap, Layer, Mode, Network, Node, NodeId};
pub use init::initialise;
pub use norm::EPSILON;
pub use schedule::{Schedule, Segment, Step};
pub use weights::{ParameterSpec, Role, TensorSpec, Weights, aligned};
