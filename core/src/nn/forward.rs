//! Running a network: one node after another, stopping at an exit and going on from there.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::dropout::dropout;
use super::graph::{Layer, Mode, Network, Node, NodeId};
use super::norm::Norm;
use super::schedule::{Schedule, Step};
use super::weights::Weights;

/// Element type of the convolutions; sums, statistics and weights stay as they are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As the weights are.
    #[default]
    Fp32,
    /// Convolutions and what lies between them in bfloat16; logits in 32 bits.
    Bf16,
}

impl Precision {
    /// As in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl Network {
    /// Logits of every exit `[N, classes]`, for a batch of normalised images `[N, C, H, W]`. In
    /// training mode the running statistics are moved.
    ///
    /// # Errors
    /// When the images do not fit the network or LibTorch fails.
    pub fn forward(
        &self,
        weights: &mut Weights,
        images: &Tensor,
        mode: Mode,
        precision: Precision,
    ) -> Result<Vec<Tensor>> {
        let exits: Vec<usize> = (0..self.exits().len()).collect();
        let schedule = Schedule::new(self, &exits);
        self.forward_scheduled(&schedule, weights, images, mode, precision)
    }

    /// As [`Network::forward`], for the exits of `schedule` alone.
    ///
    /// # Errors
    /// When the images do not fit the network or LibTorch fails.
    pub fn forward_scheduled(
        &self,
        schedule: &Schedule,
        weights: &mut Weights,
        images: &Tensor,
        mode: Mode,
        precision: Precision,
    ) -> Result<Vec<Tensor>> {
        let mut pass = Pass::new(self, schedule, weights, images, mode, precision)?;
        let mut logits = Vec::with_capacity(schedule.segments.len());
        while let Some(next) = pass.advance()? {
            logits.push(next);
        }
        if mode == Mode::Train {
            let computed = self.ancestors(schedule.segments.iter().map(|s| s.exit));
            weights.count_batch(&computed);
        }
        Ok(logits)
    }
}

/// An evaluation under way: it stops at each exit and goes on from there.
pub struct Pass<'a> {
    network: &'a Network,
    schedule: &'a Schedule,
    weights: &'a Weights,
    mode: Mode,
    values: Vec<Option<Tensor>>,
    next: usize,
}

