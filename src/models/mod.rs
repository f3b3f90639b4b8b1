//! The families, each a file in the paper's words that builds a [`Network`].

pub mod densenet;
pub mod mobilenet;
pub mod mobilenet_v2;
pub mod msdnet;
pub mod resnet;
pub mod squeezenet;
#[cfg(test)]
mod tests;
mod units;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::Network;

/// What a network reads and how many classes it tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image.
    pub side: usize,
    /// Number of classes.
    pub classes: usize,
}

/// More channels than any layer has: a typing error, caught before costs overflow or memory runs
/// out.
const MOST_CHANNELS: usize = 65_536;

/// Which images the first layers are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// Small ones: a 3x3 convolution at full resolution.
    #[default]
    Cifar,
    /// Large ones: a strided convolution.
    Imagenet,
}

impl Stem {
    /// Stride of a first convolution that halves large images and keeps small ones.
    fn stride(self) -> usize {
        match self {
            Stem::Cifar => 1,
            Stem::Imagenet => 2,
        }
    }
}

/// A baseline's intermediate classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Classifier {
    /// Global average pooling and a linear layer, as the paper's baselines have (Fig. 5's costs).
    #[default]
    Pooled,
    /// MSDNet's: two strided 3x3 convolutions of 128 channels, pooling, a linear layer.
    Convolutional,
}

/// A network of one of the families, as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkConfig {
    /// Multi-scale dense network.
    Msdnet(msdnet::Config),
    /// Residual network for small images.
    Resnet(resnet::Config),
    /// Densely connected network.
    Densenet(densenet::Config),
    /// Network of depthwise separable convolutions.
    Mobilenet(mobilenet::Config),
    /// Network of inverted residuals.
    #[serde(rename = "mobilenet_v2")]
    MobilenetV2(mobilenet_v2::Config),
    /// Network of fire modules.
    Squeezenet(squeezenet::Config),
}

impl NetworkConfig {
    /// The graph of this network for images and classes of `input`.
    ///
    /// # Errors
    /// Names the key that cannot be.
    pub fn build(&self, input: Input) -> Result<Network> {
        ensure!(input.channels > 0 && input.side > 0, "images without pixels");
        ensure!(input.classes > 1, "a classifier needs at least 2 classes, not {}", input.classes);
        let network = match self {
            NetworkConfig::Msdnet(config) => msdnet::build(config, input),
            NetworkConfig::Resnet(config) => resnet::build(config, input),
            NetworkConfig::Densenet(config) => densenet::build(config, input),
            NetworkConfig::Mobilenet(config) => mobilenet::build(config, input),
            NetworkConfig::MobilenetV2(config) => mobilenet_v2::build(config, input),
            NetworkConfig::Squeezenet(config) => squeezenet::build(config, input),
        }?
        .of_family(self.family());
        let widest = network.nodes().iter().map(|node| node.channels).max();
        ensure!(
            widest <= Some(MOST_CHANNELS),
            "a layer of {} channels, more than {MOST_CHANNELS}: is a number mistyped?",
            widest.unwrap_or(0)
        );
        Ok(network)
    }

    /// The family as the paper writes it.
    pub fn family(&self) -> &'static str {
        match self {
            NetworkConfig::Msdnet(_) => "MSDNet",
            NetworkConfig::Resnet(_) => "ResNet",
            NetworkConfig::Densenet(_) => "DenseNet",
            NetworkConfig::Mobilenet(_) => "MobileNet",
            NetworkConfig::MobilenetV2(_) => "MobileNetV2",
            NetworkConfig::Squeezenet(_) => "SqueezeNet",
        }
    }

    /// Layers, blocks or composite layers in all: what an exit's depth is relative to.
    ///
    /// # Errors
    /// When the configuration cannot be.
    pub fn depth(&self) -> Result<usize> {
        Ok(match self {
            NetworkConfig::Msdnet(config) => *config.exit_layers()?.last().unwrap_or(&0),
            NetworkConfig::Resnet(config) => config.blocks(),
            NetworkConfig::Densenet(config) => config.layers(),
            NetworkConfig::Mobilenet(config) => config.blocks(),
            NetworkConfig::MobilenetV2(config) => config.blocks(),
            NetworkConfig::Squeezenet(config) => config.fires(),
        })
    }

    /// The same network with one intermediate classifier at `depth`, or with none.
    ///
    /// # Errors
    /// When the configuration cannot be.
    pub fn with_single_exit(&self, depth: Option<usize>) -> Result<NetworkConfig> {
        let mut config = self.clone();
        let exits: Vec<usize> = depth.into_iter().collect();
        match &mut config {
            NetworkConfig::Msdnet(config) => {
                let last = *config.exit_layers()?.last().unwrap_or(&0);
                config.set_exit_layers(exits.into_iter().chain([last]).collect());
            }
            NetworkConfig::Resnet(config) => config.exits_after = exits,
            NetworkConfig::Densenet(config) => config.exits_after = exits,
            NetworkConfig::Mobilenet(config) => config.exits_after = exits,
            NetworkConfig::MobilenetV2(config) => config.exits_after = exits,
            NetworkConfig::Squeezenet(config) => config.exits_after = exits,
        }
        Ok(config)
    }

    /// A short name for people, such as `resnet-56`; it does not tell all.
    pub fn short_name(&self) -> String {
        match self {
            NetworkConfig::Msdnet(config) => config.short_name(),
            NetworkConfig::Resnet(config) => config.short_name(),
            NetworkConfig::Densenet(config) => config.short_name(),
            NetworkConfig::Mobilenet(config) => config.short_name(),
            NetworkConfig::MobilenetV2(config) => config.short_name(),
            NetworkConfig::Squeezenet(config) => config.short_name(),
        }
    }
}

/// Checks that a baseline's exits lie inside it, in ascending order; its last layer's classifier
/// is implied.
fn check_exits_after(exits_after: &[usize], total: usize, unit: &str) -> Result<()> {
    for pair in exits_after.windows(2) {
        ensure!(pair[0] < pair[1], "exits_after: {} does not come after {}", pair[1], pair[0]);
    }
    for &exit in exits_after {
        ensure!(
            exit > 0,
            "exits_after: 0 lies before the first {unit}; {unit}s are counted from 1"
        );
        ensure!(
            exit < total,
            "exits_after: {exit} lies outside the network, which has {total} {unit}s{}",
            if exit == total { " (the final classifier is implied)" } else { "" }
        );
    }
    Ok(())
}

/// Widest multiplier of channels.
const MOST_WIDTH: f64 = 16.0;

fn check_width(width: f64) -> Result<()> {
    ensure!(
        width > 0.0 && width <= MOST_WIDTH,
        "width: {width} is out of range (above 0, at most {MOST_WIDTH})"
    );
    Ok(())
}

/// Checks that no map of a single pixel would be halved by `strides` of 1 and 2.
fn check_halvings(side: usize, strides: &[usize]) -> Result<()> {
    let halvings = strides.iter().filter(|&&stride| stride == 2).count();
    let least = if halvings == 0 { 1 } else { (1 << (halvings - 1)) + 1 };
    ensure!(
        side >= least,
        "an image of {side} pixels a side cannot be halved {halvings} times; at least {least} are needed \
         (`stem: cifar` halves less often)"
    );
    Ok(())
}
