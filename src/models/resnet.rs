//! ResNet for small images (He et al., 2015, section 4.2): 6n + 2 layers, three stages of n basic
//! blocks, identity shortcuts padded with zeros; exits after any block (Huang et al., 2018,
//! section 3, "ResNet^MC").

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{classifier_place, conv_bn_relu, convolutional_classifier, pooled_classifier};
use super::{Classifier, Input, check_exits_after};
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

impl Config {
    /// Residual blocks in all.
    pub fn blocks(&self) -> usize {
        STAGES * self.blocks_per_stage
    }

    pub(super) fn short_name(&self) -> String {
        format!(
            "resnet-{}-{}exits-c{}",
            6 * self.blocks_per_stage + 2,
            self.exits_after.len() + 1,
            self.channels
        )
    }

    fn validate(&self, input: Input) -> Result<()> {
        ensure!(
            (1..=2_000).contains(&self.blocks_per_stage),
            "blocks_per_stage: {} cannot be",
            self.blocks_per_stage
        );
        ensure!((1..=16_384).contains(&self.channels), "channels: {} cannot be", self.channels);
        ensure!(input.side >= 4, "an image of {} pixels a side cannot be halved twice", input.side);
        check_exits_after(&self.exits_after, self.blocks(), "block")
    }
}

exits_by_list!(blocks, "block", classifier);

/// The graph of a ResNet.
///
/// # Errors
/// Names the key that cannot be.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    config.validate(input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x =
        net.at("stem", "stem", |net| conv_bn_relu(net, image, Conv::three(config.channels, 1)));
    net.map(x, 0);
    for block in 0..config.blocks() {
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
            let place = classifier_place(block + 1);
            let logits = net.at(name, place, |net| match config.classifier {
                Classifier::Pooled => pooled_classifier(net, x, input.classes),
                Classifier::Convolutional => convolutional_classifier(net, x, 128, input.classes),
            });
            net.exit(logits, block + 1);
        }
    }
    let place = classifier_place(config.blocks());
    let logits = net.at("classifier", place, |net| pooled_classifier(net, x, input.classes));
    net.exit(logits, config.blocks());
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
