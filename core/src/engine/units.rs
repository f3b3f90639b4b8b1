//! From the graph to units of work: batch normalisation folded into the convolution before it, a
//! ReLU taken along by whatever comes before it, convolutions of one input made one.

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use crate::nn::{EPSILON, Layer, Network, NodeId, Schedule, Weights};

/// Kernel, stride and padding of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

/// What is done to a number before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    /// Nothing.
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
}

impl Activation {
    /// The least and the greatest number that comes out.
    pub(super) fn range(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
        }
    }
}

/// What a unit computes.
#[derive(Debug)]
pub(super) enum Work {
    /// `weights` are `[out, in, k, k]`; several outputs one after another.
    Convolve { window: Window, weights: Vec<f32>, bias: Vec<f32>, activation: Activation },
    /// Each channel by itself: `weights` are `[channels, k, k]`.
    Depthwise { window: Window, weights: Vec<f32>, bias: Vec<f32>, activation: Activation },
    /// `scale x + shift` by channel.
    Affine { scale: Vec<f32>, shift: Vec<f32>, activation: Activation },
    /// Sum of two inputs.
    Add { activation: Activation },
    /// Channels of all inputs.
    Concat,
    /// Maximum over windows.
    MaxPool(Window),
    /// Mean over windows side by side.
    AvgPool { kernel: usize },
    /// Every `stride`-th pixel, then zero channels.
    Shortcut { stride: usize },
}

/// Something to do.
#[derive(Debug)]
pub(super) struct Unit {
    /// The segment that needs it.
    pub segment: usize,
    pub work: Work,
    /// Nodes whose values are read.
    pub inputs: Vec<NodeId>,
    /// Nodes whose values are written.
    pub outputs: Vec<NodeId>,
}

/// The units of all segments of `schedule`, in order.
///
/// # Errors
/// When a weight cannot be read.
pub(super) fn units(
    network: &Network,
    weights: &Weights,
    schedule: &Schedule,
) -> Result<Vec<Unit>> {
    let readers = readers(network, schedule);
    let mut absorbed = vec![false; network.nodes().len()];
    let mut units = Vec::new();
    for (segment, steps) in schedule.segments.iter().enumerate() {
        for step in &steps.steps {
            if absorbed[step.node] {
                continue;
            }
            let mut reader = Reader {
                network,
                weights,
                readers: &readers,
                absorbed: &mut absorbed,
                last: step.node,
            };
            let work = reader.work(step.node).with_context(|| format!("in node {}", step.node))?;
            let unit = Unit {
                segment,
                work,
                outputs: vec![reader.last],
                inputs: network.nodes()[step.node].inputs.clone(),
            };
            join(&mut units, unit);
        }
    }
    Ok(units)
}

/// Who reads each node, among the nodes that run; an exit's logits are read by the caller too.
fn readers(network: &Network, schedule: &Schedule) -> Vec<Vec<NodeId>> {
    let mut readers = vec![Vec::new(); network.nodes().len()];
    for segment in &schedule.segments {
        for step in &segment.steps {
            for &input in &network.nodes()[step.node].inputs {
                readers[input].push(step.node);
            }
        }
        let logits = network.exits()[segment.exit].logits;
        readers[logits].push(logits);
    }
    readers
}

/// Adds a unit, as further outputs of an earlier convolution where that one reads the same input in
/// the same way: the input is then fetched once for both.
fn join(units: &mut Vec<Unit>, unit: Unit) {
    let same = units.iter_mut().find(|other| {
        other.segment == unit.segment
            && other.inputs == unit.inputs
            && match (&other.work, &unit.work) {
                (
                    Work::Convolve { window, activation, .. },
                    Work::Convolve { window: window2, activation: activation2, .. },
                ) => (window, activation) == (window2, activation2),
                _ => false,
            }
    });
    match (same, unit) {
        (
            Some(Unit { work: Work::Convolve { weights, bias, .. }, outputs, .. }),
            Unit {
                work: Work::Convolve { weights: more_weights, bias: more_bias, .. },
                outputs: more,
                ..
            },
        ) => {
            weights.extend(more_weights);
            bias.extend(more_bias);
            outputs.extend(more);
        }
        (_, unit) => units.push(unit),
    }
}

struct Reader<'a> {
    network: &'a Network,
    weights: &'a Weights,
    readers: &'a [Vec<NodeId>],
    absorbed: &'a mut [bool],
    /// The node whose value the unit gives so far.
    last: NodeId,
}

