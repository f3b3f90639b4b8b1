//! The families, each a file in the paper's words that builds a [`Network`].

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

/// What a family whose exits are a list `exits_after` says of its depth and its exits: `$total` counts
/// the units that are called `$unit`; `$classifier` is the key of intermediate classifiers alone.
macro_rules! exits_by_list {
    ($total:ident, $unit:literal $(, $classifier:ident)?) => {
        impl Config {
            pub(super) const UNIT: &str = $unit;
            pub(super) const FOR_EARLY_EXIT: bool = false;

            pub(super) fn depth(&self) -> Result<usize> {
                Ok(self.$total())
            }

            pub(super) fn exits(&self) -> Result<Vec<usize>> {
                Ok(self.exits_after.clone())
            }

            pub(super) fn set_exits(&mut self, exits: Vec<usize>) -> Result<()> {
                self.exits_after = exits;
                Ok(())
            }

            pub(super) fn make_canonical(&mut self) -> Result<()> {
                $(if self.exits_after.is_empty() {
                    self.$classifier = Default::default();
                })?
                Ok(())
            }
        }
    };
}

/// The families: a row each. `$with` is a macro that makes something of the rows.
macro_rules! families {
    ($with:ident) => {
        $with! {
            Msdnet, msdnet, "MSDNet", "A multi-scale dense network.";
            Resnet, resnet, "ResNet", "A residual network.";
            Densenet, densenet, "DenseNet", "A densely connected network.";
            Mobilenet, mobilenet, "MobileNet", "A network of depthwise separable convolutions.";
            MobilenetV2, mobilenet_v2, "MobileNetV2", "A network of inverted residuals.";
            Squeezenet, squeezenet, "SqueezeNet", "A network of fire modules.";
        }
    };
}
pub(crate) use families;

macro_rules! network_config {
    ($($variant:ident, $key:ident, $name:literal, $about:literal;)+) => {
        $(pub mod $key;)+

        /// A network of one of the families, as people write it.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum NetworkConfig {
            $(#[doc = $about] $variant($key::Config),)+
        }

        /// Keys of networks in files.
        pub const KEYS: &[&str] = &[$(stringify!($key)),+];

        impl NetworkConfig {
            fn graph(&self, input: Input) -> Result<Network> {
                match self {
                    $(NetworkConfig::$variant(config) => $key::build(config, input),)+
                }
            }

            /// The family as the paper writes it.
            pub fn family(&self) -> &'static str {
                match self {
                    $(NetworkConfig::$variant(_) => $name,)+
                }
            }

            /// What depths count: layers, blocks, composite layers, fire modules.
            pub fn unit(&self) -> &'static str {
                match self {
                    $(NetworkConfig::$variant(_) => $key::Config::UNIT,)+
                }
            }

            /// Whether the family is made to leave early, as the paper's is; the others are
            /// opponents to which classifiers were added.
            pub fn is_for_early_exit(&self) -> bool {
                match self {
                    $(NetworkConfig::$variant(_) => $key::Config::FOR_EARLY_EXIT,)+
                }
            }

            /// Units in all: what an exit's depth is relative to.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn depth(&self) -> Result<usize> {
                match self {
                    $(NetworkConfig::$variant(config) => config.depth(),)+
                }
            }

            /// Depths of the intermediate classifiers.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn exits(&self) -> Result<Vec<usize>> {
                match self {
                    $(NetworkConfig::$variant(config) => config.exits(),)+
                }
            }

            /// The same network with one intermediate classifier at `depth`, or with none.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn with_single_exit(&self, depth: Option<usize>) -> Result<NetworkConfig> {
                let (mut config, exits) = (self.clone(), depth.into_iter().collect());
                match &mut config {
                    $(NetworkConfig::$variant(config) => config.set_exits(exits)?,)+
                }
                Ok(config)
            }

            /// The same network however its exits were written: runs are one where their networks
            /// are.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn canonical(&self) -> Result<NetworkConfig> {
                let mut config = self.clone();
                match &mut config {
                    $(NetworkConfig::$variant(config) => config.make_canonical()?,)+
                }
                Ok(config)
            }

            /// A short name for people, such as `resnet-56`; it does not tell all.
            pub fn short_name(&self) -> String {
                match self {
                    $(NetworkConfig::$variant(config) => config.short_name(),)+
                }
            }
        }
    };
}
families!(network_config);

impl NetworkConfig {
    /// The graph of this network for images and classes of `input`.
    ///
    /// # Errors
    /// Returns an error naming the invalid key.
    pub fn build(&self, input: Input) -> Result<Network> {
        ensure!(input.channels > 0 && input.side > 0, "images without pixels");
        ensure!(input.classes > 1, "a classifier needs at least 2 classes, not {}", input.classes);
        let network = self.graph(input)?.of_family(self.family());
        let widest = network.nodes().iter().map(|node| node.channels).max();
        ensure!(
            widest <= Some(MOST_CHANNELS),
            "a layer of {} channels, more than {MOST_CHANNELS}: is a number mistyped?",
            widest.unwrap_or(0)
        );
        Ok(network)
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
