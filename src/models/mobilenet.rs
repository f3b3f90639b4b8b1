//! MobileNet (Howard et al., arXiv 1704.04861): depthwise separable convolutions, made thinner by a
//! width multiplier.
//!
//! Weights are named as in the public implementation for CIFAR (conv1, bn1, layers.N, linear).

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::pooled_classifier;
use super::{Input, Stem, check_exits_after, check_halvings, check_width};
use crate::nn::{Builder, Conv, Feature, Network};

/// Channels of the first convolution (paper, Table 1).
const STEM: usize = 32;

/// Channels and stride of each depthwise separable block (paper, Table 1).
const BLOCKS: [(usize, usize); 13] = [
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
];

/// A MobileNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Width multiplier (the paper's alpha): every number of channels is multiplied by it and
    /// rounded down.
    #[serde(default = "one")]
    pub width: f64,
    /// The first convolution: stride 1 for CIFAR, 2 for ImageNet.
    #[serde(default)]
    pub stem: Stem,
    /// Blocks, counted from 1, after which an intermediate classifier is attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
}

fn one() -> f64 {
    1.0
}

exits_by_list!(blocks, "block");

/// The graph of a MobileNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    config.validate(input)?;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let stem = Conv::three(config.channels(STEM), config.stem.stride());
    let mut x = conv_bn_relu(&mut net, 1, image, stem);
    net.map(x, 0);
    for (block, (channels, stride)) in (1..).zip(BLOCKS) {
        x = net.scope(format!("layers.{}", block - 1), |net| {
            separable(net, x, config.channels(channels), stride)
        });
        net.map(x, block);
        if config.exits_after.contains(&block) {
            let name = format!("exits.{block}");
            let logits = net.scope(name, |net| pooled_classifier(net, x, input.classes));
            net.exit(logits, block);
        }
    }
    let logits = pooled_classifier(&mut net, x, input.classes);
    net.exit(logits, config.blocks());
    Ok(net.finish())
}

/// A depthwise convolution filters, a pointwise one combines (paper, section 3.1).
fn separable(net: &mut Builder, x: Feature, channels: usize, stride: usize) -> Feature {
    let h = conv_bn_relu(net, 1, x, Conv::depthwise(x.channels, stride));
    conv_bn_relu(net, 2, h, Conv::pointwise(channels))
}

/// Convolution, batch normalisation, ReLU; its weights are called `conv` and `bn` and a number.
fn conv_bn_relu(net: &mut Builder, number: usize, x: Feature, conv: Conv) -> Feature {
    let h = net.conv_as(&format!("conv{number}"), x, conv);
    let h = net.batch_norm_as(&format!("bn{number}"), h);
    net.relu(h)
}

impl Config {
    /// Depthwise separable blocks.
    pub fn blocks(&self) -> usize {
        BLOCKS.len()
    }

    fn channels(&self, channels: usize) -> usize {
        (channels as f64 * self.width) as usize
    }

    /// Strides of the first convolution and of each block.
    fn strides(&self) -> Vec<usize> {
        let blocks = BLOCKS.map(|(_, stride)| stride);
        std::iter::once(self.stem.stride()).chain(blocks).collect()
    }

    pub(super) fn short_name(&self) -> String {
        format!("mobilenet-{}-{}exits", self.width, self.exits_after.len() + 1)
    }

    fn validate(&self, input: Input) -> Result<()> {
        check_width(self.width)?;
        ensure!(
            self.channels(STEM) > 0,
            "width: {} leaves the first convolution without channels; at least {} is needed",
            self.width,
            1.0 / STEM as f64
        );
        check_halvings(input.side, &self.strides())?;
        check_exits_after(&self.exits_after, self.blocks(), "block")
    }
}

/// A published network: width, pixels a side, multiply-adds, parameters (of 1,000 classes), top-1
/// accuracy on ImageNet in percent (paper, Tables 6 and 7). The counts are exact; the paper rounds
/// them.
pub const PUBLISHED: [(f64, usize, u64, u64, f64); 7] = [
    (1.0, 224, 568_740_352, 4_231_976, 70.6),
    (0.75, 224, 325_400_448, 2_585_560, 68.4),
    (0.5, 224, 149_497_088, 1_331_592, 63.7),
    (0.25, 224, 41_030_272, 470_072, 50.6),
    (1.0, 192, 418_121_728, 4_231_976, 69.1),
    (1.0, 160, 290_675_200, 4_231_976, 67.2),
    (1.0, 128, 186_400_768, 4_231_976, 64.4),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn network(width: f64, stem: Stem, side: usize) -> Result<Network> {
        let config = Config { width, stem, exits_after: vec![] };
        build(&config, Input { channels: 3, side, classes: 1000 })
    }

    #[test]
    fn published_sizes_are_counted_to_the_unit() {
        for (width, side, multiply_adds, parameters, _) in PUBLISHED {
            let network = network(width, Stem::Imagenet, side).unwrap();
            let cost = crate::cost::table(&network)[0];
            assert_eq!((cost.multiply_adds, cost.parameters), (multiply_adds, parameters));
        }
    }

    #[test]
    fn a_width_that_is_no_width_is_refused_with_the_range() {
        for (width, expected) in [
            (0.0, "width: 0 is out of range (above 0, at most 16)"),
            (-1.0, "width: -1 is out of range"),
            (f64::NAN, "width: NaN is out of range"),
            (1e300, "is out of range"),
            (0.03, "width: 0.03 leaves the first convolution without channels; at least 0.03125"),
        ] {
            let error = network(width, Stem::Cifar, 32).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(network(0.03125, Stem::Cifar, 32).is_ok());
    }

    #[test]
    fn an_image_that_is_halved_to_nothing_is_refused_with_the_least_side() {
        for (stem, least) in [(Stem::Imagenet, 17), (Stem::Cifar, 9)] {
            assert!(network(1.0, stem, least).is_ok());
            let error = network(1.0, stem, least - 1).unwrap_err().to_string();
            assert!(error.contains(&format!("at least {least} are needed")), "{error}");
        }
    }

    #[test]
    fn exits_lie_inside_the_13_blocks() {
        for exits_after in [vec![0], vec![13], vec![3, 3]] {
            let config = Config { width: 1.0, stem: Stem::Cifar, exits_after };
            let error = build(&config, Input { channels: 3, side: 32, classes: 10 }).unwrap_err();
            assert!(error.to_string().starts_with("exits_after: "), "{error}");
        }
    }
}