impl Reader<'_> {
    fn work(&mut self, id: NodeId) -> Result<Work> {
        let node = &self.network.nodes()[id];
        Ok(match node.layer {
            Layer::Input => anyhow::bail!("the input cannot be computed"),
            Layer::Conv { kernel, stride, padding, groups, bias } => {
                self.convolution(id, Window { kernel, stride, padding }, groups, bias)?
            }
            Layer::Linear => Work::Convolve {
                window: Window { kernel: 1, stride: 1, padding: 0 },
                weights: values(self.weights.of_node(id, 0))?,
                bias: values(self.weights.of_node(id, 1))?,
                activation: Activation::None,
            },
            Layer::BatchNorm => {
                let (scale, shift) = self.norm(id)?;
                Work::Affine {
                    scale: scale.iter().map(|&x| x as f32).collect(),
                    shift: shift.iter().map(|&x| x as f32).collect(),
                    activation: self.activation(),
                }
            }
            Layer::Relu | Layer::Relu6 => Work::Affine {
                scale: vec![1.0; node.channels],
                shift: vec![0.0; node.channels],
                activation: match node.layer {
                    Layer::Relu6 => Activation::Relu6,
                    _ => Activation::Relu,
                },
            },
            Layer::Add => Work::Add { activation: self.activation() },
            // Of one value a concatenation is that value, in its place.
            Layer::Concat | Layer::Dropout { .. } => Work::Concat,
            // Windows are cut off at the edge in any case.
            Layer::MaxPool { kernel, stride, padding, .. } => {
                Work::MaxPool(Window { kernel, stride, padding })
            }
            Layer::AvgPool { kernel } => Work::AvgPool { kernel },
            Layer::Shortcut { stride } => Work::Shortcut { stride },
        })
    }

    /// With the batch normalisation and the ReLU that come next.
    fn convolution(
        &mut self,
        id: NodeId,
        window: Window,
        groups: usize,
        bias: bool,
    ) -> Result<Work> {
        let (inputs, outputs) =
            (self.network.input_channels(id), self.network.nodes()[id].channels);
        let mut weights = values(self.weights.of_node(id, 0))?;
        let mut bias = match bias {
            true => values(self.weights.of_node(id, 1))?,
            false => vec![0.0; outputs],
        };
        if let Some(norm) = self.absorb(&Layer::BatchNorm) {
            fold(self.norm(norm)?, &mut weights, &mut bias);
        }
        let activation = self.activation();
        if groups == inputs && groups == outputs {
            return Ok(Work::Depthwise { window, weights, bias, activation });
        }
        let weights = without_groups(&weights, inputs, groups, window.kernel * window.kernel);
        Ok(Work::Convolve { window, weights, bias, activation })
    }

    /// Takes a ReLU along that comes next.
    fn activation(&mut self) -> Activation {
        if self.absorb(&Layer::Relu).is_some() {
            Activation::Relu
        } else if self.absorb(&Layer::Relu6).is_some() {
            Activation::Relu6
        } else {
            Activation::None
        }
    }

    /// Takes the next node along if it is of this kind and the only reader of the value before it.
    fn absorb(&mut self, layer: &Layer) -> Option<NodeId> {
        let &[next] = self.readers[self.last].as_slice() else {
            return None;
        };
        if next == self.last || self.network.nodes()[next].layer != *layer {
            return None;
        }
        self.absorbed[next] = true;
        self.last = next;
        Some(next)
    }

    /// Scale and shift of a batch normalisation in evaluation.
    fn norm(&self, id: NodeId) -> Result<(Vec<f64>, Vec<f64>)> {
        let statistics = self.weights.statistics(id);
        let gamma = values(self.weights.of_node(id, 0))?;
        let beta = values(self.weights.of_node(id, 1))?;
        let (mean, var) = (values(&statistics.mean)?, values(&statistics.var)?);
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&var)
            .map(|(&gamma, &var)| f64::from(gamma) / (f64::from(var) + EPSILON).sqrt())
            .collect();
        let shift = scale.iter().zip(beta.iter().zip(&mean));
        let shift = shift.map(|(scale, (&beta, &mean))| f64::from(beta) - f64::from(mean) * scale);
        let shift = shift.collect();
        Ok((scale, shift))
    }
}

/// Weights `[out, in / groups, k, k]` as `[out, in, k, k]`, with zeros between channels of different
/// groups: no family has groups of several channels, so they need no loop of their own.
fn without_groups(weights: &[f32], inputs: usize, groups: usize, window: usize) -> Vec<f32> {
    if groups == 1 {
        return weights.to_vec();
    }
    let taps = inputs / groups * window;
    let rows = weights.len() / taps;
    let mut dense = vec![0.0; rows * inputs * window];
    for (row, own) in weights.chunks_exact(taps).enumerate() {
        let group = row / (rows / groups);
        let first = row * inputs * window + group * taps;
        dense[first..first + taps].copy_from_slice(own);
    }
    dense
}

/// Multiplies each output channel's weights by its scale, and moves the bias likewise.
fn fold((scale, shift): (Vec<f64>, Vec<f64>), weights: &mut [f32], bias: &mut [f32]) {
    let taps = weights.len() / bias.len();
    for (row, bias) in bias.iter_mut().enumerate() {
        *bias = (f64::from(*bias) * scale[row] + shift[row]) as f32;
        for weight in &mut weights[row * taps..(row + 1) * taps] {
            *weight = (f64::from(*weight) * scale[row]) as f32;
        }
    }
}

fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let plain = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
    Ok(Vec::<f32>::try_from(&plain.f_contiguous()?.f_view([-1])?)?)
}
