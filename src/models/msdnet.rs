//! MSDNet (Huang et al., ICLR 2018, section 4): feature maps at several scales at every layer,
//! dense connections within and between scales, classifiers on the coarsest scale.
//!
//! Layer l at scale s is `x_l^s = [x_{l-1}^s, h~(x_{l-1}^{s-1}), h(x_{l-1}^s)]` (paper, Fig. 4).
//! Weights are named as in the authors' PyTorch port, so that its checkpoints fit.

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Input;
pub use super::Stem;
use super::units::{classifier_place, conv_bn_relu, convolutional_classifier};
use crate::nn::{Builder, Conv, Feature, Network};

/// Where the classifiers are: how many, evenly or growingly spaced, or after which layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Exits {
    /// So many, placed by `first_exit` and `spacing`.
    Count(usize),
    /// After these layers, the last of which is the network's last.
    Layers(Vec<usize>),
}

/// Layers from one exit to the next; exactly one of the two (the reference's `stepmode`, `step`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spacing {
    /// Always so many layers (`stepmode: even`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub even: Option<usize>,
    /// `n i + 1` layers in the i-th step (`stepmode: lin_grow`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growing: Option<usize>,
}

/// An MSDNet. The reference code's names are in parentheses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The first layer and the classifiers' width: a 3x3 convolution and 128 channels for CIFAR;
    /// a strided 7x7 convolution, max pooling and as many channels as are read for ImageNet.
    #[serde(default)]
    pub stem: Stem,
    /// Channels of the first layer at scale 1, times `scale_growth` at the others (`nChannels`).
    pub channels: usize,
    /// Channels that a layer adds at scale 1, times `scale_growth` at the others (`growthRate`).
    pub growth: usize,
    /// Factor of each scale; its length is the number of scales (`grFactor`).
    pub scale_growth: Vec<usize>,
    /// Width of the 1x1 bottleneck by the branch's output, by the scale it reads (`bnFactor`).
    pub bottleneck: Vec<usize>,
    /// How many exits, or after which layers (`nBlocks`).
    pub exits: Exits,
    /// Layer of the first exit (`base`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_exit: Option<usize>,
    /// Layers between exits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing: Option<Spacing>,
    /// What a transition leaves of the channels; 0 = no transition (`reduction`).
    #[serde(default = "half")]
    pub compression: f64,
    /// Whether the finest scale is dropped after each of S equal parts (`prune: max`).
    #[serde(default = "yes")]
    pub reduce: bool,
    /// Whether a layer keeps its input's channels (ablation, Fig. 10).
    #[serde(default = "yes")]
    pub dense: bool,
    /// Whether all scales are there at every layer (ablation, Fig. 10). Without, the network is a
    /// chain at one scale, which becomes coarser where the full network drops one.
    #[serde(default = "yes")]
    pub multi_scale: bool,
}

fn half() -> f64 {
    0.5
}

fn yes() -> bool {
    true
}

