//! Building a network: every step returns a handle that knows its own shape, so a definition
//! needs no channel arithmetic. A shape that cannot be is a bug in a definition and panics;
//! what people write is validated before (`models`).

use super::graph::{Exit, FeatureMap, Layer, Network, Node, NodeId};

/// A handle on a node's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The node.
    pub id: NodeId,
    /// Its channels.
    pub channels: usize,
    /// Its height and width.
    pub side: usize,
}

/// A convolution's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
    /// Groups of channels, each with its own outputs.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv {
    /// A 1x1 convolution without a bias.
    pub fn pointwise(channels: usize) -> Conv {
        Conv { channels, kernel: 1, stride: 1, padding: 0, groups: 1, bias: false }
    }

    /// A 3x3 convolution with padding 1 and without a bias.
    pub fn three(channels: usize, stride: usize) -> Conv {
        Conv { channels, kernel: 3, stride, padding: 1, groups: 1, bias: false }
    }

    /// A 3x3 convolution with padding 1 and without a bias, each channel by itself.
    pub fn depthwise(channels: usize, stride: usize) -> Conv {
        Conv { groups: channels, ..Conv::three(channels, stride) }
    }

    /// The same with a bias.
    pub fn biased(self) -> Conv {
        Conv { bias: true, ..self }
    }
}

struct Scope {
    name: String,
    next: usize,
}

/// Where layers are, in a family's own words.
struct Place {
    name: String,
    convolutions: usize,
}

/// Collects nodes and exits into a [`Network`].
///
/// Weights are named by scopes; within a scope, layers are numbered in the order of their
/// creation, ReLU and pooling included, as in a PyTorch `Sequential`.
///
/// Initial weights are drawn by places: what [`Builder::place`] says and the number of the
/// convolution there, or else the layer's name.
pub struct Builder {
    nodes: Vec<Node>,
    exits: Vec<Exit>,
    maps: Vec<FeatureMap>,
    transitions: Vec<usize>,
    scopes: Vec<Scope>,
    places: Vec<Place>,
}

impl Builder {
    /// A graph that so far is only its input: images of `channels` x `side` x `side`.
    pub fn new(channels: usize, side: usize) -> (Builder, Feature) {
        let mut builder = Builder {
            nodes: Vec::new(),
            exits: Vec::new(),
            maps: Vec::new(),
            transitions: Vec::new(),
            scopes: vec![Scope { name: String::new(), next: 0 }],
            places: Vec::new(),
        };
        let input = builder.push(Layer::Input, &[], channels, side, String::new());
        (builder, input)
    }

    /// Runs `define` with `name` in front of the names of all weights that it creates.
    pub fn scope<T>(
        &mut self,
        name: impl Into<String>,
        define: impl FnOnce(&mut Builder) -> T,
    ) -> T {
        let name = self.full_name(&name.into());
        self.scopes.push(Scope { name, next: 0 });
        let result = define(self);
        self.scopes.pop();
        result
    }

    /// Runs `define` with all layers that it creates at the place `name`; a place within a place
    /// stands after it.
    pub fn place<T>(
        &mut self,
        name: impl Into<String>,
        define: impl FnOnce(&mut Builder) -> T,
    ) -> T {
        let name = name.into();
        let name = match self.places.last() {
            Some(outer) => format!("{}, {name}", outer.name),
            None => name,
        };
        self.places.push(Place { name, convolutions: 0 });
        let result = define(self);
        self.places.pop();
        result
    }

    /// [`Builder::scope`] and [`Builder::place`] in one.
    pub fn at<T>(
        &mut self,
        name: impl Into<String>,
        place: impl Into<String>,
        define: impl FnOnce(&mut Builder) -> T,
    ) -> T {
        self.place(place, |net| net.scope(name, define))
    }

    /// Convolution. A strided output has `(side + 2 padding - kernel) / stride + 1` pixels a side.
    pub fn conv(&mut self, x: Feature, conv: Conv) -> Feature {
        let name = self.numbered();
        self.push_conv(x, conv, name)
    }