impl<'a> Pass<'a> {
    /// Ready to compute the first exit of `schedule` for `images` `[N, C, H, W]`.
    ///
    /// # Errors
    /// When the images do not fit the network.
    pub fn new(
        network: &'a Network,
        schedule: &'a Schedule,
        weights: &'a Weights,
        images: &Tensor,
        mode: Mode,
        precision: Precision,
    ) -> Result<Pass<'a>> {
        let input = &network.nodes()[0];
        let (c, s) = (input.channels as i64, input.side as i64);
        let size = images.size();
        anyhow::ensure!(
            size.len() == 4 && size[1..] == [c, s, s],
            "images are {size:?}, the network reads [N, {c}, {s}, {s}]"
        );
        let mut values = vec![];
        values.resize_with(network.nodes().len(), || None);
        values[0] = Some(prepare(images, precision)?);
        Ok(Pass { network, schedule, weights, mode, values, next: 0 })
    }

    /// Logits of the next exit `[N, classes]`, or none after the last.
    ///
    /// # Errors
    /// When LibTorch fails, with the layer's name.
    pub fn advance(&mut self) -> Result<Option<Tensor>> {
        let Some(segment) = self.schedule.segments.get(self.next) else {
            return Ok(None);
        };
        let mut steps = segment.steps.iter().peekable();
        while let Some(step) = steps.next() {
            let relu = steps.next_if(|next| self.is_joined(step, next));
            let value =
                self.compute(step, relu.is_some()).with_context(|| self.describe(step.node))?;
            self.check_shape(step.node, &value)?;
            self.values[relu.unwrap_or(step).node] = Some(value);
            for &freed in step.frees.iter().chain(relu.iter().flat_map(|s| &s.frees)) {
                self.values[freed] = None;
            }
        }
        self.next += 1;
        let id = self.network.exits()[segment.exit].logits;
        let logits = self.values[id].as_ref();
        // A linear layer's logits have this shape and type already.
        logits.map(|l| Ok(l.f_flatten(1, -1)?.f_to_kind(self.weights.kind())?)).transpose()
    }

    /// Goes on with some of the images alone: `rows` are their places in the batch, int64 `[M]`.
    ///
    /// # Errors
    /// When LibTorch fails.
    pub fn keep(&mut self, rows: &Tensor) -> Result<()> {
        for value in self.values.iter_mut().flatten() {
            *value = match value.dim() {
                // Picked with channels last, as they lie.
                4 => value
                    .f_permute([0, 2, 3, 1])?
                    .f_index_select(0, rows)?
                    .f_permute([0, 3, 1, 2])?,
                _ => value.f_index_select(0, rows)?,
            };
        }
        Ok(())
    }

    /// Every declared shape is the tensor's: costs are counted from the declared ones.
    fn check_shape(&self, id: NodeId, value: &Tensor) -> Result<()> {
        let expected = expected_size(self.network, id);
        let size = value.size();
        anyhow::ensure!(
            size[1..] == expected,
            "{}: {size:?}, declared {expected:?}",
            self.describe(id)
        );
        Ok(())
    }

    fn describe(&self, id: NodeId) -> String {
        let node = &self.network.nodes()[id];
        format!("in node {id} ({:?} {})", node.layer, node.name)
    }

    fn input(&self, id: NodeId, index: usize) -> Result<&Tensor> {
        let input = self.network.nodes()[id].inputs[index];
        self.values[input].as_ref().with_context(|| format!("node {input} was freed too early"))
    }

    /// Whether `next` is the ReLU of the batch normalisation `step`, and its only reader: then both
    /// are one pass over the map.
    fn is_joined(&self, step: &Step, next: &Step) -> bool {
        let (norm, relu) = (&self.network.nodes()[step.node], &self.network.nodes()[next.node]);
        norm.layer == Layer::BatchNorm
            && relu.layer == Layer::Relu
            && relu.inputs == [step.node]
            && next.frees.contains(&step.node)
    }

    /// The node's value; of a batch normalisation with `relu`, that of the ReLU behind it.
    fn compute(&mut self, step: &Step, relu: bool) -> Result<Tensor> {
        let id = step.node;
        let node = &self.network.nodes()[id];
        Ok(match &node.layer {
            Layer::Input => anyhow::bail!("the input cannot be computed"),
            Layer::Conv { .. } => self.conv(id)?,
            Layer::BatchNorm => {
                let norm = Norm {
                    gamma: self.weights.of_node(id, 0),
                    beta: self.weights.of_node(id, 1),
                    statistics: self.weights.statistics(id),
                    relu,
                };
                norm.of(self.input(id, 0)?, self.mode)?
            }
            Layer::Relu | Layer::Relu6 => return self.relu(step),
            Layer::Dropout { rate } => self.dropout(id, *rate)?,
            Layer::Concat => {
                let inputs: Vec<&Tensor> =
                    (0..node.inputs.len()).map(|i| self.input(id, i)).collect::<Result<_>>()?;
                Tensor::f_cat(&inputs, 1)?
            }
            Layer::Add => self.input(id, 0)?.f_add(self.input(id, 1)?)?,
            Layer::MaxPool { kernel, stride, padding, ceil } => {
                let (k, s, p) = (*kernel as i64, *stride as i64, *padding as i64);
                self.input(id, 0)?.f_max_pool2d([k, k], [s, s], [p, p], [1, 1], *ceil)?
            }
            Layer::AvgPool { kernel } => self.avg_pool(id, *kernel as i64)?,
            Layer::Shortcut { stride } => self.shortcut(id, *stride as i64)?,
            Layer::Linear => {
                let (weight, bias) = (self.weights.of_node(id, 0), self.weights.of_node(id, 1));
                self.input(id, 0)?
                    .f_flatten(1, -1)?
                    .f_to_kind(weight.kind())?
                    .f_linear(weight, Some(bias))?
            }
        })
    }

    fn conv(&self, id: NodeId) -> Result<Tensor> {
        let Layer::Conv { stride, padding, groups, bias, .. } = self.network.nodes()[id].layer
        else {
            anyhow::bail!("no convolution");
        };
        let x = self.input(id, 0)?;
        let (kind, products) = (x.kind(), kind_of_products(x));
        let rounded = |t: &Tensor| t.f_to_kind(kind)?.f_to_kind(products);
        let weight = rounded(self.weights.of_node(id, 0))?;
        let bias = bias.then(|| rounded(self.weights.of_node(id, 1))).transpose()?;
        let (s, p) = (stride as i64, padding as i64);
        let (s, p, g) = ([s, s], [p, p], groups as i64);
        let x = x.f_to_kind(products)?;
        Ok(x.f_conv2d(&weight, bias.as_ref(), s, p, [1, 1], g)?.f_to_kind(kind)?)
    }

    /// In place where no other node reads the input and its layer does not need it for gradients.
    fn relu(&mut self, step: &Step) -> Result<Tensor> {
        let node = &self.network.nodes()[step.node];
        let input = node.inputs[0];
        let is_six = node.layer == Layer::Relu6;
        let safe = matches!(
            self.network.nodes()[input].layer,
            Layer::BatchNorm | Layer::Add | Layer::Conv { .. }
        );
        if safe && step.frees.contains(&input) {
            let mut value =
                self.values[input].take().context("the input of a ReLU was freed too early")?;
            return Ok(if is_six { value.f_relu6_()? } else { value.f_relu_()? });
        }
        let value = self.input(step.node, 0)?;
        Ok(if is_six { value.f_relu6()? } else { value.f_relu()? })
    }

    fn dropout(&self, id: NodeId, rate: f64) -> Result<Tensor> {
        let x = self.input(id, 0)?;
        let (Mode::Train, Some(key)) = (self.mode, self.weights.dropout_key()) else {
            return Ok(x.shallow_clone());
        };
        // Its number among its kind, which exits without dropout do not change.
        let before = &self.network.nodes()[..id];
        let is_dropout = |node: &&Node| matches!(node.layer, Layer::Dropout { .. });
        dropout(x, rate, key, before.iter().filter(is_dropout).count())
    }

    fn avg_pool(&self, id: NodeId, k: i64) -> Result<Tensor> {
        let x = self.input(id, 0)?;
        // Logits that no linear layer gives are averaged in the element type of the weights.
        let is_logits = self.network.exits().iter().any(|exit| exit.logits == id);
        let kind = if is_logits { self.weights.kind() } else { x.kind() };
        Ok(x.f_to_kind(kind)?.f_avg_pool2d([k, k], [k, k], [0, 0], false, true, None)?)
    }

    fn shortcut(&self, id: NodeId, stride: i64) -> Result<Tensor> {
        let x = self.input(id, 0)?;
        let added = self.network.nodes()[id].channels as i64 - x.size()[1];
        let x = x.f_slice(2, None, None, stride)?.f_slice(3, None, None, stride)?;
        Ok(x.f_constant_pad_nd([0, 0, 0, 0, 0, added])?)
    }
}