impl<'de> Deserialize<'de> for Exits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Exits, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Exits;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a number of exits or a list of layers")
            }
            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Exits, E> {
                usize::try_from(count).map(Exits::Count).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<Exits, E> {
                usize::try_from(count)
                    .map(Exits::Count)
                    .map_err(|_| E::custom("exits: a negative number"))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Exits, A::Error> {
                let mut layers = Vec::new();
                while let Some(layer) = seq.next_element()? {
                    layers.push(layer);
                }
                Ok(Exits::Layers(layers))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// More layers or channels than any network has: a typing error, caught before memory runs out.
const MOST_LAYERS: usize = 10_000;
const MOST_CHANNELS: usize = 65_536;

impl Config {
    /// Number of scales, S.
    pub fn scales(&self) -> usize {
        self.scale_growth.len()
    }

    /// The layers after which the exits are; the last is the network's number of layers, L.
    ///
    /// # Errors
    /// Names the key that is missing or cannot be.
    pub fn exit_layers(&self) -> Result<Vec<usize>> {
        match &self.exits {
            Exits::Layers(layers) => {
                ensure!(
                    self.first_exit.is_none() && self.spacing.is_none(),
                    "first_exit and spacing go with a number of exits; here `exits` lists the layers"
                );
                check_layers(layers)?;
                Ok(layers.clone())
            }
            Exits::Count(count) => self.spaced_layers(*count),
        }
    }

    fn spaced_layers(&self, count: usize) -> Result<Vec<usize>> {
        ensure!((1..=MOST_LAYERS).contains(&count), "exits: {count} exits cannot be");
        let first =
            self.first_exit.context("first_exit is missing: the layer of the first exit")?;
        ensure!(
            (1..=MOST_LAYERS).contains(&first),
            "first_exit: {first} is not a layer; layers are counted from 1"
        );
        let mut layers = vec![first];
        for i in 1..count {
            let step = self.step(i)?;
            layers.push(layers[i - 1].saturating_add(step));
            ensure!(layers[i] <= MOST_LAYERS, "exits, spacing: more than {MOST_LAYERS} layers");
        }
        Ok(layers)
    }

    fn step(&self, i: usize) -> Result<usize> {
        let spacing = self.spacing.context("spacing is missing: `even: n` or `growing: n`")?;
        match (spacing.even, spacing.growing) {
            (Some(0), None) => bail!("spacing: `even: 0` leaves no layer between two exits"),
            (Some(n), None) => Ok(n),
            (None, Some(n)) => {
                n.checked_mul(i).and_then(|n| n.checked_add(1)).context("spacing: too large")
            }
            _ => bail!("spacing: exactly one of `even` and `growing`"),
        }
    }

    pub(super) const UNIT: &str = "layer";
    pub(super) const FOR_EARLY_EXIT: bool = true;

    pub(super) fn depth(&self) -> Result<usize> {
        Ok(*self.exit_layers()?.last().unwrap_or(&0))
    }

    pub(super) fn exits(&self) -> Result<Vec<usize>> {
        let mut layers = self.exit_layers()?;
        layers.pop();
        Ok(layers)
    }

    pub(super) fn set_exits(&mut self, exits: Vec<usize>) -> Result<()> {
        let last = self.depth()?;
        self.exits = Exits::Layers(exits.into_iter().chain([last]).collect());
        (self.first_exit, self.spacing) = (None, None);
        Ok(())
    }

    pub(super) fn make_canonical(&mut self) -> Result<()> {
        let exits = self.exits()?;
        self.set_exits(exits)
    }

    pub(super) fn short_name(&self) -> String {
        let layers = self.exit_layers().unwrap_or_default();
        format!("msdnet-{}-{}exits-g{}", layers.last().unwrap_or(&0), layers.len(), self.growth)
    }

    fn validate(&self) -> Result<()> {
        let scales = self.scales();
        ensure!(scales >= 1, "scale_growth: at least one scale is needed");
        ensure!(
            self.bottleneck.len() == scales,
            "bottleneck has {} entries, scale_growth has {scales}; each scale needs one",
            self.bottleneck.len()
        );
        let numbers = [("channels", self.channels), ("growth", self.growth)];
        let scaled = self.scale_growth.iter().map(|&n| ("scale_growth", n));
        let widths = self.bottleneck.iter().map(|&n| ("bottleneck", n));
        for (key, n) in numbers.into_iter().chain(scaled).chain(widths) {
            ensure!((1..=MOST_CHANNELS).contains(&n), "{key}: {n} cannot be");
        }
        ensure!(
            (0.0..=1.0).contains(&self.compression),
            "compression: {} is not in 0 to 1",
            self.compression
        );
        if scales > 1 && self.multi_scale {
            for (s, factor) in self.scale_growth.iter().enumerate().skip(1) {
                ensure!(
                    self.growth * factor >= 2,
                    "growth: scale {} adds {} channel, half strided, half regular; at least 2 are needed",
                    s + 1,
                    self.growth * factor
                );
            }
        }
        Ok(())
    }
}

fn check_layers(layers: &[usize]) -> Result<()> {
    ensure!(!layers.is_empty(), "exits: an empty list; the last layer's exit is always there");
    ensure!(layers[0] > 0, "exits: 0 is not a layer; layers are counted from 1");
    for pair in layers.windows(2) {
        ensure!(pair[0] < pair[1], "exits: {} does not come after {}", pair[1], pair[0]);
    }
    ensure!(layers[layers.len() - 1] <= MOST_LAYERS, "exits: more than {MOST_LAYERS} layers");
    Ok(())
}

/// The graph of an MSDNet.
///
/// # Errors
/// Names the key that cannot be.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    config.validate()?;
    let exits = config.exit_layers()?;
    check_sides(config, input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut grid = Grid::new(config, exits[exits.len() - 1]);
    let mut scales = net.scope("blocks.0.0", |net| stem(net, config, image));
    if !config.multi_scale {
        scales.truncate(1);
    }
    scales.iter().for_each(|&x| net.map(x, 0));
    for (block, &last) in exits.iter().enumerate() {
        // The stem is the first entry of the first block.
        let mut entry = usize::from(block == 0);
        while grid.layer < last {
            scales = grid.next(&mut net, &scales, block, &mut entry)?;
            scales.iter().for_each(|&x| net.map(x, grid.layer));
        }
        let coarsest = scales[scales.len() - 1];
        let width = match config.stem {
            Stem::Cifar => 128,
            Stem::Imagenet => coarsest.channels,
        };
        // The name counts exits, as the port's does; the place must not.
        let logits = net.at(format!("classifier.{block}"), classifier_place(last), |net| {
            convolutional_classifier(net, coarsest, width, input.classes)
        });
        net.exit(logits, last);
    }
    Ok(net.finish())
}

/// The coarsest scale's classifier halves its side twice.
fn check_sides(config: &Config, input: Input) -> Result<()> {
    let mut side = match config.stem {
        Stem::Cifar => input.side,
        Stem::Imagenet => {
            ensure!(input.side >= 8, "stem: an image of {} pixels a side is too small", input.side);
            input.side.div_ceil(2).div_ceil(2)
        }
    };
    for scale in 1..=config.scales() {
        ensure!(
            side >= 3,
            "scale_growth: scale {scale} of {} has {side}x{side} pixels, too small for the classifier, \
             which halves it twice; use fewer scales",
            config.scales()
        );
        side = side.div_ceil(2);
    }
    Ok(())
}

/// Layer 0: one feature a scale, each a strided convolution of the finer one.
fn stem(net: &mut Builder, config: &Config, image: Feature) -> Vec<Feature> {
    let channels = |scale: usize| config.channels * config.scale_growth[scale];
    let finest = match config.stem {
        Stem::Cifar => net.at("layers.0.net", grid_place(0, 0), |net| {
            conv_bn_relu(net, image, Conv::three(channels(0), 1))
        }),
        Stem::Imagenet => net.at("layers.0", grid_place(0, 0), |net| {
            // The reference leaves a bias on this one convolution.
            let conv = Conv {
                channels: channels(0),
                kernel: 7,
                stride: 2,
                padding: 3,
                groups: 1,
                bias: true,
            };
            let h = conv_bn_relu(net, image, conv);
            net.max_pool(h, 3, 2, 1)
        }),
    };
    let mut scales = vec![finest];
    for scale in 1..config.scales() {
        let finer = scales[scale - 1];
        scales.push(net.at(format!("layers.{scale}.net"), grid_place(0, scale), |net| {
            conv_bn_relu(net, finer, Conv::three(channels(scale), 2))
        }));
    }
    scales
}

/// Layer and scale (from 0) in words.
fn grid_place(layer: usize, scale: usize) -> String {
    format!("layer {layer}, scale {}", scale + 1)
}

/// Where in the grid of layers and scales the definition is.
struct Grid<'a> {
    config: &'a Config,
    /// Layers in each of the S parts of network reduction.
    interval: usize,
    /// Layers so far.
    layer: usize,
}

impl<'a> Grid<'a> {
    fn new(config: &'a Config, layers: usize) -> Grid<'a> {
        let interval = if config.reduce { layers.div_ceil(config.scales()) } else { layers };
        Grid { config, interval, layer: 0 }
    }

    /// How many of the finest scales layer `n` no longer has (paper, section 4, "Network reduction").
    fn dropped(&self, n: usize) -> usize {
        n.saturating_sub(1) / self.interval
    }

    /// One more layer, and the transition where a scale has just been dropped.
    fn next(
        &mut self,
        net: &mut Builder,
        scales: &[Feature],
        block: usize,
        entry: &mut usize,
    ) -> Result<Vec<Feature>> {
        self.layer += 1;
        let finest = self.dropped(self.layer);
        let drops = finest > self.dropped(self.layer - 1);
        let name = format!("blocks.{block}.{entry}");
        *entry += 1;
        let (config, number) = (self.config, self.layer);
        if !config.multi_scale {
            let place = grid_place(number, finest);
            return Ok(vec![
                net.at(name, place, |net| chain_layer(net, config, scales[0], finest, drops)),
            ]);
        }
        let scales = net.scope(name, |net| layer(net, config, scales, number, (finest, drops)));
        if !drops || config.compression == 0.0 || !config.dense {
            return Ok(scales);
        }
        let name = format!("blocks.{block}.{entry}");
        *entry += 1;
        net.place(format!("transition {finest}"), |net| {
            net.transition(self.layer);
            net.scope(name, |net| transition(net, config, &scales, finest))
        })
    }
}

/// Layer `number`: at each scale the input, a strided part from the finer scale, a regular part.
/// `scales` are those of the layer before; when it `drops` one, the first of them is read for the
/// last time.
fn layer(
    net: &mut Builder,
    config: &Config,
    scales: &[Feature],
    number: usize,
    (finest, drops): (usize, bool),
) -> Vec<Feature> {
    let first = usize::from(drops);
    let mut outputs = Vec::with_capacity(scales.len());
    for position in first..scales.len() {
        let scale = finest + position - first;
        let finer = position.checked_sub(1).map(|p| scales[p]);
        let name = format!("layers.{}", position - first);
        outputs.push(net.at(name, grid_place(number, scale), |net| {
            node(net, config, scales[position], finer, scale)
        }));
    }
    outputs
}

/// `x_l^s` from `x` at scale `scale` (from 0) and, where there is one, the finer scale's feature.
fn node(
    net: &mut Builder,
    config: &Config,
    x: Feature,
    finer: Option<Feature>,
    scale: usize,
) -> Feature {
    let growth = config.growth * config.scale_growth[scale];
    let mut parts = if config.dense { vec![x] } else { vec![] };
    let regular = match finer {
        None => growth,
        Some(finer) => {
            let strided = growth / 2;
            let width = config.bottleneck[scale - 1] * strided;
            parts.push(net.at("conv_down.net", "strided", |net| {
                bottlenecked(net, finer, width, Conv::three(strided, 2))
            }));
            growth - strided
        }
    };
    let width = config.bottleneck[scale] * regular;
    parts.push(net.at("conv_normal.net", "regular", |net| {
        bottlenecked(net, x, width, Conv::three(regular, 1))
    }));
    net.concat(&parts)
}

/// h and h~: 1x1 bottleneck and 3x3 convolution, each with batch normalisation and ReLU.
fn bottlenecked(net: &mut Builder, x: Feature, width: usize, conv: Conv) -> Feature {
    let h = conv_bn_relu(net, x, Conv::pointwise(width.min(x.channels)));
    conv_bn_relu(net, h, conv)
}

/// A 1x1 convolution a scale, from the same base number of channels at each.
fn transition(
    net: &mut Builder,
    config: &Config,
    scales: &[Feature],
    finest: usize,
) -> Result<Vec<Feature>> {
    let mut outputs = Vec::with_capacity(scales.len());
    for (position, &x) in scales.iter().enumerate() {
        let factor = config.scale_growth[finest + position];
        let channels =
            (config.compression * (x.channels / factor) as f64).floor() as usize * factor;
        ensure!(
            channels > 0,
            "compression: {} leaves no channel of {}",
            config.compression,
            x.channels
        );
        let place = format!("scale {}", finest + position + 1);
        outputs.push(net.at(format!("m.{position}.net"), place, |net| {
            conv_bn_relu(net, x, Conv::pointwise(channels))
        }));
    }
    Ok(outputs)
}

/// A layer of the ablation without multi-scale maps: one feature, which goes to the next coarser
/// scale where the full network drops one.
fn chain_layer(
    net: &mut Builder,
    config: &Config,
    x: Feature,
    scale: usize,
    drops: bool,
) -> Feature {
    let growth = config.growth * config.scale_growth[scale];
    let width = config.bottleneck[scale] * growth;
    let stride = if drops { 2 } else { 1 };
    let h = net.scope("layers.0.conv_normal.net", |net| {
        bottlenecked(net, x, width, Conv::three(growth, stride))
    });
    match (config.dense, drops) {
        (false, _) => h,
        (true, false) => net.concat(&[x, h]),
        (true, true) => {
            let x = net.avg_pool(x, 2);
            net.concat(&[x, h])
        }
    }
}