    /// Convolution whose weights are called `name` within the scope.
    pub fn conv_as(&mut self, name: &str, x: Feature, conv: Conv) -> Feature {
        let name = self.full_name(name);
        self.push_conv(x, conv, name)
    }

    fn push_conv(&mut self, x: Feature, conv: Conv, name: String) -> Feature {
        let Conv { channels, kernel, stride, padding, groups, bias } = conv;
        assert!(
            groups > 0 && x.channels.is_multiple_of(groups) && channels.is_multiple_of(groups),
            "{name}: {groups} groups do not divide {} channels into {channels}",
            x.channels
        );
        let side = windows(x.side, kernel, stride, padding);
        let layer = Layer::Conv { kernel, stride, padding, groups, bias };
        self.push(layer, &[x], channels, side, name)
    }

    /// Batch normalisation.
    pub fn batch_norm(&mut self, x: Feature) -> Feature {
        let name = self.numbered();
        self.push(Layer::BatchNorm, &[x], x.channels, x.side, name)
    }

    /// Batch normalisation whose weights are called `name` within the scope.
    pub fn batch_norm_as(&mut self, name: &str, x: Feature) -> Feature {
        let name = self.full_name(name);
        self.push(Layer::BatchNorm, &[x], x.channels, x.side, name)
    }

    /// ReLU.
    pub fn relu(&mut self, x: Feature) -> Feature {
        self.numbered();
        self.push(Layer::Relu, &[x], x.channels, x.side, String::new())
    }

    /// ReLU, at most 6.
    pub fn relu6(&mut self, x: Feature) -> Feature {
        self.numbered();
        self.push(Layer::Relu6, &[x], x.channels, x.side, String::new())
    }

    /// Dropout: in training a number becomes 0 with probability `rate`.
    pub fn dropout(&mut self, x: Feature, rate: f64) -> Feature {
        assert!((0.0..1.0).contains(&rate), "a dropout of {rate}");
        self.numbered();
        self.push(Layer::Dropout { rate }, &[x], x.channels, x.side, String::new())
    }

