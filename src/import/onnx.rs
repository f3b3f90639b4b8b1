//! A network with its weights as an ONNX model: one ONNX node a layer, tensors named as in the state
//! dict, each exit's logits an output, the number of images free.
//!
//! Field numbers are those of ONNX's `onnx.proto`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::nn::{EPSILON, Layer, Network, Node, NodeId, Weights};
use crate::results::protobuf::Message;

/// Version of the operators: Slice, Pad and BatchNormalization take the form written here.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;
/// The only input, `[N, C, H, W]`.
const INPUT: &str = "images";
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// Name of the output with the logits `[N, classes]` of `exit` (from 0): `exit_1` is the first.
pub fn output_name(exit: usize) -> String {
    format!("exit_{}", exit + 1)
}

/// An ONNX model with the logits of `exits` (from 0) as outputs. It holds only what they depend on.
/// `metadata` are keys and values for whoever reads the file.
///
/// # Errors
/// When an exit does not exist or a weight cannot be read.
pub fn model(
    network: &Network,
    weights: &Weights,
    exits: &[usize],
    metadata: &[(String, String)],
) -> Result<Vec<u8>> {
    let count = network.exits().len();
    for &exit in exits {
        ensure!(exit < count, "exit {} is out of range (1 to {count})", exit + 1);
    }
    let opset = Message::new().text(1, "").integer(2, OPSET);
    let model = Message::new()
        .integer(1, IR_VERSION)
        .text(2, env!("CARGO_PKG_NAME"))
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph(network, weights, exits)?)
        .message(8, &opset)
        .each(metadata, |model, (key, value)| {
            model.message(14, &Message::new().text(1, key).text(2, value))
        });
    Ok(model.into_bytes())
}