/// Element type in which a convolution of `x` multiplies: that of `x`, but 32 bits for bfloat16 on a
/// processor where LibTorch has no fast kernels for it. Products of two bfloat16 numbers are exact in
/// 32 bits, so only the order of the sums differs, and training is about nine times as fast.
fn kind_of_products(x: &Tensor) -> Kind {
    match (x.kind(), x.device()) {
        (Kind::BFloat16, tch::Device::Cpu) if !has_bfloat16_kernels() => Kind::Float,
        (kind, _) => kind,
    }
}

/// Whether oneDNN, which LibTorch calls, has convolutions in bfloat16 for this processor.
fn has_bfloat16_kernels() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512dq");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Channels, height and width that node `id` declares; a linear layer has only channels.
fn expected_size(network: &Network, id: NodeId) -> Vec<i64> {
    let node = &network.nodes()[id];
    let (channels, side) = (node.channels as i64, node.side as i64);
    if node.layer == Layer::Linear { vec![channels] } else { vec![channels, side, side] }
}

/// In the convolutions' element type and with channels last, in which they are fastest on CPU: order
/// in memory is decided here once.
fn prepare(images: &Tensor, precision: Precision) -> Result<Tensor> {
    let images = match precision {
        Precision::Fp32 => images.shallow_clone(),
        Precision::Bf16 => images.f_to_kind(Kind::BFloat16)?,
    };
    let (size, dense) = (images.size(), images.f_permute([0, 2, 3, 1])?.f_contiguous()?);
    // Strides said outright: of one channel both orders are the same in memory, and LibTorch takes
    // it for the other one.
    let (c, h, w) = (size[1], size[2], size[3]);
    Ok(dense.f_as_strided(&size, [h * w * c, 1, w * c, c], None)?)
}
