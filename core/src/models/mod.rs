//! The families, each a file in the paper's words that builds a [`Network`].

#[cfg(test)]
mod tests;
mod units;
mod width;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cost::multiply_adds;
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
    /// Global average pooling and a linear layer, as the costs of the paper's baselines suggest (Fig. 5).
    #[default]
    Pooled,
    /// MSDNet's: two strided 3x3 convolutions of 128 channels, pooling, a linear layer.
    Convolutional,
}

/// Depth and exits of a family whose exits are the list `exits_after`: `$depth` is its number of units,
/// `$unit` what they are called, `$classifier` a key that means nothing without intermediate
/// classifiers.
macro_rules! exits_by_list {
    ($config:ident => $depth:expr, $unit:literal $(, $classifier:ident)?) => {
        pub(super) const UNIT: &str = $unit;
        pub(super) const FOR_EARLY_EXIT: bool = false;

        pub(super) fn depth($config: &Config) -> Result<usize> {
            Ok($depth)
        }

        pub(super) fn exits(config: &Config) -> Result<Vec<usize>> {
            Ok(config.exits_after.clone())
        }

        pub(super) fn set_exits(config: &mut Config, exits: Vec<usize>) -> Result<()> {
            config.exits_after = exits;
            Ok(())
        }

        pub(super) fn make_canonical(_config: &mut Config) -> Result<()> {
            $(if _config.exits_after.is_empty() {
                _config.$classifier = Default::default();
            })?
            Ok(())
        }
    };
}

/// The families: a row each. `$with` is a macro that makes something of the rows.
#[doc(hidden)]
#[macro_export]
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
                    $(NetworkConfig::$variant(_) => $key::UNIT,)+
                }
            }

            /// Whether the family is made to leave early, as the paper's is; the others are
            /// opponents to which classifiers were added.
            pub fn is_for_early_exit(&self) -> bool {
                match self {
                    $(NetworkConfig::$variant(_) => $key::FOR_EARLY_EXIT,)+
                }
            }

            /// Units in all: what an exit's depth is relative to.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn depth(&self) -> Result<usize> {
                match self {
                    $(NetworkConfig::$variant(config) => $key::depth(config),)+
                }
            }

            /// Depths of the intermediate classifiers.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn exits(&self) -> Result<Vec<usize>> {
                match self {
                    $(NetworkConfig::$variant(config) => $key::exits(config),)+
                }
            }

            /// The same network with one intermediate classifier at `depth`, or with none.
            ///
            /// # Errors
            /// Returns an error naming the invalid key.
            pub fn with_single_exit(&self, depth: Option<usize>) -> Result<NetworkConfig> {
                let (mut config, exits) = (self.clone(), depth.into_iter().collect());
                match &mut config {
                    $(NetworkConfig::$variant(config) => $key::set_exits(config, exits)?,)+
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
                    $(NetworkConfig::$variant(config) => $key::make_canonical(config)?,)+
                }
                Ok(config)
            }

            /// A short name for people, such as `resnet-56`; it does not tell all.
            pub fn short_name(&self) -> String {
                match self {
                    $(NetworkConfig::$variant(config) => $key::short_name(config),)+
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
        let nodes = 0..network.nodes().len();
        let sum: u128 = nodes.map(|id| u128::from(multiply_adds(&network, id))).sum();
        ensure!(
            u64::try_from(sum).is_ok(),
            "{sum} multiply-adds, more than can be counted: is a number mistyped?"
        );
        Ok(network)
    }
}

/// Checks that `n` is at least 1 and at most `most`.
fn check_range(key: &str, n: usize, most: usize) -> Result<()> {
    ensure!((1..=most).contains(&n), "{key}: {n} is out of range (1 to {most})");
    Ok(())
}

/// Checks that images are large enough for two halvings.
fn check_two_halvings(side: usize) -> Result<()> {
    ensure!(side >= 4, "an image of {side} pixels a side cannot be halved twice");
    Ok(())
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