fn graph(network: &Network, weights: &Weights, exits: &[usize]) -> Result<Message> {
    let mut writer = Writer {
        network,
        tensors: weights.named()?.into_iter().collect(),
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let needed = network.ancestors(exits.iter().copied());
    for id in (1..network.nodes().len()).filter(|&id| needed[id]) {
        let node = &network.nodes()[id];
        writer.layer(id, node).with_context(|| format!("in node {id} ({})", node.name))?;
    }
    let input = &network.nodes()[0];
    let side = Size::Fixed(input.side);
    let input = value_info(INPUT, &[Size::Batch, Size::Fixed(input.channels), side, side]);
    Ok(Message::new()
        .each(&writer.nodes, |graph, node| graph.message(1, node))
        .text(2, "network")
        .each(&writer.initializers, |graph, tensor| graph.message(5, tensor))
        .message(11, &input)
        .each(exits, |graph, &exit| {
            let shape = [Size::Batch, Size::Fixed(network.classes())];
            graph.message(12, &value_info(&output_name(exit), &shape))
        }))
}

/// A dimension of an input or output.
#[derive(Clone, Copy)]
enum Size {
    Batch,
    Fixed(usize),
}

fn value_info(name: &str, shape: &[Size]) -> Message {
    let shape = Message::new().each(shape, |shape, &size| {
        let size = match size {
            Size::Batch => Message::new().text(2, "N"),
            Size::Fixed(size) => Message::new().integer(1, size as i64),
        };
        shape.message(1, &size)
    });
    let tensor = Message::new().integer(1, FLOAT).message(2, &shape);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

/// An attribute of an ONNX node.
enum Attribute {
    Float(f32),
    Integer(usize),
    Integers(Vec<usize>),
}

fn attribute(name: &str, value: &Attribute) -> Message {
    let named = Message::new().text(1, name);
    match value {
        Attribute::Float(value) => named.float(2, *value).integer(20, 1),
        Attribute::Integer(value) => named.integer(3, *value as i64).integer(20, 2),
        Attribute::Integers(values) => {
            named.each(values, |named, &value| named.integer(8, value as i64)).integer(20, 7)
        }
    }
}

fn tensor(name: &str, kind: i64, shape: &[i64], bytes: &[u8]) -> Message {
    let sizes = Message::new().each(shape, |tensor, &size| tensor.integer(1, size));
    sizes.integer(2, kind).text(8, name).bytes(9, bytes)
}

struct Writer<'a> {
    network: &'a Network,
    tensors: BTreeMap<String, Tensor>,
    nodes: Vec<Message>,
    initializers: Vec<Message>,
}

impl Writer<'_> {
    /// Appends what computes node `id`.
    fn layer(&mut self, id: NodeId, node: &Node) -> Result<()> {
        let inputs: Vec<String> = node.inputs.iter().map(|&input| self.value(input)).collect();
        let exit = self.value(id);
        let is_map = node.layer != Layer::Linear && self.is_exit(id);
        let output = if is_map { format!("{exit}_map") } else { exit.clone() };
        match &node.layer {
            Layer::Input => {}
            Layer::Conv { kernel, stride, padding, groups, bias } => {
                let suffixes: &[&str] = if *bias { &["weight", "bias"] } else { &["weight"] };
                let weights = self.weights(node, suffixes)?;
                let mut attributes = window(*kernel, *stride, *padding);
                attributes.push(("group", Attribute::Integer(*groups)));
                self.push("Conv", &[inputs, weights].concat(), output.clone(), &attributes);
            }
            Layer::BatchNorm => {
                let suffixes = ["weight", "bias", "running_mean", "running_var"];
                let inputs = [inputs, self.weights(node, &suffixes)?].concat();
                let epsilon = [("epsilon", Attribute::Float(EPSILON as f32))];
                self.push("BatchNormalization", &inputs, output.clone(), &epsilon);
            }
            Layer::Relu => self.push("Relu", &inputs, output.clone(), &[]),
            Layer::Relu6 => {
                let limits =
                    [self.number(&output, "least", 0.0), self.number(&output, "most", 6.0)];
                self.push("Clip", &[inputs, limits.to_vec()].concat(), output.clone(), &[]);
            }
            Layer::Dropout { .. } => self.push("Identity", &inputs, output.clone(), &[]),
            Layer::Concat => {
                self.push("Concat", &inputs, output.clone(), &[("axis", Attribute::Integer(1))]);
            }
            Layer::Add => self.push("Add", &inputs, output.clone(), &[]),
            Layer::MaxPool { kernel, stride, padding, ceil } => {
                let mut attributes = window(*kernel, *stride, *padding);
                attributes.push(("ceil_mode", Attribute::Integer(usize::from(*ceil))));
                self.push("MaxPool", &inputs, output.clone(), &attributes);
            }
            Layer::AvgPool { kernel } => {
                self.push("AveragePool", &inputs, output.clone(), &window(*kernel, *kernel, 0));
            }
            Layer::Shortcut { stride } => self.shortcut(id, *stride, &inputs[0], output.clone()),
            Layer::Linear => {
                let flat = format!("{output}_flat");
                self.push("Flatten", &inputs, flat.clone(), &[("axis", Attribute::Integer(1))]);
                let inputs = [vec![flat], self.weights(node, &["weight", "bias"])?].concat();
                self.push("Gemm", &inputs, output.clone(), &[("transB", Attribute::Integer(1))]);
            }
        }
        if is_map {
            self.push("Flatten", &[output], exit, &[("axis", Attribute::Integer(1))]);
        }
        Ok(())
    }

    fn is_exit(&self, id: NodeId) -> bool {
        self.network.exits().iter().any(|exit| exit.logits == id)
    }

    /// Name of a node's value.
    fn value(&self, id: NodeId) -> String {
        let exit = self.network.exits().iter().position(|exit| exit.logits == id);
        match (id, exit) {
            (0, _) => INPUT.to_string(),
            (_, Some(exit)) => output_name(exit),
            (_, None) => format!("node_{id}"),
        }
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[String],
        output: String,
        attributes: &[(&str, Attribute)],
    ) {
        let node = Message::new()
            .each(inputs, |node, input| node.text(1, input))
            .text(2, &output)
            .text(3, &format!("{operator}_{}", self.nodes.len()))
            .text(4, operator)
            .each(attributes, |node, (name, value)| node.message(5, &attribute(name, value)));
        self.nodes.push(node);
    }

    /// Appends a layer's tensors as initializers; returns their names.
    fn weights(&mut self, node: &Node, suffixes: &[&str]) -> Result<Vec<String>> {
        let mut names = Vec::with_capacity(suffixes.len());
        for suffix in suffixes {
            let name = format!("{}.{suffix}", node.name);
            let found = self.tensors.get(&name).with_context(|| format!("{name} is missing"))?;
            let plain = found.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
            let plain = plain.f_contiguous()?;
            let mut bytes = vec![0; 4 * plain.numel()];
            plain.f_copy_data_u8(&mut bytes, plain.numel())?;
            self.initializers.push(tensor(&name, FLOAT, &found.size(), &bytes));
            names.push(name);
        }
        Ok(names)
    }

    /// Every `stride`-th pixel, then zeros for the new channels.
    fn shortcut(&mut self, id: NodeId, stride: usize, input: &str, output: String) {
        let added = self.network.nodes()[id].channels - self.network.input_channels(id);
        let pixels = format!("{output}_pixels");
        let steps = stride as i64;
        let slice = [("starts", [0, 0]), ("ends", [i64::MAX; 2]), ("axes", [2, 3])];
        let slice = slice.into_iter().chain([("steps", [steps, steps])]);
        let mut inputs = vec![input.to_string()];
        inputs.extend(slice.map(|(name, values)| self.integers(&output, name, &values)));
        self.push("Slice", &inputs, pixels.clone(), &[]);
        let pads = [0, 0, 0, 0, 0, added as i64, 0, 0];
        let inputs = [pixels, self.integers(&output, "pads", &pads)];
        self.push("Pad", &inputs, output, &[]);
    }

    /// A single number as an initializer; returns its name.
    fn number(&mut self, of: &str, name: &str, value: f32) -> String {
        let name = format!("{of}_{name}");
        self.initializers.push(tensor(&name, FLOAT, &[], &value.to_le_bytes()));
        name
    }

    fn integers(&mut self, of: &str, name: &str, values: &[i64]) -> String {
        let name = format!("{of}_{name}");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializers.push(tensor(&name, INT64, &[values.len() as i64], &bytes));
        name
    }
}

fn window(kernel: usize, stride: usize, padding: usize) -> Vec<(&'static str, Attribute)> {
    vec![
        ("kernel_shape", Attribute::Integers(vec![kernel; 2])),
        ("strides", Attribute::Integers(vec![stride; 2])),
        ("pads", Attribute::Integers(vec![padding; 4])),
    ]
}
