//! DenseNet and DenseNet-BC (Huang et al., CVPR 2017): three dense blocks, pre-activation
//! composite layers; exits after any composite layer, densely connected to all earlier layers of
//! its block (Huang et al., 2018, section 3, "DenseNet^MC").

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{bn_relu_conv, classifier_place, convolutional_classifier, pooled_classifier};
use super::{Classifier, Input, check_exits_after};
use crate::nn::{Builder, Conv, Feature, Network};

/// Dense blocks of a DenseNet for small images.
const BLOCKS: usize = 3;

/// A DenseNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Composite layers in each of the three dense blocks.
    pub layers_per_block: usize,
    /// k: channels that a composite layer adds.
    pub growth: usize,
    /// Whether a 1x1 convolution of 4k channels comes before each 3x3 one (DenseNet-B).
    #[serde(default)]
    pub bottleneck: bool,
    /// What a transition leaves of the channels; 1 = all (DenseNet-C has less).
    #[serde(default = "one")]
    pub compression: f64,
    /// Whether the growth doubles after each transition (DenseNet*, section 5.3).
    #[serde(default)]
    pub growth_doubles: bool,
    /// Composite layers, counted through the network, after which an intermediate classifier is
    /// attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
    /// The intermediate classifiers; the final one is always pooled.
    #[serde(default)]
    pub classifier: Classifier,
}

fn one() -> f64 {
    1.0
}

impl Config {
    /// Composite layers in all.
    pub fn layers(&self) -> usize {
        BLOCKS * self.layers_per_block
    }

    /// Layers with weights on the longest path, as DenseNets are called by.
    fn weighted_layers(&self) -> usize {
        self.layers() * if self.bottleneck { 2 } else { 1 } + 4
    }

    pub(super) fn short_name(&self) -> String {
        let family = match (self.growth_doubles, self.bottleneck && self.compression < 1.0) {
            (true, _) => "densenet-star",
            (false, true) => "densenet-bc",
            (false, false) => "densenet",
        };
        format!("{family}-{}-{}exits-g{}", self.weighted_layers(), self.exits_after.len() + 1, self.growth)
    }

    /// Channels of the first convolution: twice the growth for DenseNet-BC, else 16 (DenseNet,
    /// section 4.2).
    fn first_channels(&self) -> usize {
        if self.bottleneck && self.compression < 1.0 { 2 * self.growth } else { 16 }
    }

    fn validate(&self, input: Input) -> Result<()> {
        ensure!(
            (1..=2_000).contains(&self.layers_per_block),
            "layers_per_block: {} cannot be",
            self.layers_per_block
        );
        ensure!((1..=4_096).contains(&self.growth), "growth: {} cannot be", self.growth);
        ensure!(
            self.compression > 0.0 && self.compression <= 1.0,
            "compression: {} is not above 0 and at most 1",
            self.compression
        );
        ensure!(input.side >= 4, "an image of {} pixels a side cannot be halved twice", input.side);
        check_exits_after(&self.exits_after, self.layers(), "composite layer")
    }
}

exits_by_list!(layers, "composite layer", classifier);

/// The graph of a DenseNet.
///
/// # Errors
/// Names the key that cannot be.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    config.validate(input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x =
        net.at("stem", "stem", |net| net.conv(image, Conv::three(config.first_channels(), 1)));
    net.map(x, 0);
    for layer in 0..config.layers() {
        let (block, within) = (layer / config.layers_per_block, layer % config.layers_per_block);
        if block > 0 && within == 0 {
            let place = format!("transition {block}");
            x = net.at(format!("transitions.{}", block - 1), place, |net| {
                transition(net, x, config.compression)
            })?;
            net.transition(layer);
        }
        let growth = if config.growth_doubles { config.growth << block } else { config.growth };
        let name = format!("blocks.{block}.{within}");
        let place = format!("block {}, layer {}", block + 1, within + 1);
        x = net.at(name, place, |net| composite_layer(net, x, growth, config.bottleneck));
        net.map(x, layer + 1);
        if config.exits_after.contains(&(layer + 1)) {
            let (name, place) = (format!("exits.{}", layer + 1), classifier_place(layer + 1));
            let logits = net.at(name, place, |net| match config.classifier {
                Classifier::Pooled => pre_activation_classifier(net, x, input.classes),
                Classifier::Convolutional => convolutional_classifier(net, x, 128, input.classes),
            });
            net.exit(logits, layer + 1);
        }
    }
    let place = classifier_place(config.layers());
    let logits =
        net.at("classifier", place, |net| pre_activation_classifier(net, x, input.classes));
    net.exit(logits, config.layers());
    Ok(net.finish())
}

fn composite_layer(net: &mut Builder, x: Feature, growth: usize, bottleneck: bool) -> Feature {
    let mut h = x;
    if bottleneck {
        h = bn_relu_conv(net, h, Conv::pointwise(4 * growth));
    }
    let h = bn_relu_conv(net, h, Conv::three(growth, 1));
    net.concat(&[x, h])
}

fn transition(net: &mut Builder, x: Feature, compression: f64) -> Result<Feature> {
    let channels = (compression * x.channels as f64).floor() as usize;
    ensure!(channels > 0, "compression: {compression} leaves no channel of {}", x.channels);
    let h = bn_relu_conv(net, x, Conv::pointwise(channels));
    Ok(net.avg_pool(h, 2))
}

fn pre_activation_classifier(net: &mut Builder, x: Feature, classes: usize) -> Feature {
    let h = net.batch_norm(x);
    let h = net.relu(h);
    pooled_classifier(net, h, classes)
}