    /// Max pooling.
    pub fn max_pool(
        &mut self,
        x: Feature,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Feature {
        self.numbered();
        let side = windows(x.side, kernel, stride, padding);
        let layer = Layer::MaxPool { kernel, stride, padding, ceil: false };
        self.push(layer, &[x], x.channels, side, String::new())
    }

    /// Max pooling without padding whose last window may reach over the edge.
    pub fn max_pool_ceil(&mut self, x: Feature, kernel: usize, stride: usize) -> Feature {
        self.numbered();
        let side = windows_ceil(x.side, kernel, stride);
        let layer = Layer::MaxPool { kernel, stride, padding: 0, ceil: true };
        self.push(layer, &[x], x.channels, side, String::new())
    }

    /// Average pooling over windows that do not overlap.
    pub fn avg_pool(&mut self, x: Feature, kernel: usize) -> Feature {
        self.numbered();
        let side = windows(x.side, kernel, kernel, 0);
        self.push(Layer::AvgPool { kernel }, &[x], x.channels, side, String::new())
    }

    /// Average over the whole feature map: one pixel is left.
    pub fn global_avg_pool(&mut self, x: Feature) -> Feature {
        self.avg_pool(x, x.side)
    }

    /// Channels of all `features`, in order.
    pub fn concat(&mut self, features: &[Feature]) -> Feature {
        if let [only] = features {
            return *only;
        }
        let side = features[0].side;
        assert!(features.iter().all(|f| f.side == side), "concat of different sides: {features:?}");
        let channels = features.iter().map(|f| f.channels).sum();
        self.push(Layer::Concat, features, channels, side, String::new())
    }

    /// Sum of two features of one shape.
    pub fn add(&mut self, a: Feature, b: Feature) -> Feature {
        assert_eq!((a.channels, a.side), (b.channels, b.side), "sum of different shapes");
        self.push(Layer::Add, &[a, b], a.channels, a.side, String::new())
    }

    /// Every `stride`-th pixel of `x`, zero channels added up to `channels`.
    pub fn shortcut(&mut self, x: Feature, channels: usize, stride: usize) -> Feature {
        assert!(channels >= x.channels, "a shortcut cannot drop channels");
        if channels == x.channels && stride == 1 {
            return x;
        }
        let side = windows(x.side, 1, stride, 0);
        self.push(Layer::Shortcut { stride }, &[x], channels, side, String::new())
    }

    /// Fully connected layer named `name` on a feature of one pixel.
    pub fn linear(&mut self, x: Feature, outputs: usize, name: &str) -> Feature {
        assert_eq!(x.side, 1, "a linear layer reads one pixel");
        let name = self.full_name(name);
        self.push(Layer::Linear, &[x], outputs, 1, name)
    }

    /// Marks `logits`, a feature of one pixel, as the next exit, attached at `depth`.
    pub fn exit(&mut self, logits: Feature, depth: usize) {
        assert_eq!(logits.side, 1, "logits are one pixel");
        self.exits.push(Exit { logits: logits.id, depth });
    }

    /// Marks `x` as the feature map, or one of those, at `depth`: drawings show it.
    pub fn map(&mut self, x: Feature, depth: usize) {
        self.maps.push(FeatureMap { node: x.id, depth });
    }

    /// Marks that channels are compressed at `depth`: drawings show it.
    pub fn transition(&mut self, depth: usize) {
        self.transitions.push(depth);
    }

    /// The finished network.
    pub fn finish(self) -> Network {
        assert!(!self.exits.is_empty(), "a network without an exit");
        let Builder { nodes, exits, maps, transitions, .. } = self;
        Network { family: "", nodes, exits, maps, transitions }
    }

    fn push(
        &mut self,
        layer: Layer,
        inputs: &[Feature],
        channels: usize,
        side: usize,
        name: String,
    ) -> Feature {
        let id = self.nodes.len();
        let inputs = inputs.iter().map(|f| f.id).collect();
        let place = self.place_of(&layer, &name);
        self.nodes.push(Node { name, place, layer, inputs, channels, side });
        Feature { id, channels, side }
    }

    fn place_of(&mut self, layer: &Layer, name: &str) -> String {
        match (self.places.last_mut(), layer) {
            (None, _) => name.to_string(),
            (Some(place), Layer::Conv { .. }) => {
                place.convolutions += 1;
                format!("{}, convolution {}", place.name, place.convolutions)
            }
            (Some(place), _) => place.name.clone(),
        }
    }

    fn full_name(&self, name: &str) -> String {
        match self.scopes.last() {
            Some(scope) if !scope.name.is_empty() => format!("{}.{name}", scope.name),
            _ => name.to_string(),
        }
    }

    fn numbered(&mut self) -> String {
        let scope = self.scopes.last_mut().expect("the outermost scope stays");
        let number = scope.next;
        scope.next += 1;
        self.full_name(&number.to_string())
    }
}

fn windows(side: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    assert!(side + 2 * padding >= kernel, "a {kernel}-pixel window on {side} pixels");
    (side + 2 * padding - kernel) / stride + 1
}

/// Windows a side where the last one may reach over the edge but begins before it.
fn windows_ceil(side: usize, kernel: usize, stride: usize) -> usize {
    assert!(side + stride > kernel, "a {kernel}-pixel window on {side} pixels");
    let windows = (side + stride - 1 - kernel) / stride + 1;
    if (windows - 1) * stride >= side { windows - 1 } else { windows }
}

#[cfg(test)]
mod tests {
    use super::windows_ceil;

    #[test]
    fn a_window_over_the_edge_counts_if_it_begins_before_it() {
        assert_eq!(windows_ceil(2, 3, 2), 1);
        // As LibTorch's pools with ceil_mode: sides of SqueezeNet 1.1 at 224 and at 60 pixels.
        assert_eq!([111, 55, 27].map(|side| windows_ceil(side, 3, 2)), [55, 27, 13]);
        assert_eq!([29, 14, 7].map(|side| windows_ceil(side, 3, 2)), [14, 7, 3]);
        // The fourth window would begin behind the last pixel.
        assert_eq!(windows_ceil(3, 1, 2), 2);
        assert_eq!(windows_ceil(5, 2, 3), 2);
        assert_eq!(windows_ceil(6, 2, 3), 2);
    }
}
