//! The counting convention, stated once: one multiplication and one addition together are one
//! multiply-add; convolutions and linear layers are counted, their biases and everything else are
//! not. A convolution in g groups costs `k k (c_in / g) c_out side side`, a linear layer
//! `c_in c_out`.

use serde::Serialize;

use crate::nn::{Layer, Network, NodeId};

/// What an exit costs, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ExitCost {
    /// All layers that exits 1 to k depend on, their classifiers included: what an image that
    /// leaves at exit k has cost.
    pub multiply_adds: u64,
    /// All layers that exit k alone depends on.
    pub multiply_adds_single: u64,
    /// Every layer created up to exit k's classifier, whether or not an exit reads it.
    pub multiply_adds_eager: u64,
    /// Weights and biases of those eager layers.
    pub parameters: u64,
}

/// Costs of every exit, from the first to the last. No tensor is allocated.
pub fn table(network: &Network) -> Vec<ExitCost> {
    let nodes = 0..network.nodes().len();
    let costs: Vec<u64> = nodes.clone().map(|id| multiply_adds(network, id)).collect();
    let sizes = parameter_counts(network);
    let sum_of = |needed: &[bool]| -> u64 {
        nodes.clone().filter(|&id| needed[id]).map(|id| costs[id]).sum()
    };
    let exits = network.exits().iter().enumerate();
    exits
        .map(|(k, exit)| ExitCost {
            multiply_adds: sum_of(&network.ancestors(0..=k)),
            multiply_adds_single: sum_of(&network.ancestors([k])),
            multiply_adds_eager: costs[..=exit.logits].iter().sum(),
            parameters: sizes[..=exit.logits].iter().sum(),
        })
        .collect()
}

/// Multiply-adds of exits 1..k, K numbers: what an image that leaves at each has cost.
pub fn by_exit(network: &Network) -> Vec<u64> {
    table(network).iter().map(|cost| cost.multiply_adds).collect()
}

/// Multiply-adds of one node for one image.
pub fn multiply_adds(network: &Network, id: NodeId) -> u64 {
    let node = &network.nodes()[id];
    let (inputs, outputs, side) =
        (network.input_channels(id) as u64, node.channels as u64, node.side as u64);
    match node.layer {
        Layer::Conv { kernel, groups, .. } => {
            (kernel * kernel) as u64 * (inputs / groups as u64) * outputs * side * side
        }
        Layer::Linear => inputs * outputs,
        _ => 0,
    }
}

/// What the authors' PyTorch port counts of all layers that the exits up to `exit` (from 0) depend on, for
/// one image: multiply-adds, the elements of ReLUs, those that pooling reads, and the biases of
/// linear layers. On the paper's ImageNet axis (Fig. 5, left) one reads up to 3 % more than this count.
pub fn port_operations(network: &Network, exit: usize) -> u64 {
    let needed = network.ancestors(0..=exit);
    let beside = |id: NodeId| {
        let node = &network.nodes()[id];
        let elements = (node.channels * node.side * node.side) as u64;
        match node.layer {
            Layer::Relu | Layer::Relu6 | Layer::Linear => elements,
            Layer::MaxPool { kernel, .. } | Layer::AvgPool { kernel } => {
                elements * (kernel * kernel) as u64
            }
            _ => 0,
        }
    };
    let nodes = (0..network.nodes().len()).filter(|&id| needed[id]);
    nodes.map(|id| multiply_adds(network, id) + beside(id)).sum()
}

/// Numbers in all feature maps that some exit depends on, for one image. In narrow networks on a CPU
/// these, which every layer reads and writes, tell more of the time than the multiply-adds.
pub fn feature_elements(network: &Network) -> u64 {
    let needed = network.ancestors(0..network.exits().len());
    let nodes = network.nodes().iter().zip(needed);
    nodes
        .filter(|(_, needed)| *needed)
        .map(|(node, _)| (node.channels * node.side * node.side) as u64)
        .sum()
}

fn parameter_counts(network: &Network) -> Vec<u64> {
    let mut sizes = vec![0; network.nodes().len()];
    for spec in network.parameters() {
        sizes[spec.node] += spec.shape.iter().product::<i64>() as u64;
    }
    sizes
}
