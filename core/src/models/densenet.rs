//! DenseNet and DenseNet-BC (Huang et al., CVPR 2017): three dense blocks, pre-activation
//! composite layers; exits after any composite layer, densely connected to all earlier layers of
//! its block (Huang et al., 2018, section 3, "DenseNet^MC").

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{bn_relu_conv, convolutional_classifier, exit_behind, pooled_classifier};
use super::{Classifier, Input, check_exits_after, check_range, check_two_halvings};
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
    #[serde(default = "super::width::one")]
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

exits_by_list!(config => BLOCKS * config.layers_per_block, "composite layer", classifier);

/// The graph of a DenseNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    validate(config, input)?;
    let layers = BLOCKS * config.layers_per_block;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x =
        net.at("stem", "stem", |net| net.conv(image, Conv::three(first_channels(config), 1)));
    net.map(x, 0);
    for layer in 0..layers {
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
            let name = format!("exits.{}", layer + 1);
            exit_behind(&mut net, name, layer + 1, |net| match config.classifier {
                Classifier::Pooled => pre_activation_classifier(net, x, input.classes),
                Classifier::Convolutional => convolutional_classifier(net, x, 128, input.classes),
            });
        }
    }
    exit_behind(&mut net, "classifier".into(), layers, |net| {
        pre_activation_classifier(net, x, input.classes)
    });
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

/// Channels of the first convolution: twice the growth for DenseNet-BC, else 16 (DenseNet,
/// section 4.2).
fn first_channels(config: &Config) -> usize {
    if is_bc(config) { 2 * config.growth } else { 16 }
}

fn is_bc(config: &Config) -> bool {
    config.bottleneck && config.compression < 1.0
}

pub(super) fn short_name(config: &Config) -> String {
    let family = match (config.growth_doubles, is_bc(config)) {
        (true, _) => "densenet-star",
        (false, true) => "densenet-bc",
        (false, false) => "densenet",
    };
    // Layers with weights on the longest path, as DenseNets are called by.
    let convolutions = if config.bottleneck { 2 } else { 1 };
    let depth = BLOCKS * config.layers_per_block * convolutions + 4;
    format!("{family}-{depth}-{}exits-g{}", config.exits_after.len() + 1, config.growth)
}

fn validate(config: &Config, input: Input) -> Result<()> {
    check_range("layers_per_block", config.layers_per_block, 2_000)?;
    check_range("growth", config.growth, 4_096)?;
    let compression = config.compression;
    ensure!(
        compression > 0.0 && compression <= 1.0,
        "compression: {compression} is out of range (above 0, at most 1)"
    );
    check_two_halvings(input.side)?;
    check_exits_after(&config.exits_after, BLOCKS * config.layers_per_block, UNIT)
}

/// Published networks for CIFAR-10: name, composite layers in each block, growth, whether it is a
/// DenseNet-BC, multiply-adds, parameters, error on augmented CIFAR-10 in percent (Huang et al., 2017,
/// Table 2). The counts are exact; the paper rounds its parameters.
#[rustfmt::skip]
pub const PUBLISHED: [(&str, usize, usize, bool, u64, u64, f64); 6] = [
    ("densenet-40-12", 12, 12, false, 264_812_928, 1_019_722, 5.24),
    ("densenet-100-12", 32, 12, false, 1_769_516_448, 6_979_642, 4.10),
    ("densenet-100-24", 32, 24, false, 6_889_347_744, 27_249_082, 3.74),
    ("densenet-bc-100-12", 16, 12, true, 287_929_692, 769_162, 4.51),
    ("densenet-bc-250-24", 41, 24, true, 5_418_785_724, 15_324_406, 3.62),
    ("densenet-bc-190-40", 31, 40, true, 9_301_945_740, 25_624_430, 3.46),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_networks_are_counted_to_the_unit() {
        for (name, layers_per_block, growth, is_bc, multiply_adds, parameters, _) in PUBLISHED {
            let config = Config {
                layers_per_block,
                growth,
                bottleneck: is_bc,
                compression: if is_bc { 0.5 } else { 1.0 },
                growth_doubles: false,
                exits_after: vec![],
                classifier: Classifier::Pooled,
            };
            let input = Input { channels: 3, side: 32, classes: 10 };
            let cost = crate::cost::table(&build(&config, input).unwrap())[0];
            assert_eq!(
                (cost.multiply_adds, cost.parameters),
                (multiply_adds, parameters),
                "{name}"
            );
        }
    }
}
