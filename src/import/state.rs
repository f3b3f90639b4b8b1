//! What is read of a file, before it is known which of it is meant.

use tch::Tensor;

/// A dictionary of tensors in a file.
#[derive(Debug)]
pub struct State {
    /// The key that leads to it, such as `state_dict`; empty for the file's outermost dictionary.
    pub key: String,
    /// Its tensors by name.
    pub tensors: Vec<(String, Tensor)>,
}
