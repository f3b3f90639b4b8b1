//! ResNet for small images (He et al., 2015, section 4.2): 6n + 2 layers, three stages of n basic
//! blocks, identity shortcuts padded with zeros; exits after any block (Huang et al., 2018,
//! section 3, "ResNet^MC").

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{conv_bn_relu, convolutional_classifier, exit_behind, pooled_classifier};
use super::{Classifier, Input, check_exits_after, check_range, check_two_halvings};
use crate::nn::{Builder, Conv, Feature, Network};

/// Stages of a ResNet for small images.
const STAGES: usize = 3;

/// A ResNet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// n: residual blocks in each of the three stages; 6n + 2 layers in all.
    pub blocks_per_stage: usize,
    /// Channels of the first stage; each further stage doubles them.
    #[serde(default = "sixteen")]
    pub channels: usize,
    /// Blocks, counted through the network, after which an intermediate classifier is attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
    /// The intermediate classifiers; the final one is always pooled.
    #[serde(default)]
    pub classifier: Classifier,
}

fn sixteen() -> usize {
    16
}

exits_by_list!(config => STAGES * config.blocks_per_stage, "block", classifier);

/// The graph of a ResNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    validate(config, input)?;
    let blocks = STAGES * config.blocks_per_stage;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x =
        net.at("stem", "stem", |net| conv_bn_relu(net, image, Conv::three(config.channels, 1)));
    net.map(x, 0);
    for block in 0..blocks {
        let (stage, within) = (block / config.blocks_per_stage, block % config.blocks_per_stage);
        let stride = if stage > 0 && within == 0 { 2 } else { 1 };
        let channels = config.channels << stage;
        let place = format!("stage {}, block {}", stage + 1, within + 1);
        x = net.at(format!("stages.{stage}.{within}"), place, |net| {
            basic_block(net, x, channels, stride)
        });
        net.map(x, block + 1);
        if config.exits_after.contains(&(block + 1)) {
            let name = format!("exits.{}", block + 1);
            exit_behind(&mut net, name, block + 1, |net| match config.classifier {
                Classifier::Pooled => pooled_classifier(net, x, input.classes),
                Classifier::Convolutional => convolutional_classifier(net, x, 128, input.classes),
            });
        }
    }
    exit_behind(&mut net, "classifier".into(), blocks, |net| {
        pooled_classifier(net, x, input.classes)
    });
    Ok(net.finish())
}

fn basic_block(net: &mut Builder, x: Feature, channels: usize, stride: usize) -> Feature {
    let h = conv_bn_relu(net, x, Conv::three(channels, stride));
    let h = net.conv(h, Conv::three(channels, 1));
    let h = net.batch_norm(h);
    let shortcut = net.shortcut(x, channels, stride);
    let sum = net.add(h, shortcut);
    net.relu(sum)
}

pub(super) fn short_name(config: &Config) -> String {
    let depth = 6 * config.blocks_per_stage + 2;
    format!("resnet-{depth}-{}exits-c{}", config.exits_after.len() + 1, config.channels)
}

fn validate(config: &Config, input: Input) -> Result<()> {
    check_range("blocks_per_stage", config.blocks_per_stage, 2_000)?;
    check_range("channels", config.channels, 16_384)?;
    check_two_halvings(input.side)?;
    check_exits_after(&config.exits_after, STAGES * config.blocks_per_stage, UNIT)
}

/// Published networks for CIFAR-10: name, blocks in each stage, multiply-adds, parameters, error on
/// CIFAR-10 in percent (He et al., 2015, Table 6). The counts are exact; the paper rounds its
/// parameters.
pub const PUBLISHED: [(&str, usize, u64, u64, f64); 5] = [
    ("resnet-20", 3, 40_551_040, 269_722, 8.75),
    ("resnet-32", 5, 68_862_592, 464_154, 7.51),
    ("resnet-44", 7, 97_174_144, 658_586, 7.17),
    ("resnet-56", 9, 125_485_696, 853_018, 6.97),
    ("resnet-110", 18, 252_887_680, 1_727_962, 6.43),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_networks_are_counted_to_the_unit() {
        for (name, blocks_per_stage, multiply_adds, parameters, _) in PUBLISHED {
            let config = Config {
                blocks_per_stage,
                channels: 16,
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
