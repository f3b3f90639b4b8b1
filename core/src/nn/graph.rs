//! The graph itself: nodes in the order in which they were created, which is a topological order.

/// Index of a node in its network.
pub type NodeId = usize;

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// The batch of images.
    Input,
    /// Square convolution.
    Conv {
        /// Side of the kernel.
        kernel: usize,
        /// Step between outputs.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
        /// Groups of channels, each with its own outputs; 1 = every output reads every channel,
        /// as many as channels = depthwise.
        groups: usize,
        /// Whether a bias is added.
        bias: bool,
    },
    /// Batch normalisation over N, H, W; momentum 0.1, epsilon 1e-5.
    BatchNorm,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// In training, numbers set to 0 at random and the others divided by `1 - rate`; otherwise
    /// nothing.
    Dropout {
        /// Probability that a number becomes 0; at least 0 and below 1.
        rate: f64,
    },
    /// Channels of all inputs, one after another.
    Concat,
    /// Sum of two inputs.
    Add,
    /// Maximum over windows.
    MaxPool {
        /// Side of the window.
        kernel: usize,
        /// Step between windows.
        stride: usize,
        /// Padding on each side.
        padding: usize,
        /// Whether a last window that reaches over the edge counts as well; it is cut off there.
        ceil: bool,
    },
    /// Mean over windows that do not overlap.
    AvgPool {
        /// Side of the window and step between windows.
        kernel: usize,
    },
    /// ResNet's identity shortcut across a change of shape: every `stride`-th pixel, and zeros for
    /// the new channels (option A of He et al., 2015, section 3.3).
    Shortcut {
        /// Step between the pixels kept.
        stride: usize,
    },
    /// Fully connected, with a bias.
    Linear,
}

/// Whether a pass trains: batch normalisation then takes the batch's statistics and moves the running
/// ones, and dropout drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, dropout; gradients.
    Train,
    /// Running statistics, no dropout.
    Evaluate,
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name of its weights, for a layer that has some; empty for one that has none.
    pub name: String,
    /// Where it is in its family's own words, such as `layer 3, scale 1, regular, convolution 2`:
    /// what its initial weights are drawn by. It does not depend on the exits of the network.
    pub place: String,
    /// What it computes.
    pub layer: Layer,
    /// Nodes that it reads, all with a smaller id.
    pub inputs: Vec<NodeId>,
    /// Channels of its output.
    pub channels: usize,
    /// Height and width of its output.
    pub side: usize,
}

/// A classifier's place and its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The node that gives the logits: a linear layer, or one pixel of a feature.
    pub logits: NodeId,
    /// Depth at which the classifier is attached: layers (MSDNet), residual blocks (ResNet),
    /// composite layers (DenseNet), blocks (MobileNet), fire modules (SqueezeNet).
    pub depth: usize,
}

/// A feature map that a drawing shows: the output of a layer, block or composite layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureMap {
    /// The node that gives it.
    pub node: NodeId,
    /// Its depth, in the unit of [`Exit::depth`]; 0 before the first.
    pub depth: usize,
}

/// The directed graph with its marked exits.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub(super) family: &'static str,
    pub(super) nodes: Vec<Node>,
    pub(super) exits: Vec<Exit>,
    pub(super) maps: Vec<FeatureMap>,
    pub(super) transitions: Vec<usize>,
}

impl Network {
    /// Name of its family; empty for a graph of no family.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// The same network as one of `family`.
    #[must_use]
    pub fn of_family(self, family: &'static str) -> Network {
        Network { family, ..self }
    }

    /// All nodes in topological order; the first one is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The exits, from the first to the last.
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// The feature maps that a drawing shows, in the order of their creation.
    pub fn maps(&self) -> &[FeatureMap] {
        &self.maps
    }

    /// Depths at which channels are compressed.
    pub fn transitions(&self) -> &[usize] {
        &self.transitions
    }

    /// Places in [`Network::maps`] that node `id` depends on through no other one, ascending.
    pub fn sources(&self, id: NodeId) -> Vec<usize> {
        let mut needed = vec![false; id + 1];
        for &input in &self.nodes[id].inputs {
            needed[input] = true;
        }
        let mut sources = Vec::new();
        for node in (0..id).rev() {
            if !needed[node] {
                continue;
            }
            match self.maps.iter().position(|map| map.node == node) {
                Some(place) => sources.push(place),
                None => self.nodes[node].inputs.iter().for_each(|&input| needed[input] = true),
            }
        }
        sources.reverse();
        sources
    }

    /// Number of classes: channels of the logits.
    pub fn classes(&self) -> usize {
        self.exits.first().map_or(0, |exit| self.nodes[exit.logits].channels)
    }

    /// Which nodes the given exits (from 0) depend on, by node id. This is the set that lazy
    /// evaluation computes (paper, section 4).
    pub fn ancestors(&self, exits: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for exit in exits {
            needed[self.exits[exit].logits] = true;
        }
        for id in (0..self.nodes.len()).rev() {
            if needed[id] {
                for &input in &self.nodes[id].inputs {
                    needed[input] = true;
                }
            }
        }
        needed
    }

    /// Channels that node `id` reads from its first input.
    pub fn input_channels(&self, id: NodeId) -> usize {
        self.nodes[id].inputs.first().map_or(0, |&input| self.nodes[input].channels)
    }
}
